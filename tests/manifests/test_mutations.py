"""Manifests with damaged fields: problems or results, never an exception, and never an unusable policy."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from istio_netpol.analysis.check import check
from istio_netpol.analysis.generate import generate
from istio_netpol.analysis.listing import connections
from istio_netpol.cli.settings import Offline
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import Settings
from istio_netpol.report.table import document, names
from istio_netpol.state.snapshot import Snapshot

SCENARIOS = Path(__file__).parents[1] / "scenarios"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 53, 65536, 2**63, 1.5, "", [], {}, [[]], [{}], {"": ""}, [None], {"a": {}}),
    *("x", "X", "²", "9" * 5000, "*", "*.example.com", "/", "a/b/c", ":80", "[::1]:80", "http", "80-90"),
    *("10.0.0.0/8", "10.0.0.1", "::/0", "1.2.3.4/33", "fe80::1%eth0", "::ffff:1.2.3.4", "a" * 300, "\0"),
    *("https://[", "https://x:²/", "https://x:99999/", "https://[::1]/j", "x..y", "a.b.svc", "~/*", "*/*"),
    *("apiserver", "ns-b/nginx:80, ledger", "cluster.local/ns/*/sa/*", "a: [", "&a [*a]", "2001-99-99"),
)


@cache
def manifests() -> tuple[list[dict[str, Any]], ...]:
    """The objects of each scenario that can be read at all."""
    found = []
    for folder in sorted(SCENARIOS.glob("*/before")):
        try:
            texts = [file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.yaml"))]
            found.append([loaded for text in texts for loaded in yaml.safe_load_all(text) if loaded])
        except yaml.YAMLError:
            continue
    return tuple(found)


@st.composite
def damaged(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The objects of a scenario with up to three fields replaced, removed or copied."""
    objects = deepcopy(draw(st.sampled_from(manifests())))
    for _ in range(draw(st.integers(1, 3))):
        parent, key = _walk(objects, draw)
        if draw(st.booleans()) and not isinstance(key, int):
            del parent[key]
        else:
            parent[key] = deepcopy(draw(st.sampled_from(VALUES)))
    return objects


def _walk(objects: list[Any], draw: st.DrawFn) -> tuple[Any, Any]:
    """A mapping or list somewhere within the objects, and a key of it."""
    parent: Any = objects
    key: Any = draw(st.integers(0, len(objects) - 1))
    while isinstance(parent[key], dict | list) and parent[key] and draw(st.integers(0, 7)):
        parent = parent[key]
        keys = sorted(parent) if isinstance(parent, dict) else range(len(parent))
        key = draw(st.sampled_from(keys))
    return parent, key


@given(damaged())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_damage_to_a_field_is_told_or_lived_with(objects: list[dict[str, Any]]) -> None:
    """Every problem is one line with its file; without problems all results can be printed, and what is
    generated is read back without complaint."""
    text = "\n".join(json.dumps(resource) for resource in objects)
    loaded = load(read_documents(text.encode(), "a.json"))
    for problem in loaded.problems:
        assert str(problem).startswith("a.json:")
        assert "\n" not in str(problem)
    if loaded.problems:
        return
    snapshot = Snapshot.of(loaded.objects)
    report = check(snapshot, Settings(), Offline())
    assert all(document("check", name, report) for name in names("check"))
    assert all(connection.ports for connection in connections(snapshot, Settings()))
    generated = to_yaml(generate(snapshot, Settings(), Offline()))
    assert load(read_documents(generated.encode(), "generated.yaml")).problems == ()
