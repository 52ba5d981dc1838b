"""The JSON of `istio-netpol explain` is what docs/schemas says, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.test_explain_gates import MESH, authorization, strict
from tests.cli.test_explain_host import PUBLIC, SHOP, to, virtual_service
from tests.cli.test_schemas import errors
from tests.cli.workspace import DENY_ALL, JWT, Run

HOST = SHOP + PUBLIC + virtual_service("shop/all", "[shop.example.com]", to("cart", "{method: {exact: GET}}"))


@pytest.mark.parametrize(
    ("manifests", "question", "kind"),
    [
        (
            MESH + DENY_ALL + JWT + strict("shop/a"),
            ("--from", "web/front", "--to", "shop/cart:8080"),
            "Explanation",
        ),
        (
            MESH + authorization("shop/a", "{}"),
            ("--from", "192.0.2.1", "--to", "shop/cart:8080"),
            "Explanation",
        ),
        (MESH + DENY_ALL + JWT, ("--workload", "shop/cart"), "WorkloadExplanation"),
        (MESH, ("--workload", "old/batch"), "WorkloadExplanation"),
        (HOST + DENY_ALL + JWT, ("--host", "shop.example.com"), "HostExplanation"),
        (HOST, ("--host", "shop.example.com", "--path", "/x"), "HostExplanation"),
    ],
)
def test_an_answer_is_what_its_schema_says(
    run: Run, manifests: str, question: tuple[str, ...], kind: str
) -> None:
    """For a connection, a workload and a host."""
    result = run("explain", "-", *question, "--offline", "-f", "json", stdin=manifests)
    assert errors("explanation", result.stdout) == []
    assert json.loads(result.stdout)["kind"] == kind


def test_answers_of_several_overlays_are_one_list(run: Run, workspace: Path, programs: Path) -> None:
    """Each with the name of its input."""
    for name in ("test", "prod"):
        folder = workspace / "two" / name
        folder.mkdir(parents=True)
        (folder / "kustomization.yaml").write_text("resources: [shop.yaml]\n")
        (folder / "shop.yaml").write_text(MESH + DENY_ALL)
    result = run("explain", "two", "--workload", "shop/cart", "--offline", "-f", "json")
    assert errors("explanation", result.stdout) == []
    document = json.loads(result.stdout)
    assert document["kind"] == "ExplanationList"
    assert len({item["input"] for item in document["items"]}) == 2
