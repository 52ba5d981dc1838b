"""Each component lets through what its part of a cluster needs, and has no rule that could be missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.bundle import kyma_uses
from tests.bundle.overlays import KUSTOMIZE, OVERLAYS, policies
from tests.bundle.uses import METRICS, USES, component_of

TESTED_APART = {
    "api-gateway",
    "app-namespace",
    "cilium-api-server",
    "cilium-node-dns",
    "deny-all",
    "document-literal",
    "gateway",
    "gateway-clients",
    "gateway-health-checks",
    "kyma",
    "webhook",
    "webhook-callers-aks",
    "webhook-callers-gke",
}
"""Components whose tests have a file of their own."""

KYMA_MODULES = set(kyma_uses.USES)
"""Components for modules of Kyma, which have a file of tests of their own as well."""

LISTED = {
    "api-server-host",
    "dns-8053",
    "dns-addresses",
    "dns-openshift",
    "dns-service",
    "dns-service-only",
    "health-checks",
    "health-checks-google",
    "namespaces",
    "node-local-dns",
    "values",
    "webhook-aks",
    "webhook-callers-gardener",
    "webhook-openshift",
}
"""Components that overlays list, whose rules are tested there."""


FOR_WHO_OPTS_IN = {
    "kyma-module-labels": {
        "istio-system/gateways-from-kyma-modules ingress[1]",
        "istio-system/istio-egressgateway-from-opted-in ingress[0]",
    }
}
"""Rules of components that open what no object says anybody needs, to pods that opt in by a label."""


@pytest.mark.parametrize("use", USES)
def test_a_component_opens_what_its_part_needs_and_nothing_else(tree: Path, use: str) -> None:
    """Without it something is denied; with it nothing is, and no rule is wider than its connections."""
    cluster = USES[use]
    assert cluster.built(tree).complaints(cluster.control_plane(), warnings=True) != []
    bundle = cluster.built(tree, component_of(use))
    quiet = FOR_WHO_OPTS_IN.get(component_of(use), set())
    told = bundle.complaints(cluster.control_plane(), warnings=True)
    assert [sentence for sentence in told if not any(_is_about(sentence, place) for place in quiet)] == []


@pytest.mark.parametrize("component", sorted({component_of(use) for use in USES}))
def test_every_rule_of_a_component_is_missed_when_it_is_taken_away(tree: Path, component: str) -> None:
    """In one of the clusters that need the component, for each of its rules, ports and peers."""
    unnoticed: set[str] | None = None
    for use in (candidate for candidate in USES if component_of(candidate) == component):
        cluster = USES[use]
        plain = {
            (policy.key, policy.ingress, policy.egress) for policy in policies(cluster.built(tree).objects)
        }
        bundle = cluster.built(tree, component)
        own = [
            policy
            for policy in policies(bundle.objects)
            if (policy.key, policy.ingress, policy.egress) not in plain
        ]
        assert own
        found = set(bundle.unnoticed(cluster.control_plane(), own, warnings=True))
        unnoticed = found if unnoticed is None else unnoticed & found
    assert unnoticed is not None
    quiet = FOR_WHO_OPTS_IN.get(component, set())
    assert {place for place in unnoticed if place.partition(" as ")[0] not in quiet} == set()


def _is_about(message: str, place: str) -> bool:
    """Whether a complaint is about a rule, given as its policy, direction and number."""
    key, _, rule = place.partition(" ")
    return f"{key}: spec.{rule} " in message


def test_every_component_is_held_to_this() -> None:
    """Whoever adds a component says which cluster needs it, or lists it in an overlay."""
    folders = {path.name for path in (KUSTOMIZE / "components").iterdir()} - KYMA_MODULES
    assert {component_of(use) for use in USES} | TESTED_APART | LISTED == folders
    listed = "".join((KUSTOMIZE / "overlays" / name / "kustomization.yaml").read_text() for name in OVERLAYS)
    assert all(f"components/{name}\n" in listed for name in LISTED)


def test_metrics_are_for_the_namespace_that_values_name(tree: Path) -> None:
    """A namespace that nobody named scrapes nothing."""
    cluster = replace(USES["metrics"], values=METRICS.replace("monitoring", "shop"))
    flows = cluster.built(tree, "metrics").proof(cluster.control_plane()).flows
    assert {flow.flow.port for flow in flows if not flow.verdict.allowed} == {15014, 15020, 15090}


MISSING = {
    "metrics.namespace": ("metrics", "  namespace: monitoring\n"),
    "tracing.namespace": ("tracing", "  namespace: observability\n"),
    "tracing.podLabels": ("tracing", "  podLabels:\n    app: otel\n"),
    "tracing.port": ("tracing", "  port: 4318\n"),
}


@pytest.mark.parametrize("value", MISSING)
def test_a_component_without_its_value_fails_the_build(tree: Path, value: str) -> None:
    """Nobody opens anything to a namespace or a port that is not there."""
    component, line = MISSING[value]
    cluster = USES[component]
    with pytest.raises(AssertionError, match=f"`{value}` is missing"):
        replace(cluster, values=cluster.values.replace(line, "")).built(tree, component)
