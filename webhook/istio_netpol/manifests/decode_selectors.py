"""Decodes label selectors, with the checks of apimachinery's meta/v1/validation (Kubernetes 1.36)."""

from __future__ import annotations

import re
from functools import lru_cache

from istio_netpol.manifests.fields import Fields
from istio_netpol.model.labels import Operator, Requirement, Selector

NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def selector_of(fields: Fields) -> Selector:
    """The selector that `matchLabels` and `matchExpressions` spell."""
    fields.allow_only("matchLabels", "matchExpressions")
    labels = labels_of(fields, "matchLabels")
    requirements = tuple(filter(None, (_requirement(entry) for entry in fields.mappings("matchExpressions"))))
    return Selector(tuple(sorted(labels.items())), requirements)


def labels_of(fields: Fields, name: str) -> dict[str, str]:
    """A mapping of labels; problems for keys and values that the API server refuses."""
    labels = fields.strings(name)
    for key, value in labels.items():
        if not (_is_key(key) and _is_value(value)):
            path = f"{fields.at(name)}[{key}]"
            check_key(fields, path, key)
            check_value(fields, path, value)
    return labels


def check_key(fields: Fields, path: str, key: str) -> None:
    """Problems for a label key that the API server refuses."""
    prefix, slash, name = key.rpartition("/")
    if not name or not _is_value(name):
        fields.problem(
            path,
            key,
            "is not a label key",
            "use at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
        )
    if slash and not _is_prefix(prefix):
        fields.problem(
            path, key, "has a prefix that is not a DNS name", "use lower-case letters, digits, '-' and '.'"
        )


def check_value(fields: Fields, path: str, value: str) -> None:
    """Problems for a label value that the API server refuses."""
    if not _is_value(value):
        fields.problem(
            path,
            value,
            "is not a label value",
            "use at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends",
        )


# Remembered, for a cluster repeats few labels in very many pods.
@lru_cache(maxsize=4096)
def _is_value(text: str) -> bool:
    return not text or (len(text) <= 63 and NAME.fullmatch(text) is not None)


@lru_cache(maxsize=4096)
def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return bool(name) and _is_value(name) and (not slash or _is_prefix(prefix))


def _is_prefix(text: str) -> bool:
    return len(text) <= 253 and SUBDOMAIN.fullmatch(text) is not None


def _requirement(fields: Fields) -> Requirement | None:
    fields.allow_only("key", "operator", "values")
    key, text = fields.text("key"), fields.text("operator")
    values = fields.texts("values")
    check_key(fields, fields.at("key"), key)
    for index, value in enumerate(values):
        check_value(fields, f"{fields.at('values')}[{index}]", value)
    try:
        operator = Operator(text)
    except ValueError:
        fields.problem(
            fields.at("operator"), text, "is not an operator", "use In, NotIn, Exists or DoesNotExist"
        )
        return None
    needs_values = operator in (Operator.IN, Operator.NOT_IN)
    if needs_values and not values:
        cause, remedy = f"must have an entry for operator {operator}", "list the values to compare with"
        fields.problem(fields.at("values"), None, cause, remedy)
    if not needs_values and values:
        cause, remedy = f"must be empty for operator {operator}", "leave it out, or use In or NotIn"
        fields.problem(fields.at("values"), list(values), cause, remedy)
    return Requirement(key, operator, frozenset(values))
