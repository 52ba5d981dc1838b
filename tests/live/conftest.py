"""Tests of the whole: one worker of pytest runs them all. Those of faults and rights share one cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.fixtures import require, require_go
from tests.live.live_cluster import Live, in_mode, live_cluster

FOLDER = Path(__file__).parent
GRACE = 3
STALE = 5


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-xdist looks at marks after this, also where the command line names this folder."""
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("live"))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The chart with the right to augment, and short times; namespaces say which mode they want."""
    require("helm", "kube-controller-manager")
    require_go()
    values = in_mode(
        "warn",
        admission={"staleAfterSeconds": STALE},
        controller={"collectAfterSeconds": GRACE, "staleAfterSeconds": STALE, "writesPerSecond": 100},
    )
    values["augment"]["enabled"] = True
    with live_cluster(tmp_path_factory.mktemp("live"), values) as live:
        yield live
