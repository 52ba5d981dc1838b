"""The pods of one likeness, counted: what their class says follows from the counts as pods come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.model.addresses import Address
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import DialledApiServer, Owner, Workload
from istio_netpol.state.contents import told_by
from istio_netpol.state.tally import NOTHING_COUNTED, Order, Tally, spliced, themselves


class Likeness(Struct, frozen=True, cache_hash=True, gc=False):
    """What pods of one class have in common; the template of a controller has none. Hashed once: the ports of
    a pod take longer than what is done with them."""

    labels: frozenset[tuple[str, str]] | None = None
    annotations: frozenset[tuple[str, str]] = frozenset()
    switches: frozenset[tuple[str, str]] = frozenset()
    others: tuple[Any, ...] = ()


TEMPLATE = Likeness()

PodField = Callable[[Workload], Sequence[Any]]
"""One of the fields of a pod of which its class has those of all."""

_ADDRESSES, _NODE_ADDRESSES = attrgetter("addresses"), attrgetter("node_addresses")
_API_SERVERS, _INJECTED_API_SERVERS = attrgetter("api_servers"), attrgetter("injected_api_servers")


_of_others = told_by(
    Workload,
    apart=frozenset(
        {
            *("ref", "owner", "selector", "exists", "labels", "annotations", "switches"),
            *("addresses", "node_addresses", "api_servers", "injected_api_servers"),
        }
    ),
)
"""What else pods of one class have in common: every field but what single pods have, which the class has of
them all. So a field that is new tells pods apart until somebody says that it may not."""


def likeness_of(pod: Workload, ignored: frozenset[str]) -> Likeness:
    """What no rule or policy may tell apart of two pods of one class. `ignored` are labels that nobody
    selects by."""
    labels = frozenset([pair for pair in pod.labels.items() if pair[0] not in ignored])
    return Likeness(
        labels, frozenset(pod.annotations.items()), frozenset(pod.switches.items()), _of_others(pod)
    )


class PodGroup(Struct, frozen=True, eq=False, gc=False):
    """The pods of one likeness: the one whose name comes first, the names of all, how many are only about to
    be created, and what any of them has. `carries` says whether they carry what the template says.

    Neither it nor what it holds leads back to it, so the garbage collector need not go through the many that
    a cluster has; the same is true of a `Likeness` and a `PodFamily`.
    """

    first: Workload
    carries: bool
    names: tuple[str, ...] = ()
    unborn: int = 0
    addresses: Tally[Address] = NOTHING_COUNTED
    node_addresses: Tally[Address] = NOTHING_COUNTED
    api_servers: Tally[DialledApiServer] = NOTHING_COUNTED
    injected_api_servers: Tally[DialledApiServer] = NOTHING_COUNTED

    @classmethod
    def of(cls, pods: Sequence[Workload], carries: bool) -> PodGroup:
        """The group of these pods, of which there are some."""
        by_name = {pod.ref.name: pod for pod in pods}
        names = tuple(sorted(by_name))
        return cls(
            by_name[names[0]],
            carries,
            names,
            _unborn(pods),
            Tally.of(_all(pods, _ADDRESSES), _address_order),
            Tally.of(_all(pods, _NODE_ADDRESSES), _address_order),
            Tally.of(_all(pods, _API_SERVERS)),
            Tally.of(_all(pods, _INJECTED_API_SERVERS)),
        )

    def after(
        self, gone: Sequence[Workload], come: Sequence[Workload], named: Callable[[str], Workload]
    ) -> PodGroup | None:
        """The group after pods went and came; None where none is left. `named` finds a pod by its name."""
        names = spliced(self.names, [pod.name for pod in gone], [pod.name for pod in come])
        if not names:
            return None

        def moved(tally: Tally[Any], read: PodField, order: Order = themselves) -> Tally[Any]:
            return tally.after(_all(gone, read), _all(come, read), order)

        return PodGroup(
            named(names[0]),
            self.carries,
            names,
            self.unborn + _unborn(come) - _unborn(gone),
            moved(self.addresses, _ADDRESSES, _address_order),
            moved(self.node_addresses, _NODE_ADDRESSES, _address_order),
            moved(self.api_servers, _API_SERVERS),
            moved(self.injected_api_servers, _INJECTED_API_SERVERS),
        )

    def is_told_by(self, earlier: PodGroup) -> bool:
        """Whether its class says what that of an earlier group of the same pods says."""
        return (
            self.first is earlier.first
            and (self.unborn == 0) == (earlier.unborn == 0)
            and self.addresses.values is earlier.addresses.values
            and self.node_addresses.values is earlier.node_addresses.values
            and self.api_servers.values is earlier.api_servers.values
            and self.injected_api_servers.values is earlier.injected_api_servers.values
        )

    def as_class(
        self,
        controller: Workload | None,
        ignored: frozenset[str],
        ref: ObjectRef | None,
        owner: Owner | None,
    ) -> Workload:
        """The pods as one workload, by their own name and owner where no other is given."""
        first = self.first
        declared = controller or first
        brought = frozenset(controller.api_servers if controller else ())
        return replace(
            first,
            ref=ref or first.ref,
            owner=owner or first.owner,
            labels={key: value for key, value in first.labels.items() if key not in ignored},
            selector=declared.selector,
            # One that is about to be created gets what its template brings: nothing is settled for them all.
            exists=not self.unborn,
            addresses=self.addresses.values,
            node_addresses=self.node_addresses.values,
            calls=self._declared(first.calls, declared.calls),
            called_by=self._declared(first.called_by, declared.called_by),
            api_servers=self.api_servers.values,
            injected_api_servers=tuple(
                dialled for dialled in self.injected_api_servers.values if dialled not in brought
            ),
        )

    def _declared(self, own: str, controllers: str) -> str:
        """The connections that pods declare, and those that their controller does for them. What it declares
        besides for the next ones is not theirs."""
        if not self.carries or own == controllers:
            return own or controllers
        return ", ".join(filter(None, (controllers, own)))


def _all(pods: Iterable[Workload], read: PodField) -> list[Any]:
    """What these pods have, one after the other."""
    return [value for pod in pods for value in read(pod)]


def _unborn(pods: Iterable[Workload]) -> int:
    return sum(not pod.exists for pod in pods)


def _address_order(address: Address) -> tuple[int, int]:
    return (address.version, int(address))
