"""A real Kubernetes API server for tests: `control_plane`, `namespace`, `controller_manager`.

Each worker of pytest-xdist has a cluster of its own, which starts when a test first asks for it and stops at
the end of the session.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from tests.tools.programs import ASSETS, absent, located

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

HAVE_SERVERS = ("control_plane", "fleet", "mesh")
"""Fixtures with `processes`."""


class Unavailable(pytest.skip.Exception):
    """What a test needs is not on this machine."""


def require(*programs: str) -> None:
    """Skips the test that asks for programs which are not there; in CI it fails."""
    reason = absent(*programs)
    if reason is not None:
        do_without(reason)


def require_go() -> None:
    """Skips the test that reads Go modules where there is no Go; in CI it fails."""
    if shutil.which("go") is None:
        do_without("Go, which reads the modules that hold CRDs, is not installed")


def do_without(reason: str) -> NoReturn:
    """Skips the test for a reason; in CI it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    raise Unavailable(reason)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, ready. All tests of a worker share it, so each works in its own namespace."""
    with started(tmp_path_factory.mktemp("cluster")) as plane:
        yield plane


@contextlib.contextmanager
def started(folder: Path, options: Sequence[str] = ()) -> Iterator[ControlPlane]:
    """A control plane of one's own, whose API server has further options, for as long as the block runs."""
    # Most runs of pytest need none.
    from tests.cluster.control_plane import ControlPlane  # noqa: PLC0415

    require(*ASSETS)
    programs = {name: path for name in (*ASSETS, "kube-controller-manager") if (path := located(name))}
    plane = ControlPlane(folder, programs, options)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
        shutil.rmtree(plane.folder / "etcd", ignore_errors=True)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """A namespace of the test's own, in which `tenant` may edit."""
    return control_plane.namespace()


@pytest.fixture(scope="module")
def controller_manager(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with kube-controller-manager, for the tests of one module."""
    require("kube-controller-manager")
    try:
        control_plane.start_controller_manager()
        yield control_plane
    finally:
        control_plane.controller_manager.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows where the servers' logs are, and how they end, under a test of theirs that failed; and one line
    for all tests that are skipped for one reason, which pytest would list test by test."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, Unavailable):
        report.longrepr = (__file__, None, f"Skipped: {call.excinfo.value}")
    if report.failed:
        arguments = getattr(item, "funcargs", {})
        # A test may have a parameter of that name, which is a text then.
        planes = [arguments[name] for name in HAVE_SERVERS if hasattr(arguments.get(name), "processes")]
        for server in (process for plane in planes for process in plane.processes):
            if server.log.exists():
                report.sections.append((f"{server.name}: {server.log}", server.last_lines()))
    return report
