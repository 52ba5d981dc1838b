"""HTTP without a socket: what is taken for a request, what is refused, and in how many steps."""

from __future__ import annotations

import time
from http import HTTPStatus

import pytest

from istio_netpol.http.connection import READ_BYTES
from istio_netpol.http.exchange import Exchange
from istio_netpol.http.message import HttpRequest, HttpResponse, RefusedError

POST = b"POST /validate?timeout=10s HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 1000


def received(exchange: Exchange, *pieces: bytes) -> HttpRequest | None:
    """What comes of several pieces."""
    request = None
    for piece in pieces:
        request = exchange.receive(piece)
    return request


def test_byte_by_byte() -> None:
    """However it is cut, it is the same request."""
    whole = POST + b"Content-Length: 4\r\n\r\nbody"
    by_bytes = received(Exchange(LIMIT), *(bytes([byte]) for byte in whole))
    assert by_bytes == received(Exchange(LIMIT), whole)
    assert by_bytes is not None
    assert (by_bytes.method, by_bytes.target, by_bytes.body) == ("POST", "/validate?timeout=10s", b"body")


def test_small_chunks_cost_little() -> None:
    """A read full of chunks of one byte does not take the loop for itself: forty take a tenth of a second,
    and h11 several."""
    exchange = Exchange(most_body=40 * READ_BYTES)
    small = b"1\r\nx\r\n" * (READ_BYTES // 6)
    assert exchange.receive(CHUNKED) is None
    started = time.process_time()
    for _ in range(40):
        assert exchange.receive(small) is None
    assert time.process_time() - started < 1
    request = exchange.receive(b"0\r\n\r\n")
    assert request is not None
    assert request.body == b"x" * (READ_BYTES // 6) * 40


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9000, HTTPStatus.REQUEST_URI_TOO_LONG),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 10_000, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE),
        (POST + b"Content-Length: 1001\r\n\r\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (
            POST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        ),
        (CHUNKED + b"1" * 100_000, HTTPStatus.BAD_REQUEST),
        (POST + b"Expect: the-unexpected\r\n\r\n", HTTPStatus.EXPECTATION_FAILED),
        (b"\r\n\r\n", HTTPStatus.BAD_REQUEST),
    ],
    ids=["line", "field", "fields", "body", "chunk", "chunk-size", "expect", "empty"],
)
def test_refused_as_soon_as_it_is_too_much(sent: bytes, status: HTTPStatus) -> None:
    """Without waiting for an end that need not come."""
    with pytest.raises(RefusedError) as refused:
        received(Exchange(LIMIT), sent)
    assert refused.value.status in {status, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE}
    assert refused.value.as_bytes().startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nX:" + b" " * 30_000 + b"\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a" + b" " * 30_000 + b"\ra\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n" + (b" " * 8000 + b"a\r\n") * 3 + b"\v\r\n\r\n",
        CHUNKED + b"0\r\nX:" + b" " * 50_000 + b"\0\r\n\r\n",
        CHUNKED + b"1;a=" + b" " * 50_000 + b"\0\r\nx\r\n0\r\n\r\n",
        CHUNKED + b"0" * 50_000 + b"1\r\nx\r\n0\r\n\r\n",
    ],
    ids=["field", "bare-cr", "folded", "trailer", "extension", "size"],
)
def test_what_takes_long_to_parse_is_refused_unparsed(sent: bytes) -> None:
    """Regular expressions take seconds for texts like these."""
    started = time.process_time()
    with pytest.raises(RefusedError) as refused:
        received(Exchange(LIMIT), *(sent[at : at + 16_384] for at in range(0, len(sent), 16_384)))
    assert refused.value.status == HTTPStatus.BAD_REQUEST
    assert time.process_time() - started < 0.5


def test_answers_and_what_becomes_of_the_connection() -> None:
    """Kept for HTTP/1.1, unless either side says otherwise."""
    answer = HttpResponse(200, [("Content-Length", "2")], b"ok")

    def kept(request: bytes) -> bool:
        exchange = Exchange(LIMIT)
        assert received(exchange, request) is not None
        is_kept = exchange.is_kept
        sent = exchange.answer(answer, keep=is_kept)
        assert sent.endswith(b"\r\n\r\nok")
        assert (b"connection: close" in sent.lower()) != is_kept
        return is_kept

    assert kept(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert not kept(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert not kept(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n")
    assert not kept(b"GET / HTTP/1.0\r\n\r\n")
    assert not kept(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert not kept(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n")
    assert not kept(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense")


def test_the_next_request_of_a_connection() -> None:
    """Nothing of the one before is left over."""
    exchange = Exchange(LIMIT)
    first = exchange.receive(CHUNKED + b"1\r\na\r\n0\r\n\r\n")
    exchange.start_next()
    assert not exchange.has_begun
    second = exchange.receive(POST + b"Content-Length: 1\r\n\r\nb")
    assert first is not None
    assert second is not None
    assert (first.body, second.body) == (b"a", b"b")
    assert ("transfer-encoding", "chunked") not in second.headers


def test_who_waits_to_go_on_is_told_once() -> None:
    """And nobody whose body is already on its way."""
    exchange = Exchange(LIMIT)
    assert exchange.receive(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") is None
    assert exchange.wants_to_go_on()
    exchange.go_on()
    assert not exchange.wants_to_go_on()
    eager = Exchange(LIMIT)
    assert eager.receive(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\na") is None
    assert not eager.wants_to_go_on()
