"""Logs are read as they come, whatever is in them."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from istio_netpol.symptoms.paste import LONGEST_LINE, MOST_SIGHTINGS, read_log, read_text
from istio_netpol.symptoms.table import SYMPTOMS

WORDS = "upstream request timeout"
MEGABYTE = 1 << 20


def ids(*chunks: bytes) -> list[str]:
    return [seen.sighting.symptom.id for seen in read_log(chunks).seen]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(end: str) -> None:
    """And count as one."""
    reading = read_text(end.join(["one", WORDS, "three", WORDS, ""]))
    (seen,) = reading.seen
    assert (seen.line, seen.count, reading.lines) == (2, 2, 4)


@pytest.mark.parametrize(
    "line",
    [
        f"\x1b[1;31m{WORDS}\x1b[0m",
        "up\x1b[0mstream \x1b[4mrequest timeout",
        f"2026-11-29T16:37:00.000000000Z {WORDS}",
        f"[pod/cart-1/istio-proxy] 2026-11-29T16:37:00.000Z {WORDS}",
        f"\ufeff{WORDS}",
        f"\0\0{WORDS}\0",
    ],
)
def test_colours_prefixes_and_timestamps_hide_nothing(line: str) -> None:
    """What terminals and kubectl add is no part of the text."""
    assert ids(line.encode()) == ["request-timeout"]


@given(st.integers(1, 40), st.integers(0, 300))
def test_where_chunks_begin_does_not_matter(size: int, padding: int) -> None:
    """A line may be cut anywhere, even within a character."""
    log = f"{'ä' * padding}\n{WORDS} ö\nRBAC: access denied\n".encode()
    chunks = [log[start : start + size] for start in range(0, len(log), size)]
    assert read_log(chunks) == read_log([log])
    assert len(read_log(chunks).seen) == 2


@pytest.mark.parametrize("before", [0, LONGEST_LINE - 10, LONGEST_LINE, 3 * LONGEST_LINE - 5])
def test_an_endless_line_is_searched_in_pieces(before: int) -> None:
    """What lies across the end of a piece is found, too; the line stays one line."""
    reading = read_text("x" * before + " " + WORDS + " " + "y" * 2 * LONGEST_LINE)
    assert {seen.sighting.symptom.id for seen in reading.seen} == {"request-timeout"}
    assert (reading.lines, reading.seen[0].line) == (1, 1)


def endless(kilobytes: int, piece: bytes) -> Iterator[bytes]:
    chunk = (piece * (65_536 // len(piece) + 1))[:65_536]
    for _ in range(kilobytes // 64):
        yield chunk


@pytest.mark.parametrize(
    "piece",
    [b"x", bytes(range(256)), b"{", b'"', b"\xff", b"[2026-11-29T1", b"failed calling webhook ", b"a b\n"],
)
def test_memory_is_bounded(piece: bytes) -> None:
    """Whatever comes, a line or garbage, is forgotten once it was looked at."""
    tracemalloc.start()
    try:
        read_log(endless(512, piece))
        assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    finally:
        tracemalloc.stop()


HOSTILE = [
    *(
        "a",
        '"',
        "lookup ",
        "failed calling webhook ",
        "[2026-11-29T1",
        "Get https://",
        ": ",
        "x 0/2 ",
        "{",
        "\x1b[",
    ),
    *('="', 'x="', '"GET / ', "dial tcp ", "reset reason: ", "certificate ", "curl: (28) ", "probe failed: "),
    *("code = Unavailable sign CSR", "conversion webhook for ", 'https://1.1.1.1/api/v1/pods": ', "503 UF "),
    *("AggregatedResources gRPC config stream closed ", "pilot-agent wait ", "certificate fetch failed ("),
    *(
        'direction="inbound" error="',
        "Failed to fetch public key from ",
        'plugin type="istio-cni" ',
        "outbound_.1_.",
    ),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_lines_cost_no_more_than_their_length(piece: str) -> None:
    """No pattern runs away: a line of the greatest length takes a moment."""
    line = (piece * LONGEST_LINE)[:LONGEST_LINE]
    start = time.process_time()
    read_text(line)
    assert time.process_time() - start < 1.5


def test_needles_are_where_patterns_match() -> None:
    """A row that is passed over for want of its needles could not have matched."""
    for row in SYMPTOMS:
        for text in row.shown:
            if row.pattern is not None and row.pattern.search(text):
                assert any(needle in text.lower() for needle in row.needles), row.id


def test_many_connections_are_counted_together_at_last() -> None:
    """Each host is a sighting of its own, up to a bound."""
    line = '"GET / HTTP/1.1" 503 UF - - "-" 0 24 9999 - "-" "-" "-" "x" "-" outbound|80||s{}.shop.svc.x -\n'
    reading = read_text("".join(line.format(number) for number in range(MOST_SIGHTINGS + 50)))
    assert len(reading.seen) == MOST_SIGHTINGS + 1
    assert reading.merged == 50
    assert sum(seen.count for seen in reading.seen) == MOST_SIGHTINGS + 50


def test_clients_of_a_gateway_are_no_different_sightings() -> None:
    """A line has its client's address beside the proxy's own: only what was called tells lines apart."""
    line = (
        '"GET / HTTP/1.1" 503 UF - - "-" 0 24 9999 - "-" "-" "-" "x" "10.1.2.3:80" '
        "outbound|80||s.shop.svc.x - "
        "10.1.0.1:8443 203.0.113.{}:5000 - -\n"
    )
    (seen,) = read_text("".join(line.format(number) for number in range(200))).seen
    assert seen.count == 200
    assert {own[0] for own in seen.writers} == {"10.1.0.1"}
    assert len(seen.writers) < 40
