"""The chart's values: their schema, their table in the README, and what helm says of wrong ones."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CHART, try_to_render
from tests.chart.value_schema import objects_within, paths_of, settings_schema
from tests.cluster.fixtures import require
from tests.conftest import Golden

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = (CHART / "values.yaml").read_text()
README = CHART / "README.md"
BEGIN, END = "<!-- values: written by `pytest --update` -->\n", "<!-- end of values -->\n"
FREE = {"commonLabels", "podAnnotations", "podLabels", "nodeSelector", "affinity", "resources"}
FREE |= {"annotations", "fromNamespaceLabels", "labels", "global", "istiodLabels", "gatewayLabels"}
FREE |= {"knownAddresses", "nodeLocalPodLabels", "severities"}
"""Values whose keys are the user's own."""


def documented() -> dict[str, str]:
    """Of each value, the comment above it."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment = ""
    for line in VALUES.splitlines():
        if match := re.match(r"( *)# (.*)", line):
            comment = match[2]
        elif match := re.match(r"( *)(\w+):", line):
            path[len(match[1]) // 2 :] = [match[2]]
            found[".".join(path)] = comment
            comment = ""
    return found


def table() -> str:
    """The values, as the README has them."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for path, default in paths_of(yaml.safe_load(VALUES), SCHEMA):
        rows.append(f"| `{path}` | `{json.dumps(default)}` | {documented()[path]} |")
    return "\n".join(rows) + "\n"


def test_settings_of_the_schema_are_the_programs(golden: Golden) -> None:
    """helm accepts every setting that the program has, and no other."""
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "config": settings_schema()}}
    golden(CHART / "values.schema.json", json.dumps(schema, indent=2) + "\n")


def test_every_value_is_explained() -> None:
    """Nobody has to read templates to know what a value does."""
    missing = [path for path, _ in paths_of(yaml.safe_load(VALUES), SCHEMA) if not documented()[path]]
    assert missing == []


def test_the_table_of_values_is_complete(golden: Golden) -> None:
    """The README lists each value with its default."""
    before, _, rest = README.read_text().partition(BEGIN)
    golden(README, before + BEGIN + table() + END + rest.partition(END)[2])


def test_the_schema_lists_what_there_is_and_nothing_else() -> None:
    """A value that is misspelled is refused, wherever it is."""
    for path, schema in objects_within(SCHEMA):
        name = path.rpartition(".")[2]
        assert schema.get("additionalProperties") is False or name in FREE, path


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "misspelled": ({"webhok": {}}, "webhok"),
    "misspelled below": ({"webhook": {"replica": 2}}, "replica"),
    "a setting that there is not": ({"config": {"admission": {"mode": "warn"}}}, "mode"),
    "off without quotes": (
        {"config": {"admission": {"defaultMode": False}}},
        "/config/admission/defaultMode",
    ),
    "the chart's own setting": ({"config": {"admission": {"ownNamespace": "x"}}}, "ownNamespace"),
    "a long wait": ({"admission": {"timeoutSeconds": 10}}, "/admission/timeoutSeconds"),
    "no webhook": ({"webhook": {"replicas": 0}}, "/webhook/replicas"),
    "plain HTTP": ({"admission": {"url": "http://127.0.0.1"}}, "/admission/url"),
    "an address for a range": (
        {"networkPolicies": {"apiServer": {"cidrs": ["10.0.0.1"]}}},
        "/networkPolicies/apiServer/cidrs",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_helm_refuses_wrong_values(what: str) -> None:
    """A mistake is told before anything is installed, with its place."""
    require("helm")
    wrong, told = WRONG[what]
    done = try_to_render(wrong)
    assert done.returncode != 0
    assert told in done.stderr
