"""`list` of a cluster with policies of the Admin and Baseline tiers, against the same one without them."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator

from benchmarks.clusters import read, snapshot_of
from benchmarks.measure import Figure, seconds
from benchmarks.plan import Plan
from benchmarks.synthetic import Size
from istio_netpol.analysis.listing import connections
from istio_netpol.model.settings import Settings
from istio_netpol.report.connections import json_pieces
from istio_netpol.state.snapshot import Snapshot

RUNS = 3
POLICIES = 1000
TWICE = 2.0

_SUBJECTS = (
    "{{namespaces: {{matchLabels: {{team: team-{number}}}}}}}",
    "{{namespaces: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}",
    "{{pods: {{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}, "
    "podSelector: {{matchLabels: {{tier: web}}}}}}}}",
)
_PEERS = (
    "{{namespaces: {{matchLabels: {{team: team-{number}}}}}}}",
    "{{namespaces: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}}}",
    "{{pods: {{namespaceSelector: {{}}, podSelector: {{matchLabels: {{tier: web}}}}}}}}",
)
_NETWORK = "{{networks: [10.{number}.0.0/16]}}"

_POLICY = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {{name: policy-{index}}}
spec:
  tier: {tier}
  priority: {priority}
  subject: {subject}
  ingress:
  - {{action: {first}, from: [{peer}], protocols: [{{tcp: {{destinationPort: {{number: {port}}}}}}}]}}
  egress:
  - action: {first}
    to: [{peer}, {network}]
    protocols: [{{tcp: {{destinationPort: {{number: {port}}}}}}}]
  - {{action: {second}, to: [{other}], protocols: [{{udp: {{destinationPort: {{number: {port}}}}}}}]}}
"""


def figures(plan: Plan) -> Iterator[Figure]:
    """How many times as long the list of 5,000 workloads takes with 1,000 policies of the tiers."""
    if plan.quick:
        return
    size = Size(pods=False)
    plain = snapshot_of(size, plan.seed)
    figure = Figure(f"list, {POLICIES:,} tiered policies, against none", "times", at_most=TWICE)
    for _ in range(RUNS):
        tiered = plain.with_changes(_policies(plain, plan.seed))
        figure.runs.append(seconds(lambda: _listed(tiered)) / seconds(lambda: _listed(plain)))  # noqa: B023
    yield figure


def _listed(snapshot: Snapshot) -> None:
    deque(json_pieces(connections(snapshot, Settings())), maxlen=0)


def _policies(snapshot: Snapshot, seed: int) -> list[object]:
    """Policies with subjects and peers of every kind, in both tiers."""
    draw, names = random.Random(seed), snapshot.namespace_names
    documents = []
    for index in range(POLICIES):
        values = {"number": draw.randrange(100), "namespace": draw.choice(names)}
        peer, other = (draw.choice(_PEERS).format(**values) for _ in range(2))
        documents.append(
            _POLICY.format(
                index=index,
                tier=draw.choice(("Admin", "Admin", "Baseline")),
                priority=index,
                subject=draw.choice(_SUBJECTS).format(**values),
                first=draw.choice(("Accept", "Deny", "Pass")),
                second=draw.choice(("Accept", "Deny", "Pass")),
                peer=peer,
                other=other,
                network=_NETWORK.format(**values),
                port=draw.choice((80, 443, 5432, 8080, 15012)),
            )
        )
    return list(read(documents).tier_policies)
