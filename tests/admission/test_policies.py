"""NetworkPolicies, Namespaces and Services under review: what they take away from what is there already."""

from __future__ import annotations

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    allow,
    deny_all,
    deployment,
    manifest,
    namespace,
    policy,
    service,
    virtual_service,
)
from tests.admission.state import Manifest, State, asked, shown, written

from istio_netpol.admission.review import decide

CART = deployment("shop/cart")
DENIED = deny_all("shop")


def shop(mode: str, *objects: Manifest) -> State:
    return State([*CONTROL_PLANE, namespace("shop", mode), *objects])


def test_deny_all_over_running_pods_is_refused_with_what_to_apply_first() -> None:
    """In mode reject the order is: first what allows, then what isolates."""
    state = shop("reject", CART)
    refused = state.validate(DENIED)
    assert not refused.allowed
    assert refused.rules == ("impact",)
    assert refused.message.startswith(
        "NetworkPolicy shop/deny-all is refused: it would cut 3 connections that the mesh needs.\n"
        "- Deployment shop/cart: "
    )
    assert (
        "First apply these policies in this order; each allows at once all that its pods need. "
        "Then repeat the request:" in refused.message
    )
    assert state.after(*shown(refused)).validate(DENIED).allowed


def test_deny_all_is_never_preceded_by_its_remedies() -> None:
    """A policy that is written early isolates; in mode augment what is missing follows the deny-all."""
    state = shop("augment", CART)
    assert state.mutate(DENIED).write == ()
    admitted = state.validate(DENIED)
    assert admitted.allowed
    assert admitted.warnings[0].startswith(
        "istio-netpol will add what this cuts right after it: shop/dns-cart-"
    )
    followed = state.after(DENIED)
    names = [network_policy["metadata"]["name"] for network_policy in followed.reconciled()]
    assert len(names) == 2
    assert all(name in admitted.warnings[0] for name in names)
    complete = followed.after(*followed.reconciled())
    assert complete.validate(CART).warnings == ()


def test_deny_all_before_anything_runs_is_admitted() -> None:
    """There is nothing to cut yet."""
    decision = shop("reject").validate(DENIED)
    assert (decision.allowed, decision.warnings) == (True, ())


MESH = allow("shop/mesh", egress=[{}])


def test_deleting_the_policy_that_allows_is_refused() -> None:
    """The sidecars would lose their istiod at the next restart."""
    state = shop("reject", DENIED, MESH, CART)
    refused = state.validate(None, MESH)
    assert not refused.allowed
    assert "First apply these policies, then repeat the request:" in refused.message
    assert state.after(*shown(refused)).validate(None, MESH).allowed


def test_deleting_the_policy_that_allows_is_preceded_by_what_replaces_it() -> None:
    """In mode augment the exact policies take the place of the broad one, without a gap."""
    state = shop("augment", DENIED, MESH, CART)
    mutated = state.mutate(None, MESH)
    assert len(mutated.write) == 2
    assert state.after(*written(mutated)).validate(None, MESH).allowed


def test_deleting_a_policy_that_only_isolates_is_admitted() -> None:
    """Nothing is lost where nothing isolates any more."""
    assert shop("reject", DENIED, CART).validate(None, DENIED).allowed


def test_deleting_a_policy_that_the_snapshot_has_not_seen_is_judged() -> None:
    """What was stored a moment ago counts as stored."""
    state = shop("reject", DENIED, CART)
    assert not state.validate(None, MESH).allowed


def test_deletes_in_a_terminating_namespace_pass() -> None:
    """A namespace on its way out must not be held up by what is left in it."""
    leaving = namespace("shop", "reject")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    state = State([*CONTROL_PLANE, leaving, DENIED, MESH, CART])
    assert state.validate(None, MESH).allowed


def test_the_namespace_controller_may_delete_before_the_snapshot_knows() -> None:
    """It only ever empties namespaces that were deleted."""
    state = shop("reject", DENIED, MESH, CART)
    user = "system:serviceaccount:kube-system:namespace-controller"
    assert state.validate(None, MESH, userInfo={"username": user}).allowed


def generated(state: State) -> Manifest:
    return next(
        network_policy
        for network_policy in state.reconciled()
        if "istiod" in network_policy["metadata"]["name"]
    )


def test_deleting_a_generated_policy_that_is_needed_says_so() -> None:
    """The denial does not ask to apply what is being deleted."""
    augmented = shop("augment", DENIED, CART)
    own = generated(augmented)
    state = shop("reject", DENIED, CART, own)
    refused = state.validate(None, own)
    assert not refused.allowed
    assert shown(refused) == []
    assert refused.message.endswith(
        "This policy itself is what allows it: keep it, or first delete what needs it."
    )


def test_deleted_generated_policy_comes_back_in_mode_augment() -> None:
    """Written before the deletion it would be deleted with it, so it follows."""
    own = generated(shop("augment", DENIED, CART))
    state = shop("augment", DENIED, CART, own)
    assert state.mutate(None, own).write == ()
    admitted = state.validate(None, own)
    assert admitted.allowed
    assert own["metadata"]["name"] in admitted.warnings[0]
    assert own in state.after(without=[own]).reconciled()


def test_narrowed_policy_is_refused_only_for_what_it_takes_away() -> None:
    """An update that keeps the needed rule passes, one that drops it does not."""
    state = shop("reject", DENIED, MESH, CART)
    nothing = allow("shop/mesh", egress=[])
    assert state.validate(MESH, MESH).allowed
    assert not state.validate(nothing, MESH).allowed


def test_narrowed_policy_is_preceded_by_what_it_takes_away() -> None:
    """Its pods are isolated already, so that writing first closes the gap before it opens."""
    state = shop("augment", DENIED, MESH, CART)
    nothing = allow("shop/mesh", egress=[])
    mutated = state.mutate(nothing, MESH)
    assert len(mutated.write) == 2
    assert state.after(*written(mutated)).validate(nothing, MESH).allowed


def test_policy_that_moves_to_other_pods_is_judged_for_both() -> None:
    """A changed podSelector takes from the pods that it leaves and isolates those that it reaches."""
    ledger = deployment("shop/ledger")
    for_cart = policy(
        "shop/some",
        {"podSelector": {"matchLabels": {"app": "cart"}}, "policyTypes": ["Egress"], "egress": [{}]},
    )
    for_ledger = deny_all("shop", "Egress", selects={"app": "ledger"})
    for_ledger["metadata"]["name"] = "some"
    state = shop("reject", deny_all("shop", "Egress", selects={"app": "cart"}), for_cart, CART, ledger)
    refused = state.validate(for_ledger, for_cart)
    assert "Deployment shop/cart: egress" in refused.message
    assert "Deployment shop/ledger: egress" in refused.message


def test_control_plane_can_not_be_cut_off_unnoticed() -> None:
    """A deny-all where istiod runs is refused: the objects that need istiod are other namespaces', but who
    writes here can mend it."""
    isolating = deny_all("istio-system", "Ingress")
    rooted = [namespace("istio-system", "reject", injected=False), *CONTROL_PLANE[1:]]
    state = State([*rooted, namespace("shop"), CART])
    refused = state.validate(isolating)
    assert not refused.allowed
    assert (
        "ingress to Deployment istio-system/istiod from Deployment shop/cart (TCP 15012)" in refused.message
    )
    assert state.after(*shown(refused)).validate(isolating).allowed


def test_control_plane_in_mode_augment_gets_what_it_lacks() -> None:
    """istiod serves every proxy: its own namespace's mode is what counts for its side."""
    rooted = [namespace("istio-system", "augment", injected=False), CONTROL_PLANE[1]]
    state = State([*rooted, namespace("shop"), CART, deny_all("istio-system", "Ingress")])
    made = [network_policy["metadata"] for network_policy in state.reconciled()]
    found = [(metadata["namespace"], metadata["labels"]["istio-netpol.io/flow"]) for metadata in made]
    assert ("istio-system", "proxy-to-istiod") in found
    assert {home for home, _ in found} == {"istio-system"}


def test_called_namespace_that_agreed_is_asked_to_stay_open() -> None:
    """Who consented to be called is told what the own deny-all would cut for the caller."""
    caller = deployment("web/front", calls="shop/cart:80")
    agreeing = deployment("shop/cart", called_by="web/*")
    objects = [namespace("web"), caller, agreeing, service("shop/cart")]
    state = shop("reject", *objects)
    refused = state.validate(deny_all("shop", "Ingress"))
    assert not refused.allowed
    assert state.after(*shown(refused)).validate(deny_all("shop", "Ingress")).allowed


def test_who_never_agreed_may_close() -> None:
    """A stranger's declaration does not keep a namespace from isolating itself."""
    caller = deployment("web/front", calls="shop/cart:80")
    state = shop("reject", namespace("web"), caller, CART, service("shop/cart"), MESH)
    assert state.validate(deny_all("shop", "Ingress")).allowed


# Namespaces and Services


def test_injection_that_sidecars_could_not_use_is_refused() -> None:
    """Switching injection on under a deny-all leaves every sidecar without istiod."""
    plain, injected = namespace("shop", "reject", injected=False), namespace("shop", "reject")
    state = State([*CONTROL_PLANE, plain, DENIED, CART])
    refused = state.validate(injected, plain)
    assert {cause.rule for cause in refused.causes} == {"impact"}
    assert state.after(*shown(refused)).validate(injected, plain).allowed


def test_namespace_annotations_may_change() -> None:
    """Only labels matter."""
    old = namespace("shop", "reject")
    new = {**old, "metadata": {**old["metadata"], "annotations": {"team": "blue"}}}
    decision = State([*CONTROL_PLANE, old, DENIED, CART]).validate(new, old)
    assert (decision.allowed, decision.warnings) == (True, ())


def test_namespace_is_judged_by_the_mode_that_it_asks_for() -> None:
    """The label that arrives with the change counts."""
    plain = namespace("shop", "off", injected=False)
    state = State([*CONTROL_PLANE, plain, DENIED, CART])
    assert not state.validate(namespace("shop", "reject"), plain).allowed
    assert state.validate(namespace("shop", "warn"), plain).warnings


def test_label_by_which_others_admit_a_namespace_is_not_lost_unnoticed() -> None:
    """Policies elsewhere select namespaces by label: taking it away cuts what they allow."""
    by_team = [{"from": [{"namespaceSelector": {"matchLabels": {"team": "blue"}}}]}]
    guarded = [deny_all("bank", "Ingress"), allow("bank/blue", ingress=by_team)]
    bank = [
        namespace("bank", "reject", injected=False),
        deployment("bank/ledger", called_by="shop/*"),
        service("bank/ledger"),
    ]
    old, new = namespace("shop", "reject", team="blue"), namespace("shop", "reject")
    state = State([*CONTROL_PLANE, old, *bank, *guarded, deployment("shop/cart", calls="bank/ledger:80")])
    decision = state.validate(new, old)
    assert any("ingress to Deployment bank/ledger" in warning for warning in decision.warnings)
    assert state.validate(old, old).warnings == ()


ROUTED = (CART, service("shop/cart"), virtual_service("shop/cart", "cart"))
FROM_GATEWAY = [{"from": [{"namespaceSelector": {}}], "ports": [{"port": 8080}]}]


def test_service_that_moves_to_a_port_nobody_allows_is_refused() -> None:
    """The gateway would still find the Service, but no open port behind it."""
    moved = service("shop/cart", target=9090)
    state = shop("reject", *ROUTED, deny_all("shop", "Ingress"), allow("shop/edge", ingress=FROM_GATEWAY))
    refused = state.validate(moved, service("shop/cart"))
    assert [cause.rule for cause in refused.causes] == ["impact"]
    assert state.after(*shown(refused)).validate(moved, service("shop/cart")).allowed


def test_new_service_that_makes_a_route_real_is_judged() -> None:
    """A VirtualService that waited for its Service connects from now on."""
    route, home = virtual_service("shop/cart", "cart"), deny_all("shop", "Ingress")
    refused = shop("reject", CART, route, home).validate(service("shop/cart"))
    assert not refused.allowed


def test_new_service_entry_that_makes_a_host_real_is_judged() -> None:
    """What calls a host connects to what a ServiceEntry says of it."""
    entry = manifest(
        "ServiceEntry",
        "shop/api",
        {
            "hosts": ["api.example.com"],
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "203.0.113.7"}],
        },
    )
    route = virtual_service("shop/out", "api.example.com", port=443)
    closed = deny_all("istio-system", "Egress", selects={"istio": "ingressgateway"})
    state = shop("warn", route, closed)
    assert any("203.0.113.7" in warning for warning in state.validate(entry).warnings)


def test_subset_that_appears_is_judged() -> None:
    """A DestinationRule decides which pods a route reaches."""
    spec = {"host": "cart", "subsets": [{"name": "v2", "labels": {"app": "cart"}}]}
    rule = manifest("DestinationRule", "shop/cart", spec)
    route = virtual_service("shop/cart", "cart")
    route["spec"]["http"][0]["route"][0]["destination"]["subset"] = "v2"
    state = shop("reject", CART, service("shop/cart"), route, deny_all("shop", "Ingress"))
    assert not state.validate(rule).allowed


def test_endpoints_that_move_are_judged() -> None:
    """A Service without a selector is what its EndpointSlice says."""
    bare = manifest("Service", "shop/old", {"ports": [{"port": 80}]})
    caller = deployment("shop/cart", calls="old:80")
    slice_ = manifest("EndpointSlice", "shop/old-1", labels={"kubernetes.io/service-name": "old"})
    slice_ |= {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["203.0.113.7"]}]}
    state = shop("reject", caller, bare, deny_all("shop", "Egress"))
    assert not state.validate(slice_).allowed


def test_object_that_can_not_be_read_is_a_warning() -> None:
    """The API server validates objects itself; the warning says why nothing was judged."""
    broken = policy("shop/broken", {"podSelector": {}, "egress": [{"ports": [{"port": 99999}]}]})
    state = shop("reject", CART)
    decision = state.validate(broken)
    assert decision.allowed
    assert decision.warnings[0].startswith(
        "the request: NetworkPolicy shop/broken: spec.egress[0].ports[0].port"
    )
    assert decide(asked(broken), state.table, state.resolver, mutating=True).warnings == ()


@pytest.mark.parametrize("mode", ["reject", "augment"])
def test_old_object_that_can_not_be_read_does_not_matter(mode: str) -> None:
    """What replaces a broken policy is judged by itself."""
    broken = policy("shop/some", {"podSelector": {}, "egress": [{"ports": [{"port": 99999}]}]})
    assert shop(mode, CART).validate(allow("shop/some", egress=[{}]), broken).allowed
