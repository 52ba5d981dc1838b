"""Snapshots: what was read, what changes, and the answers that are kept across changes."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests import strategies as some
from tests.values import EGRESS, INGRESS, address, deny_all, deployment, host_daemon, namespace, policy

from istio_netpol.model.labels import EVERYTHING, NAMESPACE_NAME_LABEL, Selector, namespace_named
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.unread import CALICO_LABELS, UnreadPolicy
from istio_netpol.model.workloads import Namespace, NodeAddresses, Workload
from istio_netpol.state.reads import Index
from istio_netpol.state.snapshot import Snapshot

POLICY_NAMES = ("p1", "p0")
SELECTORS = (EVERYTHING, Selector.of({"app": "x"}), Selector.of({"team": "x"}), namespace_named("ns-a"))


def answers(snapshot):
    """Everything that one can ask a snapshot, in comparable form."""
    return {
        "namespaces": [
            (name, snapshot.namespace(name).labels, snapshot.namespace(name).declared)
            for name in snapshot.namespace_names
        ],
        "count": snapshot.object_count,
        "policies": [policy.key for policy in snapshot.every(NetworkPolicy)],
        "workloads": [(pods.peer_name, dict(pods.labels)) for pods in snapshot.every_workload()],
        "isolating": [
            (pods.peer_name, [found.key for found in snapshot.policies_for(pods)])
            for pods in snapshot.every_workload()
        ],
        "selected": [
            (
                sorted(snapshot.select_namespaces(selector)),
                [pods.peer_name for pods in snapshot.select_anywhere(selector)],
                [pods.peer_name for pods in snapshot.select("ns-b", selector)],
            )
            for selector in SELECTORS
        ],
        "by key": [
            [policy.key for policy in snapshot.by_key(POLICIES, names)]
            for names in (POLICY_NAMES, POLICY_NAMES[:1], ("absent",))
        ],
    }


POLICIES = Index("policies", NetworkPolicy, lambda policy: [policy.name])


def reference(value):
    return type(value), value.ref


@given(some.clusters(), some.clusters(), st.booleans(), st.booleans(), st.data())
def test_a_changed_snapshot_equals_one_of_the_result(before, put, is_indexed, is_warm, data):
    """Whatever was stored, deleted, indexed and asked before, the answers are those of a fresh snapshot."""
    removed = data.draw(st.lists(st.sampled_from(before), unique_by=reference)) if before else []
    snapshot = Snapshot.of(before)
    if is_indexed:
        snapshot.index()
    if is_warm:
        answers(snapshot)
    kept = {reference(value): value for value in before}
    for value in removed:
        del kept[reference(value)]
    kept.update({reference(value): value for value in put})
    after = answers(Snapshot.of(kept.values()))
    assert answers(snapshot.with_changes(put, removed)) == after
    assert answers(snapshot.with_changes(remove=removed).with_changes(put)) == after
    assert answers(snapshot) == answers(Snapshot.of(before))


@given(some.clusters(), some.clusters())
def test_a_change_leaves_the_old_snapshot_alone(before, put):
    """Whoever holds the snapshot from before still sees what was then."""
    snapshot = Snapshot.of(before)
    then = answers(snapshot)
    snapshot.with_changes(put, before)
    assert answers(snapshot) == then


@given(some.clusters(), st.randoms(use_true_random=False))
def test_the_order_of_input_is_irrelevant(objects, random):
    """The same objects in another order give the same answers."""
    shuffled = list(objects)
    random.shuffle(shuffled)
    assert answers(Snapshot.of(shuffled)) == answers(Snapshot.of(objects))


def test_the_later_of_two_objects_with_one_reference_counts():
    """As with `kubectl apply` of one file after another."""
    first, second = policy("shop/p", ingress=[]), policy("shop/p", egress=[])
    assert list(Snapshot.of([first, second]).every(NetworkPolicy)) == [second]


def test_a_namespace_that_was_not_read_has_the_api_servers_label():
    """Its objects, or nothing of it at all, may have been read."""
    snapshot = Snapshot.of([deployment("shop/cart")])
    for name in ("shop", "elsewhere"):
        assert snapshot.namespace(name).labels == {NAMESPACE_NAME_LABEL: name}
        assert not snapshot.namespace(name).declared
    assert snapshot.namespace_names == ("shop",)


def test_a_deleted_namespace_has_no_labels_of_its_own_any_more():
    """What is left of it is known by name only."""
    declared = namespace("shop", team="a")
    snapshot = Snapshot.of([declared, deployment("shop/cart")]).with_changes(remove=[declared])
    assert snapshot.namespace("shop").labels == {NAMESPACE_NAME_LABEL: "shop"}
    assert not snapshot.namespace("shop").declared


def test_a_namespace_is_gone_with_its_last_object():
    """Nothing selects it any more."""
    cart = deployment("shop/cart")
    snapshot = Snapshot.of([cart]).with_changes(remove=[cart])
    assert snapshot.namespace_names == ()
    assert snapshot.select_namespaces(EVERYTHING) == frozenset()


def test_objects_are_found_by_type_and_name():
    """Workloads of several kinds share a type, so the kind tells them apart."""
    cart = deployment("shop/cart")
    service = Service(ObjectRef("v1", "Service", "shop", "cart"))
    snapshot = Snapshot.of([cart, service])
    assert snapshot.find(Service, "shop", "cart") is service
    assert snapshot.find(Workload, "shop", "cart", "Deployment") is cart
    assert snapshot.find(Workload, "shop", "cart", "DaemonSet") is None
    assert snapshot.find(Service, "elsewhere", "cart") is None
    assert snapshot.of_type(Service, "shop") == (service,)
    assert snapshot.of_type(Service, "elsewhere") == ()


def test_an_object_is_held_only_as_it_was_read():
    """A review whose old object the snapshot already shows need not lay it over the snapshot."""
    shop, cart, rule = namespace("shop", team="a"), deployment("shop/cart"), policy("shop/p", ingress=[])
    snapshot = Snapshot.of([shop, cart, rule])
    assert all(
        snapshot.holds(value) for value in (replace(shop), replace(cart), policy("shop/p", ingress=[]))
    )
    changed = namespace("shop", team="b"), replace(cart, calls="x"), policy("shop/p", egress=[])
    absent = namespace("other"), deployment("other/cart"), policy("shop/q", ingress=[])
    assert not any(snapshot.holds(value) for value in (*changed, *absent))


def test_a_namespace_without_objects_answers_with_nothing():
    """Asking about a namespace that was not read is no error."""
    snapshot = Snapshot.of([])
    assert snapshot.workloads("shop") == ()
    assert snapshot.select("shop", EVERYTHING) == ()
    assert snapshot.policies_for(deployment("shop/cart")) == ()
    assert snapshot.place("shop").policies == ()


def test_policies_of_a_workload_are_sorted_by_name():
    """Those that select it by label and those that select everything."""
    cart = deployment("shop/cart")
    policies = [
        policy(f"shop/{name}", selects=labels, ingress=[])
        for name, labels in (("d", {}), ("a", {"app": "cart"}), ("c", {"app": "cart"}), ("b", {"app": "x"}))
    ]
    assert [policy.name for policy in Snapshot.of(policies).policies_for(cart)] == ["a", "c", "d"]


def test_no_policy_selects_host_network_pods():
    """Not even one that selects everything."""
    assert Snapshot.of([deny_all("shop")]).policies_for(host_daemon("shop/agent")) == ()


def test_isolating_all_needs_an_empty_selector_and_the_direction():
    """Only then are pods to come isolated too."""
    selective = policy("shop/some", selects={"app": "cart"}, ingress=[])
    snapshot = Snapshot.of([selective, policy("shop/out", egress=[])])
    assert snapshot.isolates_all("shop", EGRESS)
    assert not snapshot.isolates_all("shop", INGRESS)
    assert not snapshot.isolates_all("elsewhere", EGRESS)


def test_objects_without_namespace_are_counted_and_are_no_namespace():
    """Nodes live outside of namespaces."""
    node = NodeAddresses(ObjectRef("v1", "Node", "", "one"), ())
    snapshot = Snapshot.of([node, namespace("shop")])
    assert snapshot.namespace_names == ("shop",)
    assert snapshot.object_count == 2
    assert list(snapshot.every(NodeAddresses)) == [node]
    assert snapshot.select_namespaces(EVERYTHING) == frozenset({"shop"})


def test_a_namespaces_new_labels_count_at_once():
    """An answer that was kept from before the change is not used."""
    selector = Selector.of({"team": "a"})
    before = Snapshot.of([namespace("shop", team="a"), namespace("data", team="b")])
    assert before.select_namespaces(selector) == {"shop"}
    after = before.with_changes(put=[namespace("data", team="a"), namespace("shop")])
    assert after.select_namespaces(selector) == {"data"}


def test_a_workloads_own_namespace_object_is_its_newest():
    """A change replaces the namespace as a whole, annotations and state included."""
    ending = replace(namespace("shop"), terminating=True)
    snapshot = Snapshot.of([namespace("shop")]).with_changes(put=[ending])
    assert snapshot.namespace("shop").terminating
    assert isinstance(snapshot.namespace("shop"), Namespace)


def test_changes_of_an_indexed_snapshot_share_what_is_first_asked_of_one_of_them():
    """A review must not look at every namespace for an answer that the review before it has made."""
    snapshot = Snapshot.of(deny_all(f"ns-{number:02}") for number in range(20))
    snapshot.index()
    looked_at = []

    def name_of(policy):
        looked_at.append(policy.namespace)
        return [policy.name]

    index = Index("policies", NetworkPolicy, name_of)
    for name in ("ns-03", "ns-04"):
        changed = snapshot.with_changes([policy(f"{name}/new", ingress=[])])
        found = changed.by_key(index, ("new",))
        assert [policy.key for policy in found] == [f"{name}/new"]
    assert looked_at == [*snapshot.namespace_names, "ns-03", "ns-03", "ns-04", "ns-04"]


def test_a_name_is_found_in_more_changed_namespaces_than_an_index_puts_up_with():
    """Enough policies written one after another, and the index by key is made anew."""
    snapshot = Snapshot.of([deny_all("ns-00")])
    snapshot.index()
    for number in range(70):
        snapshot = snapshot.with_changes([policy(f"ns-{number:02}/new", ingress=[])])
        found = snapshot.by_key(POLICIES, ("new",))
        assert len(list(found)) == number + 1


def test_the_same_kind_and_name_in_two_groups_are_two_objects():
    """What goes of one group leaves what is there of the other."""
    versions = ("projectcalico.org/v3", "crd.projectcalico.org/v1")
    served, stored = (
        UnreadPolicy(ObjectRef(version, "NetworkPolicy", "ns-a", "lock"), (), CALICO_LABELS)
        for version in versions
    )
    snapshot = Snapshot.of([served]).with_changes([stored])
    assert set(snapshot.every(UnreadPolicy)) == {served, stored}
    assert snapshot.object_count == 2
    assert not snapshot.names(ObjectRef("networking.k8s.io/v1", "NetworkPolicy", "ns-a", "lock"))
    left = snapshot.with_changes(remove=[served])
    assert tuple(left.every(UnreadPolicy)) == (stored,)
    assert left.holds(stored)
    assert not left.holds(served)


def test_too_many_selectors_cost_no_other_answer():
    """Whoever writes policies chooses selectors, and must not make others wait for what all ask for."""
    snapshot = Snapshot.of([policy("a/one"), namespace("a")])
    assert list(snapshot.every(NetworkPolicy))
    for number in range(5000):
        snapshot.select_namespaces(Selector.of({"team": str(number)}))
    after = snapshot.with_changes([namespace("b")])
    assert list(after._answers._spreads) == [
        key for key in snapshot._answers._spreads if key[0] != "namespaces"
    ]


def test_answers_that_are_not_looked_up_by_key_remember_no_namespaces():
    """A cluster that is followed for months has many that came and went."""
    snapshot = Snapshot.of([policy("a/one")]).indexed()
    for number in range(100):
        snapshot = snapshot.with_changes([policy(f"n{number}/one")]).indexed()
        assert len(list(snapshot.every(NetworkPolicy))) == number + 2
    assert not any(spread.moved for spread in snapshot._answers._spreads.values() if spread.homes is None)


def test_what_might_come_is_not_kept_for_what_is_there():
    """A review asks where a pod would be, and nobody asked that of the cluster before."""
    at = address("10.0.0.1")
    there = deployment("shop/web", at=["10.0.0.1"], app="a")
    snapshot = Snapshot.of([there, namespace("shop")]).indexed()
    asked = snapshot.with_changes([replace(there, labels={"app": "b"})])
    assert [pods.labels for pods in asked.pods_at(at)] == [{"app": "b"}]
    assert snapshot.pods_at(at) == snapshot.workloads("shop")
    again = snapshot.with_changes([namespace("pay")])
    assert again.pods_at(at) == snapshot.workloads("shop")
