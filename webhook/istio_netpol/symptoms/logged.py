"""What the fields of an access log's line say together: conditions of the table's rows."""

from __future__ import annotations

import re
from collections.abc import Callable

from istio_netpol.symptoms.access_line import NOTHING, AccessLine

_REFUSED = re.compile("refused|_111|no_route|_113|_101|unreachable|invalid_argument|immediate_connect_error")
_KEYS = re.compile("verification_fail|have_key|remote_fetch")
_QUICK = 1000
"""Milliseconds in which a refusal is back, while Istio waits ten seconds for an answer."""

_UNREACHED = frozenset({"UF", "UH", "UC", "UR", "UT", "URX", "LR", "UPE"})
_ROUTING = frozenset({"NR", "NC", "NFCF", "FI", "DI", "RL"})
_LIMITS = frozenset({"SI", "DT", "UMSDR", "IH", "DPE", "LH", "OM", "DO", "DR", "UDO", "CEC"})


def says(text: str) -> Callable[[AccessLine], bool]:
    """Whether the details or the failure reason hold the text, which has underscores for spaces."""
    return lambda line: text in line.reason


def flagged(*flags: str) -> Callable[[AccessLine], bool]:
    """Whether the line has one of the flags."""
    wanted = frozenset(flags)
    return lambda line: not wanted.isdisjoint(line.flags)


def concerns_keys(line: AccessLine) -> bool:
    """Whether a token was refused for want of a key."""
    return _KEYS.search(line.reason) is not None


def was_not_routed(line: AccessLine) -> bool:
    """Whether no connection was tried, since no route or cluster was there."""
    return (
        not _ROUTING.isdisjoint(line.flags)
        or line.details == "direct_response"
        or line.cluster in ("BlackHoleCluster", "block_all")
    )


def failed_in_the_pod(line: AccessLine) -> bool:
    """Whether the last step failed, from the proxy to the application beside it."""
    return line.is_inbound and not _UNREACHED.isdisjoint(line.flags)


def was_refused(line: AccessLine) -> bool:
    """Whether somebody said no to the connection, instead of nobody saying anything."""
    if "UF" not in line.flags:
        return False
    return _REFUSED.search(line.reason) is not None or (
        line.duration.isdecimal() and int(line.duration) < _QUICK and "timeout" not in line.reason
    )


def got_no_answer(line: AccessLine) -> bool:
    """Whether nobody answered attempts to connect."""
    return "UF" in line.flags and bool(line.details or line.failure) and not was_refused(line)


def could_not_connect(line: AccessLine) -> bool:
    """Whether connecting failed, and the line does not say how."""
    return "UF" in line.flags or ("URX" in line.flags and not line.details)


def ran_out_unconnected(line: AccessLine) -> bool:
    """Whether the route's timeout ended before there was a connection."""
    return "UT" in line.flags and line.was_connected is False


def ran_out_connected(line: AccessLine) -> bool:
    """Whether it ended while a connection was there."""
    return "UT" in line.flags and line.was_connected is True


def was_ejected(line: AccessLine) -> bool:
    """Whether all hosts were taken out after connections to them had failed."""
    return "UH" in line.flags and line.failure not in ("", NOTHING)


def broke_in_tunnel(line: AccessLine) -> bool:
    """Whether what carries the connection through HBONE closed it."""
    return line.goes_through_tunnel and not line.flags.isdisjoint({"UC", "UR", "UPE", "LR"})


def met_a_limit(line: AccessLine) -> bool:
    """Whether the proxy itself ended the request: time limits, headers, overload."""
    return not _LIMITS.isdisjoint(line.flags)


def example(
    code: str,
    flags: str,
    details: str = NOTHING,
    *,
    failure: str = NOTHING,
    host: str = "10.1.2.3:8080",
    cluster: str = "outbound|80||cart.shop.svc.cluster.local",
    local: str = NOTHING,
) -> str:
    """How Istio logs a request since 1.9, up to the field that says whether there was a connection."""
    return (
        f'"GET / HTTP/1.1" {code} {flags} {details} - "{failure}" 0 24 999 - "-" "-" "-" "shop.example.com" '
        f'"{host}" {cluster} {local}'
    )
