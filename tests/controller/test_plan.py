"""What the controller does about the policies that are there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.analysis import meshes as some
from tests.istio import builders as mesh
from tests.istio.outcomes import mesh_config
from tests.values import address, block, deny_all, deployment, namespace, policy, port, rule

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.needed_policies import Upkeep, upkeep
from istio_netpol.controller.plan import Apply, Delete, Mark, Present, WritePlan, owners_of, plan
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.control_plane import ExtensionProvider
from istio_netpol.model.istio_security import JwtRule, RequestAuthentication, Telemetry
from istio_netpol.model.own_names import FLOW_LABEL, MANAGED_BY, OWNER, PROVISIONAL_AT, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy, PolicyKey
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import HostSettings, Settings
from istio_netpol.remedies.names import digest_of
from istio_netpol.state.snapshot import Snapshot

NOW = 1_000_000.0
SETTINGS = Settings()
LIMITS = SETTINGS.controller
LONG_AGO = NOW - 10 * LIMITS.host_overlap_seconds


class Dns:
    """Knows what the meshes' hosts stand for."""

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        if host not in some.HOSTS:
            return Resolution(host, (), ResolutionStatus.NOT_FOUND, reason="there is none")
        found = tuple(address(text) for text in some.HOSTS[host].split())
        return Resolution(host, found, ResolutionStatus.RESOLVED)


def generated(found: NetworkPolicy, required_by: str = "Deployment/ns-a/w0") -> NetworkPolicy:
    labels = {MANAGED_BY: OWNER, FLOW_LABEL: "istiod-to-jwks"}
    return replace(found, labels=labels, annotations={REQUIRED_BY: required_by})


def present(found: NetworkPolicy, **fields: Any) -> Present:
    return Present(found, **{"own": True, "uid": "u", "version": "1", **fields})


def keys_at(*cidrs: str, name: str = "keys") -> NetworkPolicy:
    return generated(policy(f"ns-a/{name}", egress=[rule(*map(block, cidrs), port(443))]))


def to_istiod(name: str) -> NetworkPolicy:
    return generated(policy(f"ns-a/{name}", egress=[rule(port(15012))]))


def needing(*policies: NetworkPolicy, uncertain: frozenset[str] = frozenset()) -> Upkeep:
    by_key = {(network_policy.namespace, network_policy.name): network_policy for network_policy in policies}
    return Upkeep(by_key, frozenset(by_key), uncertain)


def acts(made: WritePlan) -> list[type]:
    return [type(action) for action in made.actions]


def test_a_policy_that_is_as_needed_is_left_alone() -> None:
    """A quiet cluster sees no writes."""
    keys = keys_at("192.0.2.1/32")
    assert plan(needing(keys), [present(keys)], NOW, SETTINGS) == WritePlan()


def test_old_addresses_stay_until_the_overlap_is_over() -> None:
    """A host that moves is reachable at both addresses for a while."""
    old, new = keys_at("192.0.2.1/32", name="old"), keys_at("192.0.2.9/32", name="new")
    there = [present(old), present(new)]
    assert plan(needing(new), there, NOW, SETTINGS).actions == (Mark(there[0], NOW),)
    there[0] = present(old, unneeded_since=NOW - LIMITS.host_overlap_seconds + 1)
    waiting = plan(needing(new), there, NOW, SETTINGS)
    assert (waiting.actions, waiting.again_in) == ((), 1)
    assert acts(plan(needing(new), there, NOW + 1, SETTINGS)) == [Delete]


def test_addresses_that_a_wider_policy_opens_need_no_policy_of_their_own() -> None:
    """A host whose addresses come one by one does not leave a policy for each step behind."""
    old, wide = keys_at("192.0.2.1/32", name="old"), keys_at("192.0.2.1/32", "192.0.2.9/32", name="wide")
    assert acts(plan(needing(wide), [present(old), present(wide)], NOW, SETTINGS)) == [Delete]
    assert acts(plan(needing(wide), [present(old)], NOW, SETTINGS)) == [Apply]


def test_old_addresses_of_a_host_are_capped_like_new_ones() -> None:
    """A host that names another address each time leaves few policies behind: the oldest go at once."""
    limited = replace(SETTINGS, hosts=HostSettings(max_addresses_per_host=2))
    there = [
        present(keys_at(f"192.0.2.{number}/32", name=f"old-{number}"), unneeded_since=NOW - number)
        for number in (3, 1, 2, 4)
    ]
    made = plan(needing(keys_at("192.0.2.9/32", name="new")), there, NOW, limited)
    assert [action.present.key[1] for action in made.actions if isinstance(action, Delete)] == [
        "old-3",
        "old-4",
    ]
    unsure = needing(uncertain=frozenset({"Deployment/ns-a/w0"}))
    assert plan(unsure, there, NOW, limited).actions == ()


def test_what_an_object_needed_stays_while_dns_fails() -> None:
    """No outage of DNS takes a policy away, however long it lasts."""
    keys = keys_at("192.0.2.1/32")
    there = [present(keys, unneeded_since=LONG_AGO)]
    unsure = needing(uncertain=frozenset({"Deployment/ns-a/w0"}))
    assert plan(unsure, there, NOW, SETTINGS).actions == ()
    assert acts(plan(needing(), there, NOW, SETTINGS)) == [Delete]


@pytest.mark.parametrize(
    ("needer", "acted"),
    [
        ("Deployment/ns-b/w0", [Delete]),
        ("Deployment/ns-a/w0", []),
        ("VirtualService/istio-system/w0", []),
    ],
)
def test_an_object_that_can_not_be_read_holds_no_other_tenant_open(needer: str, acted: list[type]) -> None:
    """Whose consent is gone is closed, though the object that rested on it does not say what it needs."""
    there = [present(generated(policy("ns-a/p"), needer), unneeded_since=LONG_AGO)]
    assert acts(plan(needing(uncertain=frozenset({needer})), there, NOW, SETTINGS)) == acted


def test_a_mark_from_the_future_counts_from_now() -> None:
    """A clock that was wrong, or a tenant's forgery, keeps no policy for ever."""
    there = present(keys_at("192.0.2.1/32"), unneeded_since=NOW + 9_999_999)
    assert plan(needing(), [there], NOW, SETTINGS).actions == (Mark(there, NOW),)


def test_a_policy_of_somebody_else_in_the_place_of_ours_is_reported() -> None:
    """The operator reads why the policy is missing; nobody's object is overwritten."""
    keys = keys_at("192.0.2.1/32")
    made = plan(needing(keys), [present(deny_all("ns-a"), own=False)], NOW, SETTINGS)
    assert acts(made) == [Apply]
    made = plan(needing(keys), [present(keys, own=False)], NOW, SETTINGS)
    assert made.actions == ()
    assert made.withheld == ("NetworkPolicy ns-a/keys is there already and was not made by istio-netpol",)


def named(found: NetworkPolicy, digest: str = "") -> NetworkPolicy:
    """The policy under a name as versions since 128 bits give it, or before."""
    return replace(found, ref=replace(found.ref, name=f"dns-web-{digest or digest_of(found)}"))


EARLIER, NEW = named(keys_at("192.0.2.1/32"), "9eb151f7"), named(keys_at("192.0.2.1/32"))
"""The same opening under both kinds of names."""

BEFORE = present(EARLIER, unneeded_since=LONG_AGO)


def test_a_policy_of_an_earlier_name_stays_until_the_new_one_is_there() -> None:
    """Whatever keeps the new one from being stored, the flow stays open."""
    assert acts(plan(needing(NEW), [BEFORE], NOW, SETTINGS)) == [Apply]
    assert acts(plan(needing(NEW), [BEFORE, present(NEW)], NOW, SETTINGS)) == [Delete]
    differs = replace(NEW, egress=())
    assert acts(plan(needing(NEW), [BEFORE, present(differs)], NOW, SETTINGS)) == [Apply]
    foreign = plan(needing(NEW), [BEFORE, present(NEW, own=False)], NOW, SETTINGS)
    assert foreign.actions == ()
    assert plan(replace(needing(NEW), wanted=frozenset()), [BEFORE], NOW, SETTINGS).actions == ()


def test_a_joined_policy_replaces_all_those_that_it_joins() -> None:
    """What nothing needs any more goes meanwhile."""
    pods = named(generated(policy("ns-a/p", ingress=[rule(port(80), port(81))])))
    single = [generated(policy(f"ns-a/dns-web-0000000{at}", ingress=[rule(port(at))])) for at in (80, 81, 82)]
    there = [present(network_policy, unneeded_since=LONG_AGO) for network_policy in single]
    made = plan(needing(pods), there, NOW, SETTINGS)
    assert [(type(action), action.target.name[-2:]) for action in made.actions[1:]] == [(Delete, "82")]
    assert made.actions[0].target is pods
    made = plan(needing(pods), [present(pods), *there], NOW, SETTINGS)
    assert acts(made) == [Delete, Delete, Delete]


def test_policies_of_earlier_names_leave_room_for_their_successors() -> None:
    """A namespace at its limit migrates too."""
    limited = replace(SETTINGS, admission=replace(SETTINGS.admission, max_policies_per_namespace=1))
    made = plan(needing(NEW), [BEFORE], NOW, limited)
    assert (acts(made), made.withheld) == ([Apply], ())


def test_old_addresses_for_many_pods_count_once() -> None:
    """A host that twenty workloads call brings its addresses once, so that nothing is closed before its
    successor is there."""
    limited = replace(SETTINGS, hosts=HostSettings(max_addresses_per_host=2, max_addresses_per_namespace=2))
    there = [present(keys_at("192.0.2.1/32", name=f"old-{number}")) for number in range(20)]
    assert set(acts(plan(needing(), there, NOW, limited))) == {Mark}


def test_a_name_that_is_not_the_digest_of_its_content_overwrites_nothing() -> None:
    """Were two contents ever to get one name, the first stays; what was edited by hand is restored."""
    other = replace(keys_at("192.0.2.9/32"), ref=NEW.ref)
    made = plan(needing(other), [present(NEW)], NOW, SETTINGS)
    assert made.actions == ()
    assert made.withheld == (f"NetworkPolicy {NEW.key} is there already and does something else",)
    assert acts(plan(needing(NEW), [present(other)], NOW, SETTINGS)) == [Apply]


def test_objects_that_are_not_named_may_be_uncertain_too_and_own_nothing() -> None:
    """A policy that more objects need than it names is neither collected nor given owners on their behalf."""
    many = generated(policy("ns-a/p"), "Deployment/ns-a/w0 and 7 more")
    there = [present(many, unneeded_since=LONG_AGO)]
    for namespace_, acted in (("ns-a", []), ("ns-b", [Delete])):
        unsure = needing(uncertain=frozenset({f"RequestAuthentication/{namespace_}/other"}))
        assert acts(plan(unsure, there, NOW, SETTINGS)) == acted
    shared = policy("istio-system/p")
    elsewhere = generated(shared, "Deployment/ns-a/w0 and 7 more elsewhere")
    assert acts(plan(unsure, [present(elsewhere, unneeded_since=LONG_AGO)], NOW, SETTINGS)) == []
    assert acts(plan(needing(), there, NOW, SETTINGS)) == [Delete]
    workload = ObjectRef("apps/v1", "Deployment", "ns-a", "w0")
    objects = {"Deployment/ns-a/w0": workload}
    assert owners_of(many, objects) == ()
    assert owners_of(generated(policy("ns-a/p")), objects) == (workload,)


def routes(team: str, *names: str, to: int = 80) -> list[NetworkPolicy]:
    """What opens the gateways' way to a team's workloads: policies beside the gateways."""
    return [
        generated(policy(f"istio-system/{name}", egress=[rule(port(to))]), f"VirtualService/{team}/{name}")
        for name in names
    ]


def test_a_namespace_gets_no_more_policies_than_its_cap() -> None:
    """A tenant's thousand objects do not become a thousand policies, and do not use up what others may have
    at the same gateways."""
    wanted = [*routes("ns-a", "a", "b"), *routes("ns-b", "c")]
    limited = replace(SETTINGS, admission=replace(SETTINGS.admission, max_policies_per_namespace=1))
    made = plan(needing(*wanted), [], NOW, limited)
    assert [action.target.name for action in made.actions] == ["a", "c"]
    assert made.withheld == (
        "NetworkPolicy istio-system/b is not written: namespace ns-a has asked for 1 generated policies, as "
        "many as admission.maxPoliciesPerNamespace allows",
    )


def test_namespaces_that_ask_take_turns() -> None:
    """A tenant whose objects change all the time delays nobody's policies but their own, wherever these
    lie."""
    wanted = [*routes("ns-a", "p0", "p1", "p2"), *routes("ns-b", "p3"), *routes("ns-c", "p4")]
    made = plan(needing(*wanted), [], NOW, SETTINGS)
    assert [action.target.name for action in made.actions] == ["p0", "p3", "p4", "p1", "p2"]


def test_what_one_has_written_delays_nothing_that_another_has_collected() -> None:
    """Each namespace's own policies open before its old ones close; another's need not wait for that."""
    wanted = routes("ns-a", "p0", "p1")
    unneeded = (*routes("ns-a", "a", to=81), *routes("ns-b", "b", to=81))
    gone = [present(network_policy, unneeded_since=LONG_AGO) for network_policy in unneeded]
    made = plan(needing(*wanted), gone, NOW, SETTINGS)
    assert [action.target.name for action in made.actions] == ["p0", "b", "p1", "a"]


def augmented(name: str) -> bool:
    return name != "ns-b"


def needs(snapshot: Snapshot, ours: Collection[PolicyKey] = ()) -> Upkeep:
    """What a cluster needs without these policies, worked out from nothing."""
    found = [snapshot.find(NetworkPolicy, *key) for key in ours]
    table = FlowTable.of(
        snapshot.with_changes(remove=[network_policy for network_policy in found if network_policy]),
        Settings(),
    )
    return upkeep(table, judge_of(table, Dns()), augmented)


@given(some.meshes(), st.data())
def test_nothing_needed_and_nothing_foreign_is_ever_deleted(objects: list[Any], data: st.DataObject) -> None:
    """However the policies that are there came about, and whatever they claim of their age."""
    need = needs(Snapshot.of(objects))
    pool = [*need.needed.values(), keys_at("192.0.2.1/32"), generated(deny_all("ns-a"))]
    there = [
        present(
            network_policy,
            own=data.draw(st.booleans()),
            unneeded_since=data.draw(st.sampled_from((None, LONG_AGO))),
        )
        for network_policy in pool
        if data.draw(st.booleans())
    ]
    for action in plan(need, there, NOW, SETTINGS).actions:
        match action:
            case Delete(here) | Mark(here, float()):
                assert here.own
                assert here.key not in need.needed
            case Mark(here, None):
                assert here.own
            case Apply(wanted, _, here):
                assert (wanted.namespace, wanted.name) in need.wanted
                assert here is None or here.own


@given(some.meshes())
def test_plans_come_to_rest(objects: list[Any]) -> None:
    """What was written is seen as right in the next round: the controller never runs in circles."""
    snapshot = Snapshot.of(objects)
    first = needs(snapshot)
    made = [first.needed[key] for key in sorted(first.wanted)]
    after = needs(snapshot.with_changes(made), first.wanted)
    assert after.needed.keys() == first.needed.keys()
    assert after.wanted == first.wanted
    there = [
        present(
            network_policy, owners=frozenset(tuple(name.split("/")[::2]) for name in _names(network_policy))
        )
        for network_policy in made
    ]
    assert plan(after, there, NOW, SETTINGS).actions == ()


def _names(found: NetworkPolicy) -> list[str]:
    return found.annotations[REQUIRED_BY].split(", ")


def test_policies_are_for_augmented_namespaces_and_select_isolated_pods_only() -> None:
    """A sidecar whose namespace only wants warnings gets no policy; nor does one that nothing isolates."""
    objects: list[Any] = []
    for name in ("ns-a", "ns-b", "ns-open"):
        objects += [namespace(name, **{"istio-injection": "enabled"}), deployment(f"{name}/cart", app="cart")]
    objects += [deny_all("ns-a"), deny_all("ns-b")]
    need = needs(Snapshot.of(objects))
    assert {key[0] for key in need.needed} == {"ns-a", "ns-b"}
    assert {key[0] for key in need.wanted} == {"ns-a"}


def test_what_one_namespace_asks_for_is_written_though_another_needs_it_too() -> None:
    """A policy is named after why all need it that may; those whose namespace is augmented are not all."""
    to_otel = ExtensionProvider("otel", "opentelemetry", "otel.observe.svc.cluster.local", 4317)
    spans = Telemetry(
        mesh.ref("telemetry.istio.io/v1", "Telemetry", "istio-system/all"),
        tracing_providers=("otel",),
        has_tracing=True,
    )
    web = replace(deployment("shop/web"), calls="observe/otel:4317")
    shop = (namespace("shop", **{"istio-injection": "enabled"}), deny_all("shop"), web)
    observe = (mesh.service("observe/otel", 4317), deployment("observe/otel"))
    snapshot = Snapshot.of([*shop, *observe, mesh_config(to_otel), spans, *mesh.coredns(), mesh.istiod()])
    table = FlowTable.of(snapshot, Settings())
    need = upkeep(table, judge_of(table, Dns()), lambda name: name == "shop")
    both = ["Deployment/shop/web", "Telemetry/istio-system/all"]
    assert both in [_names(need.needed[key]) for key in need.wanted]


@pytest.mark.parametrize(
    ("in_mode_augment", "written"),
    [
        ({"shop"}, {"shop", "istio-system"}),
        ({"istio-system"}, {"istio-system"}),
        (set(), set()),
    ],
)
def test_the_mode_of_either_namespace_opens_istiod_to_a_tenant_s_keys(
    in_mode_augment: set[str], written: set[str]
) -> None:
    """docs/controller.md: the tenant's mode and istiod's both count for istiod's egress to the keys; in the
    tenant's namespace nothing is written without its own mode."""
    host = next(iter(some.HOSTS))
    keys = RequestAuthentication(
        mesh.ref("security.istio.io/v1", "RequestAuthentication", "shop/jwt"),
        jwt_rules=(JwtRule("https://issuer.example.com", f"https://{host}/keys", field="spec.jwtRules[0]"),),
    )
    shop = (namespace("shop", **{"istio-injection": "enabled"}), deny_all("shop"), deployment("shop/web"))
    system = (namespace("istio-system"), deny_all("istio-system"), mesh.istiod())
    table = FlowTable.of(Snapshot.of([*shop, *system, *mesh.coredns(), keys]), Settings())
    need = upkeep(table, judge_of(table, Dns()), in_mode_augment.__contains__)
    for_keys = {key for key in need.needed if "RequestAuthentication/shop/jwt" in _names(need.needed[key])}
    assert {place for place, _ in for_keys} == {"istio-system"}
    assert for_keys <= need.wanted or not in_mode_augment
    assert {place for place, _ in need.wanted} == written


def test_what_was_written_for_an_object_that_is_not_stored_is_taken_back_soon() -> None:
    """Addresses, too, if no object is there that may have come to others."""
    soon = LIMITS.take_back_after_seconds
    for expected in (to_istiod("cart"), keys_at("192.0.2.1/32")):
        here = present(expected, provisional_at=NOW)
        assert plan(needing(), [here], NOW, SETTINGS).actions == (Mark(here, NOW),)
        marked = present(expected, provisional_at=NOW, unneeded_since=NOW)
        waiting = plan(needing(), [marked], NOW + soon - 1, SETTINGS)
        assert (waiting.actions, waiting.again_in) == ((), 1)
        assert acts(plan(needing(), [marked], NOW + soon, SETTINGS)) == [Delete]


def test_a_review_that_has_a_policy_written_again_begins_anew() -> None:
    """Its object may be about to be stored. A clock that is ahead of ours delays nothing."""
    soon = LIMITS.take_back_after_seconds
    for at, expected in ((NOW, []), (NOW + 10 * soon, [Delete])):
        again = present(to_istiod("cart"), provisional_at=at, unneeded_since=NOW - soon)
        assert acts(plan(needing(), [again], NOW + 1, SETTINGS)) == expected


def test_addresses_of_an_object_that_is_stored_stay_for_the_overlap() -> None:
    """Between its review and now its host may have got others, while connections still use these."""
    old = present(keys_at("192.0.2.1/32"), provisional_at=NOW, unneeded_since=NOW)
    stored = replace(needing(), objects={"Deployment/ns-a/w0": None})
    later = NOW + LIMITS.take_back_after_seconds
    assert plan(stored, [old], later, SETTINGS).actions == ()
    assert acts(plan(stored, [old], NOW + LIMITS.host_overlap_seconds, SETTINGS)) == [Delete]


def test_what_is_needed_is_provisional_no_more() -> None:
    """It is applied once without the mark, and has the usual grace period from then on."""
    cart = to_istiod("cart")
    (action,) = plan(needing(cart), [present(cart, provisional_at=NOW)], NOW, SETTINGS).actions
    assert isinstance(action, Apply)
    assert PROVISIONAL_AT not in action.policy.annotations
