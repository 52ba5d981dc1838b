"""Finds what the injectors of a cluster are configured to do, as far as the input tells.

Sources: `injectRequired` in `pkg/kube/inject/inject.go`, and `istiod-injector-configmap.yaml` and
`revision-tags-mwc.yaml` of the `istiod` chart, Istio 1.28.
"""

from __future__ import annotations

from istio_netpol.model.control_plane import (
    TEMPLATES_ANNOTATION,
    InjectionTemplate,
    InjectorConfig,
    RegisteredInjector,
    RevisionTag,
)
from istio_netpol.model.labels import Labels
from istio_netpol.model.workloads import Workload
from istio_netpol.state.pod_classes import NAMED_IN_LABELS
from istio_netpol.state.reader import Reader, question

DEFAULT_REVISION = "default"
JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")

_OF_THE_CHART = {
    "sidecar": InjectionTemplate(adds_proxy=True, labels_tls=True),
    "gateway": InjectionTemplate(adds_proxy=True),
    "grpc-agent": InjectionTemplate(adds_proxy=True),
    "grpc-simple": InjectionTemplate(asks_in_plain=True),
    "waypoint": InjectionTemplate(adds_proxy=True),
}
"""What the templates of the istiod chart add (`istio-discovery/files`, Istio 1.31)."""


def canonical_revision(revision: str) -> str:
    """Empty for the default revision, which has the name `default` too."""
    return "" if revision == DEFAULT_REVISION else revision


class Injectors:
    """Finds the injector of a revision, by one reader.

    Only ConfigMaps of the root namespace count, where administrators alone write: elsewhere anybody could
    name a ConfigMap like an injector's, and have every proxy connect to a certificate authority of their own.
    """

    def __init__(self, reader: Reader, root_namespace: str) -> None:
        self.reader = reader
        self._root_namespace = root_namespace
        reader.take(self)

    @question
    def tags(self) -> dict[str, str]:
        """The revisions that tags point to."""
        return {canonical_revision(tag.tag): tag.revision for tag in self.reader.every(RevisionTag)}

    @question
    def registered(self) -> frozenset[str]:
        """The revisions whose injectors a cluster's API server asks; empty where no cluster was read."""
        return frozenset(injector.revision for injector in self.reader.every(RegisteredInjector))

    @question
    def configs(self) -> dict[str, InjectorConfig]:
        """The injectors' configurations by revision."""
        return {config.revision: config for config in self.reader.all(InjectorConfig, self._root_namespace)}

    def revision(self, named: str) -> str:
        """The revision that a label's value means: a tag's, or the name itself."""
        name = canonical_revision(named)
        return self.tags().get(name, name)

    def serve(self, named: str) -> bool:
        """Whether the API server asks an injector about pods of the revision or tag that a label names, as
        far as the input tells. An injector that the cluster has not registered injects nothing."""
        registered, name = self.registered(), canonical_revision(named)
        return not registered or name in registered or name in self.tags()

    def config(self, revision: str) -> InjectorConfig | None:
        """The configuration of a revision's injector, if the input holds it."""
        return self.configs().get(revision)

    @property
    def injects_by_default(self) -> bool:
        """Whether pods are injected if neither their labels nor their namespace's say anything."""
        return any(config.enable_namespaces_by_default for config in self.configs().values())

    def templates(self, revision: str, workload: Workload) -> tuple[InjectionTemplate, str]:
        """What the templates of these pods add together, and the name of one that nobody knows, if one is
        named (`selectTemplates` in `inject.go`)."""
        config = self.config(revision)
        named = workload.annotations.get(TEMPLATES_ANNOTATION)
        names = tuple(name.strip() for name in named.split(",")) if named else ()
        names = names or (config.default_templates if config else ()) or ("sidecar",)
        aliases = config.aliases if config else {}
        names = tuple(meant for name in names for meant in aliases.get(name, (name,)))
        known = {**_OF_THE_CHART, **(config.templates if config else {})}
        found = [known[name] for name in names if name in known]
        together = InjectionTemplate(
            any(injector.adds_proxy for injector in found),
            any(injector.asks_in_plain for injector in found),
            any(injector.labels_tls for injector in found),
        )
        return together, next((name for name in names if name not in known), "")

    def objection(self, revision: str, workload: Workload) -> str:
        """Why an injector leaves out pods that do not ask for it; empty where it takes them."""
        config = self.config(revision)
        if config is None:
            return ""
        pod = _labels_at_creation(workload)
        if any(selector.matches(pod) for selector in config.never):
            return f"neverInjectSelector of {config.ref} selects its pods"
        if not config.injects and not any(selector.matches(pod) for selector in config.always):
            return f"{config.ref} injects pods that ask for it only"
        return ""


def _labels_at_creation(workload: Workload) -> Labels:
    """The labels that the injector sees: those of a Job's pods name it, whatever its template says."""
    if workload.ref.kind not in NAMED_IN_LABELS:
        return workload.labels
    return {**dict.fromkeys(JOB_NAME_LABELS, workload.name), **workload.labels}
