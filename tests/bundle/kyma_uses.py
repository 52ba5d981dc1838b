"""Modules of Kyma that need a component of the bundle each."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from tests.bundle.kyma_cluster import kyma_modules, usual_kyma


class Use(Struct, frozen=True):
    """Modules that need a component, and the backend of their eventing."""

    modules: tuple[str, ...]
    beside: tuple[str, ...] = ()
    backend: str = "NATS"

    def cluster(self) -> list[Any]:
        """The usual control plane with these modules."""
        return [*usual_kyma(), *kyma_modules(*self.modules, backend=self.backend)]


USES = {
    "kyma-application-connector": Use(
        ("application-connector", "eventing", "nats"), ("kyma-eventing", "kyma-nats")
    ),
    "kyma-btp-operator": Use(("btp-operator",)),
    "kyma-connectivity-proxy": Use(("connectivity-proxy",)),
    "kyma-event-mesh": Use(("eventing",), ("kyma-eventing",), "EventMesh"),
    "kyma-eventing": Use(("eventing", "nats"), ("kyma-nats",)),
    "kyma-keda": Use(("keda",)),
    "kyma-nats": Use(("eventing", "nats"), ("kyma-eventing",)),
    "kyma-oathkeeper": Use(("api-gateway",)),
    "kyma-rt-bootstrapper": Use(("rt-bootstrapper",)),
    "kyma-warden": Use(("warden",)),
}
