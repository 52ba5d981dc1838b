"""`istio-netpol map`: what it writes, and what it says of a file that it can't write."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.cli.workspace import DENY_ALL, SHOP, Run

SCHEMA = Path(__file__).parents[2] / "docs/schemas/map.schema.json"
HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=alert(1)>"


def document_in(page: str) -> dict[str, Any]:
    """The document that a page carries."""
    found = re.search(r'id="data">([A-Za-z0-9+/=]+)</script>', page)
    assert found is not None
    document: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return document


class Elements(HTMLParser):
    """The elements of a page, as a browser finds them, and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def made(run: Run, output: str, *arguments: str) -> str:
    result = run("map", *arguments, "-o", output, "--offline")
    assert result.exit_code == 0, result.output
    assert f"wrote {output}" in result.stderr
    return Path(output).read_text(encoding="utf-8")


def test_an_address_that_is_taken_is_one_error(run: Run) -> None:
    """The server's library prints advice of its own; only ours says which option to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run("map", "manifests/", "--serve", "--listen", address, "--offline")
    sentence = "the address is in use; name another one, or port 0 for a free one"
    assert (result.exit_code, result.stderr) == (2, f"--listen {address}: {sentence}\n")


def test_the_page_has_the_facts_and_fetches_nothing(run: Run) -> None:
    """One file: no address to load from, a policy that allows its own script and style only, and the data."""
    page = made(run, "map.html", "manifests/")
    document = document_in(page)
    assert document["title"] == "manifests"
    assert document["states"]["now"]["summary"]["denied"] == 3
    assert set(document["states"]) == {"now", "deny-all"}
    elements = Elements(page).found
    assert not [attributes for _, attributes in elements if "src" in attributes or "style" in attributes]
    assert [tag for tag, _ in elements].count("script") == 2
    assert not {"link", "img", "iframe", "object", "form"} & {tag for tag, _ in elements}
    policy = next(element["content"] for tag, element in elements if element.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "connect-src" not in policy


def test_the_same_input_gives_the_same_page(run: Run) -> None:
    assert made(run, "one.html", "manifests/") == made(run, "two.html", "manifests/")


def test_the_page_goes_to_standard_output_without_a_file(run: Run) -> None:
    for arguments in (("map", "manifests/"), ("map", "manifests/", "-o", "-")):
        result = run(*arguments, "--offline")
        assert result.exit_code == 0
        assert document_in(result.stdout)["title"] == "manifests"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (
            "map.pdf",
            "'map.pdf' ends in '.pdf', which names no format; use .html (a page for a browser), .svg",
        ),
        ("map", "'map' has no ending, which names no format; use .html"),
        ("missing/map.html", "missing/map.html can't be written: No such file or directory"),
    ],
)
def test_a_file_that_can_not_be_written_is_told(run: Run, output: str, told: str) -> None:
    result = run("map", "manifests/", "-o", output)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_several_clusters_make_no_map(run: Run, workspace: Path, programs: Path) -> None:
    """Each overlay is a cluster of its own: one has to be named."""
    second = workspace / "overlays/test"
    second.mkdir()
    (second / "kustomization.yaml").write_text("resources: [shop.yaml]\n")
    (second / "shop.yaml").write_text(SHOP)
    result = run("map", "overlays", "-o", "map.html")
    assert result.exit_code == 2
    assert (
        "A map shows one cluster, and PATH holds 2: overlays/prod, overlays/test. Name one." in result.stderr
    )


def test_a_change_has_the_state_before(run: Run) -> None:
    """Cut after the change and not before it."""
    document = document_in(made(run, "map.html", "--diff", "old", "new"))
    denied = {name: state["summary"]["denied"] for name, state in document["states"].items()}
    assert denied == {"now": 3, "deny-all": 3, "before": 0}


def test_a_change_needs_two_inputs(run: Run) -> None:
    result = run("map", "--diff", "old", "-o", "map.html", KUBECONFIG="nowhere", HOME="/nowhere")
    assert result.exit_code == 2
    assert "there is nothing to compare old with" in result.stderr


def test_the_facts_are_one_document(run: Run) -> None:
    document = json.loads(made(run, "map.json", "manifests/"))
    assert (document["apiVersion"], document["kind"]) == ("istio-netpol.io/v1", "Map")
    assert [row[1:3] for row in document["workloads"]] == [["Deployment", "cart"], ["Deployment", "db"]]


@pytest.mark.parametrize("arguments", [("manifests/",), ("shop.yaml",), ("--diff", "old", "new")])
def test_the_facts_are_what_the_schema_says(run: Run, arguments: tuple[str, ...]) -> None:
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    document = json.loads(made(run, "map.json", *arguments))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []
    document["states"]["now"]["flows"].append([1])
    assert list(Draft202012Validator(schema).iter_errors(document))


def test_the_matrix_is_a_drawing(run: Run) -> None:
    """Well-formed, with a cross where a required flow is cut and words for who can't see it."""
    root = ElementTree.fromstring(made(run, "map.svg", "manifests/"))
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "shop to outside the cluster: 3 of 3 required flows cut" in titles
    assert any(rect.get("class") == "cut" for rect in root.iter("{http://www.w3.org/2000/svg}rect"))


def test_the_graphs_have_what_is_required(run: Run) -> None:
    assert (
        '"shop" -> "outside the cluster" [label="3 of 3 required flows cut" color="#b93500" style=dashed];'
        in made(run, "map.dot", "manifests/")
    )
    assert 'n1 -. "3 of 3 required flows cut" .-> n0' in made(run, "map.mmd", "manifests/")


def test_hostile_text_never_becomes_markup(run: Run, workspace: Path) -> None:
    """What a title, a file's name, an annotation and an owner may say stays text."""
    documents = list(yaml.safe_load_all(SHOP + DENY_ALL))
    documents[1]["metadata"]["annotations"] = {"istio-netpol.io/calls": f"{HOSTILE}:80"}
    owner = {"apiVersion": "x/v1", "kind": f"K{HOSTILE}", "name": "cart", "uid": "u", "controller": True}
    pod = {"metadata": {"name": "p", "namespace": "shop", "ownerReferences": [owner]}}
    documents.append({"apiVersion": "v1", "kind": "Pod", **pod, "spec": {"containers": []}})
    (workspace / "<img src=x>.yaml").write_text(yaml.safe_dump_all(documents))
    page = made(run, "map.html", "<img src=x>.yaml", "--title", HOSTILE)
    assert "<script>window" not in page
    assert "<img" not in page
    assert [tag for tag, _ in Elements(page).found].count("script") == 2
    assert HOSTILE in json.dumps(document_in(page), ensure_ascii=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--listen", "0.0.0.0:8040"), "Others may reach 0.0.0.0, and the map says what they could attack"),
        (
            ("--listen", "0.0.0.0:0", "--token-file", "short"),
            "the token has 5 characters; use at least 16",
        ),
        (("--token-file", "missing"), "missing: the token can't be read"),
        (("-o", "map.html"), "--serve writes no file: leave -o out."),
        (("--diff",), "--serve shows what is, and --diff a change: give one of them."),
        (("--listen", "127.0.0.1"), "'127.0.0.1' is not an address; write HOST:PORT"),
    ],
)
def test_what_can_not_be_served_is_told(
    run: Run, workspace: Path, arguments: tuple[str, ...], told: str
) -> None:
    (workspace / "short").write_text("12345\n")
    result = run("map", "manifests/", "--serve", *arguments, "--offline")
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "sign", ["\u202e", "\u200b", "\u200f", "\u2066", "\ufeff", "\U000e0041", "\x1b", "\n"]
)
def test_what_is_not_seen_is_spelled_out(run: Run, workspace: Path, sign: str) -> None:
    """A host may turn the direction of writing or hide letters: whoever reads of it sees that."""
    spec = {"hosts": [f"shop{sign}.example.com"], "location": "MESH_EXTERNAL", "resolution": "DNS"}
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "odd", "namespace": "shop"},
        "spec": {**spec, "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]},
    }
    (workspace / "odd.yaml").write_text(yaml.safe_dump(entry))
    document = document_in(made(run, "map.html", "manifests/", "odd.yaml"))
    shown = "".join([*document["strings"], *(peer["name"] for peer in document["outside"])])
    assert sign not in shown
    assert repr(sign)[1:-1] in shown
    reported = run("check", "manifests/", "odd.yaml", "--offline", "--all").output
    assert f"shop{sign}.example" not in reported
    assert f"shop{repr(sign)[1:-1]}" in reported
