"""Objects that somebody names, found in a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

from msgspec import Struct

from istio_netpol.model.references import ObjectKey, ObjectRef
from istio_netpol.state.snapshot import Snapshot

_MOST_SHOWN = 5


class ObjectName(Struct, frozen=True):
    """An object as it was named. `kinds`, group and kind, are those that its word may mean; `namespace` is
    empty where nobody said one."""

    written: str
    kinds: frozenset[tuple[str, str]]
    namespace: str
    name: str

    def names(self, ref: ObjectRef) -> bool:
        """Whether this is how an object may be called."""
        return ref.name == self.name and self.may_be(ref)

    def may_be(self, ref: ObjectRef) -> bool:
        """Whether an object is of the kind and the namespace."""
        at_home = not self.namespace or ref.namespace in ("", self.namespace)
        return at_home and (ref.group, ref.kind) in self.kinds


def find_named(snapshot: Snapshot, wanted: ObjectName) -> tuple[ObjectRef, ...]:
    """The objects of a snapshot that are called so, in all namespaces where none was said."""
    return tuple(sorted((ref for ref in _references(snapshot) if wanted.names(ref)), key=lambda ref: ref.key))


def where_else(snapshots: Iterable[Snapshot], wanted: ObjectName) -> str:
    """What to say about an object that the snapshot lacks: where an object of its name is, or which names
    are similar."""
    known = [ref for snapshot in snapshots for ref in _references(snapshot)]
    of_kind = [ref for ref in known if (ref.group, ref.kind) in wanted.kinds]
    elsewhere = sorted({ref.namespace for ref in of_kind if ref.name == wanted.name})
    if elsewhere:
        return f"namespace {elsewhere[0]} has one: name it with -n {elsewhere[0]}"
    here = [ref for ref in of_kind if wanted.may_be(ref)] or of_kind
    close = get_close_matches(wanted.name, {ref.name for ref in here}, n=_MOST_SHOWN)
    if close:
        return f"did you mean {_listed(sorted({str(ref) for ref in here if ref.name in close}), 'or')}?"
    others = sorted({ref.kind for ref in known if ref.name == wanted.name})
    if others:
        return f"there is a {_listed(others, 'and a')} of that name"
    if not here:
        return "the input has none of that kind"
    return f"there are {_listed(sorted({str(ref) for ref in here}), 'and')}"


def _references(snapshot: Snapshot) -> Iterator[ObjectRef]:
    """All objects, and the controllers that are known only by their pods."""
    seen: set[ObjectKey] = set()
    pods = (ref for workload in snapshot.every_workload() for ref in (workload.ref, snapshot.root(workload)))
    for ref in (*(value.ref for value in snapshot.every_object()), *pods):
        if ref.key not in seen:
            seen.add(ref.key)
            yield ref


def _listed(names: Sequence[str], word: str) -> str:
    shown = [*names[:_MOST_SHOWN]]
    if len(names) > _MOST_SHOWN:
        return f"{', '.join(shown)} {word} {len(names) - _MOST_SHOWN} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {word} {shown[-1]}"
