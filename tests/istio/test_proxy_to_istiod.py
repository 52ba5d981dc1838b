"""Sidecars and ztunnel connect to istiod."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import (
    complaints,
    flows,
    ingress_gateway,
    istiod,
    istiod_service,
    labelled,
    ref,
    told,
    view,
)
from tests.values import namespace

from istio_netpol.istio.rules.proxy_to_istiod import RULE
from istio_netpol.model.control_plane import InjectorConfig, MeshConfig
from istio_netpol.model.labels import Labels
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.settings import MeshSettings, Settings
from istio_netpol.model.workloads import Workload

SHOP = namespace("shop", **{"istio-injection": "enabled"})
WEB = labelled("shop/web", {"app": "web"})


def mesh_config(address: str, revision: str = "") -> MeshConfig:
    name = f"istio-{revision}" if revision else "istio"
    return MeshConfig(
        ref("v1", "ConfigMap", f"istio-system/{name}"), revision=revision, discovery_address=address
    )


def annotated(text: str, labels: Labels | None = None) -> Workload:
    web = labelled("shop/web", labels or {"app": "web"})
    return replace(web, annotations={"proxy.istio.io/config": text})


def test_sidecar_connects_to_istiod() -> None:
    """An injected pod needs port 15012 of istiod."""
    expected = ["proxy-to-istiod: Deployment shop/web -> Deployment istio-system/istiod TCP 15012"]
    assert told(RULE, WEB, view(SHOP, WEB, istiod())) == expected


def test_flow_says_why_it_is_needed() -> None:
    """The reason completes a sentence, the destination serves all, and consent is not asked for."""
    (flow,) = flows(RULE, WEB, view(SHOP, WEB, istiod()))
    assert flow.reason == "its sidecar gets its configuration and certificate from istiod"
    assert (flow.object, flow.shared, flow.agreement.ingress is not None) == (WEB.ref, True, True)


def test_pod_without_sidecar_needs_nothing() -> None:
    """Only proxies ask istiod."""
    assert told(RULE, WEB, view(namespace("shop"), WEB, istiod())) == []


def test_gateway_is_left_to_its_own_rule() -> None:
    """A gateway's proxy is no sidecar."""
    pods = ingress_gateway()
    assert told(RULE, pods, view(pods, istiod())) == []


def test_ztunnel_connects_to_istiod() -> None:
    """The node proxies of ambient mode are clients of istiod."""
    ztunnel = replace(labelled("istio-system/ztunnel", {"app": "ztunnel"}), has_proxy=True)
    (flow,) = flows(RULE, ztunnel, view(ztunnel, istiod()))
    assert str(flow.destination) == "Deployment istio-system/istiod"
    assert flow.reason == "ztunnel gets the workloads of its node and their certificates from istiod"


def test_service_decides_on_the_port() -> None:
    """What stands behind 15012 of the istiod Service is the port on the wire."""
    mesh = view(SHOP, WEB, istiod(), istiod_service(discovery=16012))
    expected = ["proxy-to-istiod: Deployment shop/web -> Deployment istio-system/istiod TCP 16012"]
    assert told(RULE, WEB, mesh) == expected


def test_service_without_the_port_leaves_the_setting() -> None:
    """A Service that does not offer 15012 says nothing about it."""
    selector = {"app": "istiod"}
    other = Service(ref("v1", "Service", "istio-system/istiod"), (ServicePort(443, 15017),), selector)
    settings = Settings(mesh=MeshSettings(discovery_port=15999))
    mesh = view(SHOP, WEB, istiod(), other, settings=settings)
    assert [flow.port for flow in flows(RULE, WEB, mesh)] == [15999]


def test_stand_in_takes_the_place_of_an_absent_istiod() -> None:
    """Where somebody checks an app alone, istiod is assumed, and that is said."""
    mesh = view(SHOP, WEB)
    (flow,) = flows(RULE, WEB, mesh)
    assert (str(flow.destination), flow.port) == ("Deployment istio-system/istiod (assumed)", 15012)
    assert mesh.is_stand_in(flow.destination.workload)  # type: ignore[union-attr]
    assert list(map(str, mesh.assumptions)) == [
        "the input holds no istiod: assumed istiod in namespace istio-system with labels app=istiod, "
        "istio=pilot, which nothing isolates"
    ]


def test_istiod_where_anybody_may_write_is_told_of() -> None:
    """Whoever runs istiod elsewhere reads why it does not count, and which setting makes it count."""
    mesh = view(SHOP, WEB, istiod("mesh/istiod"))
    flows(RULE, WEB, mesh)
    (assumption,) = mesh.assumptions
    assert assumption.what.endswith(
        "; the one of namespace mesh does not count until the setting admission.trustedNamespaces says that "
        "only administrators write there"
    )


def test_nothing_is_assumed_beside_a_real_istiod() -> None:
    """The stand-in is not taken where the cluster has its own."""
    mesh = view(SHOP, WEB, istiod())
    flows(RULE, WEB, mesh)
    assert mesh.assumptions == ()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("canary", ["Deployment istio-system/istiod-canary"]),
        ("default", ["Deployment istio-system/istiod"]),
        # A tag points to a revision that its name does not tell.
        ("prod", ["Deployment istio-system/istiod", "Deployment istio-system/istiod-canary"]),
    ],
)
def test_revision_chooses_the_control_plane(label: str, expected: list[str]) -> None:
    """A namespace's revision decides which istiod injects, and so which one its proxies ask."""
    canary = labelled(
        "istio-system/istiod-canary", {"app": "istiod", "istio": "istiod", "istio.io/rev": "canary"}
    )
    mesh = view(namespace("shop", **{"istio.io/rev": label}), WEB, istiod(), canary)
    assert sorted(str(flow.destination) for flow in flows(RULE, WEB, mesh)) == expected


def test_revisioned_istiod_has_a_service_of_its_own() -> None:
    """The Service of a revision is called istiod-<revision>."""
    labels = {"app": "istiod", "istio.io/rev": "canary"}
    ports = (ServicePort(15012, 17012),)
    own = Service(ref("v1", "Service", "istio-system/istiod-canary"), ports, labels)
    canary = labelled("istio-system/istiod-canary", labels)
    mesh = view(namespace("shop", **{"istio.io/rev": "canary"}), WEB, canary, own)
    assert [flow.port for flow in flows(RULE, WEB, mesh)] == [17012]


@pytest.mark.parametrize(
    "text",
    [
        "discoveryAddress: istiod.mesh.svc:15012",
        'discoveryAddress: "istiod.mesh.svc:15012"',
        '{"concurrency": 2, "discoveryAddress": "istiod.mesh.svc:15012"}',
        "concurrency: 2\ndiscoveryAddress: istiod.mesh.svc.cluster.local:15012\n",
    ],
)
def test_annotation_names_another_istiod(text: str) -> None:
    """A pod's proxy config may send it to an istiod elsewhere."""
    web = annotated(text)
    mesh = view(
        SHOP,
        web,
        istiod(),
        istiod("mesh/istiod"),
        istiod_service("mesh/istiod", discovery=16012),
    )
    expected = ["proxy-to-istiod: Deployment shop/web -> Deployment mesh/istiod TCP 16012"]
    assert told(RULE, web, mesh) == expected


def test_mesh_config_names_another_istiod() -> None:
    """The discoveryAddress of the mesh holds for pods that name none."""
    mesh = view(SHOP, WEB, istiod(), mesh_config("discovery.example.com:443"))
    (flow,) = flows(RULE, WEB, mesh)
    assert (str(flow.destination), flow.port, flow.shared) == ("discovery.example.com", 443, False)


def test_annotation_beats_the_mesh_config() -> None:
    """What the pod says is nearer."""
    web = annotated("discoveryAddress: 192.0.2.7:15012")
    mesh = view(SHOP, web, istiod(), mesh_config("discovery.example.com:443"))
    assert told(RULE, web, mesh) == ["proxy-to-istiod: Deployment shop/web -> 192.0.2.7/32 TCP 15012"]


@pytest.mark.parametrize("address", ["istiod.istio-system.svc:15012", "istiod.istio-system.svc", "nonsense"])
def test_address_of_an_unread_service_leaves_istiod(address: str) -> None:
    """The usual address names a Service that the input need not hold; istiod is known by its labels."""
    mesh = view(SHOP, WEB, istiod(), mesh_config(address))
    expected = ["proxy-to-istiod: Deployment shop/web -> Deployment istio-system/istiod TCP 15012"]
    assert told(RULE, WEB, mesh) == expected


def test_revision_has_a_mesh_config_of_its_own() -> None:
    """ConfigMap istio-<revision> holds for the revision, ConfigMap istio for the default one."""
    web = labelled("shop/web", {"istio.io/rev": "canary"})
    configs = (mesh_config("default.example.com:443"), mesh_config("canary.example.com:443", "canary"))
    mesh = view(namespace("shop"), web, istiod(), *configs)
    assert [str(flow.destination) for flow in flows(RULE, web, mesh)] == ["canary.example.com"]


CSR = (
    labelled("cert-manager/cert-manager-istio-csr", {"app": "csr"}),
    Service(
        ref("v1", "Service", "cert-manager/cert-manager-istio-csr"), (ServicePort(443, 6443),), {"app": "csr"}
    ),
)


def signed_by(address: str) -> InjectorConfig:
    return InjectorConfig(ref("v1", "ConfigMap", "istio-system/istio-sidecar-injector"), ca_address=address)


@pytest.mark.parametrize(
    ("address", "destination"),
    [
        (
            "cert-manager-istio-csr.cert-manager.svc:443",
            "Deployment cert-manager/cert-manager-istio-csr TCP 6443",
        ),
        ("meshca.example.com:443", "meshca.example.com TCP 443"),
    ],
)
def test_certificate_may_come_from_elsewhere(address: str, destination: str) -> None:
    """Where istio-csr signs, a proxy that can't reach it never becomes ready."""
    mesh = view(SHOP, WEB, istiod(), *CSR, signed_by(address))
    assert told(RULE, WEB, mesh) == sorted(
        [
            "proxy-to-istiod: Deployment shop/web -> Deployment istio-system/istiod TCP 15012",
            f"proxy-to-istiod: Deployment shop/web -> {destination}",
        ]
    )
    assert complaints(RULE, signed_by(address), mesh) == []


def test_certificate_authority_that_is_not_there_is_told_once() -> None:
    """The injector's ConfigMap names it, so the finding is about that, not about every workload."""
    config = signed_by("cert-manager-istio-csr.cert-manager.svc:443")
    mesh = view(SHOP, WEB, istiod(), config)
    assert complaints(RULE, WEB, mesh) == []
    assert complaints(RULE, config, mesh) == [
        "ConfigMap istio-system/istio-sidecar-injector: data.values.global.caAddress: nothing of the input "
        "answers at cert-manager-istio-csr.cert-manager.svc:443, from which all proxies get their "
        "certificates; add its Service and Deployment"
    ]


def test_ztunnel_is_not_told_by_the_injector() -> None:
    """It has its certificate authority in its own chart."""
    pods = labelled("istio-system/ztunnel", {"app": "ztunnel"})
    mesh = view(pods, istiod(), *CSR, signed_by("meshca.example.com:443"))
    assert len(told(RULE, pods, mesh)) == 1


def test_injectors_of_tenants_are_not_believed() -> None:
    """A ConfigMap of that name in any namespace would send every proxy to an authority of its author."""
    forged = InjectorConfig(
        ref("v1", "ConfigMap", "rival/istio-sidecar-injector"), ca_address="keys.example.com:443"
    )
    mesh = view(SHOP, WEB, istiod(), forged)
    assert len(told(RULE, WEB, mesh)) == 1
    assert complaints(RULE, forged, mesh) == []


@pytest.mark.parametrize("port", ["0", "99999", "\u00b2", "\u0663", "", "http"])
def test_discovery_address_without_a_port_is_told(port: str) -> None:
    """No policy is written for a port that there is not, whatever digits spell it; istiod is assumed."""
    web = annotated(f"discoveryAddress: istiod.example.com:{port}")
    mesh = view(SHOP, web, istiod())
    assert told(RULE, web, mesh) == [
        "proxy-to-istiod: Deployment shop/web -> Deployment istio-system/istiod TCP 15012"
    ]
    (sentence,) = complaints(RULE, web, mesh)
    assert f"the discoveryAddress istiod.example.com:{port} is not a host:port" in sentence
