"""What a command imports: it starts as fast as what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = ("kubernetes", "urllib3", "structlog", "cryptography", "dns", "flask", "gunicorn", "prometheus_client")
CODE = """
import sys
from istio_netpol.cli.main import program
try:
    program(sys.argv[1:], standalone_mode=False)
finally:
    print([name for name in sys.modules if name in {slow}], file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "--help"],
        ["check", "shop.yaml", "--offline"],
        ["list", "deploy/cart", "shop.yaml"],
    ],
    ids=" ".join,
)
def test_files_are_read_without_the_client_of_clusters(workspace: Path, arguments: list[str]) -> None:
    """Nor a web server, nor DNS: importing them takes longer than reading."""
    code = CODE.replace("{slow}", repr(SLOW))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.splitlines()[-1:] == ["[]"], done.stderr
