"""The annotation `required-by` of a generated policy: the objects that need it, within bounds.

    istio-netpol.io/required-by: Deployment/shop/cart, VirtualService/shop/cart
    istio-netpol.io/required-by: RequestAuthentication/shop/a, …, RequestAuthentication/shop/t and 1080 more
    istio-netpol.io/required-by: VirtualService/a/web, …, VirtualService/t/web and 7 more elsewhere

Thousands of objects may need one policy, and the API server takes 256 KiB of annotations. Beyond
`MOST_NAMES` the rest is counted: `more` are objects of the namespaces that are named, `more elsewhere` are
objects of others too.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.own_names import REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.references import ObjectRef

MOST_NAMES = 20
"""Names that are written out: as many as a person reads."""

MOST_CHARACTERS = 4096
"""Of all names together: with 500 policies in a namespace, a list of them stays within 2 MiB."""

_PLAIN = re.compile(r"[A-Za-z0-9]+(/[a-z0-9.-]*){2}")
"""Names in which there is nothing to encode: almost all."""

_REST = re.compile(r"(?:(?P<names>.+) )?and (?P<count>[1-9][0-9]{0,8}) more(?P<elsewhere> elsewhere)?")


class Needers(Struct, frozen=True):
    """The objects that need a policy, as the annotation names them: `Kind/namespace/name`.

    `more` are others that are not named; `elsewhere` says that some of these are in namespaces of which no
    object is named.
    """

    names: frozenset[str] = frozenset()
    more: int = 0
    elsewhere: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every object is named."""
        return not self.more

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of the objects that are named."""
        return frozenset(filter(None, map(_namespace_of, self.names)))

    def within(self, namespaces: frozenset[str]) -> Needers:
        """Those of them that are of these namespaces, as far as they are named."""
        return Needers(frozenset(name for name in self.names if _namespace_of(name) in namespaces))

    @property
    def text(self) -> str:
        """The annotation: sorted; beyond the bounds one name of each namespace goes before the others, and
        the rest is counted."""
        wanted = sorted(self.names)
        shown = _within_bounds(wanted)
        count = len(wanted) - len(shown) + self.more
        if not count:
            return ", ".join(wanted)
        places = set(map(_namespace_of, shown))
        is_elsewhere = self.elsewhere or any(_namespace_of(name) not in places for name in wanted)
        named = f"{', '.join(sorted(shown))} " if shown else ""
        return f"{named}and {count} more{' elsewhere' if is_elsewhere else ''}"

    def __or__(self, other: Needers) -> Needers:
        """The objects of both. Some that are not named may be the same: at least so many are more."""
        return Needers(
            self.names | other.names, max(self.more, other.more), self.elsewhere or other.elsewhere
        )


@lru_cache(maxsize=4096)
def name_of(ref: ObjectRef) -> str:
    """An object as the annotation names it.

    Kinds may come from ownerReferences, in which anything can stand: what the list's own grammar needs is
    percent-encoded, so that no name can pass for two.
    """
    text = f"{ref.kind}/{ref.namespace}/{ref.name}"
    if _PLAIN.fullmatch(text):
        return text
    return "/".join(quote(part, "", errors="surrogatepass") for part in (ref.kind, ref.namespace, ref.name))


def needers_of(policy: NetworkPolicy) -> Needers:
    """The objects that a policy's annotation names; none where it has none."""
    return parse(policy.annotations.get(REQUIRED_BY, ""))


def with_needers(policy: NetworkPolicy, others: Needers) -> NetworkPolicy:
    """The policy, which others need too."""
    needers = needers_of(policy) | others
    if not needers.text:
        return policy
    return replace(policy, annotations={**policy.annotations, REQUIRED_BY: needers.text})


def parse(text: str) -> Needers:
    """Reads the annotation. What is not a name in it is ignored: somebody else may have written it."""
    rest = _REST.fullmatch(text.strip())
    listed = (rest["names"] or "") if rest else text
    names = (name.strip() for name in listed.split(","))
    found = frozenset(name for name in names if name.count("/") == 2)
    return Needers(found, int(rest["count"]), bool(rest["elsewhere"])) if rest else Needers(found)


def asking_namespaces(policy: NetworkPolicy) -> frozenset[str]:
    """The namespaces whose objects need a policy: its own where the annotation does not name all of them.

    For counting only. Who may write in the policy's namespace may forge the annotation; where more
    namespaces ask than it names, no single one of them is to blame for the policy.
    """
    needers = needers_of(policy)
    if needers.elsewhere or not needers.namespaces:
        return frozenset({policy.namespace})
    return needers.namespaces


def _within_bounds(wanted: list[str]) -> set[str]:
    """The names to write out."""
    first_of = {_namespace_of(name): name for name in reversed(wanted)}
    shown: set[str] = set()
    left = MOST_CHARACTERS
    for name in (*sorted(first_of.values()), *wanted):
        if name not in shown and len(shown) < MOST_NAMES and len(name) + 2 <= left:
            shown.add(name)
            left -= len(name) + 2
    return shown


def _namespace_of(name: str) -> str:
    return name.split("/")[1]
