"""A policy's spec as YAML in parts, so that a page can mark one rule of it."""

from __future__ import annotations

from typing import Any

import yaml

from istio_netpol.manifests.encode import PolicyDumper

MOST_LINES = 400
"""Lines of one part. A list of thousands of addresses says no more to a reader than its beginning."""


def spec_text(spec: dict[str, Any]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What stands before the rules, then each egress rule, then each ingress rule."""
    head = {key: value for key, value in spec.items() if key not in ("egress", "ingress")}
    rules = (tuple(_part([rule]) for rule in spec.get(side, ())) for side in ("egress", "ingress"))
    egress, ingress = rules
    return _part(head), egress, ingress


def _part(value: Any) -> str:
    text = yaml.dump(value, Dumper=PolicyDumper, sort_keys=False, width=10**6, allow_unicode=True)
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"# and {len(lines) - MOST_LINES} more lines"]
    return "".join(f"  {line}\n" for line in lines)
