"""What injection adds to pods that a selector can see.

A template does not show it, but policies select running pods: a peer by this label means every pod with a
proxy. Source: `pkg/kube/inject/inject.go` and `webhook.go`, Istio 1.28 to 1.32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from istio_netpol.istio.view.injection import injection_of
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.model.settings import MeshSettings
from istio_netpol.model.workloads import Workload
from istio_netpol.state.snapshot import Snapshot

TLS_MODE_LABEL = "security.istio.io/tlsMode"


def as_injected(
    snapshot: Snapshot, settings: MeshSettings, namespaces: Iterable[str] | None = None
) -> Snapshot:
    """The snapshot with the label on the pods of templates that will be injected; of these namespaces, or
    of all."""
    names = snapshot.namespace_names if namespaces is None else sorted(namespaces)
    found = (each for name in names for each in snapshot.of_type(Workload, name))
    return snapshot.with_changes(put=_labelled(found, snapshot, settings))


def with_injected(snapshot: Snapshot, settings: MeshSettings, workloads: Sequence[Workload]) -> Snapshot:
    """The snapshot after these workloads were stored, with the label where they will be injected."""
    labelled = {each.ref: each for each in _labelled(workloads, snapshot, settings)}
    return snapshot.with_changes(put=[labelled.get(each.ref, each) for each in workloads])


def _labelled(
    workloads: Iterable[Workload], snapshot: Snapshot, settings: MeshSettings
) -> Iterator[Workload]:
    injectors = Injectors(snapshot, settings.root_namespace)
    for workload in workloads:
        if TLS_MODE_LABEL not in workload.labels:
            namespace = snapshot.namespace(workload.namespace)
            if injection_of(workload, namespace, settings, injectors).injected:
                yield replace(workload, labels={**workload.labels, TLS_MODE_LABEL: "istio"})
