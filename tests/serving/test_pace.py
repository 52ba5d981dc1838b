"""Changes are taken in soon, in larger batches where much happens, and never later than the bound."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from istio_netpol.server.pace import BATCH_SECONDS, GLANCE_SECONDS, MOST_SECONDS, REST_SECONDS, SHARE, Pace


class Day:
    """A clock that sleeping turns, and reviews that are under way at times of it."""

    def __init__(self, is_busy: Callable[[float], bool] = lambda now: False) -> None:
        self.now = 1000.0
        self.processor = 0.0
        self.pace = Pace(lambda: is_busy(self.now), lambda: self.now, self._sleep, lambda: self.processor)

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def waited(self, since: float | None = None) -> float:
        """For how long changes wait until they are taken in, from the first of them on."""
        begins = self.now if since is None else since
        self.pace.wait(begins)
        return self.now - begins

    def take_in(self, seconds: float) -> None:
        """A batch that costs so much processor time, on a machine that has nothing else to do."""
        with self.pace.at_work():
            self.now += seconds
            self.processor += seconds


def test_one_change_is_taken_in_at_once() -> None:
    """With what comes together with it."""
    assert Day().waited() == pytest.approx(BATCH_SECONDS)


def test_reviews_that_are_under_way_go_first() -> None:
    """They are answered a moment later."""
    day = Day(lambda now: now < 1000.05)
    assert day.waited() == pytest.approx(0.05, abs=GLANCE_SECONDS)


def test_without_a_break_between_reviews_changes_wait_for_the_bound() -> None:
    """Then it is their turn, whoever asks."""
    day = Day(lambda now: True)
    assert day.waited() == pytest.approx(MOST_SECONDS)
    day.take_in(0.001)
    assert day.waited() == pytest.approx(MOST_SECONDS)


def test_what_has_waited_for_too_long_is_taken_in_without_delay() -> None:
    """It came while the batch before it was worked on."""
    day = Day(lambda now: True)
    day.take_in(2.0)
    assert day.waited(since=day.now - 1.5) == pytest.approx(1.5)


def test_after_a_batch_the_next_one_waits_for_its_share() -> None:
    """So batches become larger where much happens. A costly one holds up the next for a moment only."""
    day = Day()
    day.take_in(0.001)
    assert day.waited() == pytest.approx(0.001 / SHARE)
    day.take_in(5.0)
    assert day.waited() == pytest.approx(REST_SECONDS)


def test_a_batch_long_ago_delays_nothing() -> None:
    """A costly change is not held against one that comes much later."""
    day = Day()
    day.take_in(5.0)
    day.now += REST_SECONDS
    assert day.waited() == pytest.approx(BATCH_SECONDS)


def test_a_batch_that_fails_counts_too() -> None:
    """What costs much and comes to nothing is not tried again at once."""
    day = Day()
    with contextlib.suppress(ZeroDivisionError), day.pace.at_work():
        day.processor += 0.001
        raise ZeroDivisionError
    assert day.waited() == pytest.approx(0.001 / SHARE)


def test_who_hurries_waits_for_nothing() -> None:
    """Neither for reviews nor for the share of a batch before; the batch after that does again."""
    day = Day(lambda now: True)
    day.take_in(5.0)
    day.now += BATCH_SECONDS
    day.pace.hurry()
    assert day.waited() == 0
    assert day.waited() == pytest.approx(MOST_SECONDS)


def test_whoever_hurries_without_a_break_gets_batches_all_the_same() -> None:
    """Each refused review hurries: one namespace's must not have every change taken in alone."""
    day = Day()
    for _ in range(5):
        day.take_in(0.5)
        day.pace.hurry()
        assert day.waited() == pytest.approx(BATCH_SECONDS)


def test_who_hurries_right_after_a_batch_waits_no_longer_than_the_bound() -> None:
    """A change that came during a long batch has waited already."""
    day = Day()
    day.take_in(0.5)
    day.pace.hurry()
    assert day.waited(since=day.now - MOST_SECONDS) == pytest.approx(MOST_SECONDS)


def test_who_hurries_ends_a_wait_that_has_begun() -> None:
    """By the real clock: changes that wait for a review to end are taken in when somebody asks."""
    pace, began = Pace(lambda: True), time.monotonic()
    threading.Timer(0.05, pace.hurry).start()
    pace.wait(began + 60)
    assert time.monotonic() - began < 30
