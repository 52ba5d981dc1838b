"""The plan for a cluster of forty namespaces, applied step by step as a person would: from its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.readiness.estate import SILENT

from istio_netpol.analysis.check import judge_of
from istio_netpol.analysis.flow_verdicts import FlowJudge, HostTrouble
from istio_netpol.analysis.reachability.document import StateName
from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.cli.main import program
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.own_names import KUBERNETES_NAMESPACES
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

MOST_LINES = 48


def run(dump: Path, *arguments: str) -> Result:
    return CliRunner().invoke(program, ["readiness", str(dump), "--offline", *arguments])


def read(file: Path) -> list[object]:
    return list(load(read_documents(file.read_bytes(), file.name)).objects)


class Cluster:
    """The dump, to which policies are applied; it knows which required connections are denied."""

    def __init__(self, dump: Path) -> None:
        self.stored = Snapshot.of(read(dump))
        self._table = FlowTable.of(self.stored, Settings())
        self._judge = judge_of(self._table, Offline())
        self.snapshot = self._table.snapshot
        self._flows = list(self._table.flows())

    def apply(self, policy: NetworkPolicy) -> None:
        self.snapshot = self.snapshot.with_changes(put=[policy])

    def denied(self) -> set[tuple[str, str, str, int]]:
        judge = FlowJudge(self.snapshot, self._judge.view, self._judge.gate)
        found = set()
        for flow in self._flows:
            for outcome in judge.resolved(flow):
                if isinstance(outcome, HostTrouble) or not outcome.verdict.allowed:
                    end = (flow.source.key, flow.destination.key)
                    found.add((*end, str(flow.protocol), flow.port))
        return found


@pytest.fixture(scope="module")
def files(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan") / "plan"
    result = run(dump, "-o", str(folder))
    assert result.exit_code == 1, result.output
    return folder


def test_applying_the_plan_cuts_nothing_but_what_waits_for_answers(dump: Path, files: Path) -> None:
    """After every single file, what is needed and denied is no more than before; at the end every namespace
    denies, and the only connections lost are those that the plan names."""
    told = json.loads(run(dump, "-f", "json").stdout)
    cluster = Cluster(dump)
    at_first = before = cluster.denied()
    steps = sorted(files.rglob("*.yaml"), key=lambda file: file.name)
    assert len(steps) == len(told["steps"]) > 60
    for file, step in zip(steps, told["steps"], strict=True):
        (policy,) = read(file)
        assert isinstance(policy, NetworkPolicy)
        cluster.apply(policy)
        after = cluster.denied()
        new = after - before
        assert len(new) == len(step["cuts"]), file.name
        assert (file.parent.name == "after-answers") == step["afterAnswers"]
        assert not new or step["afterAnswers"]
        before = after
    for name in set(cluster.snapshot.namespace_names) - KUBERNETES_NAMESPACES:
        assert all(cluster.snapshot.isolates_all(name, direction) for direction in Direction), name
    assert len(before) == len(told["stillCut"])
    lost = [connection for connection in told["stillCut"] if connection["step"]]
    assert len(before - at_first) == len(lost) > 0
    assert {connection["why"] for connection in lost} == {"jwks-unresolvable", "consent-missing"}


def test_the_plan_mends_what_is_denied_today(dump: Path) -> None:
    """Namespaces with a denial and too few policies are cut before anything is applied, and not after."""
    cluster = Cluster(dump)
    told = json.loads(run(dump, "-f", "json").stdout)
    denied_today = len(cluster.denied())
    assert denied_today > 20
    assert len([connection for connection in told["stillCut"] if not connection["step"]]) == 0


def test_owners_are_asked_who_nothing_is_known_of(dump: Path) -> None:
    """Each with the directions that are open today: argocd's ingress is under a policy already."""
    told = json.loads(run(dump, "-f", "json").stdout)
    asked = {workload["namespace"]: workload["directions"] for workload in told["ask"]}
    both = ["egress", "ingress"]
    assert asked == {"argocd": ["egress"], "cert-manager": both, "monitoring": both, "vault": both}
    assert told["safe"] is False


OWN = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: own, namespace: {name}}}
spec: {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}
"""
CONSENT = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: api, namespace: {name}}}
spec:
  workloadSelector: {{labels: {{app: api}}}}
  egress: [{{hosts: ["team-06/web.team-06.svc.cluster.local", "./*", "istio-system/*"]}}]
"""


def test_with_answers_and_addresses_the_cluster_is_ready(dump: Path, tmp_path: Path) -> None:
    """The host is given, the owners have written policies, and the caller says whom it calls: exit code 0,
    and no step waits."""
    owned = ("argocd", "cert-manager", "monitoring", "vault")
    answers = tmp_path / "answers.yaml"
    answers.write_text(
        "---\n".join([*(OWN.format(name=name) for name in owned), CONSENT.format(name=SILENT)])
    )
    result = run(dump, str(answers), "--address", "login.example.com=203.0.113.9", "-f", "json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0, told["stillCut"]
    assert told["safe"] is True
    assert not any(step["afterAnswers"] for step in told["steps"])


def test_the_text_fits_a_screen_and_all_is_more(dump: Path) -> None:
    """The verdict comes first."""
    lines = run(dump).stdout.splitlines()
    assert len(lines) <= MOST_LINES
    assert lines[0].startswith("Not ready: 4 workloads to ask about")
    everything = run(dump, "--all").stdout.splitlines()
    assert sum(line.startswith("team-") for line in everything) == 30


@pytest.mark.parametrize("name", ["text", "json", "markdown"])
def test_the_same_input_gives_the_same_bytes(dump: Path, name: str) -> None:
    assert run(dump, "-f", name).stdout == run(dump, "-f", name).stdout


def test_per_namespace_policies_make_a_plan_as_safe(dump: Path) -> None:
    """Fewer steps, and the same is lost."""
    wide, tight = (
        json.loads(run(dump, "-f", "json", option).stdout) for option in ("--per-namespace", "--tight")
    )
    assert wide["summary"]["steps"] <= tight["summary"]["steps"]
    assert wide["summary"]["stillCut"] == tight["summary"]["stillCut"]


def test_the_map_tells_the_same(dump: Path) -> None:
    """What its document has as denied under a deny-all, and not today, is what the plan says would be cut."""
    told = json.loads(run(dump, "-f", "json").stdout)
    found = facts(Given(Snapshot.of(read(dump))), Settings(), Offline())
    denied = {
        name: {
            (flow.source.key, flow.destination.key, flow.protocol, flow.port)
            for flow in (
                mapped.judged.flow for mapped in found.states[name].flows if not mapped.judged.verdict.allowed
            )
        }
        for name in (StateName.NOW, StateName.DENY_ALL)
    }
    assert len(denied[StateName.DENY_ALL] - denied[StateName.NOW]) == told["summary"]["wouldCut"]
