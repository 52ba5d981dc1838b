"""Objects that a hostile author might make of those that there are: with any field of another of the type,
labels and owners of others, another name or namespace, or some of a list only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from istio_netpol.istio.view.injection import INJECT_LABEL, TLS_MODE_LABEL
from istio_netpol.model.control_plane import (
    AMBIENT_LABEL,
    INJECTION_LABEL,
    REVISION_LABEL,
    STATUS_ANNOTATION,
    TEMPLATES_ANNOTATION,
)
from istio_netpol.model.workloads import Namespace, Owner, Workload

_MESH_LABELS = (
    (REVISION_LABEL, "canary"),
    (REVISION_LABEL, "default"),
    (INJECTION_LABEL, "enabled"),
    (INJECTION_LABEL, "disabled"),
    (INJECT_LABEL, "true"),
    (INJECT_LABEL, "false"),
    (AMBIENT_LABEL, "ambient"),
    (TLS_MODE_LABEL, "istio"),
    ("istio.io/use-waypoint", "waypoint"),
    ("pod-template-hash", "1"),
    ("job-name", "one"),
)
_ANNOTATIONS = (
    (INJECT_LABEL, "false"),
    (REVISION_LABEL, "canary"),
    (STATUS_ANNOTATION, "{}"),
    (TEMPLATES_ANNOTATION, "grpc-agent"),
)
_SWITCHES = ("has_proxy", "exists", "host_network")


class Crossing:
    """Makes objects out of those of a pool, as a random number generator says."""

    def __init__(self, chance: random.Random, pool: Sequence[Any]) -> None:
        self._chance = chance
        self._by_type: dict[type, list[Any]] = {}
        for value in pool:
            self._by_type.setdefault(type(value), []).append(value)
        self._labels = sorted(
            {pair for value in pool for pair in _labels_of(value).items()} | {*_MESH_LABELS}
        )
        self._names = sorted({value.ref.name for value in pool})
        homes = {value.ref.name if isinstance(value, Namespace) else value.ref.namespace for value in pool}
        self._homes = sorted(filter(None, homes))

    def __call__(self, value: Any) -> Any:
        """The object with something else in it; itself where that can't be."""
        ways = [self._with_a_field, self._with_a_field, self._with_part_of_a_list]
        if "labels" in type(value).__struct_fields__:
            ways.append(self._with_a_label)
        if value.ref.namespace:
            ways += [self._under_another_name, self._elsewhere]
        if isinstance(value, Workload):
            ways += [self._of_another_owner, self._with_an_annotation, self._switched]
        return self._chance.choice(ways)(value)

    def _with_a_field(self, value: Any) -> Any:
        other = self._chance.choice(self._by_type[type(value)])
        fields = [name for name in type(value).__struct_fields__ if name != "ref"]
        name = self._chance.choice(fields)
        return replace(value, **{name: getattr(other, name)})

    def _with_part_of_a_list(self, value: Any) -> Any:
        names = [name for name in type(value).__struct_fields__ if isinstance(getattr(value, name), tuple)]
        if not names:
            return value
        name = self._chance.choice(names)
        held = getattr(value, name)
        return replace(value, **{name: self._chance.choice((held[1:], held[::-1]))})

    def _with_a_label(self, value: Any) -> Any:
        labels = dict(value.labels)
        if labels and self._chance.random() < 0.4:
            del labels[self._chance.choice(sorted(labels))]
        else:
            key, text = self._chance.choice(self._labels)
            labels[key] = text
        return replace(value, labels=labels)

    def _with_an_annotation(self, value: Workload) -> Workload:
        key, text = self._chance.choice(_ANNOTATIONS)
        others = {name: said for name, said in value.annotations.items() if name != key}
        return replace(value, annotations=others if key in value.annotations else {**others, key: text})

    def _under_another_name(self, value: Any) -> Any:
        return replace(value, ref=replace(value.ref, name=self._chance.choice(self._names)))

    def _elsewhere(self, value: Any) -> Any:
        return replace(value, ref=replace(value.ref, namespace=self._chance.choice(self._homes)))

    def _of_another_owner(self, value: Workload) -> Workload:
        other = self._chance.choice(self._by_type[Workload]).ref
        owner = Owner(other.api_version, other.kind, other.name)
        return replace(value, owner=self._chance.choice((None, owner)))

    def _switched(self, value: Workload) -> Workload:
        name = self._chance.choice(_SWITCHES)
        return replace(value, **{name: not getattr(value, name)})


def _labels_of(value: Any) -> dict[str, str]:
    labels = getattr(value, "labels", None)
    return labels if isinstance(labels, dict) else {}
