"""A cluster that is followed change by change, and compared with what would be made of it anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from istio_netpol.admission.reconcile import missing_policies
from istio_netpol.analysis.check import check_table, judge_of
from istio_netpol.analysis.needed_policies import upkeep
from istio_netpol.cli.settings import Offline
from istio_netpol.controller.evaluation import CurrentFlows
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import (
    AdmissionSettings,
    ApiServerSettings,
    CallerSettings,
    DnsSettings,
    Mode,
    NetworkSettings,
    Settings,
)
from istio_netpol.state.snapshot import Snapshot

SCRAPING = Settings(
    check_scrape=True,
    scrape_namespaces=("monitoring", "edge"),
    admission=AdmissionSettings(kyma_labels=True, default_mode=Mode.AUGMENT),
)
"""Settings under which rules read what they do not read by default."""

BEFORE_TRANSLATION = Settings(
    NetworkSettings(plugin="aws-vpc-cni"),
    dns=DnsSettings(pods=False, addresses=("172.20.0.10",)),
    api_server=ApiServerSettings(
        host="api.set.example.com",
        service_address="172.20.0.1",
        callers=(CallerSettings("", {"istio-injection": "enabled"}, {"app": "another"}),),
    ),
)
"""Settings under which the Service of the API server is read, and pods that may be anywhere."""

SETTINGS = (Settings(), SCRAPING, BEFORE_TRANSLATION)


class Current:
    """A table that takes in one change after the other."""

    def __init__(self, settings: Settings, objects: Iterable[Any] = ()) -> None:
        self.objects = {_identity(value): value for value in objects}
        self._settings = settings
        self._flows = CurrentFlows(FlowTable.of(Snapshot.of(self.objects.values()), settings))

    def put(self, *values: Any) -> None:
        """Stores objects."""
        self.objects.update((_identity(value), value) for value in values)
        self._flows.change(values)

    def remove(self, *values: Any) -> None:
        """Deletes objects."""
        for value in values:
            del self.objects[_identity(value)]
        self._flows.change((), values)

    def needed(self) -> Iterable[NetworkPolicy]:
        """The policies that the controller keeps."""
        return upkeep(self._flows.table, self._flows.judge(Offline()), lambda _: True).needed.values()

    def compare(self) -> None:
        """Fails where the table, what is judged by it or the policies that follow from it are not those of a
        table made anew."""
        fresh = CurrentFlows(FlowTable.of(Snapshot.of(self.objects.values()), self._settings))
        ours, theirs, plain = self._flows.table, fresh.table, Plain()
        assert plain(_contents(ours)) == plain(_contents(theirs))
        assert plain(_judged(self._flows)) == plain(_judged(fresh))
        assert plain(missing_policies(ours, Offline())) == plain(missing_policies(theirs, Offline()))


def _identity(value: Any) -> tuple[str, ...]:
    """A manifest may stand for values of several types."""
    return (type(value).__name__, *value.ref.key)


def _judged(flows: CurrentFlows) -> Any:
    """The findings with their remedies, and the policies that the cluster needs."""
    report = check_table(flows.table, judge_of(flows.table, Offline(), flows.known))
    kept = upkeep(flows.table, flows.judge(Offline()), lambda _: True)
    return report, kept


def contents(table: FlowTable) -> Any:
    """All that a decision takes from a table."""
    return plain(_contents(table))


def _contents(table: FlowTable) -> Any:
    namespaces = table.snapshot.namespace_names
    readers = table.dependencies.readers
    return (
        dict(table.needs),
        {read: set(readers.at(read)) for read in readers},
        dict(table.answers),
        table.assumptions,
        {name: {flow.key for flow in table.touching(name)} for name in namespaces},
        {name: set(table.snapshot.workloads(name)) for name in namespaces},
        table.host_limits.forbidden,
    )


def plain(value: Any) -> Any:
    """A value to compare by what it says: model values are equal to themselves alone."""
    return Plain()(value)


class Content:
    """What a model value says; there is one object for each content, so that comparing is quick."""

    def __init__(self, said: tuple[Any, ...]) -> None:
        self._said = said

    def __repr__(self) -> str:
        kind, *values = self._said
        return f"{kind.__name__}({', '.join(map(repr, values))})"


class Plain:
    """Looks at each model value once: many flows have the same pods at their ends."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[Content, Any]] = {}

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        names = _fields(kind)
        if names is not None:
            if id(value) not in self._told:
                self._told[id(value)] = (self._content(value, kind, names), value)
            return self._told[id(value)][0]
        if isinstance(value, Mapping):
            return frozenset((self(key), self(held)) for key, held in value.items())
        if isinstance(value, set | frozenset):
            return frozenset(map(self, value))
        return tuple(map(self, value)) if isinstance(value, tuple | list) else value

    def _content(self, value: Any, kind: type, names: tuple[str, ...]) -> Content:
        said = (kind, *(self(getattr(value, name)) for name in names))
        return _CONTENTS.setdefault(said, Content(said))


_CONTENTS: dict[tuple[Any, ...], Content] = {}
_ATOMS = frozenset({str, int, bool, type(None)})


@cache
def _fields(kind: type) -> tuple[str, ...] | None:
    """The names of a struct's fields; None for another type."""
    return kind.__struct_fields__ if issubclass(kind, Struct) else None
