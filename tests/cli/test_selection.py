"""Which findings a check shows, and which make it fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.workspace import DENY_ALL, SHOP, Run

WITH_WARNING = SHOP + DENY_ALL.replace("default-deny", "open") + "  egress: [{}]\n  ingress: []\n"
WITH_WARNING = WITH_WARNING.replace("[Ingress, Egress]", "[Egress]")
"""One warning: a policy that opens everything."""


def rules(output: str) -> set[str]:
    return {finding["rule"] for finding in json.loads(output)["findings"]}


@pytest.mark.parametrize("rule", ["dns", "proxy-to-istiod"])
def test_one_rule_is_asked_for(run: Run, rule: str) -> None:
    """The others are as if they did not exist."""
    result = run("check", "manifests", "--offline", "-f", "json", "--rule", rule)
    assert (rules(result.stdout), result.exit_code) == ({rule}, 1)


def test_several_rules_are_asked_for(run: Run) -> None:
    """The option can be repeated."""
    result = run(
        "check", "manifests", "--offline", "-f", "json", "--rule", "dns", "--rule", "proxy-to-istiod"
    )
    assert rules(result.stdout) == {"dns", "proxy-to-istiod"}


def test_a_rule_without_findings_does_not_fail(run: Run) -> None:
    """Whatever others find."""
    assert run("check", "manifests", "--offline", "--rule", "tracing").exit_code == 0


@pytest.mark.parametrize(
    ("written", "meant"),
    [("proxy-to-istio", "proxy-to-istiod"), ("jwks", "jwks-"), ("broad", "broad-policy")],
)
def test_an_unknown_rule_names_those_that_are_called_alike(run: Run, written: str, meant: str) -> None:
    """A typo is told at once."""
    result = run("check", "manifests", "--rule", written)
    assert result.exit_code == 2
    assert f"'{written}' is not the id of a rule; did you mean" in result.stderr
    assert meant in result.stderr


def test_what_is_called_like_nothing_names_the_list(run: Run) -> None:
    """Somebody who guesses wants to see what there is."""
    assert "`istio-netpol rule` lists all" in run("check", "manifests", "--rule", "zzzz").stderr


@pytest.mark.parametrize(
    ("fail_on", "stdin", "code"),
    [
        ("error", WITH_WARNING, 0),
        ("warning", WITH_WARNING, 1),
        ("none", SHOP + DENY_ALL, 0),
        ("warning", SHOP + DENY_ALL, 1),
        ("warning", SHOP, 0),
    ],
)
def test_it_is_said_what_fails(run: Run, fail_on: str, stdin: str, code: int) -> None:
    """Errors, warnings too, or nothing."""
    assert run("check", "-", "--offline", "--fail-on", fail_on, stdin=stdin).exit_code == code


def test_what_is_hidden_still_fails(run: Run) -> None:
    """And it is said, for nobody would find the reason otherwise."""
    result = run("check", "-", "--offline", "--severity", "error", "--fail-on", "warning", stdin=WITH_WARNING)
    assert result.exit_code == 1
    assert "fails because of 1 warning that --severity hides" in result.stderr
    assert result.stdout.splitlines()[-1].startswith("No findings in ")


@pytest.mark.parametrize(("severity", "shown"), [("error", set()), ("warning", {"broad-policy"})])
def test_what_is_milder_is_not_shown(run: Run, severity: str, shown: set[str]) -> None:
    """In no format."""
    result = run("check", "-", "--offline", "-f", "json", "--severity", severity, stdin=WITH_WARNING)
    assert rules(result.stdout) == shown


def test_sarif_points_to_pages_only_where_they_are_published(run: Run) -> None:
    """The setting says where."""
    (run_without,) = json.loads(run("check", "manifests", "--offline", "-f", "sarif").stdout)["runs"]
    assert not any("helpUri" in rule for rule in run_without["tool"]["driver"]["rules"])
    assert all("## Remedy" in rule["help"]["markdown"] for rule in run_without["tool"]["driver"]["rules"])
    Path("settings.yaml").write_text(
        "apiVersion: istio-netpol.io/v1\nkind: Settings\nrulePages: https://docs.example.com/rules\n"
    )
    told = run("check", "manifests", "--offline", "-f", "sarif", "--config", "settings.yaml").stdout
    (run_with,) = json.loads(told)["runs"]
    assert {rule["helpUri"] for rule in run_with["tool"]["driver"]["rules"]} == {
        "https://docs.example.com/rules/dns",
        "https://docs.example.com/rules/proxy-to-istiod",
    }
