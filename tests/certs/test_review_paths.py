"""When the paths change under which the API server calls the webhook."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from istio_netpol.certs.review_paths import (
    SECRET_PATH,
    Door,
    Note,
    PathPlan,
    PathTimes,
    RegisteredWebhook,
    door_of,
    plan_paths,
)

NAMES = ("opted-in.istio-netpol.io", "others.istio-netpol.io")
PLAIN = dict.fromkeys(NAMES, "/validate")
TIMES = PathTimes(life=timedelta(hours=1), settle=timedelta(seconds=5))
START = datetime(2026, 11, 29, tzinfo=UTC)


class Registration:
    """A configuration, whose keeper looks when a test says so."""

    def __init__(self, paths: Mapping[str, str], *, callable: bool = True) -> None:
        self.paths = dict(paths)
        self.note = Note()
        self.now = START
        self.callable = callable
        self._numbers = count()

    def look(self, *, secret: bool = True, after: timedelta = timedelta(0)) -> PathPlan:
        """Carries out what is planned, as the API server would store it."""
        self.now += after
        webhooks = [RegisteredWebhook(name, path, self.callable) for name, path in self.paths.items()]
        plan = plan_paths(
            webhooks,
            self.note,
            self.now,
            mutating=False,
            secret=secret,
            draw=lambda: f"{next(self._numbers):064x}",
            times=TIMES,
        )
        self.paths, self.note = dict(plan.paths), Note.read(str(plan.note))
        return plan


def settled() -> Registration:
    """One with secret paths."""
    registration = Registration(PLAIN)
    registration.look()
    registration.look(after=TIMES.settle)
    assert registration.look().reason == ""
    return registration


def test_each_webhook_gets_a_path_of_its_own() -> None:
    """What one of them is told to users does not tell the others."""
    paths = settled().paths
    assert len(set(paths.values())) == 2
    assert all(SECRET_PATH.fullmatch(path) for path in paths.values())
    assert {path.split("/")[1] for path in paths.values()} == {"validate"}
    assert door_of(mutating=True) is Door.MUTATE


def test_nothing_is_registered_before_it_was_announced_for_a_while() -> None:
    """Every replica takes the new paths before the API server uses one, and the old ones meanwhile."""
    registration = Registration(PLAIN)
    assert registration.look().reason == "announced new secret paths"
    announced = registration.note.following
    assert registration.paths == PLAIN
    assert registration.look(after=TIMES.settle / 2).reason == ""
    assert registration.paths == PLAIN
    assert registration.look(after=TIMES.settle / 2).reason == "new secret paths"
    assert registration.paths == announced
    assert registration.note == Note(registration.now)


def test_paths_are_changed_when_their_time_is_over() -> None:
    """By the same two steps, and not before."""
    registration = settled()
    before = dict(registration.paths)
    plan = registration.look(after=TIMES.life - timedelta(seconds=1))
    assert (plan.reason, registration.paths) == ("", before)
    assert plan.again_at == registration.now + timedelta(seconds=1)
    registration.look(after=timedelta(seconds=1))
    assert registration.paths == before
    registration.look(after=TIMES.settle)
    assert not set(registration.paths.values()) & set(before.values())


def test_a_pod_that_takes_plain_paths_only_gets_plain_ones_at_once() -> None:
    """Where an older version is rolled back to, its first pod finds plain paths, and the last of its pods
    takes them along."""
    registration = settled()
    assert registration.look(secret=False).reason.startswith("plain paths")
    assert registration.paths == PLAIN
    assert registration.look(secret=False).reason == ""
    registration.look()
    assert registration.paths == PLAIN
    registration.look(secret=False, after=TIMES.settle)
    assert registration.note == Note()
    assert registration.paths == PLAIN


def test_what_no_api_server_can_call_gets_secret_paths_at_once() -> None:
    """A new installation has no moment in which plain paths are taken."""
    registration = Registration(dict.fromkeys(NAMES, ""), callable=False)
    assert registration.look().reason == "secret paths"
    assert all(SECRET_PATH.fullmatch(path) for path in registration.paths.values())


GARBAGE = """
[
[]
{}
{"since": 7}
{"next": []}
{"since": "2999-01-01T00:00:00+00:00"}
{"since": "2026-11-29T00:00:00"}
{"next": {"a": "/validate/0"}, "announced": "yesterday"}"""


@pytest.mark.parametrize("note", GARBAGE.split("\n"))
def test_a_note_that_says_nothing_has_new_paths_drawn(note: str) -> None:
    """Whoever takes the annotation away has the paths changed; garbage and wrong clocks heal."""
    registration = settled()
    before, registration.note = dict(registration.paths), Note.read(note)
    registration.look()
    registration.look(after=TIMES.settle)
    assert not set(registration.paths.values()) & set(before.values())
    assert registration.look().reason == ""


@pytest.mark.parametrize("path", ["/validate/short", "/mutate/" + "0" * 64, "", "/x"])
def test_a_path_that_somebody_else_wrote_is_replaced(path: str) -> None:
    """One that leads to another door, too."""
    registration = settled()
    registration.paths["others.istio-netpol.io"] = path
    registration.look()
    registration.look(after=TIMES.settle)
    assert registration.look().reason == ""
    assert path not in registration.paths.values()


def test_no_path_is_printed() -> None:
    """Neither a plan nor what it is made from shows one."""
    registration = Registration(PLAIN)
    plan = registration.look()
    secrets = [path.rpartition("/")[2] for path in registration.note.following.values()]
    printed = repr((plan, registration.note, RegisteredWebhook("a", secrets[0])))
    assert not any(secret in printed for secret in secrets)
