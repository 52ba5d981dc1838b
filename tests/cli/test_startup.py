"""What a command imports: it starts as fast as what it needs."""

from __future__ import annotations

import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import pytest

HEAVY = {
    "asyncio",
    "cryptography",
    "dns",
    "email",
    "flask",
    "gunicorn",
    "httptools",
    "http",
    "jsonschema",
    "kubernetes",
    "prometheus_client",
    "requests",
    "ssl",
    "structlog",
    "subprocess",
    "tempfile",
    "urllib3",
    "werkzeug",
    "zipfile",
}
"""What a command that reads files has no use for; each takes 2 to 400 ms to import."""

RUN = """
import sys
from istio_netpol.cli.main import program
try:
    program(sys.argv[1:], standalone_mode=False)
finally:
    print(sorted(sys.modules), file=sys.stderr)
"""

COMPLETE = """
import sys
from click.shell_completion import ShellComplete
from istio_netpol.cli.main import program
assert ShellComplete(program, {}, "istio-netpol", "").get_completions([], "")
print(sorted(sys.modules), file=sys.stderr)
"""


def _imported(*arguments: str, code: str = RUN) -> set[str]:
    """The modules that are there when the command ends, without those of a bare interpreter."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(literal_eval(done.stderr.splitlines()[-1])) - set(literal_eval(bare.stdout))


def _ours(modules: set[str]) -> set[str]:
    return {name.removeprefix("istio_netpol.") for name in modules if name.startswith("istio_netpol.")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "--help"],
        ["check", "shop.yaml", "--offline"],
        ["check", "shop.yaml", "--offline", "-f", "json"],
        ["list", "deploy/cart", "shop.yaml"],
        ["diff", "shop.yaml", "shop.yaml", "--offline"],
        ["explain", "shop.yaml", "--workload", "shop/cart", "--offline"],
        ["generate", "shop.yaml", "--offline"],
    ],
    ids=" ".join,
)
def test_files_are_read_without_the_client_of_clusters(workspace: Path, arguments: list[str]) -> None:
    """Nor a web server, nor DNS: importing them takes longer than reading."""
    assert not _imported(*arguments) & HEAVY


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--version"], RUN), (["--help"], RUN), ([], COMPLETE)],
    ids=["version", "help", "completion"],
)
def test_the_program_itself_is_a_handful_of_modules(arguments: list[str], code: str) -> None:
    """Version, help and completion of commands import no command, no settings and no model."""
    modules = _imported(*arguments, code=code)
    assert _ours(modules) == {
        "cli",
        "cli.commands",
        "cli.main",
        "cli.program",
        "cli.streams",
        "errors",
        "printable",
    }
    assert not modules & {*HEAVY, "yaml", "json", "pathlib", "hashlib"}
    assert len(modules) <= 110


@pytest.mark.parametrize(
    "arguments", [["check", "shop.yaml", "--offline"], ["generate", "--help"]], ids=" ".join
)
def test_a_command_does_not_import_the_others(workspace: Path, arguments: list[str]) -> None:
    """Each is in a file of its own, which is read when the command is asked for."""
    ours = _ours(_imported(*arguments))
    others = {
        "bundle",
        "certs",
        "completion",
        "controller",
        "diff",
        "doctor",
        "dump",
        "explain",
        "listing",
        "map",
    }
    assert not ours & {f"cli.{name}" for name in others}


def test_a_check_of_files_imports_what_it_runs(workspace: Path) -> None:
    """A module that is imported for nothing costs every run a third of a millisecond."""
    modules = _imported("check", "shop.yaml", "--offline")
    assert len(_ours(modules)) <= 300
    assert len(modules) <= 430
    assert {name for name in _ours(modules) if name.startswith("kube")} == {"kube", "kube.kubeconfig"}
    rooms = {name.partition(".")[0] for name in _ours(modules)}
    assert not rooms & {
        "api",
        "certs",
        "controller",
        "dns",
        "doctor",
        "http",
        "runtime",
        "server",
        "sources",
        "web",
    }
