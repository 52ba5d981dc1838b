"""What a namespace says of who may call its pods: the annotation `istio-netpol.io/called-by`, and ALLOW
AuthorizationPolicies that name a caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.model.istio_security import AuthorizationPolicy, AuthorizationRule, AuthorizationSource
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload
from istio_netpol.trust.identities import (
    is_excluded,
    named_namespace,
    principal_matches,
    service_account_matches,
)


def is_called_by(client: Workload, target: Workload, service: Service | None) -> bool:
    """Whether the annotation on the called pods, or on a Service of their namespace, names the pods that
    call: `namespace/name`, the name being theirs or their controller's, or `namespace/*`."""
    names = {f"{client.namespace}/*", f"{client.namespace}/{client.name}"}
    if client.owner is not None:
        names.add(f"{client.namespace}/{client.owner.name}")
    return any(entry in names for entry in _called_by(target, service))


def _called_by(target: Workload, service: Service | None) -> Iterator[str]:
    texts = [target.called_by]
    if service is not None and service.namespace == target.namespace:
        texts.append(service.called_by)
    for text in texts:
        yield from (entry.strip() for entry in text.split(","))


def is_authorized(
    policies: Iterable[AuthorizationPolicy],
    client: Workload,
    target: Workload,
    port: int,
    trust_domains: tuple[str, ...],
) -> bool:
    """Whether an ALLOW policy names the client for a port of the called pods; `policies` are those of their
    namespace. A policy with `targetRefs` speaks of a gateway or a waypoint, not of pods."""
    return any(
        _allows(rule, policy.ref.namespace, client, port, trust_domains)
        for policy in policies
        if policy.action == "ALLOW" and not policy.target_refs and _selects(policy, target)
        for rule in policy.rules
    )


def _selects(policy: AuthorizationPolicy, target: Workload) -> bool:
    return policy.selector is None or policy.selector.items() <= target.labels.items()


def _allows(
    rule: AuthorizationRule, home: str, client: Workload, port: int, trust_domains: tuple[str, ...]
) -> bool:
    is_open = not rule.operations or any(operation.admits(port) for operation in rule.operations)
    return (
        is_open
        and all(condition.admits(port) for condition in rule.conditions)
        and any(_names(source, home, client, trust_domains) for source in rule.sources)
    )


def _names(source: AuthorizationSource, home: str, client: Workload, trust_domains: tuple[str, ...]) -> bool:
    """Whether a source means the client by name; a wildcard over namespaces says nothing of this one."""
    identity = (client.namespace, client.service_account)
    said = (
        (source.namespaces, lambda entry: entry == client.namespace),
        (
            source.principals,
            lambda entry: (
                named_namespace(entry) is not None and principal_matches(entry, trust_domains, *identity)
            ),
        ),
        (source.service_accounts, lambda entry: service_account_matches(entry, home, *identity)),
    )
    lists = [any(matches(entry) for entry in entries) for entries, matches in said if entries]
    return bool(lists) and all(lists) and not is_excluded(source, trust_domains, home, *identity)
