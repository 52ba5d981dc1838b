"""What happened in a cluster, in the order in which it happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import ControlPlane
from tests.cluster.server_process import ServerProcess
from tests.tools.programs import located


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One change; etcd numbers the changes of all kinds in one row."""

    number: int
    change: str
    kind: str
    namespace: str
    name: str
    manifest: Any = field(compare=False, repr=False)


class Chronicle:
    """Watches kinds in all namespaces, from now on."""

    def __init__(self, plane: ControlPlane, folder: Path, *kinds: str) -> None:
        watch = ("--all-namespaces", "--watch", "--output-watch-events", "--output=json")
        self._watches = []
        for kind in kinds:
            place = folder / kind
            place.mkdir(parents=True)
            command = [Path(str(located("kubectl"))), "get", kind, *watch]
            kubeconfig = {"KUBECONFIG": str(plane.kubeconfig())}
            self._watches.append(ServerProcess(place, command, kubeconfig))

    def start(self) -> None:
        """Starts to watch."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """Ends the watches; what they saw stays."""
        for watch in self._watches:
            watch.stop()

    def events(self) -> list[Event]:
        """All that was seen so far, in order."""
        return sorted(event for watch in self._watches for event in _events(watch.log.read_text()))

    def first(self, change: str, kind: str, name: str, namespace: str = "") -> int:
        """When that was first; fails where it never was."""
        numbers = [
            event.number
            for event in self.events()
            if (event.change, event.kind, event.namespace, event.name) == (change, kind, namespace, name)
        ]
        assert numbers, f"{kind} {namespace}/{name} was never {change}"
        return numbers[0]


def _events(text: str) -> Iterator[Event]:
    """The events of a log whose end may be half written."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        try:
            event, end = decoder.raw_decode(text, position)
        except ValueError:
            return
        position = end + 1
        thing, metadata = event["object"], event["object"]["metadata"]
        number, namespace = int(metadata["resourceVersion"]), metadata.get("namespace", "")
        yield Event(number, event["type"], thing["kind"], namespace, metadata["name"], thing)
