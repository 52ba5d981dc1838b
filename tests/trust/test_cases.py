"""Every case by `generate` and by reviews: what opens in the whole cluster is what may, and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.trust.case_files import Case, cases
from tests.trust.doors import Aftermath, by_generate, by_reviews

Door = Callable[[Case, Path], Aftermath]
DOORS: dict[str, Door] = {"generate": by_generate, "reviews": by_reviews}
CASES = list(cases())
NOTHING = Case("nothing", "nothing", (), ())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tenant_opens_nothing_that_is_not_its_own(case: Case, door: str, tmp_path: Path) -> None:
    """Nor has anybody else's policy opened more than the case says."""
    assert DOORS[door](case, tmp_path).mistakes(case) == [], case.tries


@pytest.mark.parametrize("door", DOORS)
def test_the_world_opens_what_its_control_plane_is_there_for(door: str, tmp_path: Path) -> None:
    """Without a case there is no excess, and yet something opens: the harness sees openings."""
    aftermath = DOORS[door](NOTHING, tmp_path)
    assert aftermath.mistakes(NOTHING) == []
    told = {(opening.source, opening.destination) for opening in aftermath.openings()}
    assert {("team-a/evil", "istio-system/istiod"), ("team-b/bank", "kube-system/coredns")} <= told
