"""What only its name tells from another object needs the same, without a second look of the rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from tests.flows.clusters import NAMES, cluster
from tests.flows.current import SETTINGS, contents, plain
from tests.istio.builders import coredns, istiod
from tests.values import deny_all, namespace

from istio_netpol.flows import table as tables
from istio_netpol.flows.needs import Needs
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

MESH = (*coredns(), istiod(), namespace("shop", **{"istio-injection": "enabled"}), deny_all("shop"))


API_VERSIONS = {"Pod": "v1", "Job": "batch/v1"}


def web(kind: str, name: str) -> Workload:
    """A controller, or a pod of its own."""
    return Workload(ObjectRef(API_VERSIONS.get(kind, "apps/v1"), kind, "shop", name), {"app": "web"})


def called(pods: Workload, name: str) -> Workload:
    """The same pods under another name."""
    return replace(pods, ref=replace(pods.ref, name=name))


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all objects that rules look at."""
    found: list[str] = []
    ask = tables.needs_of

    def noting(subject: Any, view: Any) -> Needs:
        found.append(subject.ref.name)
        return ask(subject, view)

    monkeypatch.setattr(tables, "needs_of", noting)
    return found


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "StatefulSet"])
def test_rules_look_once_at_what_is_alike(kind: str, worked_out: list[str]) -> None:
    first = web(kind, "one")
    table = FlowTable.of(Snapshot.of([*MESH, first]), Settings()).indexed()
    worked_out.clear()
    after = table.with_changes([called(first, "two"), called(first, "three")])
    assert worked_out == []
    assert contents(after) == contents(FlowTable.of(after.stored, Settings()))
    flows = after.needs[called(first, "two").ref.key].flows
    assert {(flow.object.name, str(flow.source)) for flow in flows} == {("two", f"{kind} shop/two")}


UNLIKE = {
    "other labels": lambda pods: replace(pods, labels={"app": "db"}),
    "another account": lambda pods: replace(pods, service_account="other"),
    "another annotation": lambda pods: replace(pods, annotations={"sidecar.istio.io/inject": "false"}),
    "the network of the host": lambda pods: replace(pods, host_network=True),
    "calls of its own": lambda pods: replace(pods, calls="10.1.2.3:443"),
    "another namespace": lambda pods: replace(pods, ref=replace(pods.ref, namespace="pay")),
    "another kind": lambda pods: replace(pods, ref=replace(pods.ref, kind="StatefulSet")),
}


@pytest.mark.parametrize("difference", UNLIKE)
def test_rules_look_at_whatever_differs(difference: str, worked_out: list[str]) -> None:
    first = web("Deployment", "one")
    table = FlowTable.of(Snapshot.of([*MESH, first]), Settings()).indexed()
    worked_out.clear()
    table.with_changes([UNLIKE[difference](called(first, "two"))])
    assert worked_out == ["two"]


def test_what_a_service_selects_is_looked_at_with_all_whom_that_concerns() -> None:
    """A caller's flows go to one more, so that nothing is taken from the one that was there before."""
    service = decoded(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
        }
    )
    first = replace(web("Deployment", "web"), calls="web:80")
    assert_follows(Settings(), [*MESH, *service, first], [called(first, "web-2")])


def test_the_name_of_a_job_counts_for_its_injection() -> None:
    """The injector sees it as a label of the pods."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "istio-sidecar-injector", "namespace": "istio-system"},
        "data": {
            "config": "defaultTemplates: [grpc-simple]\n"
            "neverInjectSelector:\n- matchLabels: {job-name: quiet}\n"
        },
    }
    first = web("Job", "loud")
    assert_follows(Settings(), [*MESH, *decoded(config), first], [called(first, "quiet")])


@pytest.mark.parametrize("named", ["first", "second"])
def test_a_word_for_one_by_name_is_none_for_another(named: str) -> None:
    """Pods of another namespace say by `called-by` who may call them."""
    collector = Workload(ObjectRef("apps/v1", "Deployment", "pay", "spans"), {"app": "spans"})
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "spans", "namespace": "pay"},
        "spec": {"selector": {"app": "spans"}, "ports": [{"port": 9411}]},
    }
    called_by = replace(collector, called_by=f"shop/{named}")
    first = replace(web("Deployment", "first"), tracing_address="spans.pay:9411")
    assert_follows(Settings(), [*MESH, *decoded(service), called_by, first], [called(first, "second")])


def test_findings_name_the_object_that_they_are_about() -> None:
    first = replace(web("Deployment", "one"), calls="nobody:80")
    assert_follows(Settings(), [*MESH, first], [called(first, "two")])


@pytest.mark.parametrize("name", NAMES)
def test_every_workload_of_every_cluster_has_a_double(name: str) -> None:
    """Also under a name that something else has."""
    known = cluster(name)
    taken = sorted({value.ref.name for value in known})
    pods = [value for value in known if isinstance(value, Workload)]
    names = [(f"{value.name}-2", taken[number % len(taken)]) for number, value in enumerate(pods)]
    doubles = [called(value, name) for value, both in zip(pods, names, strict=True) for name in both]
    assert_follows(SETTINGS[len(known) % len(SETTINGS)], known, doubles)


def assert_follows(settings: Settings, known: Any, put: list[Workload]) -> None:
    """Whether a table that takes objects in, one by one, is the one that is made of all of them."""
    table = FlowTable.of(Snapshot.of(known), settings).indexed()
    for pods in put:
        table = table.with_changes([pods])
    fresh = FlowTable.of(table.stored, settings)
    assert plain(dict(table.needs)) == plain(dict(fresh.needs))


def decoded(*manifests: dict[str, Any]) -> Iterator[Any]:
    """The objects of manifests."""
    for manifest in manifests:
        yield from decode(RawObject(manifest, "test", 0), "default")[0]
