"""Decodes the ports of a pod to which the kubelet's probes connect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.manifests.fields import Fields

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
HANDLERS = ("httpGet", "tcpSocket", "grpc")
"""The kinds of probes that connect; `exec` runs within the container."""


def probe_ports(containers: Iterable[Fields]) -> tuple[int, ...]:
    """The ports that probes name, ascending. One with a `host` of its own does not connect to the pod."""
    found: set[int] = set()
    for container in containers:
        for probe in PROBES:
            if probe not in container.content:
                continue
            for handler in HANDLERS:
                target = container.mapping(probe).mapping(handler)
                if target.has("port") and not target.has("host"):
                    found.update(_numbers(target, container))
    return tuple(sorted(found))


def _numbers(target: Fields, container: Fields) -> Iterator[int]:
    """A port by number, or by the name that the container gives it."""
    port = target.integer_or_text("port")
    if isinstance(port, int):
        yield port
    elif port is not None:
        for declared in container.mappings("ports"):
            if declared.text("name") == port:
                yield declared.integer("containerPort")
