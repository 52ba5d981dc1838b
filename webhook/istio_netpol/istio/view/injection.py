"""Tells which pods get a sidecar, which are captured by ambient mode, and what of injection a selector can
see.

Sources: the webhooks of the `istiod` chart (`istio-discovery/templates/mutatingwebhook.yaml`),
`injectRequired` in `pkg/kube/inject/inject.go`, and `PodRedirectionEnabled` in `cni/pkg/util/podutil.go`, all
Istio 1.28 to 1.32.

A template does not show the label `security.istio.io/tlsMode` that injection adds, but policies select
running pods: a peer by it means every pod with a proxy. Source: `pkg/kube/inject/inject.go` and
`webhook.go`, Istio 1.28 to 1.32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.istio.view.injectors import Injectors, canonical_revision
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.control_plane import (
    AMBIENT_LABEL,
    INJECTION_LABEL,
    REVISION_LABEL,
    STATUS_ANNOTATION,
    TEMPLATES_ANNOTATION,
    InjectorConfig,
    RegisteredInjector,
    RevisionTag,
)
from istio_netpol.model.labels import Labels
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.settings import MeshSettings
from istio_netpol.model.workloads import Namespace, Workload
from istio_netpol.state.reader import NO_ANSWERS, EarlierAnswers, Reader
from istio_netpol.state.snapshot import Snapshot

INJECT_LABEL = "sidecar.istio.io/inject"

IGNORED_NAMESPACES = KUBERNETES_NAMESPACES | {"local-path-storage"}
"""The namespaces in which the injector never acts, whatever labels say."""

ZTUNNEL_LABELS = {"app": "ztunnel"}
"""ztunnel's container is called istio-proxy too (`ztunnel` chart)."""


class Injection(Struct, frozen=True):
    """Whether pods run an Istio proxy, and why; `revision` is empty for the default control plane.

    `asks_in_plain` says that they have a gRPC library instead, which asks istiod without TLS; `labels_tls`
    that injection labels them with their TLS mode; `unknown_template` names a template of theirs that nobody
    knows. `next_start` is what they get when their controller makes them anew, where that is more than they
    have, or of another revision."""

    injected: bool
    revision: str
    reason: str
    asks_in_plain: bool = False
    labels_tls: bool = False
    unknown_template: str = ""
    next_start: Injection | None = None

    @property
    def until_next_start(self) -> str:
        """The beginning of a reason that concerns pods as their controller will make them anew."""
        have = (
            f"have the proxy of revision {self.revision or 'default'}" if self.injected else "run without it"
        )
        return f"its pods {have}, and from their next start on "


def injection_of(
    workload: Workload, namespace: Namespace, settings: MeshSettings, injectors: Injectors
) -> Injection:
    """Whether the workload's pods run an Istio proxy; a proxy that was seen in them settles it."""
    found = _injection(workload, namespace, settings, injectors)
    following = found.next_start
    if following is not None:
        following = replace(following, revision=injectors.revision(following.revision))
    return replace(found, revision=injectors.revision(found.revision), next_start=following)


def _injection(
    workload: Workload, namespace: Namespace, settings: MeshSettings, injectors: Injectors
) -> Injection:
    revision = _seen_revision(workload, namespace)
    is_injected = STATUS_ANNOTATION in workload.annotations
    if workload.has_proxy:
        if is_ztunnel(workload) and not is_injected:
            return Injection(False, revision, "ztunnel is not a sidecar")
        seen = Injection(True, revision, "its pods have an istio-proxy container", labels_tls=True)
        if not is_injected or not workload.exists or not _is_made_anew(workload):
            return seen
        expected = _expected(workload, namespace, settings, injectors)
        return _until_made_anew(seen, expected, injectors)
    expected = _expected(workload, namespace, settings, injectors)
    if is_injected:
        seen = Injection(True, revision, f"its pods have annotation {STATUS_ANNOTATION}")
        found = _by_templates(seen, workload, injectors)
        # A template that adds a proxy would have left the proxy there, so somebody else wrote the annotation.
        expected = expected if found.injected else found
    return _as_seen(expected, workload, is_injected=is_injected) if workload.exists else expected


def _as_seen(expected: Injection, workload: Workload, *, is_injected: bool) -> Injection:
    """The injection of pods that run without a proxy: a library, if they were injected.

    Pods that stand for their controller say what it gives the next ones; a template with other labels stands
    for itself. A pod that nobody makes anew, or that the kubelet does, stays as it is."""
    has_library = is_injected and expected.asks_in_plain
    reason = expected.reason if has_library else "its pods run without an istio-proxy container"
    seen = Injection(False, expected.revision, reason, asks_in_plain=has_library)
    gains = expected.injected or (expected.asks_in_plain and not has_library)
    return replace(seen, next_start=expected) if _is_made_anew(workload) and gains else seen


def _until_made_anew(seen: Injection, expected: Injection, injectors: Injectors) -> Injection:
    """The injection of pods that were injected: those of a new revision get the proxy of the old one until
    they are made anew (https://istio.io/latest/docs/setup/upgrade/canary/, "Data plane"; Istio 1.28)."""
    is_same = injectors.revision(expected.revision) == injectors.revision(seen.revision)
    return replace(seen, next_start=expected) if expected.injected and not is_same else seen


def _is_made_anew(workload: Workload) -> bool:
    """Whether somebody makes pods like these again, with the injector's help."""
    is_static = workload.owner is not None and workload.owner.kind == "Node"
    return workload.ref.kind != "Pod" and not is_static


def _expected(
    workload: Workload, namespace: Namespace, settings: MeshSettings, injectors: Injectors
) -> Injection:
    """The injection of a template's pods when they are created."""
    if workload.host_network:
        return Injection(False, "", "hostNetwork pods are never injected")
    if namespace.name in IGNORED_NAMESPACES:
        return Injection(False, "", f"the injector ignores namespace {namespace.name}")
    by_default = settings.enable_namespaces_by_default or injectors.injects_by_default
    matched = _matching_webhook(workload.labels, namespace, by_default)
    if matched.injected and not injectors.serve(matched.revision):
        named = matched.revision or "default"
        return Injection(False, "", f"{matched.reason}, and the cluster has no injector of revision {named}")
    return _as_configured(matched, workload, injectors) if matched.injected else matched


def _as_configured(matched: Injection, workload: Workload, injectors: Injectors) -> Injection:
    """The injector's decision on a pod that it is asked about.

    The pod's label beats the annotation. In both, the injector knows only the words true and false; its
    configuration concerns pods that say neither.
    """
    wish = workload.labels.get(INJECT_LABEL, workload.annotations.get(INJECT_LABEL))
    if wish == "false":
        return Injection(False, "", f"its pods have annotation {INJECT_LABEL}=false")
    if wish != "true":
        objection = injectors.objection(injectors.revision(matched.revision), workload)
        if objection:
            return Injection(False, "", objection)
    return _by_templates(matched, workload, injectors)


def _by_templates(matched: Injection, workload: Workload, injectors: Injectors) -> Injection:
    """The injection by the templates of pods that are injected: some templates add no proxy."""
    adds, unknown = injectors.templates(injectors.revision(matched.revision), workload)
    found = replace(matched, asks_in_plain=adds.asks_in_plain, labels_tls=adds.labels_tls)
    if adds.adds_proxy:
        return found
    named = workload.annotations.get(TEMPLATES_ANNOTATION)
    whose = f"annotation {TEMPLATES_ANNOTATION}={named} names" if named else "the injector's default is"
    reason = f"{whose} a template that adds no proxy"
    return replace(found, injected=False, reason=reason, unknown_template=unknown)


def is_ztunnel(workload: Workload) -> bool:
    """Whether the pods are the node proxies of ambient mode."""
    return ZTUNNEL_LABELS.items() <= workload.labels.items()


def _matching_webhook(pod: Labels, namespace: Namespace, by_default: bool) -> Injection:
    """Which of the injector's webhooks the API server calls for the pod: selectors see labels only."""
    name, labels = namespace.name, namespace.labels
    toggle, revision, wish = labels.get(INJECTION_LABEL), labels.get(REVISION_LABEL), pod.get(INJECT_LABEL)
    if toggle is not None and toggle != "enabled":
        return Injection(False, "", f"namespace {name} has label {INJECTION_LABEL}={toggle}")
    if wish == "false":
        return Injection(False, "", f"its pods have label {INJECT_LABEL}=false")
    if toggle == "enabled":
        return Injection(True, "", f"namespace {name} has label {INJECTION_LABEL}=enabled")
    if revision is not None:
        return Injection(
            True, canonical_revision(revision), f"namespace {name} has label {REVISION_LABEL}={revision}"
        )
    return _matching_object_webhook(pod, namespace, by_default)


def _matching_object_webhook(pod: Labels, namespace: Namespace, by_default: bool) -> Injection:
    """The webhooks for namespaces without a label of their own."""
    wish, revision = pod.get(INJECT_LABEL), pod.get(REVISION_LABEL)
    if revision is not None:
        return Injection(
            True, canonical_revision(revision), f"its pods have label {REVISION_LABEL}={revision}"
        )
    if wish == "true":
        return Injection(True, "", f"its pods have label {INJECT_LABEL}=true")
    if wish is None and by_default:
        return Injection(True, "", "the mesh injects every namespace by default")
    return Injection(False, "", f"neither namespace {namespace.name} nor the pods ask for injection")


def _seen_revision(workload: Workload, namespace: Namespace) -> str:
    """The revision of pods that have a proxy already: injection writes it on them."""
    own = workload.labels.get(REVISION_LABEL) or workload.annotations.get(REVISION_LABEL)
    if own is None and INJECTION_LABEL not in namespace.labels:
        own = namespace.labels.get(REVISION_LABEL)
    return canonical_revision(own or "")


def is_captured(workload: Workload, namespace: Namespace, has_proxy: bool) -> bool:
    """Whether ztunnel carries the pods' traffic. A proxy of their own wins; a pod opts out with `none`."""
    if has_proxy or workload.host_network or is_ztunnel(workload):
        return False
    own = workload.labels.get(AMBIENT_LABEL)
    return own == "ambient" or (own != "none" and namespace.labels.get(AMBIENT_LABEL) == "ambient")


TLS_MODE_LABEL = "security.istio.io/tlsMode"

_INJECTORS = (InjectorConfig, RegisteredInjector, RevisionTag)
"""What says who is injected: what is asked of injectors rests on these alone."""


def as_injected(snapshot: Snapshot, settings: MeshSettings) -> Snapshot:
    """The snapshot with the label on the pods of templates that will be injected."""
    labelled = _InjectionLabels(snapshot, settings)
    found = (pods for name in snapshot.namespace_names for pods in snapshot.of_type(Workload, name))
    return snapshot.with_changes(put=[after for pods in found if (after := labelled(pods)) is not pods])


def with_injected(
    before: Snapshot,
    stored: Callable[[], Snapshot],
    put: Sequence[ClusterObject],
    remove: Sequence[ClusterObject],
    settings: MeshSettings,
    answers: EarlierAnswers = NO_ANSWERS,
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
    labelled = _InjectionLabels(snapshot, settings, NO_ANSWERS if is_other else answers)
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


class _InjectionLabels:
    """Labels workloads by the injectors and namespaces of a snapshot."""

    def __init__(
        self, snapshot: Snapshot, settings: MeshSettings, answers: EarlierAnswers = NO_ANSWERS
    ) -> None:
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
