"""What single values of the settings may be, beyond their type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Any

import yaml

from istio_netpol.model.addresses import DNS_PORT, parse_endpoint
from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.settings import CallerSettings, Mode, Settings
from istio_netpol.platforms.plugins import PLUGINS_BY_ID

_TAGS = {str: "str", int: "int", bool: "bool"}
_WORDS = {str: "a text", int: "a whole number", bool: "true or false"}
_STRICTNESS = (Mode.OFF, Mode.WARN, Mode.REJECT, Mode.AUGMENT)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST = re.compile(r"(\*|(\*\.)?[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*)")

_PAGES = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~%/-]*)?")
_INDEX = re.compile(r"\[\d+\]")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LONGEST_CONTACT = 120
"""Characters of what is told along with every denial."""


class WrongValueError(Exception):
    """A value that can't be taken: why, and what to write instead."""

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


def scalar(type_: type, node: yaml.ScalarNode) -> Any:
    """The node as a text, number or boolean, as YAML reads it. Raises WrongValueError for another type."""
    if node.tag != f"tag:yaml.org,2002:{_TAGS[type_]}":
        raise WrongValueError(f"is not {_WORDS[type_]}", "quote it" if type_ is str else None)
    if type_ is str:
        return str(node.value)
    return yaml.SafeLoader("").construct_object(node)


def enum_value(type_: type[StrEnum], text: str) -> StrEnum:
    """The member of that value, by its text as written: to YAML `off` would be a boolean."""
    known = [str(member) for member in type_]
    if text not in known:
        close = get_close_matches(text, known, n=1)
        raise WrongValueError(
            "is not known", f"did you mean {close[0]}?" if close else f"use {', '.join(known)}"
        )
    return type_(text)


def _between(low: int, high: int) -> Callable[[int], None]:
    def check(value: int) -> None:
        if not low <= value <= high:
            raise WrongValueError(f"is not between {low} and {high}")

    return check


def _at_least_one(value: int) -> None:
    if value < 1:
        raise WrongValueError("is less than 1")


def _address(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise WrongValueError("is not an IP address", "write it as 192.0.2.1 or 2001:db8::1") from None


def _cidr(text: str) -> None:
    try:
        ip_network(text, strict=False)
    except ValueError:
        raise WrongValueError("is not a CIDR", "write it as 192.0.2.0/24 or 2001:db8::/32") from None


def _address_or_empty(text: str) -> None:
    if text:
        _address(text)


def _address_or_host_or_empty(text: str) -> None:
    if not text:
        return
    try:
        ip_address(text)
    except ValueError:
        try:
            host_name(text)
        except WrongValueError:
            raise WrongValueError(
                "is neither an IP address nor a host name",
                "write what KUBERNETES_SERVICE_HOST is set to in a pod, such as 192.0.2.1 or api.example.com",
            ) from None


def _plugin(text: str) -> None:
    if text and text not in PLUGINS_BY_ID:
        close = get_close_matches(text, PLUGINS_BY_ID, n=1)
        known = f"use one of {', '.join(sorted(PLUGINS_BY_ID))}"
        raise WrongValueError(
            "is not the id of a network plugin", f"did you mean {close[0]}? Else {known}" if close else known
        )


def _namespace_or_empty(text: str) -> None:
    if text:
        _namespace(text)


def _name_server(text: str) -> None:
    if parse_endpoint(text, DNS_PORT) is None:
        raise WrongValueError(
            "is not a name server", "write it as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353"
        )


def _namespace(text: str) -> None:
    if not _NAMESPACE.fullmatch(text):
        raise WrongValueError(
            "is not a namespace name", "namespaces are lower-case letters, digits and '-', 63 at most"
        )


def _label_value(text: str) -> None:
    if not _LABEL_VALUE.fullmatch(text):
        raise WrongValueError(
            "is not the value of a label", "values are letters, digits, '-', '_' and '.', 63 at most"
        )


def _contact(text: str) -> None:
    """A name for a sentence: on one line, and short enough to leave room for the rest."""
    if not (text.isprintable() and len(text) <= _LONGEST_CONTACT):
        raise WrongValueError(
            f"is not one line of at most {_LONGEST_CONTACT} characters",
            "name a team, a channel or a URL, such as '#platform on Slack'",
        )


def _page_address(text: str) -> None:
    """Where pages are published, or nothing."""
    if text and not (_PAGES.fullmatch(text) and len(text) <= _LONGEST_CONTACT):
        raise WrongValueError("is not the address of pages", "write it as https://docs.example.com/rules")


def host_name(text: str) -> None:
    """Raises WrongValueError for what is not a host name in lower case."""
    if "*" in text or not _is_host(text):
        raise WrongValueError("is not a host name", "write it as example.com, in lower case")


def _rule_id(text: str) -> None:
    known = [str(rule) for ids in (FlowKind, Issue) for rule in ids]
    if text not in known:
        close = get_close_matches(text, known, n=1)
        raise WrongValueError(
            "is not the id of a rule",
            f"did you mean {close[0]}?" if close else f"use {', '.join(sorted(known))}",
        )


def _host_pattern(text: str) -> None:
    """A host name, `*`, or `*.` before a name."""
    if not _is_host(text):
        raise WrongValueError(
            "is not a host pattern", "write it as example.com, *.example.com or *, in lower case"
        )


def _is_host(text: str) -> bool:
    return len(text) <= 253 and _HOST.fullmatch(text) is not None


_port = _between(1, 65535)

LIMITS: dict[str, Callable[[Any], None]] = {
    "network.plugin": _plugin,
    "mesh.rootNamespace": _namespace,
    "mesh.discoveryPort": _port,
    "mesh.injectionWebhookPort": _port,
    "mesh.healthCheckSources": _cidr,
    "dns.namespace": _namespace,
    "dns.port": _port,
    "dns.nodeLocalAddress": _address_or_empty,
    "dns.addresses": _address,
    "dns.servers": _name_server,
    "apiServer.addresses": _cidr,
    "apiServer.port": _port,
    "apiServer.host": _address_or_host_or_empty,
    "apiServer.hostPort": _port,
    "apiServer.serviceAddress": _address_or_empty,
    "apiServer.callers.namespace": _namespace_or_empty,
    "apiServer.callers.namespaceLabels": _label_value,
    "apiServer.callers.podLabels": _label_value,
    "hosts.allowedHosts": _host_pattern,
    "hosts.allowedAddresses": _cidr,
    "hosts.knownAddresses": _address,
    "hosts.allowedPrivate": _cidr,
    "hosts.podCidrs": _cidr,
    "hosts.serviceCidrs": _cidr,
    "hosts.nodeCidrs": _cidr,
    "hosts.maxAddressesPerHost": _at_least_one,
    "hosts.maxAddressesPerNamespace": _at_least_one,
    "hosts.widestIpv4Block": _between(8, 32),
    "hosts.widestIpv6Block": _between(32, 128),
    "admission.ownNamespace": _namespace,
    "admission.exemptNamespaces": _namespace,
    "admission.trustedNamespaces": _namespace,
    "admission.contact": _contact,
    "admission.maxRequestBytes": _between(64 * 1024, 64 * 1024 * 1024),
    "controller.collectAfterSeconds": _at_least_one,
    "controller.takeBackAfterSeconds": _at_least_one,
    "controller.hostOverlapSeconds": _at_least_one,
    "controller.writesPerSecond": _at_least_one,
    "controller.staleAfterSeconds": _at_least_one,
    "admission.maxConnections": _between(64, 65536),
    "admission.maxConnectionsPerClient": _between(64, 65536),
    "admission.maxBufferedBytes": _between(1024 * 1024, 1024 * 1024 * 1024),
    "admission.requestSeconds": _between(1, 60),
    "admission.staleAfterSeconds": _at_least_one,
    "admission.maxPoliciesPerObject": _at_least_one,
    "admission.maxPoliciesPerNamespace": _at_least_one,
    "admission.writesPerSecond": _at_least_one,
    "limits.flowsPerObject": _at_least_one,
    "limits.findingsPerObject": _at_least_one,
    "limits.lookupsPerObject": _at_least_one,
    "limits.reviewSeconds": _between(1, 29),
    "scrapeNamespaces": _namespace,
    "rulePages": _page_address,
}
"""The check of each value by its path without indexes and keys that a user chooses; of a list or a mapping,
of each value in it."""

KEYS: dict[str, Callable[[str], None]] = {"hosts.knownAddresses": host_name, "severities": _rule_id}
"""The check of the keys that a user chooses, by the path of their mapping."""


def limit_of(path: str) -> Callable[[Any], None] | None:
    """The check of a value by where it stands: `hosts.podCidrs[0]`, `apiServer.callers[1].podLabels.app`."""
    parts = _INDEX.sub("", path).split(".")
    depths = (depth for depth in (3, 2, 1) if ".".join(parts[:depth]) in LIMITS)
    depth = next(depths, None)
    return LIMITS[".".join(parts[:depth])] if depth else None


def contradictions(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Path, cause and remedy of what is right by itself and wrong together."""
    admission, hosts = settings.admission, settings.hosts
    for host, addresses in hosts.known_addresses.items():
        path = f"hosts.knownAddresses.{host}"
        if not addresses:
            yield path, "has no address", "name one, or leave the host out"
    floor, default = admission.floor, admission.default_mode
    if floor is not None and _STRICTNESS.index(default) < _STRICTNESS.index(floor):
        yield (
            "admission.floor",
            f"is {floor}, but admission.defaultMode is {default}, which is looser",
            f"set admission.defaultMode to {floor} as well",
        )
    if hosts.max_addresses_per_host > hosts.max_addresses_per_namespace:
        yield (
            "hosts.maxAddressesPerHost",
            f"is {hosts.max_addresses_per_host}, more than hosts.maxAddressesPerNamespace "
            f"({hosts.max_addresses_per_namespace}) permits",
            "lower it",
        )
    yield from _callers(settings.api_server.callers)
    if not settings.dns.pods and not (settings.dns.addresses or settings.dns.node_local_address):
        yield "dns.pods", "is false, but no address answers DNS", "name those that do in dns.addresses"
    if settings.check_scrape and not settings.scrape_namespaces:
        yield "checkScrape", "is true, but scrapeNamespaces is empty", "name the namespaces that scrape"


def _callers(callers: Sequence[CallerSettings]) -> Iterator[tuple[str, str, str]]:
    for index, caller in enumerate(callers):
        path = f"apiServer.callers[{index}]"
        if not (caller.namespace or caller.namespace_labels):
            yield path, "names no namespace", "add namespace or namespaceLabels"
        if not caller.pod_labels:
            yield (
                path,
                "names no labels of pods",
                "add podLabels: whoever else runs there would be let in, too",
            )
