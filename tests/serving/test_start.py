"""Arguments that can't work: one sentence that says what to change, exit code 2, within moments."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.certs.issuing import expired
from tests.serving.process import SOURCE_ROOT

from istio_netpol.cli.main import program
from istio_netpol.errors import SettingsError
from istio_netpol.runtime.listening import listen

PROGRAM = ("-m", "istio_netpol")


def refused(folder: Path, *options: str, python: tuple[str, ...] = PROGRAM) -> str:
    """What the process writes before it ends with code 2; it must not be a traceback."""
    command = [sys.executable, *python, "serve", "--source", f"dir:{folder}", "--offline", *options]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT)}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180, env=environment)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "did not expect" not in ended.stderr
    return ended.stderr.splitlines()[-1]


@pytest.mark.parametrize("option", ["--listen", "--metrics-listen"])
def test_port_in_use(tmp_path: Path, option: str) -> None:
    """A port that somebody else listens on is named with the option that chose it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        others = ["--listen", "127.0.0.1:0"] if option == "--metrics-listen" else []
        told = refused(tmp_path, "--self-signed", *others, option, address)
    assert told == f"{option} {address}: can't listen there: Address already in use; name another one"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("192.0.2.1", "--listen 192.0.2.1:0: can't listen there: Cannot assign requested address;"),
        ("2001:db8::1", "--listen [2001:db8::1]:0: can't listen there: "),
        ("no such host", "--listen no such host:0: can't listen there: "),
    ],
)
def test_address_of_another_host(host: str, told: str) -> None:
    """An address that this host doesn't have can't be listened on, nor can what is not an address."""
    with pytest.raises(SettingsError) as caught:
        listen(host, 0, "--listen")
    assert str(caught.value).startswith(told)


def test_certificate_that_can_not_be_served(tmp_path: Path) -> None:
    """A certificate that has expired ends the process before it listens."""
    certificate, key = expired(tmp_path / "certificate")
    told = refused(tmp_path, "--cert", str(certificate), "--key", str(key))
    assert told.startswith(f"{certificate} has expired on ")


def test_nowhere_to_put_a_made_certificate(tmp_path: Path) -> None:
    """Where no temporary folder can be written, the way out is named."""
    # Nobody, not even root, can make a folder in /proc. TMPDIR alone would fall back to others.
    code = "import tempfile; tempfile.tempdir = '/proc'; from istio_netpol.cli.main import main; main()"
    told = refused(tmp_path, "--self-signed", python=("-c", code))
    assert told.startswith("no folder for temporary files can be written: ")
    assert told.endswith("; set TMPDIR to one that can, or give --cert and --key")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "Give either --self-signed, or --cert and --key"),
        (["--cert", "a"], "Give either --self-signed, or --cert and --key"),
        (["--key", "a"], "Give either --self-signed, or --cert and --key"),
        (["--self-signed", "--cert", "a", "--key", "b"], "Give either --self-signed, or --cert and --key"),
        (["--self-signed", "--source", "dir:missing"], "missing is not a folder; create it"),
        (
            ["--self-signed", "--source", "kubernetes"],
            "'kubernetes' names no source; write dir:PATH, or cluster",
        ),
        (["--self-signed", "--context", "dev"], "--context is of use with --source cluster only"),
        (
            ["--self-signed", "--map-listen", "127.0.0.1:0"],
            "--map-listen is of use with --source cluster only",
        ),
        (["--self-signed", "--listen", "8443"], "'8443' is not an address; write HOST:PORT"),
        (["--self-signed", "--listen", "::1:8443"], "'::1:8443' is not an address"),
        (["--self-signed", "--listen", "localhost:70000"], "'70000' is not a port"),
        (["--self-signed", "--metrics-listen", "localhost:http"], "'http' is not a port"),
    ],
)
def test_arguments(tmp_path: Path, options: list[str], told: str) -> None:
    """Each wrong argument is answered with what to write instead."""
    result = CliRunner().invoke(program, ["serve", "--source", f"dir:{tmp_path}", *options])
    assert result.exit_code == 2
    assert told in result.stderr
