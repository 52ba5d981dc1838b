"""Places that many take and give back, so that no few of them ever hold all."""

from __future__ import annotations

from collections import Counter


class Shares:
    """Places for askers, for one thread at a time.

    One asker gets at most `each` of `total`, and fewer when places run short: never more than are left. So
    who takes all it can get leaves as many again for others, down to the last place.
    """

    def __init__(self, total: int, each: int) -> None:
        self._left = total
        self._each = each
        self._taken: Counter[str] = Counter()

    @property
    def in_use(self) -> bool:
        """Whether somebody has a place; any thread may ask."""
        return bool(self._taken)

    def take(self, asker: str) -> bool:
        """Whether the asker has one place more now."""
        if self._taken[asker] >= min(self._each, self._left):
            return False
        self._taken[asker] += 1
        self._left -= 1
        return True

    def give(self, asker: str) -> None:
        """The asker needs one place less."""
        self._left += 1
        self._taken[asker] -= 1
        if not self._taken[asker]:
            del self._taken[asker]
