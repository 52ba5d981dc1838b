"""Whoever follows the tutorial or a how-to guide, block by block, gets what the page says."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ISTIO, define
from tests.cluster.fixtures import require, require_go, started
from tests.docs.transcripts import ELISION, ROOT, Transcript
from tests.docs.walkthrough import Reader, Step, steps, walkthroughs
from tests.tools.programs import located

CLONED = ("charts", "docs/examples", "kustomize", "tests/scenarios", "action.yml")
"""What of the repository the pages use."""

SYSTEM = ROOT / "tests" / "scenarios" / "_control_plane"

NOT_RUN = 4
"""Blocks of all pages that no test types, each for a reason that the page tells."""

MAY_FIND = re.compile(r"^istio-netpol (check|explain|diff|readiness|doctor|bundle verify)\b")
"""Commands of which exit code 1 is an answer."""


def needs_a_cluster(page: Path) -> bool:
    return "<!-- needs a cluster -->" in page.read_text(encoding="utf-8")


def reader(folder: Path, **variables: str) -> Reader:
    """Somebody in a clone of the repository, with our command and the programs that it calls on PATH."""
    for name in CLONED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.is_file():
            shutil.copyfile(source, folder / name)
    require("kubectl", "kustomize", "helm")
    programs = {str(path.parent) for name in ("kubectl", "kustomize", "helm") if (path := located(name))}
    path = ":".join([str(Path(sys.executable).parent), *sorted(programs), os.environ["PATH"]])
    home = folder / ".home"
    home.mkdir()
    return Reader(folder, {"PATH": path, "HOME": str(home), "NO_COLOR": "1", "LANG": "C.UTF-8", **variables})


def follow(page: Path, somebody: Reader, update: bool) -> None:
    """Takes each step, and compares what is printed with what the page shows."""
    for step in steps(page):
        if step.file:
            somebody.write(step)
        elif not step.skipped and not step.elsewhere:
            for shown in step.commands():
                type_it(shown, somebody, update)


def tells(printed: str, output: str) -> bool:
    """Whether the page shows this: a line `...` stands for any lines, and dots in a line for any text."""
    patterns = [
        r"(?:.*\n)*" if line == ELISION else ".*".join(map(re.escape, line.split(ELISION))) + r"\n"
        for line in printed.splitlines()
    ]
    return re.fullmatch("".join(patterns), output.rstrip() + "\n") is not None


def type_it(shown: Transcript, somebody: Reader, update: bool) -> None:
    code, output = somebody.type(shown.command)
    assert code == 0 or (code == 1 and MAY_FIND.match(shown.command)), f"{shown.command}\n{output}"
    if not shown.printed or tells(shown.printed, output):
        return
    if update and ELISION not in shown.printed:
        text = shown.page.read_text(encoding="utf-8")
        told = f"$ {shown.command}\n{output.rstrip()}\n"
        shown.page.write_text(text.replace(f"$ {shown.command}\n{shown.printed}", told, 1), encoding="utf-8")
        return
    raise AssertionError(f"{shown.page.name}: {shown.command}\n{output}")


@pytest.mark.parametrize(
    "page", [page for page in walkthroughs() if not needs_a_cluster(page)], ids=lambda page: page.stem
)
def test_a_page_can_be_followed(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every command works, in order, and prints what is shown."""
    follow(page, reader(tmp_path), request.config.getoption("--update"))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with the control plane's objects and a shop without policies. No pod runs in it."""
    require_go()
    with started(tmp_path_factory.mktemp("walk")) as plane:
        define(plane, ISTIO)
        shop = [ROOT / "docs" / "examples" / "shop" / name for name in ("cart.yaml", "virtual-service.yaml")]
        kubectl = plane.kubectl()
        kubectl("create", "namespace", "shop")
        kubectl("label", "namespace", "shop", "istio-injection=enabled")
        for file in [*sorted(SYSTEM.glob("namespaces.yaml")), *sorted(SYSTEM.glob("*.yaml")), *shop]:
            if file.name != "api-server.yaml":  # this cluster has one
                kubectl("apply", "--filename", str(file))
        yield plane


@pytest.mark.xdist_group("walkthroughs")
@pytest.mark.parametrize(
    "page", [page for page in walkthroughs() if needs_a_cluster(page)], ids=lambda page: page.stem
)
def test_a_page_can_be_followed_in_a_cluster(
    page: Path, plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every command works on a real API server, in order, and prints what is shown."""
    somebody = reader(tmp_path, KUBECONFIG=str(plane.kubeconfig()))
    follow(page, somebody, request.config.getoption("--update"))


def every_step() -> list[Step]:
    return [step for page in walkthroughs() for step in steps(page)]


def test_what_no_test_runs_is_counted() -> None:
    """A block is left out for a reason only, and whoever leaves one out changes the number."""
    assert len([step for step in every_step() if step.skipped]) == NOT_RUN


def test_what_runs_elsewhere_is_there() -> None:
    """A page that names a test for a block names one that exists."""
    named = {step.elsewhere for step in every_step() if step.elsewhere}
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_guide_has_something_to_type() -> None:
    """No page is prose alone."""
    for page in walkthroughs():
        assert any(step.is_typed for step in steps(page)), page.name


def test_steps_are_read_as_a_reader_reads_them(tmp_path: Path) -> None:
    """Files, commands over several lines, here-documents, blocks in lists, and what is not run."""
    page = tmp_path / "page.md"
    page.write_text(
        "```yaml\n# a/b.yaml\nx: 1\n```\n\n```yaml\nnot: a file\n```\n\n"
        "1. Type\n\n    ```console\n    $ cat \\\n        a\n    shown\n    $ cat <<'EOF'\n    in\n    EOF\n"
        "    out\n    ```\n\n"
        "*Not run by the tests: it needs the moon.*\n\n```bash\nmoon\n```\n\n"
        "<!-- run by tests/x.py -->\n\n```console\n$ y\n```\n"
    )
    file, typed, left_out, elsewhere = steps(page)
    assert (file.file, typed.is_typed) == ("a/b.yaml", True)
    assert [(command.command, command.printed) for command in typed.commands()] == [
        ("cat \\\n    a", "shown\n"),
        ("cat <<'EOF'\nin\nEOF", "out\n"),
    ]
    assert (left_out.skipped, elsewhere.elsewhere) == ("it needs the moon.", "tests/x.py")
