"""The mesh that all tests of this folder share: it starts when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.mesh.machine import require_mesh
from tests.mesh.mesh import Mesh, started

RUNNING = pytest.StashKey[Mesh]()


@pytest.fixture(scope="session")
def mesh(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """A mesh that answers. Tests work in namespaces of their own, and leave the others as they were."""
    require_mesh()
    with started() as mesh:
        times = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in mesh.timings.items())
        print(f"\nThe mesh has started: {times}", flush=True)
        request.config.stash[RUNNING] = mesh
        yield mesh
        del request.config.stash[RUNNING]


@pytest.fixture(autouse=True, scope="module")
def _modules_leave_no_namespaces(request: pytest.FixtureRequest) -> Iterator[None]:
    yield from _no_new_namespaces(request.config)


@pytest.fixture(autouse=True)
def _tests_leave_no_namespaces(
    request: pytest.FixtureRequest, _modules_leave_no_namespaces: None
) -> Iterator[None]:
    yield from _no_new_namespaces(request.config)


def _no_new_namespaces(config: pytest.Config) -> Iterator[None]:
    """Removes the namespaces that were made meanwhile; fixtures of a wider scope have made theirs before."""
    mesh = config.stash.get(RUNNING, None)
    before = set(mesh.namespaces) if mesh is not None else set()
    yield
    mesh = config.stash.get(RUNNING, None)
    if mesh is not None:
        mesh.remove_namespaces(*(name for name in mesh.namespaces if name not in before))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker of pytest-xdist, which looks at marks after this, has the mesh and runs all tests of it."""
    here = Path(__file__).parent  # fixtures of other folders have this name too
    for item in items:
        if here in item.path.parents and "mesh" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("mesh"))
