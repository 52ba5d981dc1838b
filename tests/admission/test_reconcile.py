"""What namespaces in mode augment get, however they came to lack it."""

from __future__ import annotations

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    Manifest,
    deny_all,
    deployment,
    namespace,
    service,
)
from tests.admission.state import State

CART = deployment("shop/cart")


def flows_of(state: State) -> list[tuple[str, str]]:
    made = [policy["metadata"] for policy in state.reconciled()]
    return [(metadata["namespace"], metadata["labels"]["istio-netpol.io/flow"]) for metadata in made]


def shop(mode: str, *more: Manifest) -> State:
    return State([*CONTROL_PLANE, namespace("shop", mode), deny_all("shop"), CART, *more])


def test_what_a_deny_all_cut_is_written_once() -> None:
    """The policies follow the deny-all, and nothing follows them."""
    state = shop("augment")
    assert flows_of(state) == [("shop", "dns"), ("shop", "proxy-to-istiod")]
    assert state.after(*state.reconciled()).reconciled() == []


@pytest.mark.parametrize("mode", ["", "warn", "reject", "off", "augmented"])
def test_other_modes_get_nothing(mode: str) -> None:
    """Only who asked is written for."""
    assert flows_of(shop(mode)) == []


def test_namespace_on_its_way_out_gets_nothing() -> None:
    """Nothing is created in a namespace that is being deleted."""
    leaving = namespace("shop", "augment")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert State([*CONTROL_PLANE, leaving, deny_all("shop"), CART]).reconciled() == []


def test_called_side_that_agreed_and_augments_is_opened() -> None:
    """`called-by` is consent: whoever gave it in mode augment gets the ingress policy."""
    caller = deployment("web/front", calls="shop/cart:80")
    agreeing = deployment("shop/cart", called_by="web/front")
    others = (namespace("web", injected=False), caller, service("shop/cart"))
    assert ("shop", "workload-to-workload") in flows_of(shop("augment", *others, agreeing))
    assert ("shop", "workload-to-workload") not in flows_of(shop("augment", *others))
    assert flows_of(shop("warn", *others, agreeing)) == []


def test_caller_that_augments_opens_only_its_own_side() -> None:
    """The called namespace has a mode of its own."""
    caller = deployment("web/front", calls="shop/cart:80")
    agreeing = deployment("shop/cart", called_by="web/front")
    web = (namespace("web", "augment", injected=False), deny_all("web"))
    assert flows_of(shop("warn", *web, caller, service("shop/cart"), agreeing)) == [
        ("web", "workload-to-workload")
    ]


def test_pods_that_nothing_isolates_are_left_alone() -> None:
    """A policy isolates what it selects, so none is written where nothing is denied."""
    assert State([*CONTROL_PLANE, namespace("shop", "augment"), CART]).reconciled() == []
