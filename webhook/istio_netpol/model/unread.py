"""Policies of network plugins. Only whom they select is read; their rules are not evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from istio_netpol.model.labels import Labels
from istio_netpol.model.policies import Direction
from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.model.workloads import Namespace, Workload

SERVED, STORED = "projectcalico.org", "crd.projectcalico.org"
"""The API groups of Calico's policies: that of its own API server, and that of the CRDs in which this one
stores them (projectcalico/calico libcalico-go/lib/backend/k8s/resources, v3.30)."""

_DEFAULT_TIER = "default."

KUBERNETES_KINDS = frozenset(
    {"NetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy"}
)
"""The kinds of Kubernetes' own policies. Calico, Antrea and Amazon's VPC CNI have kinds of the same names."""


class Expression(Protocol):
    """A selector of some dialect, over labels. A part that is not understood counts as matching."""

    def matches(self, labels: Labels) -> bool: ...


class SelectedPods(Struct, frozen=True):
    """Pods that a policy selects: `pods` is asked of their labels and of those that the plugin gives them,
    `namespaces` of their namespace's labels."""

    pods: Expression
    namespaces: Expression
    directions: frozenset[Direction] = frozenset(Direction)
    to_entities: frozenset[str] = frozenset()
    """The entities of Cilium to which it opens egress."""


class UnreadPolicy(Struct, frozen=True, eq=False):
    """A policy that is not evaluated; it is bound to a namespace where its reference has one. `plugin_labels`
    are those that its plugin gives to pods beside their own."""

    ref: ObjectRef
    coverages: tuple[SelectedPods, ...]
    plugin_labels: PluginLabels

    @property
    def is_stored_form(self) -> bool:
        """Whether this is what Calico stores of a policy, which its API server serves in another group."""
        return self.ref.group == STORED

    @property
    def identity(self) -> ObjectKey:
        """Equal for the two forms of one policy of Calico: what is stored bears the name of the default tier
        before its own, which may be left out in what is served."""
        if self.ref.group not in (SERVED, STORED):
            return self.ref.key
        return (SERVED, self.ref.kind, self.ref.namespace, self.ref.name.removeprefix(_DEFAULT_TIER))

    @property
    def title(self) -> str:
        """The policy's kind and name, with its apiVersion where Kubernetes has a kind of the same name."""
        is_alike = self.ref.kind in KUBERNETES_KINDS
        return f"{self.ref} ({self.ref.api_version})" if is_alike else str(self.ref)

    def covers(self, workload: Workload, namespace: Namespace, direction: Direction) -> bool:
        """Whether it selects pods for a direction; hostNetwork pods are not selected."""
        if workload.host_network or self.ref.namespace not in ("", workload.namespace):
            return False
        labels = self.plugin_labels.of(workload, namespace)
        return any(
            direction in coverage.directions
            and coverage.namespaces.matches(namespace.labels)
            and coverage.pods.matches(labels)
            for coverage in self.coverages
        )

    def to_entities(self, workload: Workload, namespace: Namespace) -> frozenset[str]:
        """The entities to which it opens egress for pods that it selects."""
        labels = self.plugin_labels.of(workload, namespace)
        return frozenset().union(
            *(coverage.to_entities for coverage in self.coverages if coverage.pods.matches(labels))
        )


class PluginLabels(Struct, frozen=True):
    """The names under which a plugin's selectors find what is not a label of the pod itself: its namespace,
    its service account, the labels of its namespace (a prefix), and what all pods have."""

    namespace: str
    service_account: str
    of_namespace: str = ""
    constant: tuple[tuple[str, str], ...] = ()

    def of(self, workload: Workload, namespace: Namespace) -> Mapping[str, str]:
        """The labels of pods as the plugin's selectors see them."""
        added = dict(self.constant)
        if self.of_namespace:
            added |= {self.of_namespace + key: value for key, value in namespace.labels.items()}
        return {
            **workload.labels,
            **added,
            self.namespace: workload.namespace,
            self.service_account: workload.service_account,
        }


CILIUM_LABELS = PluginLabels(
    "io.kubernetes.pod.namespace",
    "io.cilium.k8s.policy.serviceaccount",
    "io.cilium.k8s.namespace.labels.",
)
"""cilium/cilium pkg/k8s/apis/cilium.io/const.go (v1.18)"""

CALICO_LABELS = PluginLabels(
    "projectcalico.org/namespace",
    "projectcalico.org/serviceaccount",
    constant=(("projectcalico.org/orchestrator", "k8s"),),
)
"""projectcalico/calico libcalico-go/lib/apis/v3/labels.go (v3.30)"""
