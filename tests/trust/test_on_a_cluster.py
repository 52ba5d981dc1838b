"""Cases on a real API server: written by a hostile user through the registered webhooks, then judged by the
controller."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.crds import GATEWAY_API, ISTIO
from tests.cluster.fixtures import require, require_go
from tests.live.live_cluster import in_mode, live_cluster
from tests.trust.attacked_cluster import AttackedCluster
from tests.trust.case_files import Case, cases

pytestmark = pytest.mark.xdist_group("trust")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedCluster]:
    """The world, with a policy that outlives its need long enough to be seen."""
    require("helm", "kube-controller-manager")
    require_go()
    values = in_mode("warn", controller={"collectAfterSeconds": 300, "writesPerSecond": 1000})
    values["augment"]["enabled"] = True
    with live_cluster(tmp_path_factory.mktemp("trust"), values, (ISTIO, GATEWAY_API)) as live:
        cluster = AttackedCluster(live)
        cluster.prepare()
        yield cluster


@pytest.mark.parametrize("case", [case for case in cases() if case.live], ids=lambda case: case.name)
def test_a_user_of_one_namespace_opens_nothing_that_is_not_its_own(
    cluster: AttackedCluster, case: Case
) -> None:
    """What is refused at the door, and what is admitted and judged later, opens nothing more."""
    try:
        aftermath = cluster.attempt(case)
    finally:
        cluster.clean(case)
    assert aftermath.mistakes(case, *cluster.standing) == [], case.tries
