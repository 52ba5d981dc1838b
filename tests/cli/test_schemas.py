"""The JSON that scripts rely on is what docs/schemas says, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.cli.platform import platform
from tests.cli.workspace import DENY_ALL, ISTIOD_DENIED, JWT, KUSTOMIZE, SHOP, Run, program
from tests.report.results import NOTHING, REPORT
from tests.scenarios import scenario

from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.report.doctor import doctor_json
from istio_netpol.report.json_format import json_report

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
SCENARIOS = scenario.names()[::5]
"""Every fifth shows kinds of objects enough, at a fifth of the time."""


def errors(name: str, text: str) -> list[str]:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(schema).iter_errors(json.loads(text))
    ]


def listed(items: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.mark.parametrize("report", [REPORT, NOTHING], ids=["findings", "clean"])
def test_a_report_of_every_kind_of_finding(report: Any) -> None:
    """Flows to pods, addresses, hosts and anybody; objects of no file; what was not read."""
    assert errors("report", json_report(report)) == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_report_of_a_scenario(run: Run, name: str) -> None:
    """What rules really find."""
    result = run("check", *scenario.read(name).before, "--offline", "-f", "json")
    assert errors("report", result.stdout) == []


@pytest.mark.parametrize(
    "options",
    [(), ("--assume-deny-all",), ("--rule", "dns"), ("--severity", "error"), ("--proposals",)],
    ids=" ".join,
)
def test_the_report_of_a_platform(run: Run, options: tuple[str, ...]) -> None:
    """With every option that changes what is in it."""
    result = run("check", "-", "--offline", "-f", "json", *options, stdin=listed(platform(6)))
    assert errors("report", result.stdout) == []
    assert json.loads(result.stdout)["findings"]


def test_what_does_not_count(run: Run, workspace: Path) -> None:
    """Accepted, left out, known."""
    annotated = SHOP.replace(
        "name: cart, ", 'name: cart, annotations: {istio-netpol.io/accept: "dns until 2999-01-01: why"}, '
    )
    (workspace / "shop.yaml").write_text(annotated + DENY_ALL + JWT + ISTIOD_DENIED)
    (workspace / "settings.yaml").write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\nadmission: {exemptNamespaces: [istio-system]}\n"
    )
    options = ("shop.yaml", "--offline", "--baseline", "known.json", "--config", "settings.yaml")
    run("check", *options, "--update-baseline")
    text = run("check", *options, "-f", "json").stdout
    document = json.loads(text)
    assert document["accepted"]
    assert document["notCounted"]
    assert document["baseline"]["known"]
    assert errors("report", text) == []
    assert errors("baseline", (workspace / "known.json").read_text()) == []


def test_several_inputs(run: Run, workspace: Path) -> None:
    """Figures of each, and findings that name theirs."""
    for name in ("dev", "prod"):
        folder = workspace / "repo" / name
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text("resources: [shop.yaml]\n")
        (folder / "shop.yaml").write_text(SHOP + DENY_ALL)
    kustomize = {"ISTIO_NETPOL_KUSTOMIZE": str(program(workspace / "kustomize", KUSTOMIZE))}
    text = run("check", "repo", "--offline", "-f", "json", **kustomize).stdout
    assert len(json.loads(text)["inputs"]) == 2
    assert errors("report", text) == []
    for options in ((), ("--summary",), ("--exposure",)):
        assert errors("list", run("list", "repo", "-f", "json", *options, **kustomize).stdout) == []


@pytest.mark.parametrize("options", [(), ("--summary",), ("--exposure",)], ids=" ".join)
def test_a_list(run: Run, options: tuple[str, ...]) -> None:
    """Connections, pairs of namespaces, exposure."""
    text = run("list", "-", "-f", "json", *options, stdin=listed(platform(3))).stdout
    assert errors("list", text) == []


@pytest.mark.parametrize("options", [(), ("--per-namespace",), ("--proposals",)], ids=" ".join)
def test_a_plan(run: Run, options: tuple[str, ...]) -> None:
    """With steps, questions and what stays denied."""
    text = run("readiness", "-", "--offline", "-f", "json", *options, stdin=listed(platform(6))).stdout
    assert errors("readiness", text) == []
    assert json.loads(text)["steps"]


def test_plans_of_several_inputs(run: Run, workspace: Path) -> None:
    """One after the other, each with its name."""
    for name in ("dev", "prod"):
        folder = workspace / "repo" / name
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text("resources: [shop.yaml]\n")
        (folder / "shop.yaml").write_text(SHOP)
    kustomize = {"ISTIO_NETPOL_KUSTOMIZE": str(program(workspace / "kustomize", KUSTOMIZE))}
    text = run("readiness", "repo", "--offline", "-f", "json", **kustomize).stdout
    assert len(json.loads(text)["items"]) == 2
    assert errors("readiness", text) == []


def test_an_examination() -> None:
    """Each verdict."""
    assert errors("doctor", doctor_json([Diagnosis("DNS", "x", "y", health) for health in Health])) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("findings", 0, "severity"), "fatal"),
        (("findings", 0, "more"), 1),
        (("summary", "flows"), -1),
        (("kind",), "X"),
    ],
)
def test_the_schema_refuses_what_is_not_there(path: tuple[Any, ...], value: object) -> None:
    """It would be worth nothing if it took everything."""
    document = json.loads(json_report(REPORT))
    *parents, last = path
    place = document
    for part in parents:
        place = place[part]
    place[last] = value
    assert errors("report", json.dumps(document))


def test_the_help_names_the_schema(run: Run) -> None:
    """Whoever writes a script looks there."""
    assert "docs/schemas/report.schema.json" in " ".join(run("check", "--help").output.split())
