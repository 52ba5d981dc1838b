"""Which AuthorizationPolicies can have refused a request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.policy_attachment import targets
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.istio_security import AuthorizationPolicy
from istio_netpol.model.workloads import Workload

MOST_NAMED = 5
"""AuthorizationPolicies that a sentence names."""

_BY_ENVOY = re.compile(r"ns\[(?P<namespace>[^\]]*)\]-policy\[(?P<name>[^\]]*)\](?:-rule\[(?P<rule>\d+))?")
_BY_ZTUNNEL = re.compile(r"(?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)")


def authorization_remarks(matched: str, pods: Iterable[Workload], table: FlowTable) -> Iterator[str]:
    """Sentences that name the policies. `matched` is what the proxy says of it: a policy, `none` where no
    ALLOW rule matched, or empty; `pods` are those that refused, empty where nobody knows."""
    named = _BY_ENVOY.match(matched) or _BY_ZTUNNEL.fullmatch(matched)
    if named is not None:
        rule = named.groupdict().get("rule")
        yield f"AuthorizationPolicy {named['namespace']}/{named['name']} refuses it" + (
            f", with rules[{rule}]" if rule else ""
        )
        return
    known = tuple(pods)
    policies = [
        policy for policy in table.snapshot.every(AuthorizationPolicy) if _concerns(policy, known, table.view)
    ]
    whom = f"of {', '.join(str(pod.ref) for pod in known)}" if known else "of the input"
    allowing = sorted(_name(policy) for policy in policies if policy.action == "ALLOW")
    denying = sorted(_name(policy) for policy in policies if policy.action == "DENY")
    if allowing:
        yield f"no rule of the ALLOW policies {whom} may match: {_listed(allowing)}"
    if denying and matched != "none":
        yield f"or one of the DENY policies {whom}: {_listed(denying)}"
    if not allowing and not denying:
        yield (
            f"no AuthorizationPolicy {whom} can be it: look for a WasmPlugin that its pods could not "
            f"fetch, and "
            "for policies that the input does not hold"
        )


def _concerns(policy: AuthorizationPolicy, pods: tuple[Workload, ...], view: MeshView) -> bool:
    if not pods:
        return True
    names = {pod.peer_name for pod in pods}
    return any(
        pod.peer_name in names for target in targets(view, policy) for pod in (*target.pods, *target.proxies)
    )


def _name(policy: AuthorizationPolicy) -> str:
    return f"{policy.ref.namespace}/{policy.ref.name}"


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
