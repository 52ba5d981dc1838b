"""Finds who in the cluster's admission judges NetworkPolicies, and whether it refuses a default-deny."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.analysis.bundle_proof.bundle_report import KYMA_NAMESPACES, advice
from istio_netpol.certs.webhook_configurations import KINDS
from istio_netpol.doctor.survey import Manifest, Survey, dig, listed, name_of
from istio_netpol.kube.dry_run import dry_run
from istio_netpol.kube.resources import NAMESPACES, Resource
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.labels import EVERYTHING
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.policy_store import DryRunOutcome, Tried
from istio_netpol.model.references import ObjectRef

TOPIC = "Admission"
VALIDATING_POLICIES = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
OWN = ".istio-netpol.io"
"""The end of the names of istio-netpol's own webhooks."""

DENY = "istio-netpol-dry-run"
"""The name of the default-deny that is tried."""


def admission(survey: Survey) -> Iterator[Diagnosis]:
    """Each ValidatingAdmissionPolicy and foreign webhook that is asked about NetworkPolicies."""
    judges = [*_policies(survey), *_webhooks(survey)]
    for title in judges:
        yield Diagnosis(
            TOPIC,
            title,
            "judges NetworkPolicies",
            Health.NOTE,
            "--dry-run-server finds out whether it refuses a default-deny; nothing is stored",
        )
    if not judges:
        yield Diagnosis(TOPIC, "policies and webhooks", "none judges NetworkPolicies")


def _policies(survey: Survey) -> Iterator[str]:
    for policy in survey.all(VALIDATING_POLICIES):
        rules = listed(dig(policy, "spec", "matchConstraints", "resourceRules"))
        if any(map(_is_about_policies, rules)):
            yield f"ValidatingAdmissionPolicy {name_of(policy)}"


def _webhooks(survey: Survey) -> Iterator[str]:
    for resource in KINDS:
        for configuration in survey.all(resource):
            for webhook in listed(configuration.get("webhooks")):
                name = str(dig(webhook, "name") or "")
                rules = listed(dig(webhook, "rules"))
                if not name.endswith(OWN) and any(map(_is_about_policies, rules)):
                    yield f"{resource.kind} {name_of(configuration)}, {name}"


def _is_about_policies(rule: Manifest) -> bool:
    """Whether a rule of admission matches NetworkPolicies that are made or changed."""
    return all(
        {"*", *wanted} & set(map(str, listed(dig(rule, key))))
        for key, wanted in (
            ("apiGroups", {"networking.k8s.io"}),
            ("resources", {"networkpolicies", "*/*"}),
            ("operations", {"CREATE", "UPDATE"}),
        )
    )


def tried_deny(survey: Survey) -> Iterator[Diagnosis]:
    """Whether the cluster would take a default-deny where the bundle brings one, by a dry run."""
    there = {name_of(namespace) for namespace in survey.all(NAMESPACES)}
    names = sorted(KYMA_NAMESPACES & there)
    if not names:
        where = " and ".join(sorted(KYMA_NAMESPACES))
        yield Diagnosis(TOPIC, "default-deny", f"not tried: {where} are not there", Health.NOTE)
    yield from map(_answer, dry_run(survey.connection, map(_deny, names)))


def _deny(namespace: str) -> NetworkPolicy:
    ref = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", namespace, DENY)
    return NetworkPolicy(ref, EVERYTHING, frozenset(Direction))


def _answer(tried: Tried) -> Diagnosis:
    title = f"default-deny in {tried.policy.namespace}, dry run"
    if tried.outcome is DryRunOutcome.ACCEPTED:
        return Diagnosis(TOPIC, title, "would be taken")
    if tried.outcome is DryRunOutcome.NOT_TRIED:
        return Diagnosis(TOPIC, title, f"not seen: {tried.message}", Health.NOT_SEEN)
    by = f" by {tried.by}" if tried.by else ""
    return Diagnosis(TOPIC, title, f"is refused{by}: {tried.message}", Health.WRONG, advice(tried.policy))
