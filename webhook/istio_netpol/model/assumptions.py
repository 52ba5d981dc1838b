"""What is assumed where the input does not say: among it what could not be read, for want of rights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Assumption(Struct, frozen=True, order=True):
    """`why` is what the input lacks, `what` is assumed for it; as text, one sentence."""

    why: str
    what: str

    def __str__(self) -> str:
        return f"{self.why}: assumed {self.what}"


class NotSeen(Struct, frozen=True, order=True):
    """A kind, as `plural.group`, that was read in these namespaces only; without any it was not read at
    all."""

    resource: str
    seen_in: tuple[str, ...] = ()


def assumptions_of(unseen: Iterable[NotSeen]) -> tuple[Assumption, ...]:
    """One assumption for all kinds that were seen in the same places."""
    by_place: dict[tuple[str, ...], list[str]] = {}
    for kind in sorted(unseen):
        by_place.setdefault(kind.seen_in, []).append(kind.resource)
    return tuple(sorted(_assumption(places, kinds) for places, kinds in by_place.items()))


def _assumption(places: Sequence[str], resources: Sequence[str]) -> Assumption:
    kinds = ", ".join(resources)
    if not places:
        return Assumption(f"your rights do not cover {kinds}", "that there are none of them")
    where = f"namespace {places[0]}" if len(places) == 1 else f"namespaces {', '.join(places)}"
    return Assumption(f"your rights cover {kinds} in {where} only", "that other namespaces have none of them")
