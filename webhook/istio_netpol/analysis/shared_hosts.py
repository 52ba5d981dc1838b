"""One finding for a host that has no address, or must not have one, with all who need it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from istio_netpol.model.findings import Finding, Issue

_OF_HOSTS = frozenset(
    {
        Issue.JWKS_UNRESOLVABLE,
        Issue.HOST_UNRESOLVABLE,
        Issue.JWKS_HOST_REFUSED,
        Issue.ADDRESS_REFUSED,
    }
)
_MOST_NAMED = 20


def one_per_host(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, in which several that say the same about a host become one: that of the first object
    that needs the host, with the others named."""
    found: list[Finding] = []
    alike: dict[tuple[object, str], list[Finding]] = {}
    for finding in findings:
        if finding.rule in _OF_HOSTS:
            sentence = finding.message.removeprefix(f"{finding.object}: ")
            alike.setdefault((finding.rule, sentence), []).append(finding)
        else:
            found.append(finding)
    return found + [_joined(sorted(group, key=lambda finding: finding.sort_key)) for group in alike.values()]


def _joined(alike: list[Finding]) -> Finding:
    first = alike[0]
    others = [
        name for name in dict.fromkeys(str(finding.object) for finding in alike) if name != str(first.object)
    ]
    if not others:
        return first
    more = [f"{len(others) - _MOST_NAMED} more"] if len(others) > _MOST_NAMED else []
    return replace(
        first, message=f"{first.message}; needed as well by {', '.join(others[:_MOST_NAMED] + more)}"
    )
