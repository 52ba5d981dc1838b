"""Places are shared out: whoever holds some, others and the probes get theirs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http.serving import Served, serving
from tests.waiting import wait_until

from istio_netpol.http.answering import RESERVED, STRANGERS_HOLD
from istio_netpol.http.connection import Connection
from istio_netpol.http.limits import Limits
from istio_netpol.http.loop import EventLoop
from istio_netpol.http.wsgi import GIVE_WAY

THREADS = RESERVED + STRANGERS_HOLD + 4
"""Of which a client that is known holds four more than one that is not."""

ASKED = STRANGERS_HOLD + 8


class Application:
    """`/wait` and `/hog` answer when the test says so, and the first tells that it waits. `/fail` raises,
    and everything else answers at once what it was sent. `held` has an entry for each that was let in."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.held: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/wait":
            environ[GIVE_WAY]()
        if environ["PATH_INFO"] in {"/wait", "/hog"}:
            self.held.append(environ["PATH_INFO"])
            self.released.wait(60)
        if environ["PATH_INFO"] == "/fail":
            raise ValueError("as asked for")
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def served(application: Application, tmp_path: Path) -> Iterator[Served]:
    with serving(application, tmp_path, Limits(threads=THREADS, request_seconds=60)) as served:
        yield served
        application.released.set()


@contextlib.contextmanager
def asking(
    served: Served, count: int, path: str, source: str, until: Callable[[], bool]
) -> Iterator[list[tuple[int, bytes]]]:
    """So many requests at once, and a block that begins when something holds; their answers are there when it
    has ended."""
    answers: list[tuple[int, bytes]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(served.ask("POST", path, source, b"x")))
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    wait_until(f"requests for {path} are under way", until)
    yield answers
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("is_known", [True, False])
def test_no_client_holds_all_threads(served: Served, application: Application, is_known: bool) -> None:
    """Reviews that wait hold up their own client's, and nobody else's; probes of the same address go by
    another way."""
    if is_known:
        assert served.ask("POST", "/", "127.0.0.2", b"known") == (200, b"known")
    most = STRANGERS_HOLD + 4 if is_known else STRANGERS_HOLD
    with asking(served, ASKED, "/wait", "127.0.0.2", lambda: len(application.held) >= most) as answers:
        assert served.ask("POST", "/", "127.0.0.3", b"other") == (200, b"other")
        assert served.ask("GET", "/healthz", "127.0.0.2") == (200, b"")
        assert len(application.held) == most
        assert answers == []
        application.released.set()
    assert answers == [(200, b"x")] * ASKED


def test_slow_answers_hold_up_nobody_else(served: Served, application: Application) -> None:
    """Though the application does not say that it waits."""
    with asking(served, 4, "/hog", "127.0.0.2", lambda: len(application.held) == 4) as answers:
        assert served.ask("POST", "/", "127.0.0.3", b"other") == (200, b"other")
        assert served.ask("GET", "/healthz", "127.0.0.2") == (200, b"")
        assert answers == []
        application.released.set()
    assert answers == [(200, b"x")] * 4


def test_what_waits_too_long_for_a_thread_is_told(application: Application, tmp_path: Path) -> None:
    """A request that no thread takes in time gets 503; those that a thread has are answered."""

    def all_are_held() -> bool:
        return len(application.held) == STRANGERS_HOLD

    with (
        serving(application, tmp_path, Limits(request_seconds=3)) as served,
        asking(served, STRANGERS_HOLD, "/wait", "127.0.0.2", all_are_held) as answers,
        asking(served, 4, "/wait", "127.0.0.2", all_are_held) as late,
    ):
        wait_until("those without a thread were told", lambda: len(late) == 4)
        assert answers == []
        application.released.set()
    assert [status for status, _ in answers] == [200] * STRANGERS_HOLD
    assert [status for status, _ in late] == [503] * 4


def test_an_application_that_fails_gets_500(served: Served) -> None:
    """And goes on serving."""
    assert served.ask("POST", "/fail", body=b"x") == (500, b"")
    assert served.ask("POST", "/", body=b"x") == (200, b"x")


def test_an_error_about_one_connection_is_its_own(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped, instead of being kept without anybody who would read from it."""

    def fail(loop: EventLoop, connection: Connection) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    monkeypatch.setattr(EventLoop, "_sent", fail)
    with served.open() as stream:
        stream.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        received = b""
        while piece := stream.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 200 ")
    assert served.ask("POST", "/", body=b"x") == (200, b"x")


def test_two_requests_at_once(served: Served) -> None:
    """A client that does not wait for its answer gets it, and the connection ends: it may ask again."""
    with served.open() as stream:
        stream.sendall(2 * b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        received = b""
        while piece := stream.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200 ") == 1
    assert b"Connection: close" in received
