"""Whether the called namespace has agreed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.builders import ref, service, view, virtual_service
from tests.values import deployment

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.witness import MeshWitness
from istio_netpol.model.connections import Protocol
from istio_netpol.model.control_plane import MeshConfig
from istio_netpol.model.flows import Agreement, AnyPeer, FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_security import (
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    PortMatch,
)
from istio_netpol.model.references import ObjectRef, TargetRef
from istio_netpol.model.services import Service
from istio_netpol.model.settings import AdmissionSettings, Settings
from istio_netpol.model.workloads import Owner, Workload
from istio_netpol.trust.agreement import agreement_of

CART = deployment("shop/cart")
CLIENT = replace(deployment("rival/web"), service_account="web")
RIVAL = virtual_service("rival/cart").ref


def consents(
    mesh: MeshView, requiring: ObjectRef, client: Workload | None, target: Workload, front: Service | None
) -> bool:
    """Whether the called side agrees to what an object asks for."""
    source = PodsPeer(client) if client else AnyPeer()
    home = (front.namespace,) if front else ()
    asked = RequiredFlow(
        FlowKind.WORKLOAD_TO_WORKLOAD,
        requiring,
        source,
        PodsPeer(target),
        Protocol.TCP,
        8080,
        "it asks",
        via=Via(front, home),
    )
    return agreement_of(asked, MeshWitness(mesh)).ingress is not None


def policy(*sources: AuthorizationSource, **changes: Any) -> AuthorizationPolicy:
    rules = (AuthorizationRule(sources),)
    name = ref("security.istio.io/v1", "AuthorizationPolicy", "shop/callers")
    return replace(AuthorizationPolicy(name, rules=rules), **changes)


def agreed(*objects: Any, client: Any = CLIENT) -> bool:
    return consents(view(CART, *objects), RIVAL, client, CART, None)


def test_stranger_has_no_consent() -> None:
    """An object of another namespace opens nothing by itself."""
    assert not agreed()


def test_exception_is_no_consent() -> None:
    """A policy that names the client's namespace but excepts the client has not agreed to it."""
    source = AuthorizationSource(namespaces=("rival",))
    excepting = replace(source, not_principals=("cluster.local/ns/rival/sa/web",))
    assert (agreed(policy(source)), agreed(policy(excepting))) == (True, False)


def test_own_namespace_agrees() -> None:
    """What an object of the namespace asks for is its own affair."""
    assert consents(view(CART), virtual_service("shop/cart").ref, CLIENT, CART, None)


@pytest.mark.parametrize("trusted", ["istio-system", "kyma-system", "kube-system"])
def test_administrators_namespaces_are_trusted(trusted: str) -> None:
    """Only cluster administrators write there."""
    assert consents(view(CART), virtual_service(f"{trusted}/cart").ref, CLIENT, CART, None)


def test_settings_say_whom_to_trust() -> None:
    """The list replaces the usual namespaces; the mesh's root namespace stays."""
    settings = Settings(admission=AdmissionSettings(trusted_namespaces=("rival",)))
    mesh = view(CART, settings=settings)
    homes = ("rival", "kyma-system", "istio-system")
    asked = [consents(mesh, virtual_service(f"{home}/x").ref, CLIENT, CART, None) for home in homes]
    assert asked == [True, False, True]


def test_root_namespace_of_the_mesh_is_trusted() -> None:
    """Mesh config may put mesh-wide objects elsewhere."""
    config = MeshConfig(ref("v1", "ConfigMap", "istio-system/istio"), root_namespace="mesh")
    requiring = virtual_service("mesh/cart").ref
    assert consents(view(CART, config), requiring, CLIENT, CART, None)


def test_mesh_config_that_a_tenant_writes_counts_for_nothing() -> None:
    """A ConfigMap of that name in just any namespace does not make it the root namespace."""
    config = MeshConfig(ref("v1", "ConfigMap", "mesh/istio"), root_namespace="mesh")
    requiring = virtual_service("mesh/cart").ref
    assert not consents(view(CART, config), requiring, CLIENT, CART, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rival/web", True),
        ("rival/*", True),
        ("other/app, rival/web", True),
        ("rival/other", False),
        ("web", False),
        ("*/web", False),
        ("", False),
    ],
)
def test_annotation_names_callers(text: str, expected: bool) -> None:
    """called-by lists workloads, or a namespace's all."""
    called = replace(CART, called_by=text)
    assert consents(view(called), RIVAL, CLIENT, called, None) is expected


def test_annotation_for_a_namespace_covers_its_pods_only() -> None:
    """`rival/*` is no word on a gateway that a VirtualService of rival would have call: that one is named."""
    gateway = deployment("istio-ingress/gw")
    for text, expected in (("rival/*", False), ("istio-ingress/gw", True), ("rival/web", False)):
        called = replace(CART, called_by=text)
        assert consents(view(called), RIVAL, gateway, called, None) is expected


def test_pods_are_known_by_their_controller_too() -> None:
    """Those that are unlike its template are a class of another name."""
    called = replace(CART, called_by="rival/web")
    old = replace(deployment("rival/web-5f4-x"), owner=Owner("apps/v1", "Deployment", "web"))
    assert consents(view(called), RIVAL, old, called, None)
    assert not consents(view(called), RIVAL, replace(old, owner=None), called, None)


def test_annotation_of_the_service_counts() -> None:
    """The Service is the called namespace's as well."""
    front = replace(service("shop/cart", 80), called_by="rival/web")
    assert consents(view(CART), RIVAL, CLIENT, CART, front)


def test_annotation_of_a_foreign_service_does_not_count() -> None:
    """Who calls can't agree for the called."""
    front = replace(service("rival/cart", 80), called_by="rival/web")
    assert not consents(view(CART), RIVAL, CLIENT, CART, front)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (AuthorizationSource(namespaces=("rival",)), True),
        (AuthorizationSource(namespaces=("riv*",)), False),
        (AuthorizationSource(namespaces=("*",)), False),
        (AuthorizationSource(principals=("cluster.local/ns/rival/sa/web",)), True),
        (AuthorizationSource(principals=("cluster.local/ns/rival/sa/*",)), True),
        (AuthorizationSource(principals=("cluster.local/ns/rival/sa/other",)), False),
        (AuthorizationSource(principals=("*",)), False),
        (AuthorizationSource(service_accounts=("rival/web",)), True),
        (AuthorizationSource(service_accounts=("web",)), False),
        (AuthorizationSource(namespaces=("rival",), principals=("cluster.local/ns/rival/sa/other",)), False),
        (AuthorizationSource(ip_blocks=("10.0.0.0/8",)), False),
        (AuthorizationSource(), False),
    ],
)
def test_authorization_policy_names_callers(source: AuthorizationSource, expected: bool) -> None:
    """An ALLOW that names the client agrees; one that lets in anybody is no word on this one."""
    assert agreed(policy(source)) is expected


SOURCE = AuthorizationSource(namespaces=("rival",))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"selector": {"app": "cart"}}, True),
        ({"selector": {"app": "other"}}, False),
        ({"action": "DENY"}, False),
        ({"action": "CUSTOM"}, False),
        ({"target_refs": (TargetRef("", "Service", "cart"),)}, False),
        ({"ref": ref("security.istio.io/v1", "AuthorizationPolicy", "rival/callers")}, False),
    ],
)
def test_authorization_policy_must_hold_for_the_called(changes: dict[str, Any], expected: bool) -> None:
    """It allows, it selects the pods, and it lives in their namespace."""
    assert agreed(policy(SOURCE, **changes)) is expected


def test_trust_domain_of_the_mesh_counts() -> None:
    """Principals are spelled with the mesh's own trust domain."""
    config = MeshConfig(ref("v1", "ConfigMap", "istio-system/istio"), trust_domain="corp.example")
    assert agreed(policy(AuthorizationSource(principals=("corp.example/ns/rival/sa/web",))), config)
    assert not agreed(policy(AuthorizationSource(principals=("other.example/ns/rival/sa/web",))), config)


def test_authorization_says_nothing_of_unknown_clients() -> None:
    """Without a client there is no identity to name."""
    assert not agreed(policy(SOURCE), client=None)


def test_annotation_says_nothing_of_unknown_clients() -> None:
    """Who connects from anywhere is not of a namespace."""
    called = replace(CART, called_by="rival/*")
    assert not consents(view(called), RIVAL, None, called, None)


def test_authorization_policy_agrees_to_its_ports_only() -> None:
    """What it allows on one port is no word on another."""
    for operation, expected in ((PortMatch(ports=(8080,)), True), (PortMatch(ports=(9090,)), False)):
        rules = (AuthorizationRule((SOURCE,), operations=(operation,)),)
        assert agreed(policy(rules=rules)) is expected


def test_a_copy_with_an_agreement_keeps_everything_else() -> None:
    """It is written out by hand, so nothing may be forgotten."""
    flow = RequiredFlow(
        FlowKind.HBONE,
        RIVAL,
        PodsPeer(CLIENT),
        PodsPeer(CART),
        Protocol.UDP,
        9,
        "why",
        shared=True,
        field="spec",
        via=Via(delegate="web"),
    )
    agreement = Agreement(frozenset({"rival"}), None)
    copy = flow.with_agreement(agreement)
    assert copy.agreement is agreement
    for name in RequiredFlow.__struct_fields__:
        if name != "agreement":
            assert getattr(copy, name) is getattr(flow, name), name
