"""`istio-netpol rule` prints the pages of the rules, wherever the program is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.cli.workspace import Run

from istio_netpol.model.findings import Issue
from istio_netpol.model.flows import FlowKind

PAGES = Path(__file__).parents[2] / "docs" / "rules"
IDS = [str(rule) for ids in (FlowKind, Issue) for rule in ids]


@pytest.mark.parametrize("rule", IDS)
def test_the_page_of_a_rule_is_printed(run: Run, rule: str) -> None:
    """All of its words, without markup."""
    result = run("rule", rule)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{rule}\n\n")
    assert {"Symptom", "Why", "Example", "Remedy", "Sources"} <= set(result.stdout.splitlines())
    assert "](" not in result.stdout
    assert "```" not in result.stdout


@pytest.mark.parametrize("rule", IDS)
def test_no_line_of_prose_is_wider_than_a_screen(run: Run, rule: str) -> None:
    """Examples and tables are as they were written, and long words stay whole."""
    written = {line.strip() for line in (PAGES / f"{rule}.md").read_text().splitlines()}
    wide = [
        line for line in run("rule", rule).stdout.splitlines() if len(line) > 100 and len(line.split()) > 2
    ]
    assert [line for line in wide if line.strip() not in written] == []


def test_an_example_can_be_copied(run: Run) -> None:
    """The YAML of the remedy is YAML as it stands there."""
    text = run("rule", "workload-to-workload").stdout
    example = text[text.index("apiVersion:") : text.index("\nSources")]
    assert [policy["kind"] for policy in yaml.safe_load_all(example)] == ["NetworkPolicy", "NetworkPolicy"]


def test_all_rules_are_listed(run: Run) -> None:
    """With their titles."""
    lines = run("rule").stdout.splitlines()
    assert [rule for rule in IDS if not any(line.startswith(f"  {rule} ") for line in lines)] == []
    assert "  proxy-to-istiod         A sidecar needs its istiod." in lines


@pytest.mark.parametrize(
    ("written", "meant"),
    [("proxy-to-istio", "proxy-to-istiod"), ("DNS", ""), ("broadpolicy", "broad-policy")],
)
def test_a_wrong_id_names_the_nearest(run: Run, written: str, meant: str) -> None:
    """Upper case is no mistake."""
    result = run("rule", written)
    assert result.exit_code == (2 if meant else 0)
    assert meant in result.stderr


def test_links_to_other_rules_are_commands(run: Run) -> None:
    """A terminal has no links."""
    linking = [
        rule for rule in IDS if any(f"]({other}.md" in (PAGES / f"{rule}.md").read_text() for other in IDS)
    ]
    assert linking
    assert [
        rule for rule in linking if "istio-netpol rule " not in " ".join(run("rule", rule).stdout.split())
    ] == []


@pytest.mark.parametrize("part", ["a", "", "to"])
def test_a_part_of_most_ids_is_not_answered_with_most_ids(run: Run, part: str) -> None:
    """A handful is a suggestion; else the command that lists them all is named."""
    result = run("rule", part)
    assert result.exit_code == 2
    assert f"{part!r} is not the id of a rule; `istio-netpol rule` lists all\n" in result.stderr
