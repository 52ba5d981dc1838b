"""Every line that a program prints is recognised as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from istio_netpol.symptoms.recognise import sighting
from istio_netpol.symptoms.symptom import Blame
from istio_netpol.symptoms.table import SYMPTOMS

HERE = Path(__file__).parent


def lines() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in ("lines.yaml", "siblings.yaml"):
        for name, entries in yaml.safe_load((HERE / file).read_text(encoding="utf-8")).items():
            yield from ((name, entry) for entry in entries)


@pytest.mark.parametrize(
    ("name", "entry"), list(lines()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_line_is_recognised(name: str, entry: dict[str, Any]) -> None:
    """With the flows that can cause it, or none where it is no policy's fault."""
    found = sighting(entry["text"])
    assert found is not None
    assert found.symptom.id == name
    assert set(entry.get("flows", ())) <= set(found.flows)
    assert bool(found.flows) == bool(entry.get("flows"))


@pytest.mark.parametrize("row", SYMPTOMS, ids=lambda row: row.id)
def test_a_row_recognises_what_it_shows(row: Any) -> None:
    """What the page of symptoms quotes leads to its own row."""
    assert row.shown
    for text in row.shown:
        found = sighting(text)
        assert found is not None
        assert found.symptom is row


def test_every_row_is_tried() -> None:
    """With lines as they are printed, not only as the table quotes them."""
    tried = {name for name, _ in lines()}
    assert {row.id for row in SYMPTOMS} - tried == set()
    assert tried <= {row.id for row in SYMPTOMS}
    assert len({row.id for row in SYMPTOMS}) == len(SYMPTOMS)


def test_rows_blame_flows_only_where_a_policy_can_be_it() -> None:
    """And say in sentences what happened and how to tell."""
    for row in SYMPTOMS:
        assert bool(row.flows) == (row.blame in (Blame.LIKELY, Blame.POSSIBLE)), row.id
        assert row.means.endswith("."), row.id
        assert row.tell.endswith("."), row.id
        assert (row.pattern is None) == (row.needles == ()), row.id


@pytest.mark.parametrize("text", yaml.safe_load((HERE / "strangers.yaml").read_text(encoding="utf-8")))
def test_nothing_is_seen_in_other_lines(text: str) -> None:
    """Not every line of a log is a symptom."""
    assert sighting(text) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "RBAC: access denied",
            "upstream connect error or disconnect/reset before headers. connection timeout",
        ),
        ("Jwt is expired", "no healthy upstream"),
        ("x509: certificate signed by unknown authority", "context deadline exceeded"),
        ('Get "http://localhost:15020/x": dial tcp 127.0.0.1:15020: connect: connection refused', "UF"),
        ("no such host", "dial tcp 10.1.2.3:5432: i/o timeout"),
    ],
)
def test_what_is_no_policys_fault_wins(first: str, second: str) -> None:
    """Wherever in the line it stands."""
    for text in (f"{first} {second}", f"{second}; {first}"):
        found = sighting(text)
        assert found is not None
        assert found.symptom.blame is Blame.NO_POLICY
