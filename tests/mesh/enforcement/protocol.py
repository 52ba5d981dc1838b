"""What an implementation of NetworkPolicies has to do, whichever it is."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from tests.mesh.enforcement.cluster import Cluster


class Style(StrEnum):
    """How a packet is refused: some plugins answer the sender, and some keep silent."""

    REJECT = "REJECT"
    DROP = "DROP"


class Enforcement(Protocol):
    """Judges the packets that a node forwards. Packets of the node itself always pass, as do those of
    connections that exist."""

    def enforce(self, cluster: Cluster, style: Style) -> None:
        """Has the policies of this cluster count, and no others, when it returns."""
        ...

    def lift(self) -> None:
        """Has everything pass."""
        ...
