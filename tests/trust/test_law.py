"""Whatever a tenant writes: what opens has pods of its own at one end and, at the other, somebody who agrees.

Every example goes through `generate`, through reviews with what follows them, and through the controller's
evaluation, in process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.admission.state import Answers, asked
from tests.trust.case_files import Manifest, world
from tests.trust.doors import STANDING, decoded, is_readable
from tests.trust.openings import HOSTILE, Allowed, Opening, excess, opened
from tests.trust.tenant_objects import WRITERS, tenant_objects

from istio_netpol.admission.reconcile import missing_policies
from istio_netpol.admission.review import decide
from istio_netpol.analysis.generate import generate
from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.flows.table import FlowTable
from istio_netpol.kube.cluster import ClusterChanges
from istio_netpol.manifests.decode import NAMESPACED_DECODERS
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Settings
from istio_netpol.model.unread import SERVED, STORED
from istio_netpol.state.snapshot import Snapshot

VICTIM = Path(__file__).parent / "victim.yaml"
SETTINGS = Settings()
NAMES = Answers({"api.example.com": "9.9.9.9", "md.example.com": "169.254.169.254"})
NEVER = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3",
            "::/3", "2001::/23", "2002::/16", "4000::/2", "8000::/1",
        ),
    )
)  # fmt: skip
"""Addresses that nobody opens by writing them, nor by a name."""

AGREED = tuple(
    map(
        Allowed.of,
        (
            "istio-system/istio-ingressgateway -> team-a/*: TCP, UDP, SCTP",
            "istio-ingress/shared-istio -> team-a/*: TCP, UDP, SCTP",
            "istio-system/istiod -> team-a/*: TCP",
            "team-a/* -> team-b/open: TCP 8080",
            "istio-system/istio-ingressgateway -> team-b/bank: TCP 8080",
            "istio-ingress/shared-istio -> team-b/bank: TCP 8080",
            "team-b/payer -> team-b/db*: TCP 5432",
            "any -> team-b/front: TCP 8443",
            "any -> istio-system/istio-ingressgateway: TCP 8443",
            "team-b/payer -> 9.9.9.9/32: TCP 443",
        ),
    )
)
"""Shared gateways and istiod to the tenant's own pods, what the victim's own objects say, and the other port
that the shared gateway's Service offers."""

PLUGINS = {"cilium.io", STORED, SERVED}
"""Groups of network plugins."""

ALIKE = {
    **dict.fromkeys(
        ("StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "Rollout"),
        ("apps", "Deployment"),
    ),
    **dict.fromkeys(
        ("GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"), ("gateway.networking.k8s.io", "HTTPRoute")
    ),
    "XListenerSet": ("gateway.networking.k8s.io", "ListenerSet"),
}
"""Kinds that are read as another one is."""

CALLS_OUT = (f"{HOSTILE}/", "istio-system/", "istio-ingress/")
"""Whose pods may reach addresses outside of the cluster on a tenant's word: its own, gateways and istiod."""


@cache
def _before() -> FlowTable:
    objects = [*world(), *yaml.load_all(VICTIM.read_bytes(), yaml.CSafeLoader)]
    return FlowTable.of(Snapshot.of(decoded(objects)), SETTINGS)


def by_generate(table: FlowTable, _: Sequence[Manifest]) -> Iterable[NetworkPolicy]:
    """What `istio-netpol generate` prints."""
    return generate(table.snapshot, SETTINGS, NAMES)


def by_reviews(_: FlowTable, written: Sequence[Manifest]) -> Iterable[NetworkPolicy]:
    """What `/mutate` writes for each object in turn, and what the webhook then adds."""
    table, found = _before(), dict[str, NetworkPolicy]()
    for manifest in written:
        policies = decide(asked(manifest), table, NAMES, mutating=True).write
        found.update((policy.key, policy) for policy in policies)
        table = table.with_changes([*policies, *decoded([manifest])], [])
    found.update((policy.key, policy) for policy in missing_policies(table, NAMES))
    return found.values()


def by_the_controller(table: FlowTable, _: Sequence[Manifest]) -> Iterable[NetworkPolicy]:
    """What the controller makes and restores."""
    evaluation = Evaluation(SETTINGS, NAMES)
    evaluation.take(ClusterChanges(table.stored, (), (), whole=True))
    upkeep = evaluation.need(())
    return [upkeep.needed[key] for key in sorted(upkeep.wanted)]


DOORS = (by_generate, by_reviews, by_the_controller)
EXAMPLES = 3 * settings.default.max_examples
"""An example takes little time, and objects have to meet."""


@pytest.mark.parametrize("door", DOORS)
@settings(max_examples=EXAMPLES)
@given(written=tenant_objects())
def test_what_opens_has_the_tenant_at_one_end_and_consent_at_the_other(
    door: Callable[[FlowTable, Sequence[Manifest]], Iterable[NetworkPolicy]], written: list[Manifest]
) -> None:
    """The tenant's pods, or what the victim itself said; at the other end a namespace that agrees, a shared
    gateway, istiod, or an address that is permitted."""
    written = [manifest for manifest in written if is_readable(manifest)]
    table = _before().with_objects(list(decoded(written)))
    policies = list(door(table, written))
    snapshot = table.snapshot
    openings = opened(snapshot, snapshot.with_changes(put=policies), SETTINGS)
    within = [opening for opening in openings if not _is_permitted_outside(opening)]
    assert excess(within, [*AGREED, *STANDING]) == []


def _is_permitted_outside(opening: Opening) -> bool:
    """Whether a side opens to public addresses only, for pods that may reach them."""
    if "/" in opening.counterpart or not opening.subject.startswith(CALLS_OUT):
        return False
    low, _, high = opening.counterpart.partition("-")
    first, last = ip_address(low), ip_address(high or low)
    return opening.side.value == "Egress" and not any(
        network.version == first.version
        and int(first) <= int(network.broadcast_address)
        and int(network.network_address) <= int(last)
        for network in NEVER
    )


def _kind_of(manifest: Manifest) -> tuple[str, str]:
    group, _, _ = manifest["apiVersion"].rpartition("/")
    return group, manifest["kind"]


def _drawn_as(key: tuple[str, str]) -> tuple[str, str]:
    """The kind of workload or route that is drawn in place of all others, which are read alike."""
    return ALIKE.get(key[1], key)


@settings(max_examples=1)
@given(data=st.data())
def test_the_law_is_about_every_kind_that_a_tenant_may_write(data: st.DataObject) -> None:
    """A kind that is read is drawn too, or is another kind of workload or route. Of a network plugin's policy
    nothing is read that could open anything."""
    drawn = {_drawn_as(_kind_of(writer(data.draw))) for writer in WRITERS}
    assert drawn == {_drawn_as(key) for key in NAMESPACED_DECODERS if key[0] not in PLUGINS}
