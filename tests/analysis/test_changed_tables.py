"""A table that is changed step by step is the one that would be made anew."""

from __future__ import annotations

from typing import Any

import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.analysis.meshes import meshes
from tests.flows.current import contents
from tests.istio import builders as mesh
from tests.values import EGRESS, policy

from istio_netpol.flows.table import FlowTable
from istio_netpol.model.addresses import parse_address
from istio_netpol.model.control_plane import InjectorConfig, MeshConfig
from istio_netpol.model.istio_networking import DestinationRule
from istio_netpol.model.labels import EVERYTHING, Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service, ServicePort
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import ContainerPort, Namespace, Owner, Workload
from istio_netpol.state.reads import pods_read
from istio_netpol.state.snapshot import Snapshot

SETTINGS = Settings()


def pods(name: str, home: str = "ns-a") -> list[Workload]:
    """A Deployment's pods of two kinds, with their ReplicaSet."""
    owner = Owner("apps/v1", "ReplicaSet", f"{name}-1")
    found = [
        Workload(
            ObjectRef("v1", "Pod", home, f"{name}-1-{number}"),
            {"app": "x", "shard": str(number // 2)},
            owner=owner,
            ports=(ContainerPort(8080, "http"),),
            addresses=(parse_address(f"10.0.0.{number}"),),  # type: ignore[arg-type]
        )
        for number in range(1, 4)
    ]
    replica_set = Workload(
        ObjectRef("apps/v1", "ReplicaSet", home, f"{name}-1"),
        {"app": "x"},
        owner=Owner("apps/v1", "Deployment", name),
    )
    return [*found, replica_set]


def others() -> list[Any]:
    """What a cluster gets now and then and `meshes` has none of."""
    root = "istio-system"
    return [
        *pods("w0"),
        MeshConfig(
            ObjectRef("v1", "ConfigMap", root, "istio"),
            tracing_address="w0.ns-a.svc.cluster.local:80",
            enable_tracing=True,
        ),
        InjectorConfig(ObjectRef("v1", "ConfigMap", root, "istio-sidecar-injector"), injects=False),
        DestinationRule(
            ObjectRef("networking.istio.io/v1", "DestinationRule", "ns-b", "d"), "*.ns-a.svc.cluster.local"
        ),
        mesh.service_entry("ns-a/wild", "*.example.com"),
        mesh.gateway("ns-a/own", 80, app="x"),
        policy("ns-a/one-pod", selects=Selector.of({"statefulset.kubernetes.io/pod-name": "x"})),
        mesh.service("istio-system/istiod", ServicePort(15012, 15017), app="istiod"),
    ]


def relabelled(value: Any) -> Any:
    """The object as somebody might have changed it."""
    match value:
        case Namespace():
            return replace(value, labels={**value.labels, "istio-injection": "disabled"})
        case Workload():
            return replace(value, labels={**value.labels, "app": "z"})
        case Service():
            return replace(value, ports=(ServicePort(80, 81),))
    return value


@given(meshes(), meshes(), st.data())
def test_a_table_changed_step_by_step_is_the_one_made_anew(
    before: list[Any], after: list[Any], data: st.DataObject
) -> None:
    """Whatever comes, goes and changes, in whatever order, no need is forgotten and none stays that is not
    there any more."""
    known = {value.ref.key: value for value in before}
    table = FlowTable.of(Snapshot.of(known.values()), SETTINGS).indexed()
    pool = [*after, *others()]
    for _ in range(data.draw(st.integers(1, 5))):
        put = data.draw(st.lists(st.sampled_from([*pool, *map(relabelled, pool)]), max_size=3))
        put = list({value.ref.key: value for value in put}.values())
        gone = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=2, unique=True)) if known else []
        remove = [known.pop(key) for key in gone if key not in {value.ref.key for value in put}]
        known.update((value.ref.key, value) for value in put)
        table = table.with_changes(put, remove)
    assert contents(table) == contents(FlowTable.of(Snapshot.of(known.values()), SETTINGS))


def test_a_pod_concerns_no_mesh_config_that_asks_for_nothing() -> None:
    """Most name no collector of spans or logs: looking at every proxy for them, at every change, takes
    seconds where there are thousands."""
    ref = ObjectRef("v1", "ConfigMap", "istio-system", "istio")
    quiet, sending = MeshConfig(ref), MeshConfig(ref, default_log_providers=("otel",))
    istiods = [mesh.istiod(), *pods("cart")]
    every_pod = pods_read(EVERYTHING)
    assert every_pod not in FlowTable.of(Snapshot.of([quiet, *istiods]), SETTINGS).dependencies.readers
    readers = FlowTable.of(Snapshot.of([sending, *istiods]), SETTINGS).dependencies.readers
    assert set(readers.at(every_pod)) == {ref.key}


def test_a_table_that_changed_often_is_the_one_that_would_be_made_anew() -> None:
    """A live cluster changes without end; every so often its indexes are made anew."""
    table = FlowTable.of(Snapshot.of([mesh.istiod(), *pods("cart")]), SETTINGS).indexed()
    stored = table.stored
    for number in range(150):
        home = f"ns-{number % 3}"
        come = [*pods(f"web-{number}", home), policy(f"{home}/allow-{number}", types=(EGRESS,))]
        gone = pods(f"web-{number - 30}", home) if number >= 30 else []
        table, stored = table.with_changes(come, gone), stored.with_changes(come, gone)
    assert contents(table) == contents(FlowTable.of(stored, SETTINGS))
