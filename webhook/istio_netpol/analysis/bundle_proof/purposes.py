"""What rules of a bundle may be for besides required flows, as a control plane tells it."""

from __future__ import annotations

from msgspec.structs import replace

from istio_netpol.flows.table import FlowTable
from istio_netpol.model.flows import FlowKind, PodsPeer
from istio_netpol.model.settings import Settings
from istio_netpol.policy_lint.purposes import Purposes
from istio_netpol.state.snapshot import Snapshot


def purposes_of(snapshot: Snapshot, settings: Settings) -> Purposes:
    """The ports on which workloads offer metrics, unless the settings say who scrapes; and whether the mesh
    config says where spans go."""
    asked = settings if settings.check_scrape else replace(settings, check_scrape=True, scrape_namespaces=())
    table = FlowTable.of(snapshot, asked)
    metrics = frozenset(
        (flow.destination.key, flow.port)
        for flow in table.flows()
        if flow.kind is FlowKind.SCRAPE and isinstance(flow.destination, PodsPeer)
    )
    are_spans_known = table.view.mesh_config() is not None
    return Purposes(snapshot, frozenset() if settings.check_scrape else metrics, are_spans_known)
