"""The examples of `docs/python.md` run, and type checkers agree with them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()
EXAMPLE = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))


def test_the_examples_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From the top of the repository, one after the other."""
    monkeypatch.chdir(ROOT)
    exec(compile(EXAMPLE, "python.md", "exec"), {})
    printed = capsys.readouterr()
    assert "error proxy-to-istiod Deployment shop/cart" in printed.out
    assert "ingress of Deployment shop/cart: isolated by shop/default-deny" in printed.out
    assert printed.err == ""


def test_type_checkers_agree_with_the_examples(tmp_path: Path) -> None:
    """In strict mode, as for the package's own code; and they see what is wrong."""
    (tmp_path / "example.py").write_text(EXAMPLE)
    (tmp_path / "wrong.py").write_text(
        "from istio_netpol import check\ncheck('a', offlin=True)\nfindings: int = check({}).findings\n"
    )

    def checked(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", name]
        environment = {"MYPYPATH": str(ROOT / "webhook"), "PATH": ""}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    right = checked("example.py")
    assert right.returncode == 0, right.stdout
    wrong = checked("wrong.py")
    assert [line.rpartition("[")[2] for line in wrong.stdout.splitlines()[:-1] if "error" in line] == [
        "call-arg]",
        "assignment]",
    ]
