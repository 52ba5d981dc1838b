"""One line of an Envoy access log: Istio's text format of all releases, Envoy's own, and JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

NOTHING = "-"
"""What Envoy logs where there is no value. A field that the line does not have is empty instead."""

_LONG_FLAGS = {
    "FailedLocalHealthCheck": "LH",
    "NoHealthyUpstream": "UH",
    "UpstreamRequestTimeout": "UT",
    "LocalReset": "LR",
    "UpstreamRemoteReset": "UR",
    "UpstreamConnectionFailure": "UF",
    "UpstreamConnectionTermination": "UC",
    "UpstreamOverflow": "UO",
    "NoRouteFound": "NR",
    "NoClusterFound": "NC",
    "DelayInjected": "DI",
    "FaultInjected": "FI",
    "RateLimited": "RL",
    "UnauthorizedExternalService": "UAEX",
    "RateLimitServiceError": "RLSE",
    "DownstreamConnectionTermination": "DC",
    "UpstreamRetryLimitExceeded": "URX",
    "UpstreamMaxStreamDurationReached": "UMSDR",
    "UpstreamProtocolError": "UPE",
    "DnsResolutionFailed": "DF",
    "StreamIdleTimeout": "SI",
    "DurationTimeout": "DT",
    "DownstreamProtocolError": "DPE",
    "InvalidEnvoyRequestHeaders": "IH",
    "OverloadManagerTerminated": "OM",
}
"""Envoy's `RESPONSE_FLAGS_LONG`: docs/root/configuration/observability/access_log/usage.rst, 1.34."""

FLAGS = frozenset({*_LONG_FLAGS.values(), "NFCF", "DO", "DR", "UDO", "CEC"})

_START = re.compile(
    r'"(?P<method>[A-Z-]{1,20}) (?P<path>[^\s"]{1,8000}) (?P<protocol>HTTP/[0-9.]{1,4}|-)"\s{1,8}'
    r"(?P<code>[0-9]{1,3})\s{1,8}(?P<flags>-|[A-Z][A-Za-z]{1,40}(?:,[A-Z][A-Za-z]{1,40}){0,8})(?=\s)"
)
_WORD = re.compile(r'"(?P<quoted>[^"]*)"|(?P<bare>\S+)')
_TAIL = (
    *("failure", "bytes_received", "bytes_sent", "duration", "service_time"),
    *("forwarded_for", "user_agent", "request_id"),
    *("authority", "upstream_host", "cluster", "local", "downstream_local", "downstream_remote"),
)
"""The fields of Istio's format from `UPSTREAM_TRANSPORT_FAILURE_REASON` on."""

_JSON_KEYS = {
    "method": "method",
    "code": "response_code",
    "flags": "response_flags",
    "details": "response_code_details",
    "failure": "upstream_transport_failure_reason",
    "duration": "duration",
    "authority": "authority",
    "upstream_host": "upstream_host",
    "cluster": "upstream_cluster",
    "local": "upstream_local_address",
    "downstream_local": "downstream_local_address",
    "downstream_remote": "downstream_remote_address",
}

_CLUSTER = re.compile(
    r"(?P<direction>outbound|inbound|inbound-vip)(?:\||_\.)(?P<port>\d{0,5})(?:\||_\.)"
    r"(?P<subset>[^|]{0,253}?)(?:\||_\.)(?P<host>[^|\s]{0,253})"
)


class AccessLine(Struct, frozen=True):
    """The fields that say how a connection went, as Envoy prints them: `-` where there was none, empty where
    the line does not have the field."""

    code: str = ""
    flags: frozenset[str] = frozenset()
    details: str = ""
    failure: str = ""
    duration: str = ""
    authority: str = ""
    upstream_host: str = ""
    cluster: str = ""
    local: str = ""
    downstream_local: str = ""
    downstream_remote: str = ""
    method: str = ""

    @property
    def reason(self) -> str:
        """All that the line says of why, with underscores for spaces, in lower case."""
        return f"{self.details} {self.failure}".lower().replace(" ", "_")

    @property
    def was_connected(self) -> bool | None:
        """Whether a connection to the upstream was ever made; None where the line does not say."""
        return None if not self.local else self.local != NOTHING

    @property
    def is_inbound(self) -> bool:
        """Whether the proxy passed the request on inside its own pod."""
        if self.cluster.startswith("inbound-vip"):
            return False
        return self.cluster.startswith(("inbound|", "inbound_.", "InboundPassthrough"))

    @property
    def goes_through_tunnel(self) -> bool:
        """Whether the upstream is reached through HBONE."""
        return "connect_originate" in self.upstream_host or self.upstream_host.endswith(":15008")

    @property
    def called(self) -> tuple[str, int] | None:
        """The host and the Service's port that the cluster names."""
        found = _CLUSTER.fullmatch(self.cluster)
        if found is None or found["direction"] == "inbound" or not found["host"]:
            return None
        return found["host"], int(found["port"] or 0)


_CHECKED = frozenset(AccessLine.__struct_fields__)


def access_line(line: str) -> AccessLine | None:
    """The line's fields, if it is one of an access log in text."""
    start = _START.search(line)
    if start is None or (not (flags := _flags(start["flags"])) and start["flags"] != NOTHING):
        return None
    values = dict(_values(line[start.end() :]))
    return AccessLine(code=start["code"], method=start["method"], flags=flags, **values)


def access_object(document: Mapping[str, Any]) -> AccessLine | None:
    """The same of a JSON object, if it is a line of an access log."""
    if "response_flags" not in document:
        return None
    values = {name: _text(document.get(key)) if key in document else "" for name, key in _JSON_KEYS.items()}
    flags = _flags(values.pop("flags"))
    if values["method"] == NOTHING:
        values["method"] = ""
    return AccessLine(flags=flags, **values)


def bare_flags(text: str) -> AccessLine | None:
    """What somebody says who names only flags: `UF,URX`."""
    flags = _flags(text)
    return AccessLine(flags=flags) if flags else None


def _flags(text: str) -> frozenset[str]:
    """The short names of response flags; none where one of them is not a flag."""
    names = [_LONG_FLAGS.get(name, name) for name in text.split(",")]
    return frozenset(names) if FLAGS.issuperset(names) else frozenset()


def _text(value: Any) -> str:
    return NOTHING if value is None or value == "" else str(value)


def _values(rest: str) -> Iterator[tuple[str, str]]:
    """The named fields after the flags. Which format it is, the first word tells: `"-"` of Mixer before Istio
    1.9, a number in Envoy's own, else the details."""
    found = [(match["quoted"] is not None, match["quoted"] or match["bare"] or "") for match in _words(rest)]
    if not found:
        return
    is_quoted, first = found[0]
    if is_quoted:
        names = ["", *_TAIL]
    elif first.isdecimal():
        names = list(_TAIL[1 : _TAIL.index("cluster")])
    else:
        names = ["details", "", *_TAIL]
    for name, (_, value) in zip(names, found, strict=False):
        if name in _CHECKED:
            yield name, value or NOTHING


def _words(rest: str) -> Iterator[re.Match[str]]:
    return _WORD.finditer(rest)
