"""Every scenario folder, through the command line: what is found, what mends it, and what each policy is
for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from tests.conftest import Golden
from tests.scenarios import scenario as scenarios
from tests.scenarios.scenario import Scenario

from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.policies import Direction, NetworkPolicy
from istio_netpol.model.workloads import Workload
from istio_netpol.netpol.connectivity import connections
from istio_netpol.state.snapshot import Snapshot

NAMES = scenarios.names()
FINISHED = [name for name in NAMES if (scenarios.FOLDER / name / "policies").is_dir()]


@pytest.fixture(params=NAMES)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return scenarios.read(request.param)


@pytest.fixture(params=FINISHED)
def finished(request: pytest.FixtureRequest) -> Scenario:
    return scenarios.read(request.param)


def test_check_finds_what_the_scenario_says(scenario: Scenario, golden: Golden) -> None:
    """`check` reports exactly the findings of findings.yaml, and its exit code says whether one is an
    error."""
    code, findings = scenarios.check(scenario, scenario.before)
    found = [scenarios.compact(finding) for finding in findings]
    golden(
        scenario.folder / "findings.yaml",
        yaml.safe_dump(found, sort_keys=False, default_flow_style=None, width=110),
    )
    assert bool(found) != scenario.expects_nothing
    assert bool(scenario.why) == scenario.expects_nothing
    assert code == any(finding["severity"] == "error" for finding in findings)


def test_generate_writes_the_remedies(scenario: Scenario, golden: Golden) -> None:
    """`generate` prints exactly the policies of remedies.yaml."""
    outcome = scenarios.run("generate", scenario, scenario.before)
    assert outcome.code == 0, outcome.told
    golden(scenario.folder / "remedies.yaml", outcome.output)


def test_remedies_mend_what_was_found(scenario: Scenario, tmp_path: Path) -> None:
    """With the generated policies nothing stays denied but what the scenario says no policy may open."""
    remedies = _generated(scenario, tmp_path)
    _, findings = scenarios.check(scenario, (*scenario.before, *remedies))
    left = {finding["rule"] for finding in findings if finding["severity"] == "error" or finding["flow"]}
    assert left == set(scenario.remains)


def test_remedies_isolate_nothing(scenario: Scenario, tmp_path: Path) -> None:
    """A generated policy selects only pods that are isolated already in its direction, or to which a tier
    leaves no connection in it."""
    before = _snapshot(scenario.before)
    for policy in _snapshot(map(str, _generated(scenario, tmp_path))).every(NetworkPolicy):
        for workload in before.select(policy.namespace, policy.pod_selector):
            isolated = {
                direction for other in before.policies_for(workload) for direction in other.policy_types
            }
            if not workload.host_network and not policy.policy_types <= isolated:
                assert _is_cut_off(workload, policy, before), f"{policy.ref}: {workload.ref}"


def _is_cut_off(workload: Workload, policy: NetworkPolicy, before: Snapshot) -> bool:
    """Whether the pods have no connection at all in the directions of a policy."""
    ends = {Direction.EGRESS: 0, Direction.INGRESS: 1}
    rows = list(connections(before))
    return not any(
        row[ends[direction]] == workload.peer_name for row in rows for direction in policy.policy_types
    )


def test_finished_policies_pass(finished: Scenario) -> None:
    """With the finished policies nothing is denied, and nothing is odd about them."""
    assert scenarios.check(finished, (*finished.before, *finished.policies)) == (0, [])


@pytest.mark.parametrize(
    ("name", "policy"),
    [(name, file.stem) for name in FINISHED for file in scenarios.read(name).policies],
)
def test_each_finished_policy_is_needed(name: str, policy: str) -> None:
    """Without any one of the finished policies the flow is denied that the scenario names."""
    scenario = scenarios.read(name)
    others = [file for file in scenario.policies if file.stem != policy]
    (left_out,) = _snapshot([str(scenario.folder / "policies" / f"{policy}.yaml")]).every(NetworkPolicy)
    code, findings = scenarios.check(scenario, (*scenario.before, *others))
    assert code == 1
    assert scenario.leaving_out[left_out.key] in {finding["rule"] for finding in findings}


def test_shared_parts_are_used() -> None:
    """No shared folder is left without a scenario that builds on it."""
    used = {
        Path(path).relative_to(scenarios.FOLDER).parts[0]
        for name in NAMES
        for path in scenarios.read(name).inputs
    }
    shared = {folder.name for folder in scenarios.FOLDER.glob("_[!_]*")}
    assert shared <= used


def _generated(scenario: Scenario, folder: Path) -> list[Path]:
    scenarios.run("generate", scenario, scenario.before, "-o", str(folder))
    return sorted(folder.glob("*.yaml"))


def _snapshot(paths: Iterable[str]) -> Snapshot:
    files = [file for path in paths for file in _files(Path(path))]
    documents = (document for file in files for document in read_documents(file.read_bytes(), str(file)))
    return Snapshot.of(load(documents, "default").objects)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.yaml"))
