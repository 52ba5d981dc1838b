"""The connections that the node of a mesh has forwarded: who has called whom in truth."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.mesh.topology import WORKER
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

NEW = re.compile(
    r"\[NEW\] ipv4 +\d+ (?P<protocol>tcp|udp) .* src=(?P<source>\S+) .*"
    r"\[UNREPLIED\] src=(?P<answering>\S+) dst=\S+ sport=(?P<port>\d+)"
)
"""A line of `conntrack --event`. Who answers is who was called, after the translation of Services."""

_NUMBERS = itertools.count(1)


class Connected(NamedTuple):
    """A connection as NetworkPolicies see it."""

    source: str
    destination: str
    protocol: str
    port: int


@dataclass(frozen=True, slots=True)
class Connections:
    """What conntrack notes down; nothing of what was refused, and nothing that the node itself began."""

    log: Path

    def so_far(self) -> set[Connected]:
        return {
            Connected(event["source"], event["answering"], event["protocol"].upper(), int(event["port"]))
            for event in NEW.finditer(self.log.read_text())
            if event["source"] != WORKER
        }


@contextlib.contextmanager
def noted(mesh: Mesh) -> Iterator[Connections]:
    """Notes connections down for as long as the block runs."""
    name = f"connections-{next(_NUMBERS)}"
    watch = (
        "conntrack",
        "--event",
        "--event-mask",
        "NEW",
        "--output",
        "extended",
        "--buffer-size",
        "8388608",
    )
    server = mesh.sandbox.start(name, *watch)
    try:
        # Probes of the kubelet come every second: the first that is seen says that conntrack listens.
        wait_until("conntrack notes connections down", lambda: "[NEW]" in server.log.read_text())
        yield Connections(server.log)
    finally:
        server.stop()
