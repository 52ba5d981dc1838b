"""Remembers answers of DNS, with room for each namespace that asks."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct, field

from istio_netpol.model.resolution import Resolution


class Entry(Struct):
    """An answer, until when it is fresh, and until when it is still better than none; `holders` are the
    namespaces that asked for it."""

    answer: Resolution
    fresh_until: float
    usable_until: float
    holders: set[str] = field(default_factory=set)


class Answers:
    """Answers by host, for one thread at a time. A namespace that asks for thousands of hosts pushes out its
    own answers, not those that another one holds too."""

    def __init__(self, most: int, most_each: int) -> None:
        self._most = most
        self._most_each = most_each
        self._entries: dict[str, Entry] = {}
        self._held: dict[str, OrderedDict[str, None]] = {}

    def find(self, host: str, asker: str) -> Entry | None:
        """The answer that is known for a host; the asker holds it from now on."""
        entry = self._entries.get(host)
        if entry is not None:
            self._hold(host, entry, asker)
        return entry

    def put(self, host: str, asker: str, entry: Entry) -> None:
        """Remembers an answer in place of an older one, for the namespaces that hold that."""
        before = self._entries.get(host)
        entry.holders = before.holders if before is not None else set()
        self._entries[host] = entry
        self._hold(host, entry, asker)
        while len(self._entries) > self._most:
            self._drop_oldest(max(self._held, key=lambda name: len(self._held[name])))

    def _hold(self, host: str, entry: Entry, asker: str) -> None:
        held = self._held.setdefault(asker, OrderedDict())
        held[host] = None
        held.move_to_end(host)
        entry.holders.add(asker)
        if len(held) > self._most_each:
            self._drop_oldest(asker)

    def _drop_oldest(self, asker: str) -> None:
        """Takes from the asker the answer that it has not asked for longest."""
        held = self._held[asker]
        host, _ = held.popitem(last=False)
        if not held:
            del self._held[asker]
        holders = self._entries[host].holders
        holders.discard(asker)
        if not holders:
            del self._entries[host]
