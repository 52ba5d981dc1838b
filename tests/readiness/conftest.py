"""The command, run on manifests that a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.readiness.estate import Manifest, estate

from istio_netpol.cli.main import program

Plan = Callable[..., Result]
"""Runs `readiness` on objects, with further arguments."""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Runs the command without DNS."""

    def run(objects: list[Manifest], *arguments: str) -> Result:
        file = tmp_path / "cluster.yaml"
        file.write_text(yaml.dump_all(objects, Dumper=yaml.CSafeDumper))
        return CliRunner().invoke(program, ["readiness", str(file), "--offline", *arguments])

    return run


@pytest.fixture(scope="session")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The estate's dump as a file."""
    file = tmp_path_factory.mktemp("estate") / "dump.yaml"
    file.write_text(yaml.dump(estate(), Dumper=yaml.CSafeDumper))
    return file
