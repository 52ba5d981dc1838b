"""Clients and namespaces take turns, so that nobody's thousand things go before another's one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
QueueOwner = TypeVar("QueueOwner", bound=Hashable)


class Turns(Generic[QueueOwner, Item]):
    """A queue in which owners take turns; one owner's things stay in order."""

    def __init__(self) -> None:
        self._waiting: dict[QueueOwner, deque[Item]] = {}

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def __contains__(self, owner: object) -> bool:
        """Whether something of the owner waits."""
        return owner in self._waiting

    def put(self, owner: QueueOwner, item: Item) -> None:
        """Lines up behind what the owner has there."""
        self._waiting.setdefault(owner, deque()).append(item)

    def take(self, may: Callable[[QueueOwner], bool] = lambda _: True) -> Item | None:
        """The next thing of the owner whose turn it is, of those who may; None where there is none."""
        for owner, items in self._waiting.items():
            if may(owner):
                item = items.popleft()
                # Behind all others, for its next turn.
                del self._waiting[owner]
                if items:
                    self._waiting[owner] = items
                return item
        return None


def in_turns(items: Iterable[tuple[QueueOwner, Item]]) -> Iterator[Item]:
    """The first thing of each owner, then the second of each, and so on."""
    turns: Turns[QueueOwner, Item] = Turns()
    for owner, item in items:
        turns.put(owner, item)
    while (next_one := turns.take()) is not None:
        yield next_one
