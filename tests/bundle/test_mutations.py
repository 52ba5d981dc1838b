"""Mistakes in the bundle: each is noticed, by an error or by a warning of that very policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.mutations import Mutation, copied, mutations
from tests.bundle.overlays import Built, built_variant, policies, standard, standard_for, variants
from tests.bundle.uses import USES, component_of

from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy

DELIBERATE = (" of every pod", "podSelector empty", "of any value")
"""What widens the peers of metrics unnoticed: the settings name namespaces that scrape, and their pods are
alike."""

LEFT_TO_OWNERS = ("istio-ingressgateway-to-itself",)
"""Policies of which a proof can't know: clusters have the health route of Kyma's gateway or not, and load
balancers ask for the same port. On Gardener no object tells the addresses of the API server's own host, and
values.yaml names every address on its port, so nothing is wider."""

WIDENING = (
    "without peers",
    "with every namespace",
    "beside every pod",
    "namespaceSelector empty",
    "opens all",
)
"""What opens a rule to everybody: noticed also where nobody knows who needs the rule."""


class Mistakes:
    """The mistakes of one bundle, beside a control plane."""

    def __init__(self, bundle: Built, control_plane: Sequence[Any]) -> None:
        self.bundle = bundle
        self.control_plane = control_plane
        self._findings = bundle.proof(control_plane).report.findings
        self.usual = {_identity(finding) for finding in self._findings}

    def found(self, mistake: Mutation) -> list[Finding]:
        """What the proof says of it that it does not say without it."""
        report = self.bundle.proof(self.control_plane, mistake.applied(self.bundle.objects)).report
        return [finding for finding in report.findings if _identity(finding) not in self.usual]

    def unnoticed(self, policy: NetworkPolicy) -> list[str]:
        """The mistakes in a policy that neither fail the proof nor are a warning of the policy. Of the order
        in which it is applied an info is enough: another thing orders it still."""
        return [
            f"{policy.key} {mistake.name}"
            for mistake in mutations(policy)
            if not any(
                _counts(finding, policy) or finding.rule is Issue.APPLY_ORDER
                for finding in self.found(mistake)
            )
        ]

    def unproved(self) -> tuple[str, ...]:
        """The rules of which the proof says that it does not know who needs them, as mistakes begin, and the
        policies that have no others."""
        infos = [finding for finding in self._findings if finding.rule is Issue.BROAD_POLICY]
        rules = {(info.object.key, info.field) for info in infos if info.severity is Severity.INFO}
        found = [f"{key[2]}/{key[3]} {field.removeprefix('spec.')} " for key, field in rules]
        for policy in policies(self.bundle.objects):
            count = len(policy.ingress) + len(policy.egress)
            if count and count == sum(1 for key, _ in rules if key == policy.ref.key):
                found.append(f"{policy.key} ")
        return tuple(found)


def _counts(finding: Finding, policy: NetworkPolicy) -> bool:
    is_cut = finding.flow is not None and not (finding.verdict and finding.verdict.allowed)
    is_told = is_cut or finding.object.key == policy.ref.key
    return finding.severity is Severity.ERROR or (finding.severity is Severity.WARNING and is_told)


def _identity(finding: Finding) -> tuple[object, ...]:
    return finding.rule, finding.object.key, finding.field, finding.message


def _content(policy: NetworkPolicy) -> tuple[object, ...]:
    return policy.key, policy.pod_selector, policy.policy_types, policy.ingress, policy.egress


def test_a_mistake_in_an_overlay_is_noticed(tree: Path) -> None:
    """Whatever is cut fails the proof, whatever is opened fails it or is a warning. What overlays have in
    common is tried in one of them; those for Kyma's modules are made of components, each tried below."""
    tried: set[tuple[object, ...]] = set()
    unnoticed: list[str] = []
    for name in (name for name in variants() if not name.startswith("kyma-")):
        bundle = built_variant(tree, name)
        mistakes = Mistakes(bundle, standard_for(bundle))
        new = [policy for policy in policies(bundle.objects) if _content(policy) not in tried]
        unnoticed += [
            f"{name}: {mistake}"
            for policy in new
            for mistake in mistakes.unnoticed(policy)
            if not _is_left_to_owners(name, policy, mistake)
        ]
        tried.update(map(_content, new))
    assert unnoticed == []


def _is_left_to_owners(overlay: str, policy: NetworkPolicy, mistake: str) -> bool:
    if policy.name.endswith("-to-apiserver"):
        return overlay.startswith("gardener") and mistake.endswith(("as the internet", "as both halves"))
    return policy.name in LEFT_TO_OWNERS


@pytest.mark.parametrize("component", sorted({component_of(use) for use in USES}))
def test_a_mistake_in_a_component_is_noticed(tree: Path, component: str) -> None:
    """In one of the clusters that need the component; metrics and spans that are cut are warnings."""
    unnoticed: set[str] | None = None
    for use in (use for use in USES if component_of(use) == component):
        cluster = USES[use]
        plain = set(map(_content, policies(cluster.built(tree).objects)))
        bundle = cluster.built(tree, component)
        mistakes = Mistakes(bundle, cluster.control_plane())
        own = [policy for policy in policies(bundle.objects) if _content(policy) not in plain]
        unproved = mistakes.unproved()
        found = {
            mistake
            for policy in own
            for mistake in mistakes.unnoticed(policy)
            if mistake.endswith(WIDENING) or not mistake.startswith(unproved)
        }
        unnoticed = found if unnoticed is None else unnoticed & found
    known = DELIBERATE if component == "kyma-module-labels" else ()
    assert sorted(mutation for mutation in unnoticed or () if not (known and mutation.endswith(known))) == []


def test_a_policy_under_two_names_is_an_info(tree: Path) -> None:
    """It changes nothing, so it fails nothing, and whoever deletes one of them believes that it is gone."""
    mistakes = Mistakes(built_variant(tree, "kind"), standard())
    for policy in policies(mistakes.bundle.objects):
        (finding,) = mistakes.found(copied(policy))
        assert (finding.rule, finding.severity) == (Issue.NEEDLESS_POLICY, Severity.INFO)
        assert policy.name in finding.object.name
