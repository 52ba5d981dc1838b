"""Hypothesis strategies of whole little clusters: workloads, Services, Istio objects and policies.

Namespaces, labels and ports are those of `tests.strategies`, so that its policies often meet these workloads.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests import strategies as some
from tests.istio import builders as mesh
from tests.istio.builders import NETWORKING, ref
from tests.values import EGRESS, INGRESS, address, policy

from istio_netpol.model.istio_networking import Sidecar, SidecarEgress
from istio_netpol.model.istio_security import (
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    JwtRule,
    PortMatch,
    RequestAuthentication,
)
from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Operator, Requirement, Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import ServicePort
from istio_netpol.model.workloads import ContainerPort, Namespace, Workload

APPS = ("ns-a", "ns-b")
NAMES = ("w0", "w1", "w2")
SYSTEM = ("istio-system", "kube-system")
HOSTS = {"keys.example.com": "203.0.113.7 203.0.113.9 2a00::7", "api.example.com": "198.51.99.4"}
"""Hosts that resolve; `gone.example.com`, which objects name too, does not."""

_MESH_LABELS = (
    {"istio-injection": "enabled"},
    {"istio-injection": "enabled"},
    {"istio.io/dataplane-mode": "ambient"},
    {},
)
_DENIED = (
    EVERYTHING,
    EVERYTHING,
    Selector((), (Requirement("tier", Operator.DOES_NOT_EXIST),)),
    Selector.of({"app": "x"}),
)
_KEYS = (
    "https://keys.example.com/jwks",
    "https://gone.example.com/jwks",
    "https://10.0.0.5/jwks",
    "http://w0.ns-b.svc.cluster.local/jwks",
    "",
)
_often = st.sampled_from((True, True, False))
"""Clusters are busy and denials many: these have most to say."""

_apps, _names = st.sampled_from(APPS), st.sampled_from(NAMES)
_keys = st.builds("{}/{}".format, _apps, _names)
_calls = st.lists(
    st.sampled_from(
        ("ns-a/w0:80", "ns-b/w1:80", "w2", "api.example.com:443", "10.0.0.0/24:5432/TCP", "apiserver")
    ),
    min_size=1,
    max_size=2,
).map(", ".join)
_called_by = st.sampled_from(("ns-a/*", "", "ns-b/w0"))
_selectors = st.none() | some.labels


def _namespaces(draw: st.DrawFn) -> list[Namespace]:
    return [
        Namespace(
            ObjectRef("v1", "Namespace", "", name),
            {
                NAMESPACE_NAME_LABEL: name,
                **draw(st.sampled_from(_MESH_LABELS)),
                **draw(some.namespace_labels),
            },
        )
        for name in APPS
    ]


def _workload(draw: st.DrawFn, key: str, labels: dict[str, str], *, may_share_node: bool) -> Workload:
    where, _, name = key.partition("/")
    on_node = may_share_node and draw(st.integers(0, 5)) == 0
    return Workload(
        ObjectRef("apps/v1", "Deployment", where, name),
        labels,
        ports=(ContainerPort(8080, "http"), ContainerPort(81)),
        host_network=on_node,
        node_addresses=draw(some.addresses(some.NODE_ADDRESSES)) if on_node else (),
        calls=draw(_calls) if draw(_often) else "",
        called_by=draw(_called_by),
    )


def _control_plane(draw: st.DrawFn) -> list[Any]:
    """Some of the parts that otherwise have stand-ins."""
    found: list[Any] = []
    if draw(_often):
        found += [mesh.istiod(), mesh.istiod_service()]
    if draw(_often):
        found.append(mesh.ingress_gateway())
    if draw(_often):
        found += mesh.coredns(draw(st.sampled_from((53, 8053))))
    if draw(_often):
        found.append(mesh.endpoints("default/kubernetes", "192.168.0.1", port=6443))
    return found


def _services(draw: st.DrawFn, workloads: list[Workload]) -> list[Any]:
    """A Service for most workloads, which may select others too, and one that selects whom it may."""
    target = st.sampled_from((8080, "http", 81))
    chosen = {
        f"{workload.namespace}/{workload.name}": dict(workload.labels)
        for workload in workloads
        if draw(_often)
    }
    chosen.setdefault(draw(_keys), {"app": draw(st.sampled_from("xyz"))})
    return [
        mesh.service(key, ServicePort(80, draw(target)), **labels or {"app": "x"})
        for key, labels in sorted(chosen.items())
    ]


def _authorization(draw: st.DrawFn, key: str) -> AuthorizationPolicy:
    sources = (
        AuthorizationSource(namespaces=(draw(_apps),)),
        AuthorizationSource(principals=(f"cluster.local/ns/{draw(_apps)}/sa/default",)),
        AuthorizationSource(ip_blocks=("203.0.113.0/24",)),
    )
    ports = draw(st.sampled_from(((), (8080,))))
    rule = AuthorizationRule((draw(st.sampled_from(sources)),), (PortMatch(ports),) if ports else ())
    name = ref("security.istio.io/v1", "AuthorizationPolicy", key)
    return AuthorizationPolicy(name, selector=draw(_selectors), rules=(rule,))


def _istio_objects(draw: st.DrawFn, services: list[Any]) -> list[Any]:
    """At most one of each kind, with names that the little cluster has or could have."""
    name, home = draw(
        st.sampled_from([*((service.name, service.namespace) for service in services), ("w2", "ns-c")])
    )
    host = f"{name}.{home}.svc.cluster.local"
    key = f"{home if draw(_often) else draw(_apps)}/o"
    jwt = JwtRule("https://issuer.example.com", draw(st.sampled_from(_KEYS)))
    external = {"resolution": "STATIC", "endpoints": (mesh.endpoint("198.51.99.8"),)}
    candidates = [
        mesh.virtual_service(key, mesh.to(host, 80)),
        _authorization(draw, key),
        RequestAuthentication(
            ref("security.istio.io/v1", "RequestAuthentication", key),
            draw(_selectors),
            jwt_rules=(jwt,),
        ),
        mesh.service_entry(key, "api.example.com", **draw(st.sampled_from(({}, external)))),
        Sidecar(ref(NETWORKING, "Sidecar", key), draw(_selectors), (SidecarEgress((f"*/{host}",)),)),
    ]
    return [mesh.gateway("istio-system/public", 80), *(candidate for candidate in candidates if draw(_often))]


def _policies(draw: st.DrawFn) -> list[Any]:
    """Denials of all pods of a namespace or of some, and policies of any kind."""
    both = (INGRESS, EGRESS)
    denials = [
        policy(f"{name}/deny", selects=draw(st.sampled_from(_DENIED)), types=directions)
        for name in (*APPS, *SYSTEM)
        if (directions := draw(st.sampled_from((both, both, (INGRESS,), (EGRESS,), ()))))
    ]
    return denials + draw(st.lists(some.policies(), max_size=3, unique_by=lambda policy: policy.ref))


@st.composite
def meshes(draw: st.DrawFn, *, distinct: bool = False) -> list[Any]:
    """The objects of a cluster. `distinct`: every workload has labels of its own, and none is on a node."""
    own = dict(zip(NAMES, "xyz", strict=True))
    workloads = []
    for key in sorted(draw(st.sets(_keys, min_size=2, max_size=4))):
        labels = {"app": own[key.rpartition("/")[2]]} if distinct else draw(some.labels)
        workloads.append(_workload(draw, key, labels, may_share_node=not distinct))
    services = _services(draw, workloads)
    found = [*_namespaces(draw), *_control_plane(draw), *workloads, *services]
    return [*found, *_istio_objects(draw, services), *_policies(draw)]


def outside() -> list[Any]:
    """Addresses that a connection may come from or go to."""
    return [address(text) for text in ("8.8.8.8", "203.0.113.7", "10.0.0.5", "fd00::5")]
