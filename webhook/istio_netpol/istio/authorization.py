"""Evaluates AuthorizationPolicies for one connection, as far as possible before a request is made.

A match is YES, NO, or MAYBE where it depends on the request or on what the input does not hold. The policies
are asked in Istio's order: CUSTOM, then DENY, then ALLOW; where an ALLOW policy holds, what none matches is
refused.

Sources: istio.io/latest/docs/reference/config/security/authorization-policy/ and .../concepts/security/
#implicit-enablement (Istio 1.31); `pilot/pkg/security/authz/model/model.go`: on a port of plain TCP an ALLOW
rule with HTTP fields matches nothing, a DENY rule drops these fields; `handleRule` in
`pilot/pkg/serviceregistry/ambient/authorization.go`: the same at a ztunnel, which knows no CUSTOM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct, field

from istio_netpol.model.addresses import AddressSet, parse_networks
from istio_netpol.model.istio_security import (
    ANY_REQUEST,
    AuthorizationPolicy,
    AuthorizationRule,
    AuthorizationSource,
    PortMatch,
    RequestMatch,
)
from istio_netpol.model.request_matching import UNKNOWN_REQUEST, Match, RequestFacts
from istio_netpol.trust.identities import pattern_matches, principal_matches, service_account_matches

_SEEN_BY_ZTUNNEL = frozenset({"source.ip", "source.namespace", "source.principal", "destination.ip"})
"""The keys of conditions that ztunnel knows, besides the port."""

_OF_REQUESTS = frozenset({"notRequestPrincipals"})
"""The other fields of sources that need an HTTP request."""


class RequestSource(Struct, frozen=True):
    """Who connects, as the proxy sees it. `is_authenticated` says whether it shows a certificate of the mesh,
    without which it has no identity; `addresses` are None where they are not known."""

    namespace: str = ""
    service_account: str = ""
    trust_domains: tuple[str, ...] = ()
    is_authenticated: Match = Match.NO
    addresses: AddressSet | None = None


class Entrance(Struct, frozen=True):
    """Where a policy is enforced: on which port, and by which proxy. `is_http` is None where a port does not
    say what it speaks; `is_ztunnel` says that nothing of a request can be seen."""

    port: int
    is_http: bool | None = None
    is_ztunnel: bool = False

    @property
    def sees_no_request(self) -> bool:
        return self.is_ztunnel or self.is_http is False


class _Trial(Struct):
    """One rule under evaluation: `open` collects what its outcome depends on."""

    policy: AuthorizationPolicy
    caller: RequestSource
    entrance: Entrance
    request: RequestFacts
    open: list[str] = field(default_factory=list)

    def of_request(self, name: str) -> Match:
        """The match of a condition that needs an HTTP request. Where the proxy sees none, the condition is
        left out."""
        return Match.YES if self.entrance.sees_no_request else self.depends(name)

    def beyond_ztunnel(self, name: str) -> Match:
        """The match of a condition on what Envoy knows of a connection and ztunnel does not."""
        return Match.YES if self.entrance.is_ztunnel else self.depends(name)

    def depends(self, name: str) -> Match:
        """The match of a condition that nobody can tell."""
        self.open.append(name)
        return Match.MAYBE


class PolicyMatch(Struct, frozen=True):
    """The result of one policy: whether some rule of it matches, and what that depends on."""

    policy: AuthorizationPolicy
    match: Match
    open: tuple[str, ...] = ()


def ruling_of(
    policy: AuthorizationPolicy,
    caller: RequestSource,
    entrance: Entrance,
    request: RequestFacts = UNKNOWN_REQUEST,
) -> PolicyMatch:
    """Whether a policy's rules match a connection; without rules none does."""
    best, depends = Match.NO, dict[str, None]()
    for rule in policy.rules:
        trial = _Trial(policy, caller, entrance, request)
        match = _rule(rule, trial)
        if match is Match.MAYBE:
            depends.update(dict.fromkeys(trial.open))
        best = max(best, match)
    return PolicyMatch(policy, best, () if best is Match.YES else tuple(depends))


def _rule(rule: AuthorizationRule, trial: _Trial) -> Match:
    if trial.policy.action == "ALLOW" and _asks_too_much(rule, trial.entrance):
        return Match.NO
    operations = _any([_operation(operation, trial) for operation in rule.operations])
    sources = _any([_source(source, trial) for source in rule.sources])
    conditions = [Match.of(condition.admits(trial.entrance.port)) for condition in rule.conditions]
    others = [_condition(key, trial) for key in rule.others]
    return min([operations, sources, *conditions, *others])


def _asks_too_much(rule: AuthorizationRule, entrance: Entrance) -> bool:
    """Whether a rule asks for something that the proxy can't see on this connection."""
    of_request = (
        any(operation.request != ANY_REQUEST for operation in rule.operations)
        or any(source.request_principals or _OF_REQUESTS & {*source.others} for source in rule.sources)
        or any(key.startswith("request.") for key in rule.others)
    )
    if of_request or not entrance.is_ztunnel:
        return of_request and entrance.sees_no_request
    return bool({*rule.others} - _SEEN_BY_ZTUNNEL) or any(
        source.remote_ip_blocks or source.others for source in rule.sources
    )


def _condition(key: str, trial: _Trial) -> Match:
    if key.startswith("request."):
        return trial.of_request(key)
    return trial.depends(key) if key in _SEEN_BY_ZTUNNEL else trial.beyond_ztunnel(key)


def _any(matches: Sequence[Match]) -> Match:
    """The match of alternatives: one of them is enough, and an empty list asks for nothing."""
    return max(matches, default=Match.YES)


def _operation(operation: PortMatch, trial: _Trial) -> Match:
    ports = Match.of(operation.admits(trial.entrance.port))
    return min([ports, *_request(operation.request, trial)]) if ports is Match.YES else ports


def _request(wanted: RequestMatch, trial: _Trial) -> Iterator[Match]:
    known = trial.request
    host = known.host.lower()
    tests: tuple[tuple[str, tuple[str, ...], tuple[str, ...], Callable[[str], Match] | None], ...] = (
        ("hosts", wanted.hosts, wanted.not_hosts, (lambda entry: _host(entry, host)) if host else None),
        ("methods", wanted.methods, wanted.not_methods, None),
        ("paths", wanted.paths, wanted.not_paths, (lambda e: _path(e, known.path)) if known.path else None),
    )
    for name, values, exclusions, test in tests:
        if not values and not exclusions:
            continue
        if trial.entrance.sees_no_request or test is None:
            yield trial.of_request(name)
            continue
        found = min(
            _any([test(value) for value in values]),
            _any([test(value) for value in exclusions]).inverse() if exclusions else Match.YES,
        )
        yield trial.depends(name) if found is Match.MAYBE else found


def _host(pattern: str, host: str) -> Match:
    return Match.of(pattern_matches(pattern.lower(), host))


def _path(pattern: str, path: str) -> Match:
    """Templates (`{*}`, `{**}`) are left to the proxy."""
    return Match.MAYBE if "{" in pattern else Match.of(pattern_matches(pattern, path))


def _source(source: AuthorizationSource, trial: _Trial) -> Match:
    caller, home = trial.caller, trial.policy.ref.namespace
    identities: tuple[tuple[tuple[str, ...], tuple[str, ...], Callable[[str], bool]], ...] = (
        (
            source.principals,
            source.not_principals,
            lambda entry: principal_matches(
                entry, caller.trust_domains, caller.namespace, caller.service_account
            ),
        ),
        (
            source.namespaces,
            source.not_namespaces,
            lambda entry: pattern_matches(entry, caller.namespace),
        ),
        (
            source.service_accounts,
            source.not_service_accounts,
            lambda entry: service_account_matches(entry, home, caller.namespace, caller.service_account),
        ),
    )
    found = [match for values, others, test in identities for match in _identity(values, others, test, trial)]
    found += _addresses(source, trial)
    if source.request_principals:
        found.append(trial.of_request("requestPrincipals"))
    if source.remote_ip_blocks:
        found.append(trial.beyond_ztunnel("remoteIpBlocks"))
    found += [
        trial.of_request(name) if name in _OF_REQUESTS else trial.beyond_ztunnel(name)
        for name in source.others
    ]
    return min(found, default=Match.YES)


def _identity(
    values: tuple[str, ...], exclusions: tuple[str, ...], test: Callable[[str], bool], trial: _Trial
) -> Iterator[Match]:
    """A caller without a certificate is not in any list, and no list excludes it."""
    shown = trial.caller.is_authenticated
    for listed, is_exclusion in ((values, False), (exclusions, True)):
        if listed:
            match = min(shown, Match.of(any(map(test, listed))))
            if match is Match.MAYBE:
                trial.depends("whether the caller shows a certificate of the mesh")
            yield match.inverse() if is_exclusion else match


def _addresses(source: AuthorizationSource, trial: _Trial) -> Iterator[Match]:
    for entries, is_exclusion in ((source.ip_blocks, False), (source.not_ip_blocks, True)):
        if entries:
            match = _within(parse_networks(entries)[0], trial)
            yield match.inverse() if is_exclusion else match


def _within(listed: AddressSet, trial: _Trial) -> Match:
    own = trial.caller.addresses
    if own is not None and own <= listed:
        return Match.YES
    if own is not None and not own & listed:
        return Match.NO
    return trial.depends("the caller's address")


class AuthorizationDecision(Struct, frozen=True):
    """What policies of one action do to a connection; `passes` is None where that can't be told."""

    policies: tuple[AuthorizationPolicy, ...]
    passes: bool | None
    open: tuple[str, ...] = ()


def decisions(
    policies: Iterable[AuthorizationPolicy],
    caller: RequestSource,
    entrance: Entrance,
    request: RequestFacts = UNKNOWN_REQUEST,
) -> tuple[AuthorizationDecision, ...]:
    """The decisions in the order in which policies are asked; empty where no policy concerns the
    connection."""
    by_action: dict[str, list[PolicyMatch]] = {}
    for policy in policies:
        if not policy.is_on_trial:
            found = ruling_of(policy, caller, entrance, request)
            by_action.setdefault(policy.action, []).append(found)
    custom = [] if entrance.is_ztunnel else by_action.get("CUSTOM", [])
    asked = [
        AuthorizationDecision((ruling.policy,), None, ruling.open)
        for ruling in custom
        if ruling.match is not Match.NO
    ]
    denying = by_action.get("DENY", [])
    refusing = [
        AuthorizationDecision((ruling.policy,), False) for ruling in denying if ruling.match is Match.YES
    ]
    if refusing:
        return (*asked, *refusing)
    doubtful = [
        AuthorizationDecision((ruling.policy,), None, ruling.open)
        for ruling in denying
        if ruling.match is Match.MAYBE
    ]
    return (*asked, *doubtful, *_allowed(by_action.get("ALLOW", [])))


def _allowed(rulings: Sequence[PolicyMatch]) -> Iterator[AuthorizationDecision]:
    letting = [ruling for ruling in rulings if ruling.match is Match.YES]
    perhaps = [ruling for ruling in rulings if ruling.match is Match.MAYBE]
    if letting:
        yield AuthorizationDecision(tuple(ruling.policy for ruling in letting), True)
    elif perhaps:
        depends = dict.fromkeys(name for ruling in perhaps for name in ruling.open)
        yield AuthorizationDecision(tuple(ruling.policy for ruling in perhaps), None, tuple(depends))
    elif rulings:
        yield AuthorizationDecision(tuple(ruling.policy for ruling in rulings), False)
