"""How fast each namespace may have policies written."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

BURST_SECONDS = 10.0
"""A namespace that has been quiet may write at once what it may write in so long: a whole folder, say."""

MOST_NAMESPACES = 10_000
"""How many namespaces' rates are remembered; then those that have most left are forgotten."""


class _Allowance(Struct):
    """How many writes are left, and when that was."""

    left: float
    at: float


class WriteRate:
    """Counts writes by the namespace that asks for them. For one thread at a time; `clock` is in seconds."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._most = per_second * BURST_SECONDS
        self._clock = clock
        self._allowances: dict[str, _Allowance] = {}

    def take(self, namespace: str) -> bool:
        """Whether the namespace may have one more policy written now."""
        now = self._clock()
        known = self._allowances.get(namespace)
        if known is None:
            if len(self._allowances) >= MOST_NAMESPACES:
                self._forget(now)
            known = self._allowances[namespace] = _Allowance(self._most, now)
        known.left, known.at = self._left(known, now), now
        if known.left < 1:
            return False
        known.left -= 1
        return True

    def _left(self, known: _Allowance, now: float) -> float:
        return min(self._most, known.left + self._per_second * (now - known.at))

    def _forget(self, now: float) -> None:
        """Forgets half of the namespaces. One that has written nothing lately loses nothing by it, and who
        has used up its rate is remembered."""
        by_left = sorted(self._allowances, key=lambda name: self._left(self._allowances[name], now))
        for name in by_left[MOST_NAMESPACES // 2 :]:
            del self._allowances[name]
