"""The overlay for SAP BTP, which refuses a default-deny there: it opens what is shut, and shuts nothing."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from tests.bundle.kyma_cluster import kyma_modules, usual_kyma
from tests.bundle.kyma_own_policies import own_policies
from tests.bundle.overlays import Built, built, kustomize_build, policies
from tests.tools.programs import located
from tests.values import deployment

from istio_netpol.bundle.overlays import module_workload
from istio_netpol.cli.main import program
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.connections import Protocol
from istio_netpol.model.findings import Severity
from istio_netpol.model.flows import AnyPeer, Peer, PodsPeer
from istio_netpol.model.policies import Direction
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.evaluate import judge
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.state.snapshot import Snapshot

FULL = [
    *usual_kyma(),
    *kyma_modules(*{known.module for known in KYMA_WORKLOADS}),
    *own_policies(),
    deployment("shop/cart"),
]
"""A cluster with all modules, and the policies that they bring."""


@pytest.fixture(scope="module")
def overlay(tree: Path) -> Built:
    """The overlay, built."""
    return built(tree / "overlays" / "kyma-btp")


def _connections(snapshot: Snapshot, touching: frozenset[str]) -> set[tuple[str, str, Protocol, int]]:
    """What is allowed from or to some workloads, on every port that anybody is called on in the table."""
    ports = sorted({port for known in KYMA_WORKLOADS for port in known.ports} | {53, 443, 8053, 15012, 8081})
    peers: list[Peer] = [PodsPeer(workload) for workload in snapshot.every_workload()]
    peers += [AnyPeer("the internet"), AnyPeer("the API server")]
    pairs = [(a, b) for a, b in product(peers, peers) if {a.key, b.key} & touching and a is not b]
    return {
        (source.key, target.key, protocol, port)
        for source, target in pairs
        for port in ports
        for protocol in (Protocol.TCP, Protocol.UDP)
        if judge(snapshot, source, target, protocol, port).allowed
    }


def test_every_pod_can_do_what_it_could_before(overlay: Built) -> None:
    """No policy isolates a pod that was not isolated: all connections stay, and two more are there."""
    before = Snapshot.of(FULL)
    after = before.with_changes(put=policies(overlay.objects))
    isolated = [
        {
            (pods.peer_name, direction)
            for pods in snapshot.every_workload()
            for policy in snapshot.policies_for(pods)
            for direction in policy.policy_types
        }
        for snapshot in (before, after)
    ]
    assert isolated[0] == isolated[1]
    selected = frozenset(
        pods.peer_name
        for policy in policies(overlay.objects)
        for pods in after.select(policy.namespace, policy.pod_selector)
    )
    assert len(selected) == 2
    lost = _connections(before, selected) - _connections(after, selected)
    assert lost == set()


def test_what_kyma_s_own_policies_leave_shut_is_open(overlay: Built) -> None:
    """KEDA's webhook, and DNS of rt-bootstrapper: shut before, open after."""
    before = Snapshot.of(FULL)
    after = before.with_changes(put=policies(overlay.objects))
    keda = PodsPeer(_pods("keda-admission-webhooks"))
    bootstrapper = PodsPeer(_pods("rt-bootstrapper-controller-manager"))
    for snapshot, is_open in ((before, False), (after, True)):
        vpn = PodsPeer(deployment("kube-system/vpn-shoot", app="vpn-shoot"))
        dns = PodsPeer(deployment("kube-system/coredns", **{"k8s-app": "kube-dns"}))
        assert judge(snapshot, vpn, keda, Protocol.TCP, 9443).allowed is is_open
        assert judge(snapshot, bootstrapper, dns, Protocol.UDP, 8053).allowed is is_open


def _pods(name: str) -> Workload:
    (known,) = (known_workload for known_workload in KYMA_WORKLOADS if known_workload.name == name)
    return module_workload(known)


def test_nothing_is_in_it_that_sap_s_admission_policies_refuse(tree: Path, overlay: Built) -> None:
    """No default-deny, no namespace that a prune would delete, no label of Kyma's modules."""
    documents = list(yaml.safe_load_all(kustomize_build(tree / "overlays/kyma-btp").stdout))
    assert {loaded["kind"] for loaded in documents} == {"NetworkPolicy"}
    for document in documents:
        spec = document["spec"]
        assert spec["podSelector"] != {}
        assert all(spec[direction.lower()] for direction in spec["policyTypes"])
        labels = document["metadata"]["labels"]
        assert not [label for label in labels if "kyma-project.io/" in label]


def test_the_proof_says_that_nothing_is_denied(overlay: Built) -> None:
    """Nobody takes it for a baseline that denies."""
    findings = overlay.proof(FULL).report.findings
    assert [finding.severity for finding in findings] == [Severity.INFO]
    assert "pods that no policy selects are open" in findings[0].message


def _verify(folder: Path, *arguments: str) -> str:
    environment = {"ISTIO_NETPOL_KUSTOMIZE": str(located("kustomize"))}
    result = CliRunner().invoke(program, ["bundle", "verify", str(folder), *arguments], env=environment)
    assert result.exit_code == 1, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("component", "whom", "direction"),
    [
        ("kyma-eventing", "eventing-manager", "egress"),
        ("kyma-warden", "warden-admission", "ingress"),
        ("kyma-btp-operator", "", ""),
        ("kyma", "istio-controller-manager", "egress"),
    ],
)
def test_a_policy_for_pods_that_nothing_isolates_is_an_error(
    tree: Path, component: str, whom: str, direction: str
) -> None:
    """An allow without a deny cuts what it does not list; for pods with policies of their own it does not."""
    folder = tree / "overlays" / "kyma-btp"
    file = folder / "kustomization.yaml"
    text = file.read_text()
    try:
        file.write_text(text.replace("components:\n", f"components:\n- ../../components/{component}\n"))
        found = built(folder).complaints([*usual_kyma(), *kyma_modules()])
    finally:
        file.write_text(text)
    told = [line for line in found if f"isolates Deployment kyma-system/{whom} for {direction}" in line]
    assert bool(told) is bool(whom)


def test_a_cluster_whose_module_has_no_policies_is_told(tree: Path, tmp_path: Path) -> None:
    """An older keda module brings none: the dump shows it, and the overlay would cut the rest."""
    theirs = [own_policy for own_policy in own_policies() if "keda-admission" not in own_policy.name]
    file = tmp_path / "cluster.yaml"
    file.write_text(_manifests([*_running(), *map(encode_policy, theirs)]))
    folder = tree / "overlays" / "kyma-btp"
    output = _verify(folder, "--cluster-dump", str(file))
    assert "isolates Deployment kyma-system/keda-admission-webhooks for ingress" in output
    assert "isolates Deployment kyma-system/rt-bootstrapper" not in output


def _running() -> list[dict[str, object]]:
    """Deployments of the two workloads that the overlay is for."""
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": pods.name, "namespace": pods.namespace},
            "spec": {
                "selector": {"matchLabels": dict(pods.labels)},
                "template": {
                    "metadata": {"labels": dict(pods.labels)},
                    "spec": {"containers": [{"name": "manager", "image": "manager"}]},
                },
            },
        }
        for pods in map(_pods, ("keda-admission-webhooks", "rt-bootstrapper-controller-manager"))
    ]


def _manifests(documents: list[dict[str, object]]) -> str:
    return yaml.safe_dump_all(documents)


def test_directions_are_both_asked(overlay: Built) -> None:
    """A policy may isolate in one direction and say nothing of the other."""
    kinds = {policy.name: policy.policy_types for policy in policies(overlay.objects)}
    assert kinds == {
        "keda-webhook-from-apiserver": frozenset({Direction.INGRESS}),
        "rt-bootstrapper-to-dns": frozenset({Direction.EGRESS}),
    }
