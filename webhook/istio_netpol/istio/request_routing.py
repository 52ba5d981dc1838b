"""Finds the route that takes a request that arrives at a gateway, as Istio orders them.

Sources (Istio 1.31): `TranslateRouteMatch` and `SortVHostRoutes` in
`pilot/pkg/networking/core/route/route.go`: the routes of a VirtualService are tried from the top, those that
take everything last where several VirtualServices have the host; `sortHTTPRoutes` in
`pilot/pkg/config/kube/gateway/conversion.go`: exact paths go before prefixes, longer ones before shorter, and
what asks more before what asks less. Of the names that cover a host Envoy takes the most specific one alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.istio.view.service_registry import overlap
from istio_netpol.istio.virtual_services import ServedRoute, gateway_name, routes_of
from istio_netpol.model.findings import Finding
from istio_netpol.model.istio_networking import Route, RouteMatch, VirtualService
from istio_netpol.model.request_matching import Match, RequestFacts, RequestTest, TextKind, TextMatch
from istio_netpol.model.workloads import Workload

T = TypeVar("T")

_MOST_REPEATED, _LONGEST, _MOST_STEPS = 5, 1_000, 50_000_000
"""Limits for a regular expression: its repetitions, its length, and the steps that it may take. RE2, which
Envoy uses, never takes more steps than its text is long."""

_NOT_ALIKE = re.compile(r"\)[*+{]|\\[0-9pPQECzAZ]|\(\?|\[\[:")
"""Syntax that Python reads otherwise than RE2, or that may take it forever."""


def path_matches(test: TextMatch, text: str) -> Match:
    """Whether a path or a host matches; an empty `text` is not known."""
    if test.asks_nothing:
        return Match.YES
    if not text:
        return Match.MAYBE
    if test.kind is TextKind.REGEX:
        return _regex_matches(test.value, text)
    value, given = (test.value.lower(), text.lower()) if test.ignores_case else (test.value, text)
    if test.kind is TextKind.EXACT:
        return Match.of(given == value)
    if test.kind is TextKind.PREFIX:
        return Match.of(given.startswith(value))
    return Match.of(given == value or given.startswith(f"{value}/"))


def _regex_matches(pattern: str, text: str) -> Match:
    """Whether all of a text matches, as RE2 would say it."""
    repeated = sum(pattern.count(sign) for sign in "*+{?")
    is_long = repeated > _MOST_REPEATED or len(pattern) > _LONGEST
    if is_long or len(text) ** repeated > _MOST_STEPS or _NOT_ALIKE.search(pattern):
        return Match.MAYBE
    try:
        return Match.of(re.fullmatch(pattern, text) is not None)
    except (re.error, OverflowError, RecursionError):
        return Match.MAYBE


def request_matches(test: RequestTest, request: RequestFacts) -> Match:
    """Whether a request matches; what a test asks besides path and host can't be told."""
    others = Match.MAYBE if test.others else Match.YES
    return min(path_matches(test.path, request.path), path_matches(test.authority, request.host), others)


class Arrival(Struct, frozen=True):
    """A request at a gateway: `kind` is the list of a VirtualService that holds for the port."""

    request: RequestFacts
    gateway: str
    port: int
    kind: str
    pod: Workload


class Taking(Struct, frozen=True):
    """A route that takes a request, or may; `takes_all` says that it asks nothing of it."""

    route: ServedRoute
    match: Match
    takes_all: bool

    @property
    def asks(self) -> tuple[str, ...]:
        """The names of what it depends on whether the route takes it."""
        tests = [match.request for route in self.route.chain for match in route.matches]
        names = {name for test in tests for name in test.others}
        paths = any(not test.path.asks_nothing for test in tests)
        return (*(("path",) if paths else ()), *sorted(names))


def taking(service: VirtualService, view: MeshView, arrival: Arrival) -> Iterator[Taking | Finding]:
    """The routes of a VirtualService that take a request, or may, up to the one that surely does."""
    for served in routes_of(service, view):
        if isinstance(served, Finding):
            yield served
            continue
        if arrival.gateway not in served.gateways or served.chain[-1].protocol != arrival.kind:
            continue
        homes = [served.root.namespace, served.written_in.namespace]
        routes = list(zip(served.chain, homes[-len(served.chain) :], strict=True))
        match = min(_route_matches(route, home, arrival) for route, home in routes)
        if match is not Match.NO:
            yield Taking(served, match, all(map(_takes_all, served.chain)))
        if match is Match.YES:
            return


def _takes_all(route: Route) -> bool:
    return not route.matches or any(
        match.request.path.asks_nothing and not match.is_partial for match in route.matches
    )


def _route_matches(route: Route, home: str, arrival: Arrival) -> Match:
    return max((_matches(match, home, arrival) for match in route.matches), default=Match.YES)


def _matches(match: RouteMatch, home: str, arrival: Arrival) -> Match:
    is_here = (
        (not match.gateways or arrival.gateway in {gateway_name(name, home) for name in match.gateways})
        and match.port in (0, arrival.port)
        and match.source_namespace in ("", arrival.pod.namespace)
        and all(arrival.pod.labels.get(key) == value for key, value in match.source_labels)
        and (not match.sni_hosts or any(overlap(host, arrival.request.host) for host in match.sni_hosts))
    )
    return request_matches(match.request, arrival.request) if is_here else Match.NO


def deciding(found: Sequence[Sequence[Taking]]) -> list[Taking]:
    """Of what several VirtualServices with one host take: routes that take everything come after all
    others."""
    is_taken = any(
        taken.match is Match.YES and not taken.takes_all for rule_takings in found for taken in rule_takings
    )
    return [taken for rule_takings in found for taken in rule_takings if not (is_taken and taken.takes_all)]


class Test(Struct, Generic[T], frozen=True):
    """One match of a rule of the Gateway API, or a path of an Ingress, and whose it is."""

    test: RequestTest
    owner: T


def first_taking(tests: Iterable[Test[T]], request: RequestFacts) -> list[tuple[Test[T], Match]]:
    """The tests that take a request, or may, in the order in which they are tried, up to the one that surely
    does and its equals, of which the oldest goes first."""
    ordered = sorted(tests, key=lambda test: (_rank(test.test), bool(test.test.others)), reverse=True)
    found: list[tuple[Test[T], Match]] = []
    last: tuple[int, int] | None = None
    for test in ordered:
        if last is not None and _rank(test.test) != last:
            break
        match = request_matches(test.test, request)
        if match is Match.NO:
            continue
        found.append((test, match))
        if match is Match.YES:
            last = _rank(test.test)
    return found


def _rank(test: RequestTest) -> tuple[int, int]:
    """How early a test is tried: a test that takes everything comes last, however it is written."""
    if test.path.asks_nothing and not test.others:
        return (-1, 0)
    ranks = {TextKind.EXACT: 3, TextKind.ELEMENTS: 2, TextKind.PREFIX: 2, TextKind.REGEX: 1}
    return ranks.get(test.path.kind, 0), len(test.path.value)


def specificity(pattern: str) -> tuple[bool, int]:
    """How narrow a host pattern is: names in full before wildcards, long wildcards before short ones."""
    return "*" not in pattern, len(pattern)
