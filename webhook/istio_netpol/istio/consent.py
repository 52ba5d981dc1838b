"""Whether the called namespace has agreed to a connection that an object of another namespace asks for.

Who may write in one namespace must not open another one: ingress is opened only for objects of the called
namespace itself, for namespaces in which only administrators write, and where the called side says so, by the
annotation `istio-netpol.io/called-by` or by an ALLOW AuthorizationPolicy that names the caller.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.identities import (
    is_excluded,
    named_namespace,
    principal_matches,
    service_account_matches,
)
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.mesh import AuthorizationPolicy, AuthorizationSource
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload


def consents(
    view: MeshView, requiring: ObjectRef, client: Workload | None, target: Workload, service: Service | None
) -> bool:
    """Whether `target` may be opened for what `requiring` asks for.

    `client` are the pods that connect, None where they are not known; `service` is the Service through which
    they do, if any.
    """
    own = requiring.namespace
    if own == target.namespace or own in trusted_namespaces(view):
        return True
    callers = {f"{own}/*"}
    if client is not None:
        callers |= {f"{client.namespace}/*", f"{client.namespace}/{client.name}"}
    if any(entry in callers for entry in _called_by(target, service)):
        return True
    return client is not None and _authorized(view, client, target)


def trusted_namespaces(view: MeshView) -> frozenset[str]:
    """The namespaces in which only cluster administrators write."""
    settings = view.settings
    return frozenset(
        {*settings.admission.trusted_namespaces, settings.mesh.root_namespace, view.root_namespace}
    )


def _called_by(target: Workload, service: Service | None) -> Iterator[str]:
    texts = [target.called_by]
    if service is not None and service.namespace == target.namespace:
        texts.append(service.called_by)
    for text in texts:
        yield from (entry.strip() for entry in text.split(","))


def _authorized(view: MeshView, client: Workload, target: Workload) -> bool:
    """Whether an ALLOW AuthorizationPolicy of the called namespace names the client."""
    for policy in view.all(AuthorizationPolicy, target.namespace):
        if policy.action == "ALLOW" and not policy.target_refs and _selects(policy, target):
            sources = (source for rule in policy.rules for source in rule.sources)
            if any(_names(source, policy.ref.namespace, client, view) for source in sources):
                return True
    return False


def _selects(policy: AuthorizationPolicy, target: Workload) -> bool:
    return policy.selector is None or policy.selector.items() <= target.labels.items()


def _names(source: AuthorizationSource, home: str, client: Workload, view: MeshView) -> bool:
    """Whether a source means the client by name; a wildcard over namespaces is no word on this one."""
    config = view.mesh_config()
    domains = (config.trust_domain if config else view.settings.mesh.cluster_domain,)
    identity = (client.namespace, client.service_account)
    said = (
        (source.namespaces, lambda entry: entry == client.namespace),
        (
            source.principals,
            lambda entry: named_namespace(entry) is not None and principal_matches(entry, domains, *identity),
        ),
        (source.service_accounts, lambda entry: service_account_matches(entry, home, *identity)),
    )
    lists = [any(matches(entry) for entry in entries) for entries, matches in said if entries]
    return bool(lists) and all(lists) and not is_excluded(source, domains, home, *identity)
