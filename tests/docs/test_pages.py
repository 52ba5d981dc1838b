"""What the pages show is what the program does, and what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.docs.transcripts import ELISION, ROOT, Transcript, pages, transcripts
from tests.docs.walkthrough import walkthroughs
from tests.serving.reviews import review

from istio_netpol.admission.review import decide
from istio_netpol.admission.reviews import AdmissionRequest, parse
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

TRANSCRIPTS = [
    transcript for page in pages() if page not in walkthroughs() for transcript in transcripts(page)
]
"""Of pages that one looks things up in; who follows a page from its top is in test_walkthroughs."""

SHOP = ROOT / "docs" / "examples" / "shop"
DENIAL = re.compile(r"<!-- the denial of cart.yaml -->\n\n```text\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    "shown",
    [transcript for transcript in TRANSCRIPTS if transcript.is_ours],
    ids=lambda transcript: transcript.name,
)
def test_a_command_prints_what_its_page_shows(
    shown: Transcript, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Whoever types the command reads the same; `--update` writes it anew where nothing is elided."""
    monkeypatch.chdir(ROOT)
    output = shown.run()
    if request.config.getoption("--update") and not shown.tells(output) and ELISION not in shown.printed:
        _rewrite(shown.page, f"$ {shown.command}\n{shown.printed}", f"$ {shown.command}\n{output.rstrip()}\n")
        return
    assert shown.tells(output), output


def test_most_commands_are_shown_with_their_output() -> None:
    """The test above has something to compare."""
    assert {
        transcript.command.split()[1]
        for transcript in TRANSCRIPTS
        if transcript.is_ours and transcript.printed
    } >= {
        "check",
        "explain",
        "list",
        "diff",
    }


def test_the_webhook_page_shows_a_real_denial(request: pytest.FixtureRequest) -> None:
    """The whole text is what the webhook answers."""
    page = ROOT / "docs" / "webhook.md"
    (shown,) = DENIAL.findall(page.read_text(encoding="utf-8"))
    told = f"{_denial_of_the_cart()}\n"
    if request.config.getoption("--update"):
        _rewrite(page, f"```text\n{shown}```", f"```text\n{told}```")
    else:
        assert shown == told


def test_the_readme_shows_how_a_real_denial_begins() -> None:
    """What a newcomer reads first is no invention."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)\.\.\.\n```", readme, re.DOTALL)
    assert shown.count("\n") > 5
    assert _denial_of_the_cart().startswith(shown)


def _denial_of_the_cart() -> str:
    files = [SHOP / "namespace.yaml"]
    documents = (document for file in files for document in read_documents(file.read_bytes(), file.name))
    table = FlowTable.of(Snapshot.of(load(documents, "default").objects), Settings())
    deployment = list(yaml.safe_load_all((SHOP / "cart.yaml").read_text(encoding="utf-8")))[1]
    request = parse(review(deployment))
    assert isinstance(request, AdmissionRequest)
    decision = decide(request, table, Offline(), mutating=False)
    assert not decision.allowed
    return decision.message


def _rewrite(page: Path, old: str, new: str) -> None:
    page.write_text(page.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file or folder of the repository."""
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
