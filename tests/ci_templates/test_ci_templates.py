"""The GitHub action, the GitLab component and the hooks at work on a repository with overlays, run as their
systems run them: bash, step by step, inputs as variables."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from release.tree import export
from tests.cluster.fixtures import require
from tests.gitops.pages import objects
from tests.release.package_index import require_package_index
from tests.tools.programs import located

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
COMPONENT = ROOT / "templates" / "check.yml"
PROGRAMS = Path(sys.executable).parent
INPUT = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
GITLAB_INPUT = re.compile(r"\$\[\[ inputs\.([\w-]+) \]\]")

COMPLETE = {
    "paths": "base",
    "addresses": "keys.example.com=192.0.2.7\nother.example.com=192.0.2.8,192.0.2.9",
}


@pytest.fixture
def monorepo(tmp_path: Path) -> Path:
    """A clone of a repository with a base and two overlays, in which DNS and istiod are denied."""
    folder = tmp_path / "monorepo"
    shutil.copytree(Path(__file__).parent / "monorepo", folder)
    return folder


@dataclass(frozen=True)
class Ran:
    """How a job ended, what it printed, and what it left for its system."""

    code: int
    printed: str
    outputs: str
    summary: str


def bash(script: str, folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a step as both systems do: bash, ending at the first command that fails."""
    require("kustomize")
    kustomize = located("kustomize")
    assert kustomize is not None
    path = f"{variables.get('INSTALLED', PROGRAMS)}:{kustomize.parent}:{PROGRAMS}:/usr/bin:/bin"
    environment = {"HOME": str(folder.parent), **variables, "PATH": path}
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def action() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(ACTION.read_text())
    return content


def step(name: str) -> dict[str, Any]:
    (found,) = (stage for stage in action()["runs"]["steps"] if stage["name"] == name)
    return dict(found)


def run_action(folder: Path, **inputs: str) -> Ran:
    """The step that checks, with these inputs and the defaults of the others."""
    defaults = {
        name: str(declared_input.get("default", "")) for name, declared_input in action()["inputs"].items()
    }
    given = {**defaults, **{name.replace("_", "-"): value for name, value in inputs.items()}}
    check = step("Check")
    variables = {name: INPUT.sub(lambda found: given[found[1]], text) for name, text in check["env"].items()}
    files = {name: folder.parent / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    done = bash(check["run"], folder, {**variables, **{name: str(file) for name, file in files.items()}})
    left = [file.read_text() for file in files.values()]
    return Ran(done.returncode, done.stdout + done.stderr, left[0], left[1])


def test_each_system_accepts_its_file(tmp_path: Path) -> None:
    """Judged by the published schemas; of the component, the job."""
    job = tmp_path / "gitlab-ci.yml"
    _, content = COMPONENT.read_text().split("\n---\n")
    job.write_text(GITLAB_INPUT.sub("test", content))
    for schema, file in (("github-actions", ACTION), ("gitlab-ci", job)):
        command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_the_page_names_inputs_that_exist() -> None:
    """Who copies an example of docs/gitops.md gives no input that is silently ignored."""
    (workflow,) = objects("gitops.md", ".github/workflows/netpol-action.yaml")
    assert workflow["jobs"]["netpol"]["steps"][-1]["with"].keys() <= action()["inputs"].keys()
    (included,) = objects("gitops.md", ".gitlab-ci-component.yml")
    (component,) = included["include"]
    declared = yaml.safe_load(COMPONENT.read_text().split("\n---\n")[0])["spec"]["inputs"]
    assert component["inputs"].keys() <= declared.keys()
    assert {name for name, entry in declared.items() if "default" not in entry} <= component["inputs"].keys()
    assert component["file"] == f"/{COMPONENT.relative_to(ROOT)}"


def test_no_input_is_part_of_a_script() -> None:
    """What somebody writes into an input is never read as a command: it comes in variables only."""
    assert [stage["name"] for stage in action()["runs"]["steps"] if "${{" in stage.get("run", "")] == []
    _, content = COMPONENT.read_text().split("\n---\n")
    (job,) = yaml.safe_load(content).values()
    assert "$[[" not in "".join([*job["before_script"], *job["script"]])
    declared = set(action()["inputs"])
    assert set(INPUT.findall(ACTION.read_text())) == declared
    spec, content = COMPONENT.read_text().split("\n---\n")
    assert set(GITLAB_INPUT.findall(content)) == set(yaml.safe_load(spec)["spec"]["inputs"])


def test_the_action_reports_both_overlays_and_fails(monorepo: Path) -> None:
    """Annotations on standard output, SARIF in a file that is named as output, and the summary."""
    ran = run_action(monorepo)
    assert ran.code == 1, ran.printed
    for environment in ("dev", "prod"):
        assert f"::error file=overlays/{environment}/kustomization.yaml" in ran.printed
        assert f"bank-{environment}" in ran.summary
    assert ran.outputs == "sarif=istio-netpol.sarif\n"
    results = json.loads((monorepo / "istio-netpol.sarif").read_text())["runs"][0]["results"]
    assert {result["ruleId"] for result in results} >= {"dns", "proxy-to-istiod"}
    assert "| error | `proxy-to-istiod` |" in ran.summary


def test_the_action_takes_several_paths_settings_and_addresses(monorepo: Path) -> None:
    """A path a line, spaces included; the settings say where the gateway is, so its call is known."""
    (monorepo / "more apps").mkdir()
    shutil.copy(ROOT / "docs" / "examples" / "shop" / "cart.yaml", monorepo / "more apps")
    settings = "apiVersion: istio-netpol.io/v1\nkind: Settings\nmesh: {gatewayNamespace: istio-system}\n"
    (monorepo / "netpol.yaml").write_text(settings)
    ran = run_action(
        monorepo,
        paths="overlays/dev\nmore apps\n",
        config="netpol.yaml",
        addresses=COMPLETE["addresses"],
        sarif="out.sarif",
    )
    assert ran.code == 1, ran.printed
    assert "overlays/prod" not in ran.printed
    assert "::error" in ran.printed
    assert "gateway-to-workload" in ran.summary
    assert (monorepo / "out.sarif").exists()


@pytest.mark.parametrize(("fail_on", "code"), [("none", 0), ("error", 0), ("warning", 1)])
def test_the_severity_that_fails_is_an_input(monorepo: Path, fail_on: str, code: int) -> None:
    """A repository with warnings alone passes unless somebody wants otherwise."""
    (monorepo / "base" / "kustomization.yaml").write_text("resources: [ledger.yaml, route.yaml]\n")
    ran = run_action(monorepo, fail_on=fail_on)
    assert ran.code == code, ran.printed
    assert "::warning" in ran.printed


def test_a_complete_repository_passes(monorepo: Path) -> None:
    """With the policies that `generate` writes, nothing is reported as an error."""
    generate = "istio-netpol generate --offline overlays/dev > policies.yaml"
    assert bash(generate, monorepo, {}).returncode == 0
    ran = run_action(monorepo, paths="overlays/dev\npolicies.yaml")
    assert ran.code == 0, ran.printed
    assert "::error" not in ran.printed


def test_known_findings_fail_neither_job(monorepo: Path) -> None:
    """With a baseline only what is new counts."""
    write = (
        "istio-netpol check --offline . --baseline known.json --update-baseline > known.txt || [[ $? -eq 1 ]]"
    )
    assert bash(write, monorepo, {}).returncode == 0
    ran = run_action(monorepo, baseline="known.json")
    assert ran.code == 0, ran.printed
    code, printed = run_component(monorepo, baseline="known.json")
    assert code == 0, printed
    shutil.copy(ROOT / "docs" / "examples" / "shop" / "namespace.yaml", monorepo / "base")
    shutil.copy(ROOT / "docs" / "examples" / "shop" / "cart.yaml", monorepo / "base")
    resources = "resources: [namespace.yaml, ledger.yaml, route.yaml, cart.yaml]\n"
    (monorepo / "base" / "kustomization.yaml").write_text(resources)
    assert run_action(monorepo, baseline="known.json").code == 1
    assert run_component(monorepo, baseline="known.json")[0] == 1


def test_unusable_input_fails_with_its_reason(monorepo: Path) -> None:
    """A path that is not there is no green job."""
    ran = run_action(monorepo, paths="absent")
    assert ran.code != 0
    assert "absent" in ran.printed


@pytest.mark.parametrize("name", ["paths", "config", "baseline", "fail_on", "addresses", "sarif"])
@pytest.mark.parametrize("hostile", ["$(touch stolen)", '"; touch stolen; "\nb=c'])
def test_no_input_runs_a_command(monorepo: Path, name: str, hostile: str) -> None:
    """Whatever an input is, it is a path, a value or an error, and it names no output of its own."""
    ran = run_action(monorepo, **{name: hostile})
    assert not (monorepo / "stolen").exists()
    assert [line for line in ran.outputs.splitlines() if not line.startswith("sarif=")] == []


def test_the_action_installs_itself(monorepo: Path, tmp_path: Path) -> None:
    """From a checkout of its own: the locked packages, and the program that the next step finds."""
    require_package_index(tmp_path)
    path, runner, checkout = tmp_path / "path", tmp_path / "runner", tmp_path / "checkout"
    path.write_text("")
    runner.mkdir()
    export(ROOT, checkout)
    variables = {"RUNNER_TEMP": str(runner), "GITHUB_ACTION_PATH": str(checkout), "GITHUB_PATH": str(path)}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP"))}
    done = bash(step("Install")["run"], monorepo, {**kept, **variables})
    assert done.returncode == 0, done.stderr
    installed = path.read_text().strip()
    done = bash("istio-netpol --version; istio-netpol rule dns", monorepo, {"INSTALLED": installed})
    assert done.returncode == 0, done.stderr
    assert "dns" in done.stdout


def run_component(folder: Path, **inputs: str) -> tuple[int, str]:
    """The component's script, with these inputs and the defaults of the others."""
    spec, content = COMPONENT.read_text().split("\n---\n")
    declared = yaml.safe_load(spec)["spec"]["inputs"]
    given = {name: str(entry.get("default", "")) for name, entry in declared.items()}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    (job,) = yaml.safe_load(content).values()
    variables = {
        name: GITLAB_INPUT.sub(lambda found: given[found[1]], text) for name, text in job["variables"].items()
    }
    done = bash("\n".join(job["script"]), folder, variables)
    return done.returncode, done.stdout + done.stderr


def test_the_component_reports_both_overlays_and_fails(monorepo: Path) -> None:
    """Code quality and failed tests, and what somebody reads in the job's log."""
    code, printed = run_component(monorepo)
    assert code == 1, printed
    assert "overlays/prod, bank-prod: ledger" in printed
    quality = json.loads((monorepo / "istio-netpol.codequality.json").read_text())
    assert {issue["check_name"] for issue in quality} >= {"dns", "proxy-to-istiod"}
    assert all((monorepo / issue["location"]["path"]).exists() for issue in quality)
    suites = ET.parse(monorepo / "istio-netpol.junit.xml").getroot()
    assert int(suites.get("failures", "0")) > 0
    job = yaml.safe_load(COMPONENT.read_text().split("\n---\n")[1])["istio-netpol"]
    assert set(job["artifacts"]["reports"].values()) == {
        "istio-netpol.codequality.json",
        "istio-netpol.junit.xml",
    }


def test_the_component_passes_where_nothing_is_denied(monorepo: Path) -> None:
    """Several paths, a line each."""
    generate = "istio-netpol generate --offline overlays/dev > policies.yaml"
    assert bash(generate, monorepo, {}).returncode == 0
    code, printed = run_component(monorepo, paths="overlays/dev\npolicies.yaml")
    assert code == 0, printed


@pytest.mark.parametrize("name", ["paths", "config", "baseline", "fail_on", "addresses"])
@pytest.mark.parametrize("hostile", ["$(touch stolen)", '"; touch stolen; "'])
def test_no_input_of_the_component_runs_a_command(monorepo: Path, name: str, hostile: str) -> None:
    """Whatever an input is, it is a path, a value or an error."""
    run_component(monorepo, **{name: hostile})
    assert not (monorepo / "stolen").exists()


def test_the_hook_reads_overlays(monorepo: Path) -> None:
    """Its entry and its own arguments, as pre-commit calls them in a repository that configures nothing."""
    hooks = {entry["id"]: entry for entry in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    hook = hooks["istio-netpol-check"]
    done = bash(" ".join([hook["entry"], *hook["args"]]), monorepo, {})
    assert done.returncode == 1
    assert "overlays/dev, bank-dev: ledger" in done.stdout
    for file in ("base/ledger.yaml", "overlays/prod/kustomization.yaml"):
        assert re.search(hook["files"], file)
