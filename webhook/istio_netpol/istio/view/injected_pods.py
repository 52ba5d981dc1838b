"""Adds to pods what injection adds and a selector can see.

A template does not show it, but policies select running pods: a peer by this label means every pod with a
proxy. Source: `pkg/kube/inject/inject.go` and `webhook.go`, Istio 1.28 to 1.32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from istio_netpol.istio.view.injection import injection_of
from istio_netpol.istio.view.injectors import Injectors
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.control_plane import InjectorConfig, RegisteredInjector, RevisionTag
from istio_netpol.model.settings import MeshSettings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.reader import NO_ANSWERS, Answers, Reader
from istio_netpol.state.snapshot import Snapshot

TLS_MODE_LABEL = "security.istio.io/tlsMode"

_INJECTORS = (InjectorConfig, RegisteredInjector, RevisionTag)
"""What says who is injected: what is asked of injectors rests on these alone."""


def as_injected(snapshot: Snapshot, settings: MeshSettings) -> Snapshot:
    """The snapshot with the label on the pods of templates that will be injected."""
    labelled = _Labelled(snapshot, settings)
    found = (pods for name in snapshot.namespace_names for pods in snapshot.of_type(Workload, name))
    return snapshot.with_changes(put=[after for pods in found if (after := labelled(pods)) is not pods])


def with_injected(
    before: Snapshot,
    stored: Callable[[], Snapshot],
    put: Sequence[ClusterObject],
    remove: Sequence[ClusterObject],
    settings: MeshSettings,
    answers: Answers = NO_ANSWERS,
) -> tuple[Snapshot, tuple[ClusterObject, ...]]:
    """The snapshot with the labels after objects were stored and deleted, and all objects in which it may
    differ; `stored` gives the cluster after the change without them, where that matters, `answers` what was
    asked of the cluster before.

    Injection gives other labels to the pods that changed, to those of namespaces that did, and to all where
    an injector did.
    """
    others = [value for value in put if not isinstance(value, Workload)]
    snapshot = before.with_changes(others, remove) if others or remove else before
    homes = _injected_anew((*put, *remove), before, snapshot, settings)
    if len(others) == len(put) and not homes:
        return snapshot, (*others, *remove)
    is_other = any(isinstance(value, _INJECTORS) for value in (*put, *remove))
    labelled = _Labelled(snapshot, settings, NO_ANSWERS if is_other else answers)
    pods = [labelled(value) for value in put if isinstance(value, Workload)]
    snapshot = snapshot.with_changes(pods) if pods else snapshot
    known = stored() if homes else snapshot
    anew = [
        after
        for home in homes
        for workload in known.of_type(Workload, home)
        if not snapshot.holds(after := labelled(workload))
    ]
    return snapshot.with_changes(anew) if anew else snapshot, (*others, *remove, *pods, *anew)


def _injected_anew(
    changed: Sequence[ClusterObject], before: Snapshot, after: Snapshot, settings: MeshSettings
) -> Sequence[str]:
    """The namespaces whose pods may be injected otherwise than before."""
    if any(isinstance(value, _INJECTORS) for value in changed):
        were, are = (_answers(snapshot, settings) for snapshot in (before, after))
        if were != are:
            return after.namespace_names
    return sorted({value.name for value in changed if isinstance(value, Namespace)})


def _answers(snapshot: Snapshot, settings: MeshSettings) -> tuple[object, ...]:
    """Everything that injection asks of the injectors."""
    injectors = Injectors(Reader(snapshot), settings.root_namespace)
    return injectors.tags(), injectors.registered(), injectors.configs()


class _Labelled:
    """Labels workloads by the injectors and namespaces of a snapshot."""

    def __init__(self, snapshot: Snapshot, settings: MeshSettings, answers: Answers = NO_ANSWERS) -> None:
        self._snapshot = snapshot
        self._settings = settings
        self._injectors = Injectors(Reader(snapshot, answers), settings.root_namespace)

    def __call__(self, workload: Workload) -> Workload:
        """The workload as a selector sees its pods."""
        if TLS_MODE_LABEL in workload.labels:
            return workload
        namespace = self._snapshot.namespace(workload.namespace)
        if not injection_of(workload, namespace, self._settings, self._injectors).labels_tls:
            return workload
        return replace(workload, labels={**workload.labels, TLS_MODE_LABEL: "istio"})
