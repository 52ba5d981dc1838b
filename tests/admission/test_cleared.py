"""What is worked out once for a Deployment, its ReplicaSet and its pods, and when it is worked out again."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import given
from hypothesis import strategies as st
from tests.admission.objects import (
    CONTROL_PLANE,
    Manifest,
    allow,
    deny_all,
    deployment,
    manifest,
    namespace,
    owned_by,
    pod,
    pod_template,
    policy,
    service,
)
from tests.admission.state import Answers, State, asked, identity, written
from tests.admission.test_laws import answered, namespaced, states

from istio_netpol.admission.cleared import Cleared
from istio_netpol.admission.decision import Decision
from istio_netpol.admission.review import decide
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.settings import AdmissionSettings, Settings

HASHED = {"app": "cart", "pod-template-hash": "6d4"}
CART = deployment("shop/cart")


def replica_set(owner: str) -> Manifest:
    return manifest(
        "ReplicaSet",
        f"shop/{owner}-6d4",
        {"selector": {"matchLabels": HASHED}, "template": pod_template(HASHED)},
        ownerReferences=[owned_by("Deployment", owner)],
    )


def job(kind: str, name: str) -> Manifest:
    """A Job, or what makes Jobs by the clock, whose pods are like `CART`'s."""
    template = pod_template({"app": "cart"})
    spec = {"template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}}
    timed = {"schedule": "0 3 * * *", "jobTemplate": {"spec": spec}}
    return manifest(kind, f"shop/{name}", timed if kind == "CronJob" else spec)


REPLICA_SET = replica_set("cart")
POD = pod("shop/cart-6d4-x", HASHED, ("ReplicaSet", "cart-6d4"))
OPEN = allow("shop/mesh", egress=[{}])
HOSTS = {"keys.example.com": "203.0.113.7", "api.example.com": "203.0.113.8"}


class Watched:
    """A cluster that changes object by object, and what one replica of the webhook remembers of it."""

    def __init__(self, state: State) -> None:
        self.table = state.table.indexed()
        self.stored = {identity(content): content for content in state.stored}
        self.cleared = Cleared()

    def ask(self, new: Manifest, *, mutating: bool = False) -> Decision:
        return self._decided(new, mutating, self.cleared)

    def ask_anew(self, new: Manifest, *, mutating: bool = False) -> Decision:
        """The answer of a replica that remembers nothing."""
        return self._decided(new, mutating, None)

    def _decided(self, new: Manifest, mutating: bool, cleared: Cleared | None) -> Decision:
        request = asked(new, self.stored.get(identity(new)))
        return decide(request, self.table, Answers(HOSTS), mutating=mutating, cleared=cleared)

    def put(self, *manifests: Manifest) -> None:
        values = [value for content in manifests for value in _decoded(content)]
        self.stored |= {identity(content): content for content in manifests}
        self.table = self.table.with_changes(values)

    def remove(self, *manifests: Manifest) -> None:
        values = [value for content in manifests for value in _decoded(content)]
        for content in manifests:
            del self.stored[identity(content)]
        self.table = self.table.with_changes((), values)


def _decoded(content: Manifest) -> list[Any]:
    values, problems = decode(RawObject(content, "stored", 0))
    assert not problems, problems
    return values


def shop(mode: str = "reject", *objects: Manifest, settings: Settings | None = None) -> Watched:
    """A namespace under deny-all in which a sidecar has what it needs."""
    base = [*CONTROL_PLANE, namespace("shop", mode), deny_all("shop"), OPEN]
    return Watched(State([*base, *objects], settings or Settings(), HOSTS))


def test_a_deployment_its_replica_set_and_its_pods_are_worked_out_once() -> None:
    """Whether or not what was admitted before is known to be stored by then."""
    cluster = shop()
    assert cluster.ask(CART).worked_out
    assert not cluster.ask(REPLICA_SET).worked_out
    cluster.put(CART)
    assert not cluster.ask(POD).worked_out
    cluster.put(REPLICA_SET, POD)
    assert not cluster.ask(pod("shop/cart-6d4-y", HASHED, ("ReplicaSet", "cart-6d4"))).worked_out


@pytest.mark.parametrize(
    "other",
    [
        pod("shop/cart-6d4-x", {**HASHED, "tier": "back"}, ("ReplicaSet", "cart-6d4")),
        pod("shop/cart-6d4-x", HASHED),
        {**POD, "spec": {**POD["spec"], "hostNetwork": True}},
        {**POD, "spec": {**POD["spec"], "serviceAccountName": "other"}},
        {**POD, "spec": pod_template({}, 9090)["spec"]},
        {**POD, "metadata": {**POD["metadata"], "annotations": {"istio-netpol.io/calls": "10.0.0.1:80"}}},
        {**POD, "metadata": {**POD["metadata"], "namespace": "else"}},
    ],
    ids=["labels", "no-owner", "host-network", "account", "ports", "calls", "namespace"],
)
def test_a_pod_that_differs_is_worked_out_whatever_owner_it_claims(other: Manifest) -> None:
    """An ownerReference that a tenant writes proves nothing: what counts is what rules read."""
    cluster = shop("reject", namespace("else", "reject"))
    cluster.ask(CART)
    assert cluster.ask(other).worked_out


def likeness(name: str, **of: Any) -> Manifest:
    """A Deployment like `CART`, or another of its kind, that has a name of its own."""
    return deployment(f"shop/{name}", labels={"app": "cart"}, **of)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_what_differs_in_its_name_alone_is_worked_out_once(kind: str) -> None:
    """A preview of each pull request: the first is looked at alone, the second beside one like it."""
    cluster = shop()
    for name, is_worked_out in {"one": True, "two": True, "three": False, "four": False}.items():
        assert cluster.ask(likeness(name, kind=kind)).worked_out == is_worked_out
        cluster.put(likeness(name, kind=kind))


def test_bare_pods_whose_names_are_generated_are_worked_out_once() -> None:
    cluster = shop()
    for suffix, is_worked_out in {"aaaaa": True, "bbbbb": True, "ccccc": False}.items():
        made = pod(f"shop/cart-{suffix}", {"app": "cart"})
        assert cluster.ask(made).worked_out == is_worked_out
        cluster.put(made)


def test_a_new_deployment_is_not_excused_by_what_an_older_one_lacks() -> None:
    """Pods of the older one run without their flow, so that one more of them is not refused for it. A new
    Deployment that is like it is, also where one of the older one's pods was admitted before."""
    settings = Settings(admission=AdmissionSettings(deny_controlled_pods=True))
    base = [*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop"), likeness("old")]
    cluster = Watched(State(base, settings, HOSTS))
    for suffix in ("x", "y"):
        owned = pod(f"shop/old-6d4-{suffix}", HASHED, ("ReplicaSet", "old-6d4"))
        cluster.put(replica_set("old"))
        cluster.ask(owned)
        cluster.put(owned)
    assert not cluster.ask(likeness("new")).allowed


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_pods_of_jobs_are_told_apart_by_their_names(kind: str) -> None:
    """A label of theirs names their Job, and an injector or a policy may go by it."""
    cluster = shop()
    for name in ("one", "two", "three"):
        assert cluster.ask(job(kind, name)).worked_out
        cluster.put(job(kind, name))


def test_a_pod_that_endpoints_name_is_worked_out() -> None:
    """Pods of other names are none of that Service's, whatever they have in common."""
    named = manifest("EndpointSlice", "shop/cart-1", labels={"kubernetes.io/service-name": "cart"})
    named["addressType"] = "IPv4"
    named["endpoints"] = [{"addresses": ["10.1.1.1"], "targetRef": {"kind": "Pod", "name": "third"}}]
    named["ports"] = [{"name": "", "port": 8080, "protocol": "TCP"}]
    calling = deployment("shop/web", calls="cart:80")
    cluster = shop("reject", service("shop/cart", selector={}), named, calling)
    for name, is_worked_out in {"one": True, "two": True, "four": False, "third": True}.items():
        assert cluster.ask(pod(f"shop/{name}", {"app": "cart"})).worked_out == is_worked_out
        cluster.put(pod(f"shop/{name}", {"app": "cart"}))


def listed(*endpoints: dict[str, Any]) -> list[Manifest]:
    """A Service whose endpoints somebody else keeps, and pods that call it."""
    kept = manifest("EndpointSlice", "shop/cart-1", labels={"kubernetes.io/service-name": "cart"})
    kept |= {"addressType": "IPv4", "endpoints": list(endpoints)}
    kept["ports"] = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return [service("shop/cart", selector={}), kept, deployment("shop/web", calls="cart:80")]


WHOLE = Settings(admission=AdmissionSettings(deny_controlled_pods=True))
"""Pods are refused, too, whoever makes them."""


def owned(name: str, **labels: str) -> Manifest:
    """A pod of `REPLICA_SET`."""
    return pod(f"shop/{name}", {**HASHED, **labels}, ("ReplicaSet", "cart-6d4"))


def at(made: Manifest, address: str) -> Manifest:
    """A pod that runs at an address."""
    return {**made, "status": {"podIP": address, "podIPs": [{"ip": address}]}}


def test_a_pod_of_a_controller_that_endpoints_name_is_worked_out() -> None:
    """Pods with labels of their own go by their own name, whoever owns them."""
    named = {"addresses": ["10.1.1.1"], "targetRef": {"kind": "Pod", "name": "cart-b"}}
    cluster = shop("reject", *listed(named), CART, REPLICA_SET, owned("cart-a"), settings=WHOLE)
    for name, is_allowed in {"cart-x": True, "cart-c": True, "cart-b": False}.items():
        assert cluster.ask(owned(name, tier="odd")).allowed == is_allowed
        cluster.put(owned(name, tier="odd"))


@pytest.mark.parametrize("mode", ["reject", "augment"])
def test_a_pod_that_gets_an_address_which_endpoints_list_ends_what_was_found(mode: str) -> None:
    """From then on its controller's pods are those that are called there."""
    cluster = shop(mode, *listed({"addresses": ["10.1.1.1"]}), CART, REPLICA_SET, settings=WHOLE)
    assert cluster.ask(owned("cart-x")).allowed
    cluster.put(owned("cart-x"))
    cluster.put(at(owned("cart-x"), "10.1.1.1"))
    assert not cluster.ask(owned("cart-y")).allowed


def test_a_pod_that_gets_an_address_from_which_it_may_call_ends_what_was_found() -> None:
    """Whom it may call now has to let it in."""
    source = {"principals": ["cluster.local/ns/shop/sa/default"], "ipBlocks": ["10.1.1.1/32"]}
    spec = {"selector": {"matchLabels": {"app": "cart"}}, "rules": [{"from": [{"source": source}]}]}
    allowing, caller = manifest("AuthorizationPolicy", "shop/by-address", spec), pod("shop/web")
    elsewhere = [at(caller, "10.9.9.9"), at(owned("cart-0"), "10.8.8.8")]
    cluster = shop("reject", allowing, *elsewhere, settings=WHOLE)
    assert cluster.ask(owned("cart-1")).allowed
    cluster.put(at(caller, "10.1.1.1"))
    assert not cluster.ask(owned("cart-1")).allowed


@pytest.mark.parametrize("label", ["job-name", "pod-template-hash", "controller-uid"])
def test_a_label_of_single_pods_counts_where_nobody_owns_them(label: str) -> None:
    """Objects of Istio select by any label, also of what was only tried (`--dry-run=server`)."""
    allowing = {"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/default"]}}]}
    spec = {"selector": {"matchLabels": {label: "edge"}}, "action": "ALLOW", "rules": [allowing]}
    cluster = shop("reject", manifest("AuthorizationPolicy", "shop/edge", spec), deployment("shop/web"))
    for make in (deployment, pod):
        assert cluster.ask(make("shop/cart", labels={"app": "cart"})).allowed
        assert not cluster.ask(make("shop/cart", labels={"app": "cart", label: "edge"})).allowed


def test_the_second_of_two_that_are_alike_is_worked_out_once_more() -> None:
    """It may need the first, as the first needs nobody."""
    cluster = shop()
    cluster.ask(likeness("one"))
    assert not cluster.ask(likeness("two")).worked_out, "neither is there yet"
    cluster.put(likeness("one"))
    assert cluster.ask(likeness("two")).worked_out


def test_a_forged_owner_hides_no_missing_flow() -> None:
    """A pod that borrows the name of an admitted Deployment, with labels of its own, is refused as any."""
    selects = {"podSelector": {"matchLabels": {"app": "cart"}}, "policyTypes": ["Egress"], "egress": [{}]}
    settings = Settings(admission=AdmissionSettings(deny_controlled_pods=True))
    base = [*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop"), policy("shop/cart", selects)]
    cluster = Watched(State(base, settings, HOSTS))
    assert cluster.ask(CART).allowed
    assert not cluster.ask(pod("shop/cart-6d4-x", {"app": "thief"}, ("ReplicaSet", "cart-6d4"))).allowed


def test_a_label_of_single_pods_counts_where_a_selector_names_it() -> None:
    """A policy for one revision tells its pods from those of the Deployment."""
    narrow = {
        "podSelector": {"matchLabels": {"pod-template-hash": "6d4"}},
        "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": 80}]}],
    }
    cluster = shop("reject", policy("shop/revision", narrow))
    cluster.ask(CART)
    assert cluster.ask(POD).worked_out


@pytest.mark.parametrize("operation", ["put", "remove"])
def test_any_other_change_has_it_worked_out_again(operation: str) -> None:
    """A policy that went, a Service that came: it may concern the next pod."""
    cluster = shop("reject")
    cluster.ask(CART)
    if operation == "put":
        cluster.put(service("shop/cart"))
    else:
        cluster.remove(OPEN)
    assert cluster.ask(REPLICA_SET).worked_out


ELSEWHERE = [namespace("else", "reject"), deployment("else/web")]
"""A namespace with which the shop has no connection."""


@pytest.mark.parametrize(
    ("made", "is_worked_out"),
    [
        (deny_all("else"), False),
        (allow("else/mesh", egress=[{}]), False),
        (deny_all("shop"), True),
        (deny_all("istio-system"), True),
        (deny_all("new"), True),
        (deny_all("else", selects={"pod-template-hash": "6d4"}), True),
    ],
    ids=["closed-elsewhere", "opened-elsewhere", "ours", "istiod", "new-namespace", "tells-pods-apart"],
)
def test_a_policy_ends_what_was_found_by_policies_of_its_namespace(
    made: Manifest, is_worked_out: bool
) -> None:
    """Both ends of each flow were asked: ours, and that of istiod. A policy that tells the pods of one
    revision apart, or brings the first word of a namespace, says more than whom it admits."""
    made = {**made, "metadata": {**made["metadata"], "name": "made"}}
    cluster = shop("reject", *ELSEWHERE)
    cluster.ask(CART)
    cluster.put(made)
    assert cluster.ask(CART).worked_out == is_worked_out
    cluster.ask(CART)
    cluster.remove(made)
    assert cluster.ask(CART).worked_out == is_worked_out


def test_a_policy_that_is_gone_is_noticed_by_the_next_pod() -> None:
    """In mode augment it is written again before a pod of the older Deployment starts."""
    cluster = shop("augment")
    for made in (CART, REPLICA_SET, POD):
        assert not cluster.ask(made, mutating=True).write
        cluster.put(made)
    cluster.remove(OPEN)
    again = pod("shop/cart-6d4-y", HASHED, ("ReplicaSet", "cart-6d4"))
    missing = cluster.ask(again, mutating=True)
    assert [network_policy.key.rsplit("-", 4)[0] for network_policy in missing.write] == [
        "shop/dns-cart",
        "shop/proxy-to-istiod-cart",
    ]
    cluster.put(*written(missing))
    assert not cluster.ask(again, mutating=True).write


def test_a_pod_without_its_mesh_is_refused_where_administrators_want_none() -> None:
    """However long its Deployment has been there."""
    settings = Settings(admission=AdmissionSettings(deny_controlled_pods=True))
    cluster = shop("reject", CART, REPLICA_SET, settings=settings)
    assert cluster.ask(POD).allowed
    cluster.remove(OPEN)
    assert not cluster.ask(POD).allowed


def test_pods_that_come_together_are_judged_together() -> None:
    """Two Deployments that were admitted one after the other may need each other."""
    cluster = shop("reject")
    cluster.ask(CART)
    cluster.put(CART, deployment("shop/ledger"))
    assert cluster.ask(REPLICA_SET).worked_out


def test_a_pod_that_gets_its_address_changes_nothing() -> None:
    """Status is written to pods all the time."""
    cluster = shop("reject", POD)
    cluster.ask(deployment("shop/ledger"))
    cluster.put(at(POD, "10.1.2.3"))
    assert not cluster.ask(deployment("shop/ledger")).worked_out


def test_what_there_is_to_say_is_said_each_time() -> None:
    """Refusals and warnings are not remembered, nor what depends on the addresses of a host."""
    refused = Watched(State([*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop")], hosts=HOSTS))
    assert [refused.ask(CART).allowed for _ in range(2)] == [False, False]
    block = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.8/32"}}]}],
    }
    caller = deployment("shop/cart", calls="api.example.com:443")
    looked_up = Watched(
        State(
            [*CONTROL_PLANE, namespace("shop", "reject", injected=False), policy("shop/api", block)],
            hosts=HOSTS,
        )
    )
    assert [looked_up.ask(caller).allowed for _ in range(2)] == [True, True]
    assert looked_up.ask(caller).worked_out


def test_only_so_much_is_remembered() -> None:
    """A tenant who tries ever other pods, and says much of each, does not fill the webhook's memory."""
    cluster = shop()
    cluster.cleared = Cleared(most=25_000)
    for name in ("a", "b", "c"):
        cluster.ask(deployment(f"shop/{name}", called_by=f"web/{name * 10_000}"))
    assert not cluster.ask(deployment("shop/c", called_by=f"web/{'c' * 10_000}")).worked_out
    assert cluster.ask(deployment("shop/a", called_by=f"web/{'a' * 10_000}")).worked_out


def test_what_holds_no_more_is_let_go() -> None:
    """It keeps all that came while it held."""
    cluster = shop()
    state = cluster.table.currency.state
    cluster.ask(deployment("shop/a"))
    cluster.put(service("shop/a"))
    held = sys.getrefcount(state)
    cluster.ask(deployment("shop/b"))
    assert sys.getrefcount(state) < held


@given(states(), st.data())
def test_what_is_remembered_is_what_would_be_worked_out(state: State, data: st.DataObject) -> None:
    """Whatever happens in between, asked in whatever order, a replica that remembers answers as one that does
    not."""
    cluster = Watched(state)
    made = [
        *(deployment(f"{home}/{name}") for home in ("shop", "eve") for name in ("cart", "web")),
        *(likeness(name) for name in ("cart", "other", "third")),
        *(pod(f"shop/{name}", {"app": "cart"}) for name in ("cart", "loose")),
        job("Job", "cart"),
        job("Job", "other"),
        REPLICA_SET,
        POD,
        pod("shop/cart-6d4-y", HASHED, ("ReplicaSet", "other-6d4")),
    ]
    for _ in range(data.draw(st.integers(1, 6))):
        new = data.draw(st.sampled_from(made))
        for mutating in (True, False):
            remembered, anew = cluster.ask(new, mutating=mutating), cluster.ask_anew(new, mutating=mutating)
            assert answered(remembered) == answered(anew)
            assert written(remembered) == written(anew)
        match data.draw(st.sampled_from(["store", "other", "remove", "nothing"])):
            case "store":
                cluster.put(new)
            case "other":
                cluster.put(data.draw(namespaced()))
            case "remove":
                cluster.remove(data.draw(st.sampled_from(list(cluster.stored.values()))))
