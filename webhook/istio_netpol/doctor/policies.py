"""Counts the policies of a cluster by who wrote them, and names those that are not evaluated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from istio_netpol.doctor.survey import Manifest, Survey, labels_of, name_of, namespace_of
from istio_netpol.kube.resources import NETWORK_POLICIES, Resource
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.own_names import MANAGED_BY, OWNER, PART_OF

TOPIC = "Policies"
KYMA_NAME, KYMA_LABEL = "kyma-project.io--", "kyma-project.io/module"
ISTIO_LABEL = "operator.istio.io/component"
"""On what Istio's charts install, their NetworkPolicies too (`global.networkPolicy.enabled`, Istio 1.28)."""

TIERS = tuple(
    Resource("policy.networking.k8s.io", version, kind, plural, namespaced=False)
    for version, kind, plural in (
        ("v1alpha1", "AdminNetworkPolicy", "adminnetworkpolicies"),
        ("v1alpha1", "BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies"),
        ("v1alpha2", "ClusterNetworkPolicy", "clusternetworkpolicies"),
    )
)
NOT_EVALUATED = tuple(
    Resource(group, version, kind, plural, namespaced=namespaced)
    for group, version, kind, plural, namespaced in (
        ("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies", True),
        ("cilium.io", "v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", False),
        ("crd.projectcalico.org", "v1", "NetworkPolicy", "networkpolicies", True),
        ("crd.projectcalico.org", "v1", "GlobalNetworkPolicy", "globalnetworkpolicies", False),
        ("crd.antrea.io", "v1beta1", "NetworkPolicy", "networkpolicies", True),
        ("crd.antrea.io", "v1beta1", "ClusterNetworkPolicy", "clusternetworkpolicies", False),
        ("k8s.ovn.org", "v1", "EgressFirewall", "egressfirewalls", True),
        ("networking.k8s.aws", "v1alpha1", "ClusterNetworkPolicy", "clusternetworkpolicies", False),
        ("networking.k8s.aws", "v1alpha1", "ApplicationNetworkPolicy", "applicationnetworkpolicies", True),
    )
)


def policies(survey: Survey) -> Iterator[Diagnosis]:
    """Counts the NetworkPolicies of each author."""
    counts = Counter(map(_author, survey.all(NETWORK_POLICIES)))
    told = ", ".join(f"{count} {author}" for author, count in sorted(counts.items()))
    yield Diagnosis(TOPIC, "NetworkPolicies", told or "none")


def tiers(survey: Survey) -> Iterator[Diagnosis]:
    """Policies of administrators, which go before or behind NetworkPolicies."""
    groups = survey.groups()
    for resource in TIERS:
        found = survey.all(resource) if resource.group in groups else ()
        if found:
            names = ", ".join(sorted(map(name_of, found)))
            yield Diagnosis(TOPIC, f"{resource.kind} ({resource.api_version})", f"{len(found)}: {names}")


def not_evaluated(survey: Survey) -> Iterator[Diagnosis]:
    """Policies of network plugins. At most it is known whom they select."""
    groups = survey.groups()
    for resource in NOT_EVALUATED:
        found = survey.all(resource) if resource.group in groups else ()
        if found:
            names = ", ".join(
                sorted(
                    "/".join(filter(None, (namespace_of(manifest), name_of(manifest)))) for manifest in found
                )
            )
            yield Diagnosis(
                TOPIC,
                f"{resource.kind} ({resource.api_version})",
                f"{len(found)}, which are not evaluated: {names}",
                Health.NOTE,
                "read them beside what `istio-netpol check` says of the pods that they select",
            )


def _author(policy: Manifest) -> str:
    labels, name = labels_of(policy), name_of(policy)
    if labels.get(MANAGED_BY) == OWNER:
        return "written by istio-netpol"
    if labels.get(PART_OF) == OWNER:
        return "of the bundle"
    if KYMA_NAME in name or KYMA_LABEL in labels:
        return "of Kyma"
    if ISTIO_LABEL in labels:
        return "of Istio"
    return "of others"
