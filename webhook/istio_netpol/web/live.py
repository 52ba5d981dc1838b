"""The newest map of what is watched, worked out where something changes and nobody waits for it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.errors import NetpolError
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.report.map_document import map_document
from istio_netpol.web.page import compressed

LOOK_SECONDS = 1.0
"""How often it is asked whether something changed."""


class SentDocument(Struct, frozen=True):
    """A document as it is sent. `tag` differs where the content does."""

    content: bytes
    tag: str

    @staticmethod
    def of(document: Mapping[str, Any]) -> SentDocument:
        content = compressed(document)
        return SentDocument(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


class Published:
    """The map of everything, and how it is sent."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.sent = SentDocument.of(document)


LookAtSource = Callable[[], Given | None]
"""What there is now, or None where it is what it was. Raises NetpolError where it can't be read."""


class LiveMap:
    """Looks at a source, and has its newest map. What can't be read keeps the last good one."""

    def __init__(
        self, look: LookAtSource, settings: Settings, resolver: Resolver, *, title: str, read_from: str = ""
    ) -> None:
        self._look = look
        self._settings = settings
        self._resolver = resolver
        self._title = title
        self._read_from = read_from
        self._newest: Published | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""
        """Why the newest state can't be read; empty where it can."""

    @property
    def newest(self) -> Published | None:
        """The newest map; None before the first one."""
        return self._newest

    def refresh(self) -> bool:
        """Looks once; whether there is a new map, or another problem."""
        told = self.problem
        try:
            given = self._look()
        except NetpolError as error:
            self.problem = str(error)
            return self.problem != told
        self.problem = ""
        if given is None:
            return bool(told)
        self.take(given)
        return True

    def take(self, given: Given) -> None:
        """Works out the map of a state."""
        found = facts(given, self._settings, self._resolver)
        self._newest = Published(map_document(found, title=self._title, read_from=self._read_from))

    def follow(self, tell: Callable[[str], None]) -> None:
        """Goes on looking in a thread of its own until `stop`, and tells of problems."""
        self._thread = threading.Thread(target=self._run, args=(tell,), name="map", daemon=True)
        self._thread.start()

    def _run(self, tell: Callable[[str], None]) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            try:
                if self.refresh() and self.problem:
                    tell(f"the last good state is kept: {self.problem}")
            except Exception as error:
                # The page keeps the last good state; the next change gets a new chance.
                tell(f"the map could not be worked out: {type(error).__name__}: {error}")

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
