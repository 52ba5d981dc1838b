"""The way of a request for a host: from its clients through a gateway and its route to the pods, with all
that has to be open for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.analysis.explain.front_doors import (
    BoundIngress,
    BoundRoute,
    BoundService,
    FrontDoor,
    bound_ingresses,
    bound_routes,
    bound_services,
    listening,
    served_hosts,
)
from istio_netpol.analysis.explain.walk import Walk, Walker, Wanted
from istio_netpol.errors import InputError, Problem
from istio_netpol.flows.needs import NOTHING
from istio_netpol.flows.table import FlowTable
from istio_netpol.istio.destinations import DestinationQuery, answers
from istio_netpol.istio.hbone import reached
from istio_netpol.istio.policy_attachment import attached
from istio_netpol.istio.request_routing import (
    Arrival,
    Taking,
    Test,
    deciding,
    first_taking,
    specificity,
    taking,
)
from istio_netpol.model.findings import Finding
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow
from istio_netpol.model.gateway_api import KubernetesRoute, RouteRule
from istio_netpol.model.ingress import Ingress, IngressBackend
from istio_netpol.model.istio_security import RequestAuthentication
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.request_matching import (
    ANY_REQUEST_AT_ALL,
    UNKNOWN_REQUEST,
    Match,
    RequestFacts,
    RequestTest,
)
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.services import Service
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

Bound = TypeVar("Bound", BoundService, BoundRoute, BoundIngress)

_MOST_HOSTS = 20
"""Hosts that an error names."""


def explain_host(
    snapshot: Snapshot, settings: Settings, resolver: Resolver, host: str, path: str = ""
) -> Walk:
    """The connections that a request for a host and a path needs, in the order of its way. Without a path all
    routes of the host are taken. Raises InputError for a host that nothing serves, with those that there
    are."""
    table = FlowTable.of(snapshot, settings)
    way = _RequestWay(table, RequestFacts(host, path.partition("?")[0]))
    way.find()
    if not way.doors:
        raise InputError([_not_served(way, host)])
    walker = Walker(table, resolver)
    return replace(
        walker.walk("Host", f"{host}{path}", way.remarks, way.wanted()), failures=tuple(way.failures)
    )


class _RequestWay(Struct, dict=True):
    """The way of one request, as far as it is found."""

    table: FlowTable
    request: RequestFacts
    doors: dict[FrontDoor, None] = field(default_factory=dict)
    routed: dict[Hashable, Wanted] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def find(self) -> None:
        """Looks through all that can serve a host at a gateway."""
        self._services()
        self._routes()
        self._ingresses()

    def remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def _enter(self, door: FrontDoor) -> None:
        """Keeps a door that has pods; nobody can go through one without."""
        self.doors[door] = None
        if not door.pods:
            self._fail(f"no pods of the input serve {door}")
            for finding in self.table.needs.get(door.ref.key, NOTHING).findings:
                self.remark(finding.message)

    def _fail(self, failure: str) -> None:
        if failure not in self.failures:
            self.failures.append(failure)

    # VirtualServices

    def _services(self) -> None:
        at_doors: dict[FrontDoor, list[BoundService]] = defaultdict(list)
        for bound in bound_services(self.table.snapshot, self.table.view, self.request.host):
            if isinstance(bound, Finding):
                self.troubles.append(bound.message)
            else:
                at_doors[bound.door].append(bound)
        for door, found in at_doors.items():
            self._enter(door)
            for pod in door.pods:
                self._at_door(door, _narrowest(found), pod)

    def _at_door(self, door: FrontDoor, found: Sequence[BoundService], pod: Workload) -> None:
        takings: list[list[Taking]] = []
        for bound in found:
            arrival = Arrival(self.request, bound.gateway, door.port, door.kind, pod)
            takings.append([])
            for taken in taking(bound.service, self.table.view, arrival):
                if isinstance(taken, Finding):
                    self.remark(taken.message)
                else:
                    takings[-1].append(taken)
        decided = deciding(takings)
        if not decided:
            names = ", ".join(str(bound.service.ref) for bound in found)
            self._untaken(door, names)
        if len({taken.route.root for taken in decided if taken.match is Match.YES}) > 1:
            names = ", ".join(sorted({str(taken.route.root) for taken in decided}))
            self.remark(
                f"{names} have the same host: the oldest takes the request, and nothing says which it is"
            )
        for taken in decided:
            self._follow(door, taken, pod)

    def _untaken(self, door: FrontDoor, names: str) -> None:
        what = f"path {self.request.path}" if self.request.path else "it"
        self._fail(f"no route of {names} takes {what} at {door}: the gateway answers 404")

    def _follow(self, door: FrontDoor, taken: Taking, pod: Workload) -> None:
        """A route's destinations from one gateway's pods."""
        route, view = taken.route, self.table.view
        last = route.chain[-1]
        whose = f"{route.root}" if route.root == route.written_in else f"{route.root} by {route.written_in}"
        self.remark(f"{door} takes it; {whose} {_word(taken.match, taken.asks)}{_at(last.destinations)}")
        if last.is_answered:
            self.remark(f"{whose} answers it at the gateway, by a redirect or a direct response")
        rewrites = any(link.rewrites for link in route.chain)
        for leg in route.legs:
            asked = DestinationQuery(
                leg.destination, leg.written_in, pod.namespace, frozenset({door.port}), leg.root
            )
            found, findings = answers(asked, view)
            for finding in findings:
                self.remark(finding.message)
            if found is None or not found.backends:
                self._lost(f"{leg.written_in} sends it to {leg.destination.host}, where nothing answers")
                continue
            for backend in found.backends:
                places = {
                    (wire.peer.key, wire.protocol, wire.port)
                    for wire in reached(view, pod, found.target, backend)
                }
                self._take(
                    (
                        flow
                        for flow in self._flows(route.root)
                        if flow.source == PodsPeer(pod)
                        and (flow.destination.key, flow.protocol, flow.port) in places
                    ),
                    rewrites=rewrites,
                )

    def _lost(self, failure: str) -> None:
        self._fail(f"{failure}: the gateway answers 503")

    # Routes of the Gateway API

    def _routes(self) -> None:
        at_doors: dict[FrontDoor, list[BoundRoute]] = defaultdict(list)
        for bound in bound_routes(self.table.snapshot, self.table.view, self.request.host):
            at_doors[bound.door].append(bound)
        for door, found in at_doors.items():
            self._enter(door)
            if not door.pods:
                continue
            narrowest = _narrowest(found)
            tests = [
                Test(test, (bound.route, rule))
                for bound in narrowest
                for rule in bound.route.rules
                for test in rule.tests or (ANY_REQUEST_AT_ALL,)
            ]
            taken = first_taking(tests, self.request)
            if not taken:
                self._untaken(door, ", ".join(str(bound.route.ref) for bound in narrowest))
            for test, match in taken:
                self._follow_rule(door, *test.owner, _word(match, _asked_by(test.test)))

    def _follow_rule(self, door: FrontDoor, route: KubernetesRoute, rule: RouteRule, word: str) -> None:
        self.remark(f"{door} takes it; {route.ref} {word} at {rule.field}")
        if rule.is_answered:
            self.remark(f"{route.ref} answers it at the gateway, by a redirect")
        own = {
            replace(backend, field="")
            for backend in route.backends
            if backend.field.startswith(f"{rule.field}.")
        }
        fields = {backend.field for backend in route.backends if replace(backend, field="") in own}
        needs = self.table.needs.get(route.ref.key, NOTHING)
        for finding in needs.findings:
            if finding.field in fields:
                self.remark(finding.message)
        sources = {PodsPeer(pod) for pod in door.pods}
        found = [flow for flow in needs.flows if flow.field in fields and flow.source in sources]
        if not found and not rule.is_answered:
            self._lost(f"{route.ref} sends it to no pods at {rule.field}")
        self._take(found, rewrites=rule.rewrites)

    # Ingresses

    def served_ingresses(self) -> list[Ingress]:
        """The Ingresses that Istio serves: those of which something is needed."""
        every = self.table.snapshot.every(Ingress)
        return [ingress for ingress in every if self.table.needs.get(ingress.ref.key, NOTHING).flows]

    def _ingresses(self) -> None:
        bound = _narrowest(list(bound_ingresses(self.served_ingresses(), self.request.host)))
        tests = [Test(RequestTest(bound_backend.backend.path), bound_backend) for bound_backend in bound]
        taken = first_taking(tests, self.request)
        for bound_backend in bound:
            for flow in self._flows(bound_backend.ingress.ref):
                if flow.kind is FlowKind.CLIENT_TO_GATEWAY and isinstance(flow.destination, PodsPeer):
                    door = FrontDoor(flow.object, flow.field, flow.port, "http", (flow.destination.workload,))
                    self.doors[door] = None
        if bound and not taken:
            self._untaken(
                next(iter(self.doors)),
                ", ".join(sorted({str(bound_backend.ingress.ref) for bound_backend in bound})),
            )
        for test, match in taken:
            self._follow_path(test.owner.ingress, test.owner.backend, match)

    def _follow_path(self, ingress: Ingress, backend: IngressBackend, match: Match) -> None:
        self.remark(
            f"the ingress gateway takes it; {ingress.ref} {_word(match, ('path',))} at {backend.field}"
        )
        needs = self.table.needs.get(ingress.ref.key, NOTHING)
        for finding in needs.findings:
            if finding.field.startswith(backend.field):
                self.remark(finding.message)
        found = [flow for flow in needs.flows if flow.field == backend.field]
        if not found:
            self._lost(f"{ingress.ref} sends it to no pods at {backend.field}")
        self._take(found, rewrites=False)

    # Flows

    def _flows(self, ref: ObjectRef) -> tuple[RequiredFlow, ...]:
        return self.table.needs.get(ref.key, NOTHING).flows

    def _take(self, flows: Iterable[RequiredFlow], *, rewrites: bool) -> None:
        request = UNKNOWN_REQUEST if rewrites else self.request
        for flow in flows:
            self.routed.setdefault(flow.key, Wanted(flow, request))

    def wanted(self) -> tuple[Wanted, ...]:
        """All flows in the order of the way: clients, gateways, waypoints; then what proxies on it ask."""
        clients = [Wanted(flow, self.request) for door in self.doors for flow in self._opened(door)]
        routed = sorted(self.routed.values(), key=lambda wanted: wanted.flow.sort_key)
        beyond = [waypoint_flow for wanted in routed for waypoint_flow in self._beyond(wanted)]
        way = [*clients, *routed, *beyond]
        asked = [Wanted(flow) for flow in self._asked(way)]
        return tuple({wanted.flow.key: wanted for wanted in (*way, *asked)}.values())

    def _opened(self, door: FrontDoor) -> Iterator[RequiredFlow]:
        """What clients of a door need."""
        for flow in self._flows(door.ref):
            is_here = flow.field == door.field and flow.kind is FlowKind.CLIENT_TO_GATEWAY
            if is_here and any(flow.destination == PodsPeer(pod) for pod in door.pods):
                yield flow

    def _beyond(self, wanted: Wanted) -> Iterator[Wanted]:
        """What a waypoint on the way needs, to pass the request on to the pods that are meant."""
        flow = wanted.flow
        if flow.via.meant is None or flow.destination == PodsPeer(flow.via.meant):
            return
        for own in self.table.flows():
            is_its = own.source == flow.destination and own.kind is FlowKind.HBONE
            if is_its and own.destination == PodsPeer(flow.via.meant):
                yield Wanted(own, wanted.request)

    def _asked(self, way: Iterable[Wanted]) -> list[RequiredFlow]:
        """What proxies on the way need before they let a request pass: the keys of its tokens, and what
        extension providers say."""
        proxies: dict[PodsPeer, Service | None] = {}
        for wanted in way:
            for peer in (wanted.flow.source, wanted.flow.destination):
                if isinstance(peer, PodsPeer):
                    proxies.setdefault(peer, wanted.flow.via.service)
        view = self.table.view
        tokens = {
            policy.ref.key
            for peer, service in proxies.items()
            if view.in_mesh(peer.workload)
            for policy in attached(view, RequestAuthentication, peer.workload, service)
        }
        found = [
            flow
            for flow in self.table.flows()
            if (flow.kind is FlowKind.ISTIOD_TO_JWKS and flow.object.key in tokens)
            or (flow.kind is FlowKind.EXT_AUTHZ and flow.source in proxies)
        ]
        return sorted(found, key=lambda flow: flow.sort_key)


def _narrowest(found: Sequence[Bound]) -> list[Bound]:
    """Those with the most specific of the names that cover the host."""
    best = max((specificity(bound.pattern) for bound in found), default=None)
    return [bound for bound in found if specificity(bound.pattern) == best]


def _word(match: Match, asks: Iterable[str]) -> str:
    depends = ", ".join(asks)
    return "routes it" if match is Match.YES else f"may route it, which depends on {depends}"


def _asked_by(test: RequestTest) -> tuple[str, ...]:
    return (*(() if test.path.asks_nothing else ("path",)), *test.others)


def _at(destinations: Sequence[object]) -> str:
    fields = [getattr(destination, "field", "") for destination in destinations]
    return f" at {fields[0]}" if fields and fields[0] else ""


def _not_served(way: _RequestWay, host: str) -> Problem:
    table = way.table
    listeners = list(dict.fromkeys(listening(table.snapshot, host)))
    cause = f"no gateway of the input serves {host!r}"
    if listeners:
        names = ", ".join(map(str, listeners))
        cause = f"no route of the input leads {host!r} anywhere, though {names} takes it"
    if way.troubles:
        cause = f"{cause}; {'; '.join(dict.fromkeys(way.troubles))}"
    hosts = served_hosts(table.snapshot, table.view, way.served_ingresses())
    close = get_close_matches(host, hosts, n=3, cutoff=0.6)
    shown = [*close, *(other for other in hosts if other not in close)]
    more = f" and {len(shown) - _MOST_HOSTS} more" if len(shown) > _MOST_HOSTS else ""
    known = ", ".join(shown[:_MOST_HOSTS]) or "none"
    return Problem.of("arguments", cause, f"hosts that are served: {known}{more}")
