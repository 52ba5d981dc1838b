"""Who is asked about readers, how often, and that no answer lets nobody in; the API server is a stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client

from istio_netpol.errors import ApiError
from istio_netpol.kube.user_rights import (
    ACCESS_REVIEWS,
    ASKING_SECONDS,
    MOST_USERS,
    REMEMBERED_SECONDS,
    TOKEN_REVIEWS,
    UserRights,
)
from istio_netpol.server.map_guard import MapGuard, Tries, counted
from istio_netpol.server.metrics import MapResult
from istio_netpol.web.app import map_app


class Desk:
    """Knows tokens by user and rights by user and namespace; counts what it is asked."""

    def __init__(self, rights: dict[str, set[str]], seconds: float = 0.0) -> None:
        self.rights = rights
        self.now = 0.0
        self.seconds = seconds
        self.asked: list[str] = []
        self.specs: list[dict[str, Any]] = []
        self.error: ApiError | None = None
        self.status: Callable[[dict[str, Any]], Any] | None = None

    def send(self, _method: str, path: str, body: bytes) -> bytes:
        self.now += self.seconds
        if self.error:
            raise self.error
        spec = json.loads(body)["spec"]
        self.asked.append(path)
        self.specs.append(spec)
        status = self.status(spec) if self.status else self._status(path, spec)
        return json.dumps({"status": status}).encode()

    def _status(self, path: str, spec: dict[str, Any]) -> dict[str, Any]:
        if path == TOKEN_REVIEWS:
            name = spec["token"]
            user = {"username": name, "uid": "7", "groups": ["g"], "extra": {"scopes": ["s"]}}
            return {"authenticated": True, "user": user} if name in self.rights else {"authenticated": False}
        asked = spec["resourceAttributes"]
        return {"allowed": asked["namespace"] in self.rights.get(spec["user"], set())}

    def readers(self) -> UserRights:
        return UserRights(self, lambda: self.now)  # type: ignore[arg-type]


def test_only_namespaces_in_which_everything_may_be_listed_are_seen() -> None:
    """Pods alone, or policies alone, are not enough."""
    desk = Desk({"jane": set()})

    def pods_in_bank_and_all_in_shop(spec: dict[str, Any]) -> Any:
        asked = spec.get("resourceAttributes")
        if asked is None:
            return {"authenticated": True, "user": {"username": "jane"}}
        return {
            "allowed": asked["namespace"] == "shop"
            or (asked["namespace"], asked["resource"]) == ("bank", "pods")
        }

    desk.status = pods_in_bank_and_all_in_shop
    readers = desk.readers()
    jane = readers.of_token("jane")
    assert jane is not None
    assert readers.namespaces(jane, ["shop", "bank", "lab"]) == {"shop"}
    assert not readers.sees_whole_cluster(jane)


def test_rights_are_asked_for_the_whole_identity() -> None:
    """Groups, uid and extra, by which a scoped token is told from its owner."""
    desk = Desk({"jane": {"shop"}})
    readers = desk.readers()
    jane = readers.of_token("jane")
    assert jane is not None
    readers.namespaces(jane, ["shop"])
    for spec in desk.specs[1:]:
        assert {key: spec[key] for key in ("user", "uid", "groups", "extra")} == {
            "user": "jane",
            "uid": "7",
            "groups": ["g"],
            "extra": {"scopes": ["s"]},
        }


def test_answers_are_remembered_for_half_a_minute_and_no_longer() -> None:
    """A page that is open costs no request; a right that is taken away, or given, counts soon."""
    desk = Desk({"jane": {"shop"}})
    readers = desk.readers()

    def seen() -> frozenset[str]:
        jane = readers.of_token("jane")
        assert jane is not None
        return readers.namespaces(jane, ["shop", "bank"])

    assert seen() == {"shop"}
    count = len(desk.asked)
    desk.rights["jane"] = {"bank"}
    desk.now += REMEMBERED_SECONDS - 1
    assert (seen(), len(desk.asked)) == ({"shop"}, count)
    desk.now += 2
    assert seen() == {"bank"}
    del desk.rights["jane"]
    desk.now += REMEMBERED_SECONDS + 1
    assert readers.of_token("jane") is None


def test_what_is_not_answered_in_time_is_not_seen() -> None:
    """Of a thousand namespaces a slow API server is asked about some, and about the others the next time."""
    names = [f"ns-{number:03}" for number in range(100)]
    desk = Desk({"jane": set(names)}, seconds=0.2)
    readers = desk.readers()
    jane = readers.of_token("jane")
    assert jane is not None
    first = readers.namespaces(jane, names)
    assert 0 < len(first) < len(names)
    assert desk.now < 2 * ASKING_SECONDS
    assert len(readers.namespaces(jane, names)) > len(first)


def test_so_many_tokens_are_remembered_and_no_more() -> None:
    """Whoever sends others all the time fills no memory, and the token itself is nowhere in it."""
    desk = Desk({})
    readers = desk.readers()
    for number in range(MOST_USERS + 10):
        readers.of_token(f"secret-{number}")
    assert not readers.knows("secret-0")
    assert readers.knows(f"secret-{MOST_USERS + 9}")
    assert "secret-" not in repr(vars(readers))


@pytest.mark.parametrize(
    "status",
    [
        None,
        "text",
        {},
        {"authenticated": "true", "user": {"username": "jane"}},
        {"authenticated": True},
        {"authenticated": True, "user": {"username": ""}},
        {"authenticated": True, "user": "jane"},
    ],
)
def test_an_odd_answer_lets_nobody_in(status: Any) -> None:
    """Only a clear yes is a yes."""
    desk = Desk({"jane": {"shop"}})
    desk.status = lambda _: status
    assert desk.readers().of_token("jane") is None


@pytest.mark.parametrize("status", [None, {}, {"allowed": "yes"}, {"allowed": True, "denied": True}])
def test_an_odd_answer_about_a_right_grants_none(status: Any) -> None:
    """As the API says: denied counts even where allowed is set."""
    desk = Desk({"jane": {"shop"}})
    readers = desk.readers()
    jane = readers.of_token("jane")
    assert jane is not None
    desk.status = lambda _: status
    assert readers.namespaces(jane, ["shop"]) == frozenset()
    assert not readers.sees_whole_cluster(jane)


def fail(error: ApiError) -> Any:
    raise error


def nothing() -> Any:
    raise AssertionError("shown to somebody of whom nothing is known")


@pytest.mark.parametrize("path", [TOKEN_REVIEWS, ACCESS_REVIEWS])
@pytest.mark.parametrize(
    "error", [ApiError(0, "out of reach"), ApiError(403, "forbidden"), ApiError(500, "broken")]
)
def test_an_api_server_that_does_not_answer_closes_the_map(path: str, error: ApiError) -> None:
    """503, and nothing of it is remembered: as soon as it answers again, so does the map."""
    desk = Desk({"jane": set()})
    counts: list[MapResult] = []
    app = map_app(nothing, MapGuard(desk.readers(), lambda: ["shop"]))
    client = Client(counted(app, counts.append))

    def status() -> int:
        reply = client.get("/", headers={"Authorization": "Bearer jane"})
        assert str(error) not in reply.text, "what is wrong with the API server is nobody's to know"
        return reply.status_code

    if path == ACCESS_REVIEWS:
        desk.status = lambda spec: desk._status(TOKEN_REVIEWS, spec) if "token" in spec else fail(error)
    else:
        desk.error = error
    assert status() == 503
    desk.error = desk.status = None
    assert status() == 403
    assert counts == [MapResult.FAILED, MapResult.FORBIDDEN]


def test_an_address_that_waits_may_try_again() -> None:
    """Others are not held up by it, however many addresses there are."""
    now = [0.0]
    tries = Tries(lambda: now[0])
    assert [tries.take("a") for _ in range(25)].count(True) == 20
    assert tries.take("b")
    now[0] += 1
    assert [tries.take("a") for _ in range(4)] == [True, True, False, False]
    for number in range(2000):
        tries.take(str(number))
    assert len(vars(tries)["_left"]) <= 1024


def test_what_was_learnt_of_a_token_goes_with_it() -> None:
    """Of tokens that were used once nothing is left when their time is over and another one comes."""
    desk = Desk({f"token-{number}": {"shop"} for number in range(40)})
    readers = desk.readers()
    for number in range(39):
        readers.of_token(f"token-{number}")
    desk.now += REMEMBERED_SECONDS
    readers.of_token("token-39")
    assert len(readers._known) == 1
