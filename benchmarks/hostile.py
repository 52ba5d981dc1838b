"""What a tenant can write to slow everybody down: each shape at full size against half of it.

Twice the size should cost a check twice the time, and a review of a new Pod, Deployment or policy beside it
hardly more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from benchmarks import one_object
from benchmarks import synthetic as text
from benchmarks.clusters import read
from benchmarks.decisions import ReadOnlyStore
from benchmarks.measure import Figure, seconds
from benchmarks.plan import Plan
from benchmarks.reviews import KINDS, Manifest, create
from benchmarks.settings import settings_for
from benchmarks.synthetic import Size
from istio_netpol.analysis.check import check
from istio_netpol.analysis.listing import connections
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.own_names import CALLS
from istio_netpol.model.settings import Settings
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.state.snapshot import Snapshot

VICTIM = "app-0000"
OPEN = "open"
REVIEWS = 5
BESIDE = ("Deployment create", "Pod create", "NetworkPolicy allow create", "NetworkPolicy deny-all create")


@dataclass(frozen=True)
class Shape:
    """What the first namespace of a small cluster is full of: how much of it, and the objects."""

    name: str
    count: int
    objects: Callable[[int], Iterator[Manifest]]
    review: Callable[[], Manifest] | None = None
    """A request that is about all of them, where it is not the last of them."""


def _policies(count: int) -> Iterator[Manifest]:
    for number in range(count):
        yield _policy(f"p-{number}", {"to": [{"podSelector": {"matchLabels": {"app": f"x-{number}"}}}]})


def _labelled_policies(count: int) -> Iterator[Manifest]:
    for number in range(count):
        found = _policy(f"p-{number}", {"to": [{"podSelector": {"matchLabels": {"app": f"x-{number}"}}}]})
        found["spec"]["podSelector"] = {"matchLabels": {"app": "svc-0"}}
        yield found


def _ports(count: int) -> Iterator[Manifest]:
    ports = [{"port": 20_000 + 2 * number} for number in range(count)]
    yield _policy("ports", {"to": [{"namespaceSelector": {}}], "ports": ports})


def _blocks(count: int) -> Iterator[Manifest]:
    blocks = [f"{20 + n // 65536}.{n // 256 % 256}.{n % 256}.0/25" for n in range(count)]
    yield _policy("blocks", {"to": [{"ipBlock": {"cidr": block}} for block in blocks]})


def _workloads(count: int) -> Iterator[Manifest]:
    for number in range(count):
        yield yaml.safe_load(text.DEPLOYMENT.format(ns=VICTIM, name=f"w-{number}", tier="back"))


def _pods(count: int) -> Iterator[Manifest]:
    for number in range(count):
        values = {"name": "crowd", "tier": "back", "hash": "0123456789", "pod": number, "node": number % 99}
        ip = f"10.99.{number // 256}.{number % 256}"
        yield yaml.safe_load(text.POD.format(ns=VICTIM, ip=ip, **values))


def _served_workloads(count: int) -> Iterator[Manifest]:
    """Workloads with a policy each."""
    yield from _workloads(count)
    for number in range(count):
        found = _policy(f"p-{number}", _to(VICTIM, f"w-{number + 1}"))
        found["spec"]["podSelector"] = {"matchLabels": {"app": f"w-{number}"}}
        yield found


def _open_workloads(count: int) -> Iterator[Manifest]:
    """Workloads of a namespace that nothing isolates yet."""
    yield yaml.safe_load(text.NAMESPACE.format(ns=OPEN, team=0))
    for number in range(count):
        yield yaml.safe_load(text.DEPLOYMENT.format(ns=OPEN, name=f"w-{number}", tier="back"))


def _deny_all() -> Manifest:
    found = _policy("deny-all", {})
    found["metadata"]["namespace"] = OPEN
    found["spec"] = yaml.safe_load(text.DENY_ALL)["spec"]
    return found


def _virtual_services(count: int) -> Iterator[Manifest]:
    for number in range(count):
        found = yaml.safe_load(text.VIRTUAL_SERVICE.format(ns=VICTIM, name="svc-1"))
        found["metadata"]["name"] = f"vs-{number}"
        yield found


def _gateway_policies(count: int) -> Iterator[Manifest]:
    """What a gateway's namespace holds once each of so many namespaces has its own way out of it."""
    for number in range(count):
        found = _policy(f"gateway-to-workload-{number}", _to(f"app-{number % 20:04}", f"other-{number}"))
        found["metadata"]["namespace"] = "istio-system"
        found["spec"]["podSelector"] = {"matchLabels": {"istio": "ingressgateway"}}
        yield found
    yield from _virtual_services(count)


def _calls(count: int) -> Iterator[Manifest]:
    yield _caller(", ".join(f"192.0.{number // 250}.{number % 250}:443" for number in range(count)))


def _service_calls(count: int) -> Iterator[Manifest]:
    yield _caller(", ".join(f"nobody-{number}:80" for number in range(count)))


SHAPES = (
    Shape("policies for all pods", 10_000, _policies),
    Shape("policies for one workload", 10_000, _labelled_policies),
    Shape("ports in one policy", 5_000, _ports),
    Shape("ipBlocks in one policy", 10_000, _blocks),
    Shape("workloads", 5_000, _workloads),
    Shape("workloads with a policy each", 5_000, _served_workloads),
    Shape("workloads before a first deny-all", 5_000, _open_workloads, _deny_all),
    Shape("pods of one controller", 5_000, _pods),
    Shape("VirtualServices of one gateway", 1_000, _virtual_services),
    Shape("VirtualServices and policies of one gateway", 1_000, _gateway_policies),
    Shape("calls to addresses", 5_000, _calls),
    Shape("calls to missing Services", 5_000, _service_calls),
)


def figures(plan: Plan) -> Iterator[Figure]:
    """What one object may ask; then for each shape: seconds of a check and of a list, how they grow, and
    milliseconds of reviews."""
    yield from one_object.figures(plan)
    for shape in SHAPES:
        yield from _of(shape, plan)


def _of(shape: Shape, plan: Plan) -> Iterator[Figure]:
    count = plan.times(shape.count)
    label = f"{count:,} {shape.name}"
    half, whole = (_snapshot(shape.objects(size), plan) for size in (count // 2, count))
    for what, work in (("check", _check), ("list", _list)):
        times = [min(seconds(lambda: work(snapshot, plan)) for _ in range(2)) for snapshot in (half, whole)]  # noqa: B023
        yield Figure(f"{label}: {what}", "s", [times[1]])
        yield Figure(f"{label}: {what}, against half of them", "x", [times[1] / times[0]], at_most=2.5)
    table = FlowTable.of(whole, settings_for(plan.size)).indexed()
    reviewer = Reviewer(ReadOnlyStore(), Offline())
    reviewer.take(table)
    reviews = {kind.name: kind.review(0, 1) for kind in KINDS if kind.name in BESIDE}
    if shape.review:
        reviews[f"{shape.review()['kind']} about all of them"] = create(shape.review())
    else:
        *_, last = shape.objects(count)
        reviews["last of them"] = create(last)
    for name, body in reviews.items():
        yield Figure(f"{label}: {name}", "ms", _reviews(reviewer, body))


def _snapshot(objects: Iterator[Manifest], plan: Plan) -> Snapshot:
    return read(
        [*text.documents(Size(20), plan.seed), *(json.dumps(resource) + "\n" for resource in objects)]
    )


def _check(snapshot: Snapshot, plan: Plan) -> None:
    check(snapshot, settings_for(plan.size), Offline())


def _list(snapshot: Snapshot, plan: Plan) -> None:
    for _ in connections(snapshot, Settings()):
        pass


def _reviews(reviewer: Reviewer, body: bytes) -> list[float]:
    reviewer.review(body, mutating=False)
    return [seconds(lambda: reviewer.review(body, mutating=False)) * 1000 for _ in range(REVIEWS)]


def _policy(name: str, rule: dict[str, object]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": VICTIM},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]},
    }


def _to(namespace: str, app: str) -> dict[str, object]:
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": {"app": app}},
    }
    return {"to": [peer], "ports": [{"port": 8080}]}


def _caller(calls: str) -> Manifest:
    found: Manifest = yaml.safe_load(text.DEPLOYMENT.format(ns=VICTIM, name="caller", tier="back"))
    found["spec"]["template"]["metadata"]["annotations"] = {CALLS: calls}
    return found
