"""Whatever comes and goes, in whatever order: a table that follows its cluster is the one that would be made
anew, and so are what is judged by it and the policies that follow."""

from __future__ import annotations

import random
from typing import Any

import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import settings as limits
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from tests.flows.clusters import NAMES, cluster
from tests.flows.current import SCRAPING, SETTINGS, Current

from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.tiers import Action, TierPolicy
from istio_netpol.model.workloads import DialledApiServer, Namespace, NodeAddresses, Workload
from istio_netpol.platforms.environments import GARDENER_OPT_OUT


def changed(value: Any) -> Any:
    """The object as somebody might have changed it."""
    match value:
        case Namespace():
            opt_out = dict([GARDENER_OPT_OUT])
            return replace(value, labels={**value.labels, "istio-injection": "disabled", **opt_out})
        case Workload() if value.api_servers:
            other = (DialledApiServer("api.other.example.com", 6443),)
            return replace(value, api_servers=other, injected_api_servers=other)
        case Workload():
            return replace(value, labels={**value.labels, "app": "another"}, addresses=())
        case EndpointSlice():
            return replace(value, endpoints=value.endpoints[1:])
        case Service():
            return replace(value, selector={"app": "another"}, cluster_ips=(), balancer_ips=())
        case TierPolicy():
            rules = tuple(replace(rule, action=Action.PASS) for rule in value.egress)
            return replace(value, namespaces=EVERYTHING, egress=rules)
        case NodeAddresses():
            return replace(value, labels={"zone": "another"})
    return value


class ChangingCluster(RuleBasedStateMachine):
    """The objects of one scenario, put and removed one by one, as they are and changed."""

    @initialize(name=st.sampled_from(NAMES), settings=st.sampled_from(SETTINGS), full=st.booleans())
    def begin(self, name: str, settings: Settings, full: bool) -> None:
        self.pool = cluster(name)
        self.current = Current(settings, self.pool if full else ())

    @rule(data=st.data(), anew=st.booleans())
    def put(self, data: st.DataObject, anew: bool) -> None:
        value = data.draw(st.sampled_from(self.pool))
        self.current.put(changed(value) if anew else value)

    @rule(data=st.data())
    def put_several(self, data: st.DataObject) -> None:
        self.current.put(*data.draw(st.lists(st.sampled_from(self.pool), max_size=4, unique_by=id)))

    @rule(data=st.data())
    def put_a_double(self, data: st.DataObject) -> None:
        pods = [value for value in self.pool if isinstance(value, Workload)]
        names = [f"{value.ref.name}{suffix}" for value in self.pool for suffix in ("", "-2")]
        if pods:
            value, name = data.draw(st.sampled_from(pods)), data.draw(st.sampled_from(names))
            self.current.put(replace(value, ref=replace(value.ref, name=name)))

    @precondition(lambda self: self.current.objects)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.current.objects)))
        self.current.remove(self.current.objects[key])

    @invariant()
    def is_as_made_anew(self) -> None:
        if hasattr(self, "current"):
            self.current.compare()


TestChangingCluster = ChangingCluster.TestCase
TestChangingCluster.settings = limits(max_examples=25, stateful_step_count=12)


def test_every_kind_occurs() -> None:
    """What no cluster here has is not shown to be followed."""
    kinds = {(value.ref.group, value.ref.kind) for name in NAMES for value in cluster(name)}
    assert kinds >= DECODERS.keys()


def test_every_object_of_a_cluster_comes_and_goes() -> None:
    """From nothing to everything, and each object once changed, away and back."""
    objects = list(cluster("world"))
    random.Random(1).shuffle(objects)
    current = Current(SCRAPING)
    for value in objects:
        current.put(value)
        current.compare()
    for value in objects:
        current.put(changed(value))
        current.compare()
        current.remove(value)
        current.compare()
        current.put(value)
    current.compare()
