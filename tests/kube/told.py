"""An API server of pods alone, which says what a test has it say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any, cast

from istio_netpol.kube.connection import ApiConnection, Query, Stream

KIND = {
    "resource": "pods",
    "responseKind": {"kind": "Pod"},
    "scope": "Namespaced",
    "verbs": ["list", "watch"],
}
CORE = {"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": [KIND]}]}


class Told(ApiConnection):
    """A connection on which each list has `listed`, and the watch goes on with what `say` is given."""

    def __init__(self, *listed: dict[str, Any]) -> None:
        self.listed: Sequence[dict[str, Any]] = listed
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()

    def say(self, type_: str, manifest: dict[str, Any]) -> None:
        """Sends an event to whoever watches."""
        self.say_line(json.dumps({"type": type_, "object": manifest}).encode())

    def say_line(self, line: bytes) -> None:
        self._lines.put(line)

    def forget(self, *listed: dict[str, Any]) -> None:
        """Has the watch end as too old to go on; a new list has these."""
        self.listed = listed
        self.say("ERROR", {"code": 410, "message": "too old"})

    def get(self, path: str, query: Query = (), accept: str = "", read_seconds: float = 0.0) -> bytes:
        if path in ("/api", "/apis"):
            groups = [CORE] if path == "/api" else []
            return json.dumps({"kind": "APIGroupDiscoveryList", "items": groups}).encode()
        return json.dumps({"metadata": {"resourceVersion": "1"}, "items": self.listed}).encode()

    def stream(self, path: str, query: Query, quiet_seconds: float) -> Stream:
        return cast(Stream, _Lines(self._lines))


class _Lines:
    """What a watch reads."""

    def __init__(self, lines: SimpleQueue[bytes | None]) -> None:
        self._queue = lines

    def __iter__(self) -> Iterator[bytes]:
        while (line := self._queue.get()) is not None:
            yield line

    def break_off(self) -> None:
        self._queue.put(None)
