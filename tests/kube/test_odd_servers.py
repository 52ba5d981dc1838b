"""API servers that don't behave: what they cost is bounded, and said."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.kube.test_following import Heard
from tests.waiting import wait_until

from istio_netpol.controller.owned import LabelledPolicies
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.objects import Received, Stored
from istio_netpol.kube.reflector import Reflector, Scope
from istio_netpol.kube.resources import Resource

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
BOOKMARK = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "2"}}}


class OddServer:
    """Answers lists with one page after the other, or with one, and each watch with these events and its
    end."""

    def __init__(self, *events: dict[str, Any], pages: str = "one") -> None:
        self.events, self.pages = events, pages
        self.asked: Counter[str] = Counter()

    def answer(self, query: dict[str, list[str]]) -> bytes:
        if "watch" in query:
            self.asked["watch"] += 1
            return b"".join(json.dumps(event).encode() + b"\n" for event in self.events)
        self.asked["list"] += 1
        following = {"one": "", "same": "again", "new": f"page-{self.asked['list']}"}[self.pages]
        return json.dumps({"metadata": {"resourceVersion": "1", "continue": following}, "items": []}).encode()

    @contextmanager
    def connected(self, folder: Path) -> Iterator[ApiConnection]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        config = folder / "kubeconfig"
        url = f"http://127.0.0.1:{server.server_port}"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "odd", "cluster": {"server": url}}],
                    "users": [{"name": "odd", "user": {}}],
                    "contexts": [{"name": "odd", "context": {"cluster": "odd", "user": "odd"}}],
                    "current-context": "odd",
                }
            )
        )
        try:
            yield ApiConnection.open(kubeconfig=config)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        odd = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = odd.answer(parse_qs(urlsplit(self.path).query))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Not in the test's output."""

        return Handler


def followed(server: OddServer, folder: Path, seconds: float) -> Heard:
    """What a sink hears of a server until a first thing goes wrong, and in some seconds more."""
    heard = Heard()
    with server.connected(folder) as found:
        reflector = Reflector(found, Scope(PODS, "shop"), heard)
        reflector.start()
        wait_until("something went wrong", lambda: heard.reasons)
        time.sleep(seconds)
        reflector.stop()
        reflector.join(30)
    return heard


@pytest.mark.parametrize("events", [(), (BOOKMARK,)])
def test_a_watch_that_ends_at_once_is_opened_a_few_times_a_second(
    events: tuple[dict[str, Any], ...], tmp_path: Path
) -> None:
    """With a word or without: it counts as broken, and is opened anew after a pause that grows."""
    server = OddServer(*events)
    heard = followed(server, tmp_path, 1.5)
    assert 1 <= server.asked["watch"] <= 20, "without a pause there would be hundreds"
    assert server.asked["list"] == 1
    assert re.fullmatch(r"the watch ended after \d\.\d s", heard.reasons[0])


def test_a_server_that_forgets_at_once_is_not_listed_all_the_time(tmp_path: Path) -> None:
    """410 after each list is a failure like any other, since no watch has worked in between."""
    server = OddServer({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    followed(server, tmp_path, 1.5)
    assert 1 <= server.asked["list"] <= 20, "without a pause there would be hundreds"


@pytest.mark.parametrize("pages", ["same", "new"])
def test_a_list_that_never_ends_is_given_up(pages: str, tmp_path: Path) -> None:
    """Neither a watch nor a round of the controller reads pages for ever."""
    server = OddServer(pages=pages)
    heard = followed(server, tmp_path, 0.0)
    assert "does not end" in heard.reasons[0]
    assert heard.lists == 0
    with server.connected(tmp_path) as found, pytest.raises(ApiError, match="does not end"):
        LabelledPolicies(found).read()


class Clumsy(Heard):
    """A sink that fails on the first thing that it is told of a kind."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.left = {part: 1}

    def _stumble(self, part: str) -> None:
        if self.left.pop(part, 0):
            raise ZeroDivisionError("as if we had miscalculated")

    def replaced(self, scope: Scope, objects: list[Received]) -> None:
        self._stumble("replaced")
        super().replaced(scope, objects)

    def heard(self, scope: Scope) -> None:
        self._stumble("heard")
        super().heard(scope)

    def changed(self, scope: Scope, stored: Stored, *, deleted: bool) -> None:
        self._stumble("changed")
        super().changed(scope, stored, deleted=deleted)


@pytest.mark.parametrize("part", ["replaced", "heard", "changed"])
def test_an_error_of_whoever_is_told_ends_no_watch(part: str, tmp_path: Path) -> None:
    """The kind is listed anew, and what could not be taken in comes again."""
    pod = {"metadata": {"name": "web", "namespace": "shop", "resourceVersion": "2"}, "spec": {}}
    heard = Clumsy(part)
    with OddServer({"type": "ADDED", "object": pod}).connected(tmp_path) as found:
        reflector = Reflector(found, Scope(PODS, "shop"), heard)
        reflector.start()
        heard.wait_for_pod("web")
        reflector.stop()
        reflector.join(30)
    assert not heard.left
    assert "an error inside istio-netpol; its log has the details" in heard.reasons
