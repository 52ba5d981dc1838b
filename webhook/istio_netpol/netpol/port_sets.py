"""Connection sets as small numbers, so that uniting and intersecting the same two again is a look-up."""

from __future__ import annotations

from istio_netpol.model.connections import ALL_CONNECTIONS, NO_CONNECTIONS, ConnectionSet

NOTHING, EVERY_PORT = 0, 1
"""The numbers of the empty and of the full set in every `PortSets`."""


class PortSets:
    """Gives each distinct connection set one number; equal sets have equal numbers."""

    def __init__(self) -> None:
        self._sets = [NO_CONNECTIONS, ALL_CONNECTIONS]
        self._numbers = {NO_CONNECTIONS: NOTHING, ALL_CONNECTIONS: EVERY_PORT}
        self._unions: dict[tuple[int, int], int] = {}
        self._intersections: dict[tuple[int, int], int] = {}
        self._differences: dict[tuple[int, int], int] = {}

    def number(self, ports: ConnectionSet) -> int:
        """The number of a set."""
        found = self._numbers.setdefault(ports, len(self._sets))
        if found == len(self._sets):
            self._sets.append(ports)
        return found

    def value(self, number: int) -> ConnectionSet:
        """The set that a number stands for."""
        return self._sets[number]

    @property
    def values(self) -> tuple[ConnectionSet, ...]:
        """All sets by number."""
        return tuple(self._sets)

    def union(self, left: int, right: int) -> int:
        """The number of the ports in either set."""
        if right in (left, NOTHING):
            return left
        if left == NOTHING:
            return right
        found = self._unions.get((left, right))
        if found is None:
            found = self._unions[left, right] = self.number(self._sets[left] | self._sets[right])
        return found

    def difference(self, left: int, right: int) -> int:
        """The number of the ports that are in the left set only."""
        if NOTHING in (left, right):
            return left
        if right in (left, EVERY_PORT):
            return NOTHING
        found = self._differences.get((left, right))
        if found is None:
            found = self._differences[left, right] = self.number(self._sets[left] - self._sets[right])
        return found

    def intersection(self, left: int, right: int) -> int:
        """The number of the ports in both sets."""
        if right in (left, EVERY_PORT):
            return left
        if left == EVERY_PORT:
            return right
        found = self._intersections.get((left, right))
        if found is None:
            found = self._intersections[left, right] = self.number(self._sets[left] & self._sets[right])
        return found
