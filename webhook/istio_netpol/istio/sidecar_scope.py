"""Finds what a Sidecar lets its workloads know: which hosts of which namespaces they can call by name."""

from __future__ import annotations

from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.istio_networking import Sidecar
from istio_netpol.model.workloads import Workload


def sidecar_of(view: MeshView, workload: Workload) -> Sidecar | None:
    """The Sidecar that holds for a workload: one that selects it, else its namespace's, else the root
    namespace's."""
    own = view.all(Sidecar, workload.namespace)
    selecting = (
        sidecar
        for sidecar in own
        if sidecar.workload_selector and sidecar.workload_selector.items() <= workload.labels.items()
    )
    default = (sidecar for sidecar in own if not sidecar.workload_selector)
    root = (sidecar for sidecar in view.all(Sidecar, view.root_namespace) if not sidecar.workload_selector)
    return next((sidecar for found in (selecting, default, root) for sidecar in found), None)


def knows(view: MeshView, workload: Workload, namespace: str, host: str) -> bool:
    """Whether a workload's proxy has the host of an object of a namespace in its configuration; a Sidecar
    without egress narrows nothing."""
    sidecar = sidecar_of(view, workload)
    return sidecar is None or lets_in(view, sidecar, workload, namespace, host)


def lets_in(
    view: MeshView, sidecar: Sidecar, workload: Workload, namespace: str, host: str, port: int = 0
) -> bool:
    """Whether a Sidecar lets a workload's proxy know the host of an object of a namespace, on a port of it
    where one is given: a listener with a port of its own is for that port only."""
    if not sidecar.egress:
        return True
    view.spend(sum(len(listener.hosts) for listener in sidecar.egress))
    return any(
        _names_namespace(entry.rpartition("/")[0], namespace, workload.namespace)
        and _covers(entry.rpartition("/")[2], host)
        for listener in sidecar.egress
        if 0 in (port, listener.port) or listener.port == port
        for entry in listener.hosts
    )


def _names_namespace(written: str, namespace: str, own: str) -> bool:
    return written in ("", "*") or (own if written == "." else written) == namespace


def _covers(pattern: str, host: str) -> bool:
    """`*.example.com` covers every name below example.com, also one with a wildcard of its own."""
    return pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
