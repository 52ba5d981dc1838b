"""A machine on which no mesh can run says so, with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.fixtures import Unavailable, do_without
from tests.mesh import machine, sandbox
from tests.mesh.sandbox import Sandbox


def everywhere(name: str) -> str | None:
    return f"/usr/bin/{name}"


def without(*missing: str) -> machine.Which:
    return lambda name: None if name in missing else everywhere(name)


@pytest.mark.parametrize(
    ("platform", "user", "which", "remedy"),
    [
        ("darwin", 0, everywhere, "which darwin does not have: run them on Linux"),
        ("linux", 1000, everywhere, "run them as root"),
        ("linux", 0, without("nft", "ipset"), "need ipset, nft: run `make packages` as root"),
        ("linux", 0, without("curl"), "need curl: run `apt-get install util-linux procps curl`"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    platform: str, user: int, which: machine.Which, remedy: str
) -> None:
    reason = machine.lack(platform, user, which)
    assert reason is not None
    assert remedy in reason


def test_a_machine_that_has_everything_lacks_nothing() -> None:
    assert machine.lack("linux", 0, everywhere) is None


def test_outside_ci_the_tests_are_skipped_and_in_ci_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(Unavailable, match="run them as root"):
        do_without("run them as root")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="run them as root"):
        do_without("run them as root")


def test_a_kernel_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container without privileges: `unshare` is there, and fails."""
    machine.require_namespaces()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    refusing = "unshare() { echo 'unshare failed: Operation not permitted' >&2; return 1; }\n"
    started = sandbox.KEEPER.replace("setpriv --pdeathsig KILL ", "")
    monkeypatch.setattr(sandbox, "KEEPER", refusing + started)
    reason = machine.refused()
    assert reason is not None
    assert "privileged container" in reason
    assert reason.endswith("unshare failed: Operation not permitted)")
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_that_could_not_be_set_up_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.require_namespaces()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tests.mesh.sandbox.INIT", "echo no mounts here >&2; exit 1")
    with pytest.raises(OSError, match="no mounts here"):
        Sandbox()
    assert list(tmp_path.iterdir()) == []


def test_an_environment_older_than_its_lock_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Envoy no proxy would ever become ready, and nothing would say why."""
    assert machine.without_envoy() is None
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    assert str(machine.without_envoy()).endswith("run `make venv`")
