"""The index of a namespace's classes, and what is laid over it when members change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace
from tests.values import address

from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import ContainerPort, DialledApiServer, Owner, Workload
from istio_netpol.state import class_index
from istio_netpol.state.class_index import ClassIndex
from istio_netpol.state.pod_classes import root_of

NAMES = ("web", "web-abc", "web-abc-1", "web-abc-2")
CONTROLLERS = ("Deployment", "ReplicaSet", "Job")
SELECTORS = (EVERYTHING, Selector.of({"app": "a"}), Selector.of({"pod-template-hash": "abc"}))
API = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1", "Pod": "v1"}

owners = st.none() | st.builds(
    lambda kind, name: Owner(API[kind], kind, name), st.sampled_from(tuple(API)), st.sampled_from(NAMES)
)
labels = st.fixed_dictionaries(
    {"app": st.sampled_from("ab")}, optional={"pod-template-hash": st.just("abc"), "extra": st.just("x")}
)
addresses = st.lists(st.sampled_from([address(f"10.0.0.{n}") for n in range(4)]), max_size=2).map(tuple)
dialled = st.sampled_from(((), (DialledApiServer("api.example.com", 443),)))
members = st.builds(
    lambda kind, name, **said: Workload(ObjectRef(API[kind], kind, "ns", name), **said),
    st.sampled_from((*CONTROLLERS, "Pod", "Pod", "Pod")),
    st.sampled_from(NAMES),
    labels=labels,
    owner=owners,
    ports=st.sampled_from(((), (ContainerPort(80),))),
    addresses=addresses,
    node_addresses=addresses,
    exists=st.booleans(),
    host_network=st.booleans(),
    calls=st.sampled_from(("", "ledger")),
    api_servers=dialled,
    injected_api_servers=dialled,
)
namespaces = st.lists(members, max_size=8).map(
    lambda found: {(member.ref.kind, member.ref.name): member for member in found}
)
distinguishing = st.sampled_from((frozenset(), frozenset({"pod-template-hash"})))


def shown(classes):
    """Everything that classes say, in comparable form."""
    return [
        [
            sorted(value.items()) if isinstance(value, dict) else value
            for value in (getattr(pods, said.name) for said in fields(pods))
        ]
        for pods in classes
    ]


def told(index):
    """Every answer of an index."""
    return (
        shown(index.workloads),
        [shown(index.select(selector)) for selector in SELECTORS],
        [shown(index.named(kind, name)) for kind in API for name in NAMES],
        [shown(index.family((kind, name))) for kind in API for name in NAMES],
    )


@given(namespaces, st.lists(namespaces, max_size=3), st.data(), distinguishing)
def test_a_changed_index_says_what_a_new_one_would(before, steps, data, instance_labels):
    """Whichever pods and controllers come, go, change and own each other, or say so falsely, no class is
    lost, stale or told twice."""
    present, index = before, ClassIndex.of(before, instance_labels)
    for put in steps:
        removed = data.draw(st.sets(st.sampled_from(sorted(present)))) if present else set()
        present = {key: member for key, member in present.items() if key not in removed} | put
        earlier, index = index, index.after(present, removed | put.keys())
        assert told(index) == told(ClassIndex.of(present, instance_labels))
        gone = {id(was) for _, was, _ in earlier.classes.differences(index.classes) if was}
        assert gone == set(map(id, earlier.workloads)) - set(map(id, index.workloads))


@given(namespaces, distinguishing)
def test_what_has_a_name_is_told_in_the_order_of_all(here, instance_labels):
    """Whoever asks by name, and whoever goes through all, finds the same of two classes last."""
    index = ClassIndex.of(here, instance_labels)
    for kind in API:
        for name in NAMES:
            found = [pods for pods in index.workloads if (pods.ref.kind, pods.name) == (kind, name)]
            assert list(index.named(kind, name)) == found


def pod(number, **said):
    return Workload(
        ObjectRef("v1", "Pod", "ns", f"web-{number}"),
        {"app": "a"},
        owner=Owner("apps/v1", "Deployment", "web"),
        addresses=(address(f"10.0.0.{number}"),),
        exists=True,
        **said,
    )


def test_classes_that_say_what_they_said_stay_the_objects_that_they_were():
    """Whoever holds one tells by identity that nothing changed: one more pod on a node that has some, one
    that says less than others, one that is stored again."""
    here = {("Pod", f"web-{number}"): pod(number) for number in range(1, 5)}
    other = Workload(ObjectRef("v1", "Pod", "ns", "other"), {"app": "b"})
    index = ClassIndex.of(here | {("Pod", "other"): other}, frozenset())
    new = replace(pod(9), addresses=(address("10.0.0.1"),))
    after = index.after({**here, ("Pod", "web-9"): new, ("Pod", "other"): other}, [("Pod", "web-9")])
    assert after.workloads == index.workloads
    moved = replace(pod(2), addresses=(address("10.0.0.7"),))
    changed = after.after(
        {**here, ("Pod", "web-2"): moved, ("Pod", "other"): other}, [("Pod", "web-2"), ("Pod", "web-9")]
    )
    assert [str(found) for found in changed.workloads[0].addresses] == [
        "10.0.0.1",
        "10.0.0.3",
        "10.0.0.4",
        "10.0.0.7",
    ]
    assert changed.workloads[1] is other


def test_a_controller_that_appears_takes_its_pods_over():
    """A ReplicaSet that is read after its pods leads them to the Deployment that owns it."""
    pod = Workload(
        ObjectRef("v1", "Pod", "ns", "web-abc-1"),
        {"app": "a"},
        owner=Owner("apps/v1", "ReplicaSet", "web-abc"),
    )
    replica_set = replace(
        pod,
        ref=ObjectRef("apps/v1", "ReplicaSet", "ns", "web-abc"),
        owner=Owner("apps/v1", "Deployment", "web"),
    )
    before = ClassIndex.of({("Pod", "web-abc-1"): pod}, frozenset())
    assert [pods.peer_name for pods in before.workloads] == ["ns/ReplicaSet/web-abc"]
    after = {("Pod", "web-abc-1"): pod, ("ReplicaSet", "web-abc"): replica_set}
    found = before.after(after, [("ReplicaSet", "web-abc")])
    assert [pods.peer_name for pods in found.workloads] == ["ns/Deployment/web"]


@pytest.mark.parametrize("is_read", [False, True])
def test_one_job_more_of_thousands_costs_what_it_changes(monkeypatch, is_read):
    """Counted in members whose controller is looked for, whether or not that was read."""

    def job(number):
        return Workload(
            ObjectRef("batch/v1", "Job", "ns", f"nightly-{number:04}"),
            {"app": "a"},
            owner=Owner("batch/v1", "CronJob", "nightly"),
        )

    def key(member):
        return member.ref.kind, member.ref.name

    cron_job = Workload(ObjectRef("batch/v1", "CronJob", "ns", "nightly"), {"app": "a"})
    here = {key(member): member for member in [*([cron_job] if is_read else []), *map(job, range(1000))]}
    index = ClassIndex.of(here, frozenset())
    index.index()
    looked_for = []
    monkeypatch.setattr(class_index, "root_of", lambda *asked: looked_for.append(asked) or root_of(*asked))
    newest, oldest = job(1000), job(0)
    grown = index.after(here | {key(newest): newest}, [key(newest)])
    here = {name: member for name, member in here.items() if name != key(oldest)}
    shrunk = index.after(here, [key(oldest)])
    monkeypatch.undo()
    assert len(looked_for) < 10
    assert grown.workloads[0] is index.workloads[0]
    assert told(shrunk) == told(ClassIndex.of(here, frozenset()))
