"""The live map over HTTP: who gets it, what goes with it, and when it is sent again."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from tests.values import deployment, namespace, policy

from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.cli.settings import Offline
from istio_netpol.errors import InputError, Problem
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot
from istio_netpol.web.app import Guard, Refusal, Sight, map_app
from istio_netpol.web.guards import loopback_only, with_token
from istio_netpol.web.live import LiveMap

TOKEN = "correct-horse-battery"
OPEN = [namespace("shop"), deployment("shop/cart"), namespace("bank"), deployment("bank/ledger")]


class Source:
    """What is looked at, in the test's hands."""

    def __init__(self, *objects: Any) -> None:
        self.next: Given | Exception | None = Given(Snapshot.of(objects))

    def look(self) -> Given | None:
        found, self.next = self.next, None
        if isinstance(found, Exception):
            raise found
        return found


def live_map(*objects: Any) -> tuple[LiveMap, Source]:
    source = Source(*objects)
    return LiveMap(source.look, Settings(), Offline(), title="here"), source


def client_of(guard: Guard, *objects: Any) -> FlaskClient:
    live, _ = live_map(*(objects or OPEN))
    live.refresh()
    return map_app(lambda: live.newest, guard).test_client()


def everybody() -> Sight:
    return Sight()


def document_of(client: FlaskClient, **headers: str) -> dict[str, Any]:
    answer = client.get("/map.json", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    found: dict[str, Any] = json.loads(gzip.decompress(answer.data))
    return found


def test_the_page_asks_its_own_server_only() -> None:
    answer = client_of(everybody).get("/")
    assert answer.status_code == 200
    assert 'data-live="true"' in answer.text
    policy_sent = answer.headers["Content-Security-Policy"]
    assert "connect-src 'self'" in policy_sent
    assert "frame-ancestors 'none'" in policy_sent
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_document_is_sent_once() -> None:
    """Who has it gets 304, until something changes."""
    live, source = live_map(*OPEN)
    client = map_app(lambda: live.newest, everybody).test_client()
    assert client.get("/map.json").status_code == 503
    live.refresh()
    tag = client.get("/map.json").headers["ETag"]
    assert not live.refresh()
    assert client.get("/map.json", headers={"If-None-Match": tag}).status_code == 304
    source.next = Given(Snapshot.of([*OPEN, policy("shop/deny", ingress=[])]))
    assert live.refresh()
    answer = client.get("/map.json", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != tag


def test_what_can_not_be_read_keeps_the_last_state() -> None:
    live, source = live_map(*OPEN)
    live.refresh()
    before = live.newest
    source.next = InputError([Problem("x.yaml", 1, None, None, None, "is broken", None)])
    assert live.refresh()
    assert "is broken" in live.problem
    assert live.newest is before
    source.next = Given(Snapshot.of(OPEN))
    assert live.refresh()
    assert live.problem == ""


@pytest.mark.parametrize("host", ["127.0.0.1:8040", "localhost", "[::1]:8040", "127.0.0.1"])
def test_loopback_is_asked_by_its_own_name(host: str) -> None:
    assert client_of(loopback_only).get("/map.json", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "127.0.0.1.evil.com:8040", "10.0.0.1", "[::1", "localhost.evil"]
)
def test_a_name_that_somebody_else_owns_gets_nothing(host: str) -> None:
    """A page elsewhere can have its name resolve to loopback; the browser then sends that name."""
    client = client_of(loopback_only)
    for path in ("/", "/map.json"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code in {400, 421}
        assert "cart" not in answer.text


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("", 401),
        ("Bearer wrong", 401),
        ("Basic !!!", 401),
        (f"Bearer {TOKEN}", 200),
        (f"Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}", 200),
        (f"Basic {base64.b64encode(f'{TOKEN}:'.encode()).decode()}", 401),
        ("Digest username=x", 401),
    ],
)
def test_a_token_is_asked_for(sent: str, status: int) -> None:
    client = client_of(with_token(TOKEN))
    headers = {"Authorization": sent} if sent else {}
    for path in ("/", "/map.json"):
        answer = client.get(path, headers={**headers, "Host": "map.example.com"})
        assert answer.status_code == status
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


def test_a_reader_gets_the_namespaces_that_are_his() -> None:
    """Who may see one namespace gets a document of his own, with a tag of its own."""
    live, _ = live_map(*OPEN)
    live.refresh()
    sight: list[Sight | Refusal] = [Sight(frozenset({"shop"}))]
    client = map_app(lambda: live.newest, lambda: sight[0]).test_client()
    part, tag = document_of(client), client.get("/map.json").headers["ETag"]
    assert [place["name"] for place in part["namespaces"]] == ["shop"]
    assert "ledger" not in json.dumps(part)
    sight[0] = Sight()
    assert len(document_of(client)["namespaces"]) == 2
    assert client.get("/map.json", headers={"If-None-Match": tag}).status_code == 200
    sight[0] = Refusal(403, "no")
    assert client.get("/map.json", headers={"If-None-Match": tag}).status_code == 403


def test_nothing_is_worked_out_for_somebody_who_gets_nothing() -> None:
    """Whoever has no token costs no work, however often they ask."""
    asked = []
    client = map_app(lambda: asked.append(1), lambda: Refusal(401, "who?")).test_client()
    for path in ("/", "/map.json"):
        assert client.get(path).status_code == 401
    assert asked == []
