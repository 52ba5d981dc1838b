"""Policies on the map: the spec as YAML in parts, so that a page can mark one rule of it, and whom a policy
names besides the pods that it selects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from istio_netpol.manifests.encode import manifest_yaml
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.labels import NAMESPACE_NAME_LABEL
from istio_netpol.model.own_names import REQUIRED_BY
from istio_netpol.remedies.required_by import parse

MOST_LINES = 400
"""Lines of one part. A list of thousands of addresses says no more to a reader than its beginning."""


def spec_text(spec: JsonObject) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What stands before the rules, then each egress rule, then each ingress rule."""
    head = {key: value for key, value in spec.items() if key not in ("egress", "ingress")}
    rules = (tuple(_part([rule]) for rule in spec.get(side, ())) for side in ("egress", "ingress"))
    egress, ingress = rules
    return _part(head), egress, ingress


def _part(value: Any) -> str:
    lines = manifest_yaml(value).splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"# and {len(lines) - MOST_LINES} more lines"]
    return "".join(f"  {line}\n" for line in lines)


def names_only(text: str, namespaces: Collection[str], *, addresses: bool) -> bool:
    """Whether a policy, as YAML, names pods and objects of these namespaces only, and addresses only where
    they are allowed. What can't be told counts as naming others."""
    policy = yaml.safe_load(text)
    needers = parse(policy["metadata"].get("annotations", {}).get(REQUIRED_BY, ""))
    if needers.more or needers.elsewhere or not needers.namespaces <= set(namespaces):
        return False
    spec = policy["spec"]
    rules = (rule for side in ("ingress", "egress") for rule in spec.get(side, ()))
    peers = (peer for rule in rules for peer in (rule.get("from") or rule.get("to") or ()))
    return all(_is_of(peer, namespaces, addresses) for peer in peers)


def _is_of(peer: Mapping[str, Any], namespaces: Collection[str], addresses: bool) -> bool:
    if "ipBlock" in peer:
        return addresses
    if "namespaceSelector" not in peer:
        return True
    labels = peer["namespaceSelector"].get("matchLabels", {})
    return labels.get(NAMESPACE_NAME_LABEL) in namespaces
