"""Pods of applications, which are not part of a control plane, and of which more come every day.

Proxies in any namespace that may be injected ask istiod for configuration and a certificate; those that stand
for them differ in whatever a policy could tell them by. In the namespaces of applications for which a bundle
has policies, a pod with a sidecar stands for all that may come there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.components import component_of
from istio_netpol.istio.view.injection import is_ztunnel
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.witness import MeshWitness
from istio_netpol.model.connections import Protocol
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.labels import NAMESPACE_NAME_LABEL, Labels, Operator, Requirement, Selector
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.trust.agreement import agreement_of

ANY_NAMESPACE, LABELLED_NAMESPACE = "any-namespace", "any-injected-namespace"

MOST_EXCLUDED = 50
"""Conditions of policies for which a proxy of its own is made."""

REASON = (
    "a proxy in any namespace that is injected gets its configuration and certificate from istiod before "
    "its pod is ready"
)


class Proxies(Struct, frozen=True):
    """Proxies that stand for those of a mesh, and the namespaces with labels that some of them live in."""

    pods: tuple[tuple[FlowKind, Workload], ...]
    namespaces: tuple[Namespace, ...]


def proxies_anywhere(policies: Iterable[NetworkPolicy]) -> Proxies:
    """The kinds of proxies in namespaces with and without labels, and one for each condition by which a peer
    of these policies leaves somebody out."""
    pods = [*_KINDS]
    namespaces = [_namespace(LABELLED_NAMESPACE, {"istio-injection": "enabled"})]
    for number, (of_namespaces, requirement) in enumerate(islice(_exclusions(policies), MOST_EXCLUDED), 1):
        labels = _left_out(requirement)
        if not of_namespaces:
            pods.append((FlowKind.PROXY_TO_ISTIOD, _pod(f"sidecar-{number}", ANY_NAMESPACE, labels)))
            continue
        name = labels.get(NAMESPACE_NAME_LABEL, f"{ANY_NAMESPACE}-{number}")
        namespaces.append(_namespace(name, labels))
        pods.append((FlowKind.PROXY_TO_ISTIOD, _pod(f"sidecar-{number}", name, {})))
    return Proxies(tuple(pods), tuple(namespaces))


def _pod(name: str, namespace: str, labels: Labels) -> Workload:
    return Workload(ObjectRef("v1", "Pod", namespace, name), labels)


def _namespace(name: str, labels: Labels) -> Namespace:
    ref = ObjectRef("v1", "Namespace", "", name)
    return Namespace(ref, {NAMESPACE_NAME_LABEL: name, **labels})


_KINDS = (
    (
        FlowKind.PROXY_TO_ISTIOD,
        _pod("sidecar", LABELLED_NAMESPACE, {"security.istio.io/tlsMode": "istio"}),
    ),
    # A pod may be injected by its own label alone, and custom templates leave `tlsMode` out.
    (FlowKind.PROXY_TO_ISTIOD, _pod("sidecar", ANY_NAMESPACE, {"sidecar.istio.io/inject": "true"})),
    (FlowKind.PROXY_TO_ISTIOD, _pod("ztunnel", ANY_NAMESPACE, {"app": "ztunnel"})),
    (FlowKind.GATEWAY_TO_ISTIOD, _pod("gateway", ANY_NAMESPACE, {"istio": "gateway"})),
    (
        FlowKind.GATEWAY_TO_ISTIOD,
        _pod("waypoint", ANY_NAMESPACE, {"gateway.networking.k8s.io/gateway-name": "waypoint"}),
    ),
)
"""Of the labels of proxies, `tlsMode` is on sidecars of the standard template alone (Istio 1.32,
`injection-template.yaml`; `gateway-injection-template.yaml`, `waypoint.yaml` and the `ztunnel` chart have
none)."""


def _exclusions(policies: Iterable[NetworkPolicy]) -> Iterator[tuple[bool, Requirement]]:
    """The conditions that leave out who has a label, each once, and whether they are about namespaces.
    Kubernetes' own namespaces are never injected (Istio 1.32, `inject.IgnoredNamespaces`)."""
    found: dict[tuple[bool, Requirement], None] = {}
    for policy in policies:
        for peer in (peer for rule in policy.rules(Direction.INGRESS) for peer in rule.selectors):
            for of_namespaces, selector in ((True, peer.namespace_selector), (False, peer.pod_selector)):
                for requirement in _leaving_out(selector):
                    found[of_namespaces, requirement] = None
    yield from sorted(found, key=lambda pair: (pair[0], pair[1].key, sorted(pair[1].values)))


def _leaving_out(selector: Selector | None) -> Iterator[Requirement]:
    for requirement in selector.match_expressions if selector else ():
        if requirement.operator is Operator.DOES_NOT_EXIST and requirement.key != NAMESPACE_NAME_LABEL:
            yield requirement
        elif requirement.operator is Operator.NOT_IN:
            for value in requirement.values:
                if requirement.key != NAMESPACE_NAME_LABEL or value not in KUBERNETES_NAMESPACES:
                    yield replace(requirement, values=frozenset({value}))


def _left_out(requirement: Requirement) -> Labels:
    """Labels that do not meet the requirement."""
    return {requirement.key: next(iter(requirement.values), "any")}


def proxy_flows(proxies: Proxies, view: MeshView) -> Iterator[RequiredFlow]:
    """What these proxies need of every istiod that was read."""
    for istiod in view.every_istiod():
        if not view.is_stand_in(istiod) and not istiod.host_network:
            for kind, proxy in proxies.pods:
                yield _flow(kind, proxy, istiod, view)


def _flow(kind: FlowKind, proxy: Workload, istiod: Workload, view: MeshView) -> RequiredFlow:
    flow = RequiredFlow(
        kind=kind,
        object=istiod.ref,
        source=PodsPeer(proxy),
        destination=PodsPeer(istiod),
        protocol=Protocol.TCP,
        port=view.discovery_port(istiod),
        reason=REASON,
        shared=True,
    )
    return flow.with_agreement(agreement_of(flow, MeshWitness(view)))


STANDARD_NAMESPACES = frozenset({"istio-system", "kyma-system"})
"""Where the bases are for, whose workloads each have policies of their own."""


def application_namespaces(
    policies: Iterable[NetworkPolicy], snapshot: Snapshot, view: MeshView
) -> frozenset[str]:
    """The namespaces in which a policy opens something for whatever pod there is, and that run nothing of the
    control plane."""
    return frozenset(
        policy.namespace
        for policy in policies
        if policy.pod_selector.is_everything
        and any(map(policy.rules, policy.policy_types))
        and policy.namespace not in STANDARD_NAMESPACES | view.trusted_namespaces
        and not any(_is_of_mesh(pods, view) for pods in snapshot.workloads(policy.namespace))
    )


def _is_of_mesh(pods: Workload, view: MeshView) -> bool:
    return component_of(pods) is not None or is_ztunnel(pods) or view.is_gateway(pods)


def pods_to_come(namespaces: Iterable[str]) -> tuple[Workload, ...]:
    """A pod with a sidecar in each of the namespaces, for all that may come there."""
    return tuple(
        Workload(
            ObjectRef("v1", "Pod", name, "any-pod-with-a-sidecar"),
            {"sidecar.istio.io/inject": "true"},
        )
        for name in sorted(namespaces)
    )


def their_flows(pods: Iterable[Workload], snapshot: Snapshot, settings: Settings) -> Iterator[RequiredFlow]:
    """What such pods need: DNS, and istiod."""
    pods = tuple(pods)
    if not pods:
        return
    keys = {workload.ref.key for workload in pods}
    table = FlowTable.of(snapshot.with_changes(put=pods), settings)
    yield from (flow for flow in table.flows() if flow.object.key in keys)
