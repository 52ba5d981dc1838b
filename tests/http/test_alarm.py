"""An alarm rings when it was set to, whether or not somebody waited by then, and not once it was put off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from istio_netpol.http import alarm
from istio_netpol.http.alarm import Alarm, alarm_after

SECONDS = 0.3
WITHIN = 20.0


@pytest.fixture(params=["of the kernel", "plain"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Alarm]:
    """Makes alarms as this system has them, and as one without timers has them."""
    if request.param == "plain":
        monkeypatch.setattr(alarm.ctypes, "PyDLL", lambda *_, **__: object())
    return alarm_after


@pytest.fixture
def waiting() -> Iterator[Callable[[Alarm], threading.Event]]:
    """Has a thread wait for an alarm; the event tells that it rang."""
    threads: list[tuple[Alarm, threading.Thread]] = []

    def wait_for(waited: Alarm) -> threading.Event:
        rang = threading.Event()

        def wait() -> None:
            waited.wait()
            rang.set()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        threads.append((waited, thread))
        return rang

    yield wait_for
    for waited, thread in threads:
        waited.ring()
        thread.join(WITHIN)
        assert not thread.is_alive()


Waiting = Callable[[Alarm], threading.Event]


def test_it_rings_in_time(make: Callable[[float], Alarm], waiting: Waiting) -> None:
    tested = make(SECONDS)
    rang = waiting(tested)
    begins = time.monotonic()
    tested.set()
    assert rang.wait(WITHIN)
    assert time.monotonic() - begins >= SECONDS


def test_it_is_heard_by_who_comes_later(make: Callable[[float], Alarm], waiting: Waiting) -> None:
    tested = make(60.0)
    tested.ring()
    time.sleep(0.01)
    assert waiting(tested).wait(WITHIN)


def test_each_setting_counts_anew(make: Callable[[float], Alarm], waiting: Waiting) -> None:
    tested = make(3 * SECONDS)
    rang = waiting(tested)
    tested.set()
    time.sleep(SECONDS / 10)
    begins = time.monotonic()
    tested.set()
    assert rang.wait(WITHIN)
    assert time.monotonic() - begins >= 3 * SECONDS


def test_put_off_it_does_not_ring(make: Callable[[float], Alarm], waiting: Waiting) -> None:
    tested = make(SECONDS)
    rang = waiting(tested)
    tested.set()
    tested.clear()
    assert not rang.wait(2 * SECONDS)
    tested.set()
    assert rang.wait(WITHIN)
