"""The maps of readers with few rights: how many are kept, for how long, and how fast they are made."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.values import deployment, namespace

from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.cli.settings import Offline
from istio_netpol.model.settings import Settings
from istio_netpol.report.map_document import map_document
from istio_netpol.report.map_restricted import restricted
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.web import parts as parts_module
from istio_netpol.web.live import Published
from istio_netpol.web.parts import MOST_PARTS, REST, Parts

SHOP = frozenset({"shop"})


def published(*more: str) -> Published:
    objects = [value for name in ("shop", *more) for value in (namespace(name), deployment(f"{name}/app"))]
    return Published(map_document(facts(Given(Snapshot.of(objects)), Settings(), Offline()), title="here"))


class Clock:
    """Time that passes only while somebody sleeps or works."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


def test_an_older_map_is_let_go() -> None:
    """A page that stays open in a busy cluster must not fill the memory of the webhook."""
    parts, old = Parts(), published("bank")
    parts.of(old, SHOP)
    gone = weakref.ref(old)
    del old
    parts.of(published("mail"), SHOP)
    gc.collect()
    assert gone() is None


def test_few_parts_are_kept() -> None:
    parts, whole = Parts(), published()
    first = parts.of(whole, SHOP)
    assert parts.of(whole, SHOP) is first
    for number in range(MOST_PARTS):
        parts.of(whole, frozenset({f"other-{number}"}))
    again = parts.of(whole, SHOP)
    assert again is not first
    assert again == first


def test_readers_with_different_rights_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a part that took two seconds nobody's part is made for a while; who has one does not wait."""
    clock, whole = Clock(), published("bank")

    def slowly(*given: object) -> object:
        clock.now += 2.0
        return restricted(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(parts_module, "restricted", slowly)
    parts = Parts(clock, clock.sleep)
    parts.of(whole, SHOP)
    parts.of(whole, SHOP)
    assert clock.slept == 0.0
    parts.of(whole, frozenset({"bank"}))
    assert clock.slept == pytest.approx(2.0 * REST)


def test_one_part_is_made_once_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(*given: object) -> object:
        made.append(given)
        return restricted(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(parts_module, "restricted", counted)
    parts, whole = Parts(), published()
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: parts.of(whole, SHOP), range(16)))
    assert len(made) == 1
    assert len({id(answer) for answer in sent}) == 1
