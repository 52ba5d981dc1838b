"""What a log or a paste shows in all its lines: read as it comes, within bounds of memory."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.symptoms.facts import NO_FACTS, ConnectionFacts
from istio_netpol.symptoms.recognise import Sighting, sighting
from istio_netpol.symptoms.symptom import Blame, Symptom
from istio_netpol.symptoms.table import SYMPTOMS

LONGEST_LINE = 16_384
"""Characters of a line that are looked at together: a longer one is read in pieces."""

OVERLAP = 1_024
"""Characters that two pieces of a line share, so that what is cut in two is found."""

MOST_SIGHTINGS = 500
"""Different sightings that are kept apart; what comes after is counted by symptom alone."""

MOST_WRITERS = 32
"""Pods that are kept of those that wrote lines of one sighting."""

LONGEST_EXCERPT = 300

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|.)")
_TOLD_BEFORE = re.compile(
    r"^(?:Name:\s{1,40}(?P<pod>[a-z0-9][-a-z0-9.]{0,252})$|Namespace:\s{1,40}(?P<namespace>[a-z0-9][-a-z0-9]{0,62})$"
    r"|> (?:Host|:authority): (?P<host>[^\s:]{1,253})|\* (?:Connected to|Host) (?P<host2>[^\s:]{1,253})"
    r"|\* \[HTTP/2\] \[\d{1,5}\] \[:authority: (?P<host3>[^\s:\]]{1,253})"
    r"|< server: (?P<server>\S{1,100}))",
    re.IGNORECASE,
)
_TOLD_NEEDLES = ("name:", "namespace:", "> host:", "authority:", "* connected to", "* host ", "< server:")
_ALSO_WANTED = (*_TOLD_NEEDLES, "http/", '"- - -"', "response_flags")
_LONGEST_FLAGS = 400
_MAYBE_FLAGS = re.compile(r"\b(?:U[FOHTCR]|URX|UPE|DC|LR|NR|NC|DF|SI|DT|OM|UAEX|RLSE)\b")
_PLAIN_ANSWER = re.compile(r'(?:HTTP/[0-9.]{1,3}|- - -)" [1-3]?\d{1,2} - (?:via_upstream|-) ')
"""A line of an access log in which nothing is wrong: of most there are too many to look at each closely."""

_PROXIES = ("istio-envoy", "envoy")


class Seen(Struct, frozen=True):
    """A sighting, the line where it was first seen, and how often it was. `writers` are the pods that wrote
    such lines, each by addresses of which the first that a pod has is its own."""

    sighting: Sighting
    excerpt: str
    line: int
    count: int = 1
    writers: tuple[tuple[str, ...], ...] = ()


class PasteReading(Struct, frozen=True):
    """What was seen, in the order of the first lines; of how many lines; how many sightings were not kept
    apart; whether it looks like text at all."""

    seen: tuple[Seen, ...]
    lines: int
    is_text: bool = True
    merged: int = 0


def read_text(text: str) -> PasteReading:
    """What a text shows."""
    return read_log([text.encode("utf-8", "surrogatepass")])


def read_log(chunks: Iterable[bytes]) -> PasteReading:
    """What a log shows that comes in chunks, however long it or any of its lines is."""
    reader = _PasteReader()
    for block in _blocks(chunks):
        reader.take(block)
    return reader.result()


class _Piece(Struct, frozen=True):
    """A line or, of a long one, a part. `continues` says that it is not the first part."""

    text: str
    continues: bool = False


def _blocks(chunks: Iterable[bytes]) -> Iterator[list[_Piece]]:
    """The lines of each chunk, without control sequences; a line that has not ended waits for the next
    chunk until it is too long."""
    rest, continues = "", False
    for text in _decoded(chunks):
        lines = (rest + text).split("\n")
        rest = lines.pop()
        pieces: list[_Piece] = []
        for line in lines:
            pieces += _pieces(line, continues)
            continues = False
        while len(rest) > LONGEST_LINE:
            pieces.append(_Piece(rest[:LONGEST_LINE], continues))
            rest, continues = rest[LONGEST_LINE - OVERLAP :], True
        yield pieces
    if rest:
        yield list(_pieces(rest, continues))


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """The text of the chunks, with every end of a line as one line feed."""
    decoder: io.IncrementalNewlineDecoder | None = None
    for chunk in chunks:
        if decoder is None:
            decoder = io.IncrementalNewlineDecoder(_decoder(chunk), translate=True)
        yield decoder.decode(chunk)
    if decoder is not None:
        yield decoder.decode(b"", final=True)


def _decoder(start: bytes) -> codecs.IncrementalDecoder:
    """PowerShell writes UTF-16 where one redirects into a file."""
    is_utf16 = start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return codecs.getincrementaldecoder("utf-16" if is_utf16 else "utf-8-sig")("replace")


def _pieces(line: str, continues: bool) -> Iterator[_Piece]:
    while len(line) > LONGEST_LINE:
        yield _Piece(line[:LONGEST_LINE], continues)
        line, continues = line[LONGEST_LINE - OVERLAP :], True
    yield _Piece(line, continues)


class _PasteReader:
    """Counts sightings, and remembers what earlier lines say of later ones."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Symptom, ConnectionFacts], Seen] = {}
        self._lines = 0
        self._merged = 0
        self._characters = 0
        self._strange = 0
        self._before = NO_FACTS
        self._answers = 0
        self._first_answer: tuple[int, str] | None = None

    def take(self, pieces: Sequence[_Piece]) -> None:
        """Looks at some lines: only for what occurs in any of them."""
        if not pieces:
            return
        if any("\x1b" in piece.text for piece in pieces):
            pieces = [replace(piece, text=_ESCAPES.sub("", piece.text)) for piece in pieces]
        whole = "\n".join(piece.text for piece in pieces)
        self._characters += len(whole)
        self._strange += whole.count("\0") + whole.count("\N{REPLACEMENT CHARACTER}")
        lower = whole.lower()
        needles = {needle: needle in lower for row in SYMPTOMS for needle in row.needles}
        rows = [row for row in SYMPTOMS if any(needles[needle] for needle in row.needles)]
        wanted = [needle for needle, is_there in needles.items() if is_there]
        wanted += [needle for needle in _ALSO_WANTED if needle in lower]
        has_flags = _MAYBE_FLAGS.search(whole) is not None
        for piece, lowered in zip(pieces, lower.split("\n"), strict=True):
            self._lines += not piece.continues
            if any(needle in lowered for needle in wanted):
                self._look(piece.text, rows)
            elif has_flags and len(lowered) < _LONGEST_FLAGS and _MAYBE_FLAGS.search(piece.text):
                self._look(piece.text, ())

    def _look(self, text: str, rows: Sequence[Symptom]) -> None:
        if _PLAIN_ANSWER.search(text):
            self._answers += 1
            self._first_answer = self._first_answer or (self._lines, text)
            return
        if not self._is_told(text):
            found = sighting(text, rows)
            if found is not None:
                self._keep(found, text)

    def _is_told(self, text: str) -> bool:
        """Whether the line says what the next ones are about: who is described, who was called."""
        match = _TOLD_BEFORE.match(text)
        if match is None:
            return False
        if match["pod"]:
            self._before = replace(self._before, pod=match["pod"], namespace="")
        elif match["namespace"]:
            self._before = replace(self._before, namespace=match["namespace"])
        elif match["server"]:
            server = match["server"].lower()
            self._before = replace(self._before, server="" if server in _PROXIES else server)
        else:
            host = (match["host"] or match["host2"] or match["host3"]).lower()
            self._before = replace(self._before, host=host)
        return True

    def _keep(self, found: Sighting, text: str) -> None:
        told = found.facts.over(self._before)
        if found.symptom.blame is Blame.WORKS:
            told = ConnectionFacts(host=told.host)
        # A gateway's line has its client's address, too: that must not make a sighting of its own of each.
        own, told = told.own_addresses, replace(told, own_addresses=())
        key = (found.symptom, told)
        known = self._seen.get(key)
        if known is None and len(self._seen) >= MOST_SIGHTINGS:
            self._merged += 1
            told = NO_FACTS
            key = (found.symptom, told)
            known = self._seen.get(key)
        if known is not None:
            writers = known.writers
            if own and len(writers) < MOST_WRITERS and own not in writers:
                writers = (*writers, own)
            self._seen[key] = replace(known, count=known.count + 1, writers=writers)
        elif len(self._seen) < MOST_SIGHTINGS + len(SYMPTOMS):
            excerpt = text.strip()[:LONGEST_EXCERPT]
            self._seen[key] = Seen(
                replace(found, facts=told), excerpt, self._lines, writers=(own,) if own else ()
            )

    def result(self) -> PasteReading:
        if self._first_answer is not None:
            line, text = self._first_answer
            row = next(row for row in SYMPTOMS if row.id == "answered")
            known = self._seen.get((row, NO_FACTS))
            count = self._answers + (known.count if known else 0)
            self._seen[row, NO_FACTS] = Seen(Sighting(row, ()), text.strip()[:LONGEST_EXCERPT], line, count)
        seen = tuple(self._seen.values())
        telling = tuple(occurrence for occurrence in seen if not occurrence.sighting.symptom.is_vague)
        is_text = self._strange * 20 <= self._characters
        return PasteReading(telling or seen, self._lines, is_text, self._merged)
