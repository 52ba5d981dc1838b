"""What happens to pods most: they start, get an address, end and go, one like the other. Most of it changes
nothing that anybody needs; a table that follows it is still the one that would be made anew."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import force_setattr
from tests.flows.current import SETTINGS, Current, contents
from tests.istio.builders import coredns, istiod
from tests.values import deny_all, namespace, policy

from istio_netpol.flows.dependencies import Dependencies
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.flows import PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.pod_classes import INSTANCE_LABELS
from istio_netpol.state.reads import pods_read
from istio_netpol.state.snapshot import Snapshot

HOME = "shop"
OWNERS = {
    "cart": ("apps/v1", "ReplicaSet", "cart-5f4"),
    "db": ("apps/v1", "StatefulSet", "db"),
    "forged": ("v1", "Pod", "bare-0"),
    "usurper": ("v1", "Pod", "cart-1"),
}
PHASES = ("Pending", "Running", "Succeeded", "Failed")


def decoded(*manifests: dict[str, Any]) -> list[Any]:
    """What is read of objects."""
    return [value for manifest in manifests for value in decode(RawObject(manifest, "", 0))[0]]


def controller(
    kind: str, name: str, owner: tuple[str, str, str] | None = None, **labels: str
) -> dict[str, Any]:
    app = name.partition("-")[0]
    metadata = {"name": name, "namespace": HOME, "labels": labels, **_owned(owner)}
    containers = [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]
    template = {"metadata": {"labels": {"app": app, **labels}}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": {"app": app}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def pod(
    family: str, number: int, phase: str = "Running", at: int | None = None, *, other: bool = False
) -> dict[str, Any]:
    """A pod as the API server shows it."""
    labels = {"app": "cart" if family == "forged" else family, "apps.kubernetes.io/pod-index": str(number)}
    labels |= {"pod-template-hash": "5f4"} if family == "cart" else {}
    labels |= {"tier": "other"} if other else {}
    metadata = {"name": f"{family}-{number}", "namespace": HOME, "uid": str(number), "labels": labels}
    containers = [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]
    status = {"phase": phase, "hostIP": f"192.168.0.{number % 2 + 1}"}
    status |= {"podIP": f"10.0.0.{at}"} if at is not None else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, **_owned(OWNERS.get(family))},
        "spec": {"containers": containers, "hostNetwork": family == "host"},
        "status": status,
    }


def _owned(owner: tuple[str, str, str] | None) -> dict[str, Any]:
    if owner is None:
        return {}
    version, kind, name = owner
    return {
        "ownerReferences": [
            {"apiVersion": version, "kind": kind, "name": name, "uid": name, "controller": True}
        ]
    }


def service(name: str, **selector: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": HOME}
    spec = {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


AROUND = [*coredns(), istiod(), deny_all(HOME), namespace(HOME, **{"istio-injection": "enabled"})]

OTHERS = {
    "Deployment": decoded(controller("Deployment", "cart")),
    "ReplicaSet": decoded(
        controller(
            "ReplicaSet", "cart-5f4", ("apps/v1", "Deployment", "cart"), **{"pod-template-hash": "5f4"}
        )
    ),
    "a ReplicaSet of nobody": decoded(controller("ReplicaSet", "cart-5f4")),
    "StatefulSet": decoded(controller("StatefulSet", "db")),
    "a new template": decoded(controller("Deployment", "cart", tier="other")),
    "a Service": decoded(service("cart", app="cart")),
    "a Service for one pod": decoded(service("first", **{"apps.kubernetes.io/pod-index": "0"})),
    "a policy for one revision": [policy(f"{HOME}/old", selects={"pod-template-hash": "5f4"}, ingress=[])],
    "a policy for some": [policy(f"{HOME}/some", selects={"tier": "other"}, egress=[])],
}
"""What else comes and goes, and tells the pods of one controller apart that were alike, or no more."""

families = st.sampled_from(("cart", "cart", "cart", "db", "bare", "host", "forged", "usurper"))
numbers = st.integers(0, 4)


class PodsThatComeAndGo(RuleBasedStateMachine):
    """Events of one namespace, as its watches tell them."""

    @initialize(settings=st.sampled_from(SETTINGS), full=st.booleans())
    def begin(self, settings: Settings, full: bool) -> None:
        running = decoded(*(pod("cart", number, at=number) for number in range(3))) if full else []
        self.current = Current(settings, [*AROUND, *running])

    @rule(
        family=families,
        number=numbers,
        phase=st.sampled_from(PHASES),
        at=st.none() | numbers,
        other=st.booleans(),
    )
    def tell(self, family: str, number: int, phase: str, at: int | None, other: bool) -> None:
        found = decoded(pod(family, number, phase, at, other=other))
        if found:
            self.current.put(*found)
        else:
            self._remove(decoded(pod(family, number)))

    @rule(number=st.integers(1, 9), at=st.none() | numbers)
    def scale(self, number: int, at: int | None) -> None:
        self.current.put(*decoded(*(pod("cart", 10 + index, at=at) for index in range(number))))

    @rule(family=families, number=st.integers(0, 12))
    def delete(self, family: str, number: int) -> None:
        self._remove(decoded(pod(family, number)))

    @rule(what=st.sampled_from(sorted(OTHERS)))
    def change(self, what: str) -> None:
        self.current.put(*OTHERS[what])

    @rule(what=st.sampled_from(sorted(OTHERS)))
    def take_away(self, what: str) -> None:
        self._remove(OTHERS[what])

    def _remove(self, values: list[Any]) -> None:
        identities = {(type(value).__name__, *value.ref.key) for value in values}
        self.current.remove(*(self.current.objects[key] for key in identities & self.current.objects.keys()))

    @invariant()
    def is_as_made_anew(self) -> None:
        if hasattr(self, "current"):
            self.current.compare()


TestPodsThatComeAndGo = PodsThatComeAndGo.TestCase
TestPodsThatComeAndGo.settings = limits(max_examples=20, stateful_step_count=12)


def table_of(*values: Any) -> FlowTable:
    return FlowTable.of(Snapshot.of([*AROUND, *values]), Settings()).indexed()


def test_one_more_pod_of_a_known_class_changes_nothing() -> None:
    """It starts without an address: what is needed, and who asked for what, stays the very same."""
    table = table_of(
        *OTHERS["Deployment"], *decoded(*(pod("cart", number, at=number) for number in range(3)))
    )
    after = table.with_changes(decoded(pod("cart", 7)))
    assert not after.change
    assert (after.needs, after.dependencies) == (table.needs, table.dependencies)
    assert after.snapshot.workloads(HOME) == table.snapshot.workloads(HOME)
    assert after.stored.find(Workload, HOME, "cart-7", "Pod") is not None


def test_an_event_that_says_what_is_stored_changes_nothing() -> None:
    """Conditions, restarts and heartbeats are none of what is read."""
    table = table_of(*decoded(pod("cart", 1, at=1)))
    again = pod("cart", 1, at=1)
    again["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    after = table.with_changes(decoded(again))
    assert (after.stored, after.snapshot, after.needs) == (table.stored, table.snapshot, table.needs)


def test_an_event_costs_the_same_in_a_large_namespace() -> None:
    """Counted in pods that are looked at, not in seconds: classes are told anew from one pod each."""
    pods = decoded(*(pod("cart", number, at=number % 250) for number in range(2000)))
    table = table_of(*OTHERS["Deployment"], *pods)
    looked_at: list[str] = []

    class Watched(dict[str, str]):
        """The labels of a pod, which tell when they are read."""

        def items(self) -> Any:
            looked_at.append("pod")
            return super().items()

    members = table.snapshot.place(HOME).of_type(Workload)
    for member in random.Random(1).sample(members, 500):
        force_setattr(member, "labels", Watched(member.labels))
    after = table.with_changes(decoded(pod("cart", 2000, at=251)), [pods[5]])
    assert len(after.snapshot.workloads(HOME)) == len(table.snapshot.workloads(HOME))
    assert len(looked_at) < 20


def test_a_pod_that_names_another_as_its_owner_hides_none_of_its_flows() -> None:
    """Pods that are not like their Deployment's template are a class by a pod's name, and a pod that says
    that this one owns it is of the same name: what both need counts, in whichever order they are read."""
    around = [
        *decoded(pod("cart", 0, at=1, other=True), pod("cart", 1, at=2)),
        *OTHERS["Deployment"],
        *OTHERS["ReplicaSet"],
    ]
    forged = pod("forged", 3, at=3)
    forged["metadata"]["ownerReferences"][0]["name"] = "cart-0"
    before, both = table_of(*around), table_of(*around, *decoded(forged))
    key = ("", "Pod", HOME, "cart-0")
    followed = before.with_changes(decoded(forged))
    assert [sent(table, key) for table in (followed, both)] == [sent(both, key)] * 2
    assert sent(before, key) <= sent(both, key)
    assert contents(followed) == contents(both)


def sent(table: FlowTable, key: tuple[str, str, str, str]) -> set[Any]:
    """What a table says that pods of a name need, by their labels."""
    return {
        (*flow.key, frozenset(end.workload.labels.items()))
        for flow in table.needs[key].flows
        for end in (flow.source, flow.destination)
        if isinstance(end, PodsPeer) and end.workload.ref.key == key
    }


def test_reviews_leave_a_place_no_more_than_two_indexes() -> None:
    """Whoever asks chooses the labels by which a Service selects: what they tell apart ends with the review,
    and the next event goes by what the cluster itself tells apart."""
    table = table_of(
        *OTHERS["Deployment"], *decoded(*(pod("cart", number, at=number) for number in range(3)))
    )
    place, followed = table.snapshot.place(HOME), table.snapshot.class_map(HOME)
    for size in range(1, 5):
        for labels in combinations(sorted(INSTANCE_LABELS), size):
            odd = service("odd", **dict.fromkeys(labels, "x"))
            odd["metadata"]["namespace"] = "elsewhere"
            table.after(decoded(odd))
            assert len(place._classes) <= 2
    after = table.with_changes(decoded(pod("cart", 7)))
    assert after.snapshot.class_map(HOME) is followed
    assert not after.change


def test_a_namespace_without_injection_remembers_few_of_the_pods_that_went() -> None:
    """Nobody asks what is stored for classes of pods where injection adds nothing."""
    others = [value for value in AROUND if value.ref.name != HOME]
    table = FlowTable.of(Snapshot.of([*others, *OTHERS["StatefulSet"]]), Settings()).indexed()
    for number in range(1000):
        table = table.with_changes(decoded(pod("db", number)))
        table = table.with_changes((), decoded(pod("db", number)))
    assert table.stored._origin is None
    assert (table.stored._answers._origin, table.stored._answers._changes) == (None, {})
    earlier = table.stored.place(HOME)._earlier
    assert earlier is None or len(earlier[1]) <= 64


def test_a_namespace_that_nobody_reads_any_more_leaves_nothing() -> None:
    """Namespaces come and go for months."""
    read = pods_read(Selector.of({"app": "cart"}), HOME)
    owner = ("", "Service", HOME, "cart")
    before = Dependencies().moved([(owner, frozenset(), frozenset({read}))])
    after = before.moved([(owner, frozenset({read}), frozenset())])
    assert HOME in before._selectors
    assert HOME not in after._selectors
