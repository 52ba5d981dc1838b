"""While kubectl applies the bundle, no namespace has a deny-all before all that it allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.argocd.chronicle import Chronicle, Event
from tests.bundle.overlays import built_variant, filled_tree, kustomize_build, variants
from tests.cluster.clients import Outcome
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require

MANY = (
    "kyma",
    "ambient",
    "document-literal",
    "egress-gateway",
    "kyma-module-labels",
    "metrics",
    "tracing",
)
VALUES = """
documentLiteral: {acceptedBy: auditors}
metrics: {namespace: monitoring}
tracing: {namespace: observability, podLabels: {app: otel}, port: 4317}
"""
OWN_POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: vendor-agent-to-anywhere, namespace: istio-system}
spec:
  podSelector: {matchLabels: {app: vendor-agent}}
  policyTypes: [Egress]
  egress: [{}]
"""


def with_many_components(tree: Path) -> Path:
    """The overlay for kind with everything that has policies."""
    overlay = tree / "overlays" / "kind"
    added = "".join(f"- ../../components/{component}\n" for component in MANY)
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("components:\n", f"components:\n{added}"))
    (overlay / "values.yaml").write_text((overlay / "values.yaml").read_text() + VALUES)
    return overlay


def of_a_team(tree: Path) -> Path:
    """A team's own kustomization, which builds on an overlay and adds a policy behind it."""
    own = tree.parent / "own"
    own.mkdir()
    (own / "own.yaml").write_text(OWN_POLICY)
    (own / "kustomization.yaml").write_text("resources: [../kustomize/overlays/k3d, own.yaml]\n")
    return own


def of_an_application(tree: Path) -> Path:
    """A namespace of sidecars under its own deny-all."""
    folder = tree / "overlays" / "shop"
    folder.mkdir()
    content = "namespace: shop\nresources: [namespace.yaml]\ncomponents: [../../components/app-namespace]\n"
    (folder / "kustomization.yaml").write_text(content)
    (folder / "namespace.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    return folder


BUNDLES: dict[str, Callable[[Path], Path]] = {
    "all components": with_many_components,
    "a team's own overlay": of_a_team,
    "an application namespace": of_an_application,
}


def server_side(plane: ControlPlane, folder: Path) -> Outcome:
    """As the page says."""
    return plane.kubectl()("apply", "-k", str(folder), "--server-side")


def client_side(plane: ControlPlane, folder: Path) -> Outcome:
    """As many type it from habit."""
    return plane.kubectl()("apply", "-k", str(folder))


def piped(plane: ControlPlane, folder: Path) -> Outcome:
    """Built first, and applied from standard input."""
    return plane.kubectl()("apply", "--filename", "-", stdin=kustomize_build(folder).stdout)


@pytest.fixture(scope="module")
def chronicle(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chronicle]:
    """What becomes of NetworkPolicies, watched all the while."""
    chronicle = Chronicle(control_plane, tmp_path_factory.mktemp("chronicle"), "networkpolicies")
    chronicle.start()
    yield chronicle
    chronicle.stop()


@pytest.mark.parametrize("apply", [server_side, client_side, piped], ids=lambda function: function.__name__)
@pytest.mark.parametrize("bundle", BUNDLES)
def test_nothing_is_denied_before_all_that_is_allowed_is_there(
    control_plane: ControlPlane,
    chronicle: Chronicle,
    tmp_path: Path,
    bundle: str,
    apply: Callable[[ControlPlane, Path], Outcome],
) -> None:
    """Whichever way it is applied: the deny-all of a namespace is the last of its policies to come."""
    require("kubectl", "kustomize")
    folder = BUNDLES[bundle](filled_tree(tmp_path))
    manifests = kustomize_build(folder).stdout
    wanted = set(policies_in_order(manifests))
    before = last_change(control_plane)
    try:
        outcome = apply(control_plane, folder)
        assert outcome.code == 0, outcome.stderr
        added = added_since(chronicle, before, len(wanted))
    finally:
        remove(control_plane, manifests)
    assert {(event.namespace, event.name) for event in added} == wanted
    denials = [event for event in added if denies_all(event.manifest)]
    assert {policy.namespace for policy in denials} == {namespace for namespace, _ in wanted}
    for denial in denials:
        others = (event for event in added if event.namespace == denial.namespace)
        assert [other.name for other in others if other.number > denial.number] == []


@pytest.mark.parametrize("name", [name for name in variants() if name != "kyma-btp"])
def test_every_environment_is_built_with_the_deny_all_of_each_namespace_last(
    tmp_path: Path, name: str
) -> None:
    """kubectl applies what it builds in the order of the build."""
    places = policies_in_order(built_variant(filled_tree(tmp_path), name, "webhook").manifests)
    last = dict(places)
    assert last.keys() >= {"istio-system", "istio-netpol"}
    assert set(last.values()) == {"zz-default-deny"}


def policies_in_order(manifests: str) -> list[tuple[str, str]]:
    """Namespace and name of each NetworkPolicy."""
    documents = [
        document for document in yaml.safe_load_all(manifests) if document["kind"] == "NetworkPolicy"
    ]
    return [(document["metadata"]["namespace"], document["metadata"]["name"]) for document in documents]


def denies_all(policy: Any) -> bool:
    """Whether it selects every pod and allows nothing."""
    spec = policy["spec"]
    return not spec["podSelector"] and not spec.get("ingress") and not spec.get("egress")


def last_change(plane: ControlPlane) -> int:
    """The number of the newest change of the cluster."""
    listed = plane.api().request("GET", "/apis/networking.k8s.io/v1/networkpolicies")
    return int(listed.object["metadata"]["resourceVersion"])


def added_since(chronicle: Chronicle, number: int, count: int) -> list[Event]:
    """The policies that came after a change, in order, once that many were seen."""
    ends = time.monotonic() + 60
    while True:
        added = [event for event in chronicle.events() if event.number > number and event.change == "ADDED"]
        if len(added) >= count:
            return added
        assert time.monotonic() < ends, f"{len(added)} of {count} policies were seen"
        time.sleep(0.1)


def remove(plane: ControlPlane, manifests: str) -> None:
    """Takes away all but the namespaces, which nobody here would finish."""
    kept = [document for document in yaml.safe_load_all(manifests) if document["kind"] != "Namespace"]
    plane.kubectl()(
        "delete", "--ignore-not-found", "--wait=false", "--filename", "-", stdin=yaml.safe_dump_all(kept)
    )
