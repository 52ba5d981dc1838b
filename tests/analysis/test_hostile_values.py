"""Whatever stands in a field, an object is read or told of, judged, and printed, and nothing of it is an
error of our own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scenarios import scenario as scenarios

from istio_netpol.analysis.check import check
from istio_netpol.analysis.generate import generate
from istio_netpol.cli.settings import Offline
from istio_netpol.istio.calls import parse_calls
from istio_netpol.manifests.decode import DECODERS, decode
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.failures import Undecoded
from istio_netpol.model.findings import Issue
from istio_netpol.model.settings import Settings
from istio_netpol.printable import without_secrets
from istio_netpol.report.table import document, names
from istio_netpol.state.snapshot import Snapshot

SETTINGS = Settings(check_scrape=True, scrape_namespaces=("monitoring",))
SECRET = "s3cret"
TEXTS = (
    "²", "٣", "0", "-1", "99999", "1e3", "0x50", "a.b:²", "a.b:0", "a.b:99999", "a.b:٣", ":", ":80",
    "[::1", "", "[::1]:80", "fe80::1%eth0", "fe80::1%eth0/64", "[fe80::1%1/64]:80",
    "203.0.113.9/33", "1.2.3.4/", "/24", "010.0.0.1", "1.2.3.4/0.0.0.255", "::ffff:1.2.3.4", "*",
    "*.", ".", "..", "*.*", "a..b", "//", "/", "a/b/c/d", "\ud800", "\x00", "\u202e", "a" * 70_000,
    "a," * 300, f"https://u:{SECRET}@h/k", f"http://u:{SECRET}@[::1", f"https://u:x/{SECRET}@h",
    f"u:{SECRET}@h:80", f"https://h:0/?token={SECRET}", "http://h:99999/", "http://[",
    "discoveryAddress: a.b:²", f"discoveryAddress: u:{SECRET}@a.b:80", "{", "- *a", "~",
    "unix:///x", "$(HOST_IP):1", "cluster.local/ns/*/sa/*", "*/ns/a/sa/*", "ns/", "mesh", "./",
    "inf", "nan",
)  # fmt: skip
HOSTILE = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from([0, -1, 65536, 2**31, 2**63, -(2**70), 1.5, float("inf"), float("nan"), True, None]),
    st.sampled_from([[], {}, [None], [[[]]], {"": {}}, {"a": {"b": [{"c": None}]}}, [{}], ["²"], {"x": "²"}]),
    st.lists(st.sampled_from(TEXTS), max_size=3),
)
Path_ = tuple[str | int, ...]


@cache
def _documents(name: str) -> tuple[dict[str, Any], ...]:
    paths = (Path(path) for path in scenarios.read(name).before)
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.yaml")))]
    documents = (loaded for file in files for loaded in read_documents(file.read_bytes(), str(file)))
    return tuple(dict(loaded.content) for loaded in documents if isinstance(loaded, RawObject))


@cache
def _occurrences() -> tuple[tuple[str, str, int], ...]:
    """Kind, scenario and place of two objects of every kind that is decoded."""
    found: dict[str, list[tuple[str, str, int]]] = {}
    for name in scenarios.names():
        for position, content in enumerate(_documents(name)):
            group = str(content["apiVersion"]).rpartition("/")[0]
            known = found.setdefault(f"{group}/{content['kind']}", [])
            if (group, content["kind"]) in DECODERS and len(known) < 2:
                known.append((content["kind"], name, position))
    return tuple(value for known in found.values() for value in known)


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _paths(below, (*path, index))


def _replaced(content: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(content)
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


@given(st.data())
def test_no_value_in_any_field_is_an_error_of_our_own(data: st.DataObject) -> None:
    """The object is decoded, or has problems; its cluster is judged, and every format prints what was found
    without the credentials that stood in it."""
    _, name, position = data.draw(st.sampled_from(_occurrences()))
    contents = [*_documents(name)]
    changeable = [path for path in _paths(contents[position]) if path[0] not in ("apiVersion", "kind")]
    path = data.draw(st.sampled_from(changeable))
    contents[position] = _replaced(contents[position], path, data.draw(HOSTILE))
    values, told = [], []
    for content in contents:
        found, problems = decode(RawObject(content, "x.yaml", 1))
        values += found
        told += [str(problem) for problem in problems]
    assert not [value for value in values if isinstance(value, Undecoded)]
    snapshot = Snapshot.of(values)
    report = check(snapshot, SETTINGS, Offline())
    assert not [finding for finding in report.findings if finding.rule is Issue.NOT_JUDGED]
    printed = [document("check", name, report) for name in names("check")]
    policies = generate(snapshot, SETTINGS, Offline())
    printed += [to_yaml(policies), *told]
    assert not [text for text in printed if SECRET in text and not text.startswith("a" * 100)]
    ports = [
        port.port for policy in policies for rule in (*policy.ingress, *policy.egress) for port in rule.ports
    ]
    assert all(isinstance(port, int) and 1 <= port <= 65535 for port in ports)


@given(st.text(alphabet="²٣019afx:/.,[]*%-@ \ud800", max_size=20))
def test_no_text_is_an_error_of_the_calls_grammar(text: str) -> None:
    """What is no call is told as one that is not understood."""
    for entry, call in parse_calls(text):
        assert entry
        assert call is not None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://user:s3cret@idp.example.com/keys", "https://idp.example.com/keys"),
        ("https://token@idp.example.com", "https://idp.example.com"),
        ("https://user:p@ss@idp.example.com:8443/keys", "https://idp.example.com:8443/keys"),
        ("https://user:pa/ss@idp.example.com", "https://idp.example.com"),
        ("https:///user:pass@idp.example.com", "https://idp.example.com"),
        ("user:pass@idp.example.com:443", "idp.example.com:443"),
        ("calls https://u:p@a, ssh://u:p@b", "calls https://a, ssh://b"),
        ("https://idp.example.com/users/me@example.com", "https://idp.example.com/users/me@example.com"),
        ("ssh://host:22/a@b", "ssh://host:22/a@b"),
        ("robot@project.iam.example.com", "robot@project.iam.example.com"),
        ("https://idp.example.com/keys?token=s3cret#top", "https://idp.example.com/keys"),
        ("https://user:p?ss@idp.example.com/keys", "https://idp.example.com/keys"),
        ("https://idp.example.com?mail=a@b.com", "https://idp.example.com"),
        ("is this a question?", "is this a question?"),
    ],
)
def test_credentials_are_cut_from_urls(text: str, left: str) -> None:
    """What stands before the `@` of a URL's authority is gone, and nothing else is."""
    assert without_secrets(text) == left


def test_a_document_nested_deeply_is_told_of() -> None:
    """Nesting is no way to end a decoder."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = {"a": deep}
    content = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": deep}
    values, _ = decode(RawObject(content, "x.yaml", 1))
    assert not [value for value in values if isinstance(value, Undecoded)]
    json.dumps("kept until here")
