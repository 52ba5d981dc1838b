"""Whatever hostile objects come, go and come again under the same name: what is needed, what is found, and
what a review says of the next one are as in a table that is made anew."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.admission.state import Answers
from tests.flows.clusters import NAMES, cluster
from tests.flows.crossed import Crossing
from tests.flows.current import SETTINGS, plain

from istio_netpol.analysis.impact import review_change
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot, home_of

STEPS = 12


class Following:
    """A table that takes in what comes and goes, beside the objects that there are."""

    def __init__(self, chance: random.Random, settings: Settings) -> None:
        names = ("world", chance.choice(NAMES))
        pool = {_identity(value): value for name in names for value in cluster(name)}
        self.settings, self.objects = settings, pool
        self._chance = chance
        self._pool = list(pool.values())
        self._crossed = Crossing(chance, self._pool)
        self.table = FlowTable.of(Snapshot.of(pool.values()), settings).indexed()

    def made(self) -> Any:
        """An object that was there from the beginning or is there now, changed more often than not."""
        known = self._chance.choice((self._pool, list(self.objects.values()) or self._pool))
        kind = self._chance.choice(sorted({value.ref.kind for value in known}))
        value = self._chance.choice([value for value in known if value.ref.kind == kind])
        for _ in range(self._chance.choice((0, 1, 1, 2))):
            value = self._crossed(value)
        return value

    def step(self) -> None:
        """Something goes, or all of its namespace, or some objects come together."""
        put = [self.made() for _ in range(self._chance.choice((0, 1, 1, 3)))]
        come = {_identity(value): value for value in put}
        gone = self._leaving() if not come else []
        for value in gone:
            del self.objects[_identity(value)]
        self.objects.update(come)
        self.table = self.table.with_changes(list(come.values()), gone)

    def _leaving(self) -> list[Any]:
        if not self.objects:
            return []
        found = self.objects[self._chance.choice(sorted(self.objects))]
        home = home_of(found)
        is_whole = self._chance.random() < 0.3
        return [value for value in self.objects.values() if home_of(value) == home] if is_whole else [found]

    def fresh(self) -> FlowTable:
        return FlowTable.of(Snapshot.of(self.objects.values()), self.settings)


def _identity(value: Any) -> tuple[str, ...]:
    return (type(value).__name__, *value.ref.key)


def said(table: FlowTable) -> Any:
    """What objects need and what is found of them, whatever was read for it."""
    needs = {key: (needs.flows, needs.findings) for key, needs in table.needs.items()}
    return plain({key: found for key, found in needs.items() if any(found)})


def reviewed(table: FlowTable, value: Any, old: list[Any]) -> Any:
    impact = review_change(table, [value], [], Answers({}), old, value.ref.namespace, starting=not old)
    return plain((impact.findings, impact.policies, impact.isolating, impact.ahead))


@pytest.mark.parametrize("seed", range(40))
def test_a_table_that_follows_says_what_one_made_anew_says(seed: int) -> None:
    following = Following(random.Random(seed), SETTINGS[seed % len(SETTINGS)])
    for _ in range(STEPS):
        following.step()
        fresh = following.fresh()
        assert said(following.table) == said(fresh)
    asked = following.made()
    stored = following.objects.get(_identity(asked))
    old = [stored] if stored is not None else []
    assert reviewed(following.table, asked, old) == reviewed(fresh, asked, old)
