"""Label selectors, with the semantics of `LabelSelector` in apimachinery's meta/v1 (Kubernetes 1.36)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

Labels = Mapping[str, str]

LabelPair = tuple[str, str]
"""A label with its value."""

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
KYMA_OPT_IN_PREFIX = "networking.kyma-project.io/"
"""The prefix of labels by which pods agree to what a policy opens for all pods with the label
(kyma-project/istio)."""


class Operator(StrEnum):
    """The operators of `matchExpressions`."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(Struct, frozen=True):
    """One entry of `matchExpressions`."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    @property
    def needs_key(self) -> bool:
        """Whether only labels with the key can match."""
        return self.operator in (Operator.IN, Operator.EXISTS)

    def matches(self, labels: Labels) -> bool:
        """NotIn and DoesNotExist hold for labels that lack the key."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None


class Selector(Struct, frozen=True, cache_hash=True):
    """`matchLabels` AND `matchExpressions`; with neither it matches everything. An absent selector is
    `None`, never this."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, labels: Labels) -> Selector:
        """The selector of exactly these labels, in canonical order."""
        return cls(tuple(sorted(labels.items())))

    @property
    def is_everything(self) -> bool:
        return not self.match_labels and not self.match_expressions

    @property
    def is_loose(self) -> bool:
        """Whether the selector matches labels whatever their values are."""
        is_bound = any(requirement.operator is Operator.IN for requirement in self.match_expressions)
        return not self.match_labels and not is_bound

    def matches(self, labels: Labels) -> bool:
        for key, value in self.match_labels:
            if labels.get(key) != value:
                return False
        expressions = self.match_expressions
        if len(expressions) > _FEW:
            needed, by_key = _by_key(self)
            expressions = tuple(requirement for key in labels if key in by_key for requirement in by_key[key])
            if not needed <= labels.keys():
                return False
        return not expressions or all(requirement.matches(labels) for requirement in expressions)


_FEW = 16
"""So many requirements are compared one by one."""


@lru_cache(maxsize=64)
def _by_key(selector: Selector) -> tuple[frozenset[str], dict[str, list[Requirement]]]:
    """The keys that labels need, and the requirements by their key: those of other keys hold where these are
    there."""
    by_key: dict[str, list[Requirement]] = {}
    for requirement in selector.match_expressions:
        by_key.setdefault(requirement.key, []).append(requirement)
    expressions = selector.match_expressions
    return frozenset(requirement.key for requirement in expressions if requirement.needs_key), by_key


EVERYTHING = Selector()


def namespace_named(name: str) -> Selector:
    """Selects one namespace by the label that the API server sets on each."""
    return Selector(((NAMESPACE_NAME_LABEL, name),))
