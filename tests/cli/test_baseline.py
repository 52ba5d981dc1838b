"""A baseline lets a check fail on what is new only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.workspace import DENY_ALL, KUSTOMIZE, SHOP, Run, program

BASELINE = ("--offline", "--baseline", "known.json")
WEB = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
"""


def findings(output: str) -> list[tuple[str, str]]:
    return [(finding["rule"], finding["object"]["name"]) for finding in json.loads(output)["findings"]]


@pytest.fixture
def known(run: Run, workspace: Path) -> Path:
    """The baseline of the shop under its deny-all."""
    result = run("check", "manifests", *BASELINE, "--update-baseline")
    assert (result.exit_code, "wrote 3 findings to known.json" in result.stderr) == (0, True)
    return workspace / "known.json"


def test_what_is_known_does_not_fail(run: Run, known: Path) -> None:
    """Not even as a warning; but it is said how much that is."""
    result = run("check", "manifests", *BASELINE, "--fail-on", "warning")
    assert result.exit_code == 0
    assert "  - 3 findings of this check are known from known.json" in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1].startswith("No new findings in ")


def test_what_is_new_fails(run: Run, known: Path, workspace: Path) -> None:
    """And it alone is shown."""
    (workspace / "manifests" / "web.yaml").write_text(WEB)
    result = run("check", "manifests", *BASELINE, "-f", "json")
    assert result.exit_code == 1
    assert set(findings(result.stdout)) == {("dns", "web"), ("proxy-to-istiod", "web")}
    assert json.loads(result.stdout)["baseline"] == {"file": "known.json", "known": 3, "gone": []}


def test_what_has_gone_is_said(run: Run, known: Path, workspace: Path) -> None:
    """Until somebody takes it out."""
    (workspace / "manifests" / "shop.yaml").write_text(SHOP)
    result = run("check", "manifests", *BASELINE, "-f", "json")
    gone = json.loads(result.stdout)["baseline"]["gone"]
    assert result.exit_code == 0
    assert len(gone) == 3
    assert (
        "proxy-to-istiod of Deployment.apps shop/cart: shop/Deployment/cart -> "
        "istio-system/Deployment/istiod TCP 15012" in gone
    )
    run("check", "manifests", *BASELINE, "--update-baseline")
    assert json.loads(known.read_text())["findings"] == []


@pytest.mark.parametrize(
    "moved",
    [
        ("manifests/shop.yaml", "# a comment\n\n---\n" + SHOP + DENY_ALL),
        ("manifests/elsewhere/all.yaml", SHOP + DENY_ALL),
        ("manifests/shop.yaml", "---\n".join(reversed((SHOP + DENY_ALL).split("---\n")))),
    ],
    ids=["lines", "file", "order"],
)
def test_what_moves_is_not_new(run: Run, known: Path, workspace: Path, moved: tuple[str, str]) -> None:
    """Lines, files and the order of documents don't matter."""
    (workspace / "manifests" / "shop.yaml").unlink()
    file = workspace / moved[0]
    file.parent.mkdir(exist_ok=True)
    file.write_text(moved[1])
    result = run("check", "manifests", *BASELINE)
    assert (result.exit_code, result.stdout.splitlines()[-1][:15]) == (0, "No new findings")


def test_another_name_of_the_deny_all_is_not_new(run: Run, known: Path, workspace: Path) -> None:
    """Who denies may change; that it is denied was known."""
    renamed = DENY_ALL.replace("default-deny", "deny-everything-0a1b2c3d")
    (workspace / "manifests" / "shop.yaml").write_text(SHOP + renamed)
    assert run("check", "manifests", *BASELINE).exit_code == 0


def test_a_known_warning_that_becomes_an_error_is_new(run: Run, workspace: Path) -> None:
    """It is worse than what was known; the other way round it is known."""
    header = (
        "apiVersion: istio-netpol.io/v1\nkind: Settings\nseverities: {proxy-to-istiod: warning, dns: off}\n"
    )
    (workspace / "mild.yaml").write_text(header)
    run("check", "manifests", *BASELINE, "--update-baseline", "--config", "mild.yaml")
    (workspace / "mild.yaml").write_text(header.replace("warning", "info"))
    assert findings(run("check", "manifests", *BASELINE, "-f", "json", "--config", "mild.yaml").stdout) == []
    worse = run("check", "manifests", *BASELINE, "-f", "json", "--rule", "proxy-to-istiod")
    assert (findings(worse.stdout), worse.exit_code) == ([("proxy-to-istiod", "cart")], 1)


def test_one_more_of_the_same_is_new(run: Run, workspace: Path) -> None:
    """Two rules that are too wide are not one."""
    policy = SHOP + DENY_ALL.replace("[Ingress, Egress]", "[Egress]") + "  egress: [{}]\n"
    (workspace / "wide.yaml").write_text(policy)
    run("check", "wide.yaml", *BASELINE, "--update-baseline")
    (workspace / "wide.yaml").write_text(policy.replace("[{}]", "[{}, {}]"))
    result = run("check", "wide.yaml", *BASELINE, "-f", "json", "--rule", "broad-policy")
    assert findings(result.stdout) == [("broad-policy", "default-deny")]


def test_overlays_are_told_apart_wherever_the_repository_is(run: Run, workspace: Path) -> None:
    """The last part of an overlay's name counts, not how somebody names the folder."""
    kustomize = {"ISTIO_NETPOL_KUSTOMIZE": str(program(workspace / "kustomize", KUSTOMIZE))}
    for name in ("dev", "prod"):
        folder = workspace / "repo" / "overlays" / name
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text("resources: [shop.yaml]\n")
        (folder / "shop.yaml").write_text(SHOP + (DENY_ALL if name == "dev" else ""))
    run("check", "repo", *BASELINE, "--update-baseline", **kustomize)
    assert run("check", str(workspace / "repo"), *BASELINE, **kustomize).exit_code == 0
    (workspace / "repo" / "overlays" / "prod" / "shop.yaml").write_text(SHOP + DENY_ALL)
    report = json.loads(run("check", "repo", *BASELINE, "-f", "json", **kustomize).stdout)
    assert {finding["input"] for finding in report["findings"]} == {"repo/overlays/prod"}


def test_the_file_is_the_same_bytes(run: Run, known: Path) -> None:
    """For the same findings."""
    first = known.read_bytes()
    run("check", "manifests", *BASELINE, "--update-baseline")
    assert known.read_bytes() == first
    assert first.decode().count("\n    {") == 3


def damaged(entry: object = None, **changes: object) -> str:
    document = {"apiVersion": "istio-netpol.io/v1", "kind": "Baseline", "findings": [entry] if entry else []}
    return json.dumps(document | changes)


ENTRY = {"rule": "dns", "object": "Deployment.apps shop/cart", "severity": "error"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "known.json:1: is not a baseline: "),
        ("[]", "known.json: is not a baseline: it is not an object"),
        ("\x00", "is not a baseline"),
        ("[" * 100_000, "is not a baseline"),
        (damaged(apiVersion="v9"), "apiVersion = v9: is not istio-netpol.io/v1"),
        (damaged(kind="Report"), "kind = Report: is not Baseline"),
        (damaged(findings=None), "findings: is not a list"),
        (damaged(more=1), "more: is not a field of a baseline"),
        (damaged(7), "findings[0] = 7: is not an object"),
        (damaged({"rule": "dns", "severity": "error"}), "findings[0].object: is missing"),
        (damaged(ENTRY | {"severity": "bad"}), "findings[0].severity = bad: is not error, warning or info"),
        (damaged(ENTRY | {"severity": []}), "findings[0].severity = []: is not error, warning or info"),
        (damaged(ENTRY | {"rule": 3}), "findings[0].rule = 3: is not text"),
        (damaged(ENTRY | {"count": -1}), "findings[0].count = -1: is not a number from 1"),
        (damaged(ENTRY | {"line": 4}), "findings[0].line: is not a field of an entry"),
    ],
)
def test_a_damaged_baseline_is_an_error(run: Run, workspace: Path, text: str, told: str) -> None:
    """Not an empty one, with which all would be new, and not a traceback."""
    (workspace / "known.json").write_text(text)
    result = run("check", "manifests", *BASELINE)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "write it anew with --update-baseline" in result.stderr


def test_a_missing_baseline_is_an_error(run: Run) -> None:
    """A mistyped name must not let everything pass."""
    result = run("check", "manifests", *BASELINE)
    assert result.exit_code == 2
    assert (
        "known.json: there is no such file; write it with --update-baseline, and commit it" in result.stderr
    )


def test_a_baseline_is_of_everything(run: Run) -> None:
    """One of a part would call the rest new."""
    assert "name one" in run("check", "manifests", "--update-baseline").stderr
    result = run("check", "manifests", *BASELINE, "--update-baseline", "--rule", "dns")
    assert (result.exit_code, "leave out --rule" in result.stderr) == (2, True)
