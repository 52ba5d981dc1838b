"""What a line says of who connected to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.symptoms.access_line import NOTHING, AccessLine

_NAME = "[a-z0-9][-a-z0-9.]{0,252}"
_WRITER = re.compile(
    rf"^\s{{0,40}}\[?pod/(?P<pod>{_NAME})/[a-z0-9-]{{1,63}}\]?\s"
    rf"|^(?:(?P<space>{_NAME}) )?(?P<stern>{_NAME}) (?:istio-proxy|discovery|ztunnel|istio-init"
    rf"|install-cni)\s"
)
"""What `kubectl logs --prefix` and stern put before a line."""

_EVENT = re.compile(
    rf"(?:^\s{{0,40}}(?P<space>{_NAME})\s{{1,60}})?\d{{1,6}}[smhd]\S{{0,12}}(?: \(x\d+ over \S+\))?\s{{1,60}}"
    rf"(?:Warning|Normal)\s{{1,60}}\S{{1,60}}\s{{1,60}}(?P<kind>pod|replicaset|statefulset|daemonset|job)/(?P<pod>{_NAME})"
)
_LABELS = re.compile(r'\b(?P<key>[a-z_.]{3,40})="?(?P<value>[^",\s}]{1,300})')
_POD_KEYS = ("pod_name", "podname", "pod", "pod.name", "k8s.pod.name")
_NAMESPACE_KEYS = ("namespace_name", "namespace", "namespace.name", "k8s.namespace.name")
_URL = re.compile(r"[a-z]{2,8}://(?P<host>\[[0-9a-f:]{2,45}\]|[^/:\s\"?#@]{1,253})(?::(?P<port>\d{1,5}))?")
_CALL = re.compile(r'\b(?:Get|Post|Put|Patch|Delete) "?(?P<url>https?://[^"\s]{1,500})')
_CONNECT_TO = re.compile(
    r"connect(?:ion|ing)? to (?:server at )?\"?(?P<host>[a-z0-9][a-z0-9.:-]{0,252}?)\"?(?: "
    r"\([^)]{0,60}\))?(?:,? port |:)"
    r"(?P<port>\d{1,5})\b|\bhost='(?P<host2>[^']{1,253})', port=(?P<port2>\d{1,5})"
    r"|remote host \((?P<host3>[0-9a-f.:]{2,45})\)",
    re.IGNORECASE,
)
_IS_ADDRESS = re.compile(r"[0-9.]{7,15}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")


class ConnectionFacts(Struct, frozen=True):
    """Who connected to whom, as far as a line says; empty where it does not.

    `pod` wrote the line, or the line is about it; `namespace` is its namespace. Of `own_addresses` the first
    that a pod has is that pod's. `host` or `address`, and `port`, are what it called. `policy` is an
    AuthorizationPolicy as Envoy or ztunnel names it. `server` names who answered, where it is not a proxy of
    the mesh.
    """

    pod: str = ""
    namespace: str = ""
    own_addresses: tuple[str, ...] = ()
    host: str = ""
    address: str = ""
    port: int = 0
    policy: str = ""
    server: str = ""

    def over(self, other: ConnectionFacts) -> ConnectionFacts:
        """These facts, with another's where these have none."""
        if other == ConnectionFacts():
            return self
        has_subject = bool(self.pod or self.namespace)
        has_target = bool(self.host or self.address)
        subject, target = self if has_subject else other, self if has_target else other
        return ConnectionFacts(
            subject.pod,
            subject.namespace or (other.namespace if subject.pod == other.pod else ""),
            self.own_addresses or other.own_addresses,
            target.host,
            target.address,
            target.port or self.port,
            self.policy or other.policy,
            self.server or other.server,
        )


NO_FACTS = ConnectionFacts()


def of_writer(line: str) -> ConnectionFacts:
    """The pod that a prefix or an event names."""
    found = _WRITER.search(line)
    if found is not None:
        return ConnectionFacts(found["pod"] or found["stern"], found["space"] or "")
    event = _EVENT.search(line)
    return NO_FACTS if event is None else ConnectionFacts(event["pod"], event["space"] or "")


def of_match(match: re.Match[str]) -> ConnectionFacts:
    """What the groups of a row's pattern found."""
    groups = {key.rstrip("23"): value for key, value in match.groupdict().items() if value}
    facts = ConnectionFacts(
        groups.get("pod", ""),
        groups.get("namespace", ""),
        host=_host(groups.get("host", "")),
        address=groups.get("address", "").strip("[]"),
        port=int(groups.get("port", 0)),
        policy=groups.get("policy", ""),
    )
    call = _CALL.search(match.string, match.start())
    if url := groups.get("url") or ("" if facts.host or facts.address or call is None else call["url"]):
        facts = _called(facts, url)
    if not (facts.host or facts.address):
        facts = _connected(facts, match.string)
    if groups.get("cluster"):
        called = AccessLine(cluster=groups["cluster"]).called
        facts = replace(facts, host=called[0], port=called[1], address="") if called else facts
    if facts.host and _IS_ADDRESS.fullmatch(facts.host):
        facts = replace(facts, host="", address=facts.host)
    return facts


def of_labels(text: str) -> ConnectionFacts:
    """What ztunnel's log and Istio's metrics say in labels (`src.workload="cart"`)."""
    labels = {match["key"]: match["value"] for match in _LABELS.finditer(text)}
    service = labels.get("dst.service") or labels.get("destination_service") or ""
    address, _, port = labels.get("dst.hbone_addr", labels.get("dst.addr", "")).rpartition(":")
    pod = labels.get("src.workload") or labels.get("source_workload") or ""
    return ConnectionFacts(
        "" if pod == "unknown" else pod,
        labels.get("src.namespace") or labels.get("source_workload_namespace") or "",
        host="" if service == "unknown" else service,
        address="" if service else address.strip("[]"),
        # Beside a Service it is the port of the tunnel, which is none of the Service's.
        port=int(port) if port.isdecimal() and not service else 0,
    )


def of_document(document: Mapping[str, Any]) -> ConnectionFacts:
    """What a collector of logs adds to a line: pod and namespace."""
    places = [document, *(part for part in document.values() if isinstance(part, Mapping))]

    def value(keys: tuple[str, ...]) -> str:
        found = (place.get(key) for place in places for key in keys)
        return next((value for value in found if isinstance(value, str) and len(value) < 254), "")

    pod = value(_POD_KEYS)
    return ConnectionFacts(pod, value(_NAMESPACE_KEYS)) if pod else NO_FACTS


def of_access_line(line: AccessLine) -> ConnectionFacts:
    """The two ends of the connection that a proxy made: it connects, to what its cluster names, else to the
    address that it tried."""
    own = _writers(line)
    called = line.called
    if called is not None:
        return ConnectionFacts(own_addresses=own, host=called[0], port=called[1])
    address, port = _address(line.upstream_host)
    return ConnectionFacts(own_addresses=own, address=address, port=port)


def _writers(line: AccessLine) -> tuple[str, ...]:
    """Addresses of which the first that a pod has is that of the line's own pod.

    A gateway's client connects to the gateway's address. What a sidecar takes from its own application was
    sent to somebody else: a Service, or the very pod that is called.
    """
    upstream = _address(line.upstream_host)[0]
    received_at = _address(line.downstream_local)[0]
    sent_from = _address(line.downstream_remote)[0]
    candidates = (_address(line.local)[0], "" if received_at == upstream else received_at, sent_from)
    return tuple(dict.fromkeys(filter(None, candidates)))


def _connected(facts: ConnectionFacts, text: str) -> ConnectionFacts:
    """The end that a client names beside its complaint."""
    found = _CONNECT_TO.search(text)
    if found is None:
        return facts
    host = _host(found["host"] or found["host2"] or found["host3"])
    return replace(facts, host=host, port=int(found["port"] or found["port2"] or 0))


def _called(facts: ConnectionFacts, url: str) -> ConnectionFacts:
    found = _URL.match(url)
    if found is None:
        return facts
    port = int(found["port"]) if found["port"] else {"http": 80}.get(url.partition(":")[0], 443)
    return replace(facts, host=found["host"].strip("[]"), port=port, address="")


def _host(text: str) -> str:
    return text.strip("'\"[](),;").rstrip(".").lower()


def _address(text: str) -> tuple[str, int]:
    """The address and the port of `10.1.2.3:8080` or `[fd00::1]:8080`; empty for anything else."""
    address, colon, port = text.rpartition(":")
    address = address.strip("[]")
    if text == NOTHING or not colon or not port.isdecimal() or not _IS_ADDRESS.fullmatch(address):
        return "", 0
    return address, int(port)
