"""The index of a namespace's classes, and what is laid over it when members change."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import ContainerPort, Owner, Workload
from istio_netpol.state.class_index import ChangedClassIndex, ClassIndex

NAMES = ("web", "web-abc", "web-abc-1", "web-abc-2")
CONTROLLERS = ("Deployment", "ReplicaSet", "Job")
SELECTORS = (EVERYTHING, Selector.of({"app": "a"}), Selector.of({"pod-template-hash": "abc"}))
API = {"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1", "Pod": "v1"}

owners = st.none() | st.builds(
    lambda kind, name: Owner(API[kind], kind, name), st.sampled_from(CONTROLLERS), st.sampled_from(NAMES)
)
labels = st.fixed_dictionaries(
    {"app": st.sampled_from("ab")}, optional={"pod-template-hash": st.just("abc"), "extra": st.just("x")}
)
members = st.builds(
    lambda kind, name, labels, owner, ports: Workload(
        ObjectRef(API[kind], kind, "ns", name), labels, owner=owner, ports=ports
    ),
    st.sampled_from((*CONTROLLERS, "Pod")),
    st.sampled_from(NAMES),
    labels,
    owners,
    st.sampled_from(((), (ContainerPort(80),))),
)
namespaces = st.lists(members, max_size=8).map(
    lambda found: {(each.ref.kind, each.ref.name): each for each in found}
)
distinguishing = st.sampled_from((frozenset(), frozenset({"pod-template-hash"})))


def told(index):
    """Every answer of an index, in comparable form."""

    def shown(classes):
        return [(each.ref, sorted(each.labels.items()), each.ports) for each in classes]

    return (
        shown(index.workloads),
        [shown(index.select(selector)) for selector in SELECTORS],
        [shown(index.named(kind, name)) for kind in API for name in NAMES],
    )


@given(namespaces, namespaces, st.data(), distinguishing)
def test_a_changed_index_says_what_a_new_one_would(before, put, data, instance_labels):
    """Whichever pods and controllers come, go and own each other, no class is lost, stale or told twice."""
    removed = data.draw(st.sets(st.sampled_from(sorted(before)))) if before else set()
    after = {key: each for key, each in before.items() if key not in removed} | put
    changed = ChangedClassIndex(ClassIndex(before, instance_labels), after, removed | put.keys())
    assert told(changed) == told(ClassIndex(after, instance_labels))


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
    before = ClassIndex({("Pod", "web-abc-1"): pod}, frozenset())
    assert [each.peer_name for each in before.workloads] == ["ns/ReplicaSet/web-abc"]
    after = {("Pod", "web-abc-1"): pod, ("ReplicaSet", "web-abc"): replica_set}
    found = ChangedClassIndex(before, after, [("ReplicaSet", "web-abc")])
    assert [each.peer_name for each in found.workloads] == ["ns/Deployment/web"]
