"""What we take for a request, another implementation of HTTP/1.1 takes for the same one, or we refuse it."""

from __future__ import annotations

from http import HTTPStatus

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from istio_netpol.http.exchange import Exchange
from istio_netpol.http.message import HttpRequest, HttpResponse, RefusedError
from istio_netpol.http.request_reader import MOST_HEAD

LIMIT = 1000
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
NAMES = ["Content-Length", "Transfer-Encoding", "Host", "Expect", "Connection", "X-A", "x_b", "A b", "Ä", ""]
VALUES = [
    "",
    "a",
    "0",
    "3",
    "03",
    "+3",
    "3, 3",
    "\u00b2",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "100-continue",
    "Close, x",
    "\xe4",
]
FIRST = [
    "POST / HTTP/1.1",
    "GET /%C3?a=b HTTP/1.0",
    "HEAD * HTTP/1.1",
    "P\xe4 / HTTP/1.1",
    "POST / http/1.1",
]
BODIES = [
    "",
    "abc",
    "3\r\nabc\r\n0\r\n\r\n",
    "03\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\nabc\n0\n\n",
    "-3\r\nabc\r\n0\r\n\r\n",
]

lines = st.tuples(
    st.sampled_from(NAMES), st.sampled_from([": ", ":", ":\t ", " : ", ""]), st.sampled_from(VALUES)
)
ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A head of lines of which many are as they should be, and something like a body."""
    text = draw(st.sampled_from(FIRST)) + draw(ends)
    if draw(st.integers(0, 9)):
        text += "Host: a" + draw(ends)
    for parts in draw(st.lists(lines, max_size=3)):
        text += "".join(parts) + draw(ends)
    return (text + draw(ends) + draw(st.sampled_from(BODIES))).encode("latin-1")


def ours(sent: bytes) -> HttpRequest | None:
    """As we read it; h11 has the name of a transfer coding in lower case."""
    request = Exchange(LIMIT).receive(sent)
    if request is None:
        return None
    headers = [
        (name, value.lower() if name == "transfer-encoding" else value) for name, value in request.headers
    ]
    return replace(request, headers=headers)


def theirs(sent: bytes) -> HttpRequest | None:
    """As h11 reads it; None for one that is not complete. Raises h11.RemoteProtocolError."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    found, body = None, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            found = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            return None
    assert found is not None
    headers = [(name.decode(), value.decode("latin-1")) for name, value in found.headers]
    return HttpRequest(
        found.method.decode(), found.target.decode(), found.http_version.decode(), headers, body
    )


@given(requests())
@settings(max_examples=400)
def test_no_request_is_read_otherwise_than_by_h11(sent: bytes) -> None:
    """We may refuse more, since nobody who sends reviews sends it, and never understand something else."""
    try:
        request = ours(sent)
    except RefusedError:
        return
    assert theirs(sent) == request


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /validate?timeout=10s HTTP/1.1\r\nHost: a.b.svc:443\r\nUser-Agent: kube-apiserver\r\n"
        b"Content-Length: 3\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost:\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: 10.0.0.1:8443\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=["api-server", "chunks", "kubelet", "old", "expect"],
)
def test_what_clients_send_is_read_as_by_h11(sent: bytes) -> None:
    """All that an API server, a kubelet and curl have a reason to send."""
    assert ours(sent) == theirs(sent) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 3\r\nContent-Length: 3",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Content-Length: 3,3",
        b"Content-Length: -3",
        b"Content-Length: \xb2",
        b"Transfer-Encoding: gzip",
        b"Host: b",
        b"Content-Length : 3",
        b": 3",
        b"Content-Length",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(line: bytes) -> None:
    """Above all, where the body ends."""
    with pytest.raises(RefusedError):
        ours(b"POST / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\nabc")


@pytest.mark.parametrize(
    "body",
    [
        b"1\r\nab\r\n0\r\n\r\n",
        b"1\na\n0\n\n",
        b"0\r\nA: b\r\n\r\n",
        b"0x1\r\na\r\n0\r\n\r\n",
        b"1 \r\na\r\n0\r\n\r\n",
        b"10000000000000001\r\na\r\n0\r\n\r\n",
    ],
)
def test_chunks_are_what_they_say(body: bytes) -> None:
    """No byte more, no other line end, no trailer."""
    with pytest.raises(RefusedError):
        ours(CHUNKED + body)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", HTTPStatus.NOT_IMPLEMENTED),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            HTTPStatus.NOT_IMPLEMENTED,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            HTTPStatus.NOT_IMPLEMENTED,
        ),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HTTPStatus.NOT_IMPLEMENTED),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET /\r\n\r\n", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST),
    ],
    ids=["connect", "upgrade", "gzip", "old-chunks", "preface", "http-2", "http-0.9", "no-host"],
)
def test_other_protocols_are_refused(sent: bytes, status: HTTPStatus) -> None:
    """What the parser could read, and nobody here would answer as it expects."""
    with pytest.raises(RefusedError) as refused:
        ours(sent)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: ", b"a"),
        (b"GET /", b"a"),
        (b"GET / HTTP/1.1\r\nHost:", b" "),
        (b"GET ", b" "),
        (CHUNKED + b"1;", b"a"),
        (CHUNKED + b'1;a="', b"a"),
        (CHUNKED, b"0"),
        (CHUNKED + b"0\r\nX: ", b"a"),
    ],
    ids=["field", "target", "spaces", "spaces-of-line", "extension", "quoted", "size", "trailer"],
)
def test_what_does_not_end_is_refused(first: bytes, then: bytes) -> None:
    """However small the pieces are in which it comes."""
    exchange = Exchange(LIMIT)
    exchange.receive(first)

    def go_on() -> None:
        for _ in range(2 * MOST_HEAD // 64):
            exchange.receive(64 * then)

    with pytest.raises(RefusedError):
        go_on()


def test_a_short_extension_of_a_chunk_means_nothing() -> None:
    """As RFC 9112 7.1.1 has it."""
    request = ours(CHUNKED + b"3;a=b\r\nabc\r\n0\r\n\r\n")
    assert request is not None
    assert request.body == b"abc"


def test_an_answer_can_not_be_split() -> None:
    """A header of an application with a line end in it is an error of ours, and no second answer."""
    exchange = Exchange(LIMIT)
    assert exchange.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(ValueError, match="more than one line"):
        exchange.answer(HttpResponse(200, [("X", "a\r\nHTTP/1.1 200 OK")], b""), keep=True)


def test_an_answer_to_head_has_no_body() -> None:
    """And says how long the body would be; all other answers say how long theirs is."""
    answer = HttpResponse(200, [("Content-Length", "2")], b"ok")
    for method, ends_with in (("HEAD", b"\r\n\r\n"), ("GET", b"\r\n\r\nok")):
        exchange = Exchange(LIMIT)
        assert exchange.receive(method.encode() + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        sent = exchange.answer(answer, keep=True)
        assert sent.endswith(ends_with)
        assert sent.count(b"Content-Length: 2\r\n") == 1
