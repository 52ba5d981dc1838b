"""Which mode holds, and who is never judged."""

from __future__ import annotations

import pytest
from tests.admission.objects import CONTROL_PLANE, deny_all, deployment, manifest, namespace, policy
from tests.admission.state import State

from istio_netpol.admission.modes import effective_mode
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES, MODE_LABEL
from istio_netpol.model.settings import AdmissionSettings, Mode, Settings

CART = deployment("shop/cart")


@pytest.mark.parametrize("default", Mode)
@pytest.mark.parametrize("floor", [None, *Mode])
@pytest.mark.parametrize("asked", ["", *Mode])
def test_namespace_chooses_within_what_administrators_allow(
    default: Mode, floor: Mode | None, asked: str
) -> None:
    """The label beats the default, the floor beats both, and only a looser choice is remarked upon."""
    strictness = {Mode.OFF: 0, Mode.WARN: 1, Mode.REJECT: 2, Mode.AUGMENT: 2}
    found = effective_mode("shop", {MODE_LABEL: asked} if asked else {}, AdmissionSettings(default, floor))
    wanted = Mode(asked) if asked else default
    is_below = floor is not None and strictness[wanted] < strictness[floor]
    assert found.mode is (floor if is_below else wanted)
    assert bool(found.remark) == bool(is_below and asked)


def state(label: str, settings: Settings | None = None) -> State:
    return State([*CONTROL_PLANE, namespace("shop", label), deny_all("shop")], settings or Settings())


def test_label_that_is_no_mode_is_told() -> None:
    """A typo does not switch anything off unnoticed."""
    decision = state("rejct").validate(CART)
    assert decision.warnings[0] == (
        "namespace shop: label istio-netpol.io/mode=rejct is none of off, warn, reject, augment; warn holds"
    )
    assert len(decision.warnings) == 4


def test_label_below_the_floor_is_told_and_not_followed() -> None:
    """A tenant can't loosen what an administrator has pinned, and reads that in the denial's warnings."""
    pinned = Settings(admission=AdmissionSettings(floor=Mode.REJECT))
    for label in ("off", "warn"):
        decision = state(label, pinned).validate(CART)
        assert not decision.allowed
        assert decision.warnings == (
            f"namespace shop: label istio-netpol.io/mode={label} is below the floor; reject holds",
        )
    assert state("augment", pinned).mutate(CART).write


def test_remark_is_not_made_where_nothing_was_to_judge() -> None:
    """An object without needs stays without warnings."""
    assert state("rejct").validate(manifest("Secret", "shop/key")).warnings == ()


@pytest.mark.parametrize("home", sorted({*KUBERNETES_NAMESPACES, "istio-netpol", "spared"}))
def test_spared_namespaces_are_never_judged(home: str) -> None:
    """Whatever their labels say: a mistake of ours must not lock up the cluster or the webhook itself."""
    settings = Settings(admission=AdmissionSettings(default_mode=Mode.AUGMENT, exempt_namespaces=("spared",)))
    there = State([*CONTROL_PLANE, namespace(home, "reject"), deny_all(home)], settings)
    new = deployment(f"{home}/cart")
    for decision in (there.validate(new), there.mutate(new)):
        assert (decision.allowed, decision.write, decision.warnings) == (True, (), ())
    assert there.reconciled() == []
    old = namespace(home, "reject", injected=False)
    assert there.validate(namespace(home, "reject"), old).allowed


@pytest.mark.parametrize(
    "user",
    [
        {"username": "breakglass"},
        {"username": "u", "groups": ["others", "oncall"]},
        {"username": "system:node:a", "groups": ["system:nodes"]},
    ],
)
def test_spared_users_are_never_judged(user: dict[str, object]) -> None:
    """Who has to repair things is not held up."""
    settings = Settings(
        admission=AdmissionSettings(exempt_users=("breakglass",), exempt_groups=("oncall", "system:nodes"))
    )
    assert state("reject", settings).validate(CART, userInfo=user).allowed
    assert not state("reject", settings).validate(CART, userInfo={"username": "u", "groups": None}).allowed


@pytest.mark.parametrize("part", ["scale", "status", "eviction", "ephemeralcontainers"])
def test_subresources_are_never_judged(part: str) -> None:
    """Scaling, evicting and reporting go on whatever is denied."""
    assert state("reject").validate(CART, subResource=part).allowed


@pytest.mark.parametrize("operation", ["CONNECT", "", "PATCH"])
def test_other_operations_are_never_judged(operation: str) -> None:
    """Only what stores or deletes can cut a flow."""
    assert state("reject").validate(CART, operation=operation).allowed


@pytest.mark.parametrize("cluster_scoped", ["Node", "ClusterRole"])
def test_objects_without_a_namespace_are_never_judged(cluster_scoped: str) -> None:
    """No namespace, no mode."""
    made = {"apiVersion": "v1", "kind": cluster_scoped, "metadata": {"name": "x"}}
    assert state("reject").validate(made, namespace="").allowed


def test_object_of_no_kind_that_matters_is_admitted() -> None:
    """A webhook that is registered for too much does no harm."""
    decision = state("reject").validate({**manifest("Secret", "shop/key"), "data": {}})
    assert (decision.allowed, decision.warnings) == (True, ())


def test_request_without_object_is_admitted() -> None:
    """Deleting a collection asks once before it asks for each object."""
    gone = policy("shop/mesh", {"podSelector": {}})
    assert state("reject").validate(None, gone, oldObject=None, name="").allowed


def test_the_request_says_where_an_object_lives_not_the_object() -> None:
    """An object that claims to be elsewhere, or something else, is judged as what is stored."""
    stranger = {
        **CART,
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "x", "namespace": "kube-system"},
    }
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    refused = state("reject").validate(stranger, kind=kind, name="cart", namespace="shop")
    assert refused.message.startswith("Deployment shop/cart is refused")
    assert "required-by: Deployment/shop/cart\n" in refused.message


def test_kinds_of_other_groups_are_not_mistaken_for_ours() -> None:
    """A Deployment of somebody's own API is no workload."""
    assert state("reject").validate({**CART, "apiVersion": "apps.example.com/v1"}).allowed
