"""Lists fall apart into their objects, and what no rule reads is left out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

from istio_netpol.errors import Problem
from istio_netpol.manifests.read import RawObject, read_documents


def read(text: str) -> list[tuple[str, int]]:
    """Kind and name, or the problem, with the line."""
    return [
        (f"{found.content['kind']} {found.content['metadata']['name']}", found.line)
        if isinstance(found, RawObject)
        else (str(found), found.line or 0)
        for found in read_documents(text.encode(), "dump.yaml")
    ]


def content(text: str) -> dict[str, object]:
    (found,) = read_documents(text.encode(), "dump.yaml")
    assert isinstance(found, RawObject)
    return found.content


def test_items_have_their_own_lines() -> None:
    """kubectl writes a List's kind last; each item is an object with its own line."""
    text = """\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
- apiVersion: v1
  kind: Node
  metadata: {name: b}
kind: List
metadata: {resourceVersion: ""}
"""
    assert read(text) == [("Pod a", 3), ("Node b", 6)]


def test_items_of_typed_lists_get_their_kind() -> None:
    """The API's own lists name the kind once, before or after the items."""
    items = "items:\n- metadata: {name: a}\n"
    assert read(f"kind: PodList\napiVersion: v1\n{items}") == [("Pod a", 4)]
    assert read(f"{items}kind: PodList\napiVersion: v1\n") == [("Pod a", 2)]


def test_lists_within_lists_are_opened() -> None:
    """A List among the items of a List gives its items too."""
    text = """\
kind: List
apiVersion: v1
items:
- apiVersion: v1
  items:
  - {apiVersion: v1, kind: Pod, metadata: {name: a}}
  kind: List
"""
    assert read(text) == [("Pod a", 6)]


def test_empty_lists_are_no_objects() -> None:
    """A List of nothing gives nothing."""
    assert read("apiVersion: v1\nitems: []\nkind: List\n") == []
    assert read("apiVersion: v1\nitems: null\nkind: PodList\n") == []


def test_items_that_are_no_objects_are_told() -> None:
    """What is not a mapping can't be an object."""
    assert read("apiVersion: v1\nkind: List\nitems:\n- 1\n") == [
        ("dump.yaml:4: List: items[0]: is a number, not an object", 4)
    ]


def test_an_item_without_kind_is_told() -> None:
    """In a plain List each item names its own kind."""
    found = read("apiVersion: v1\nitems:\n- {apiVersion: v1, metadata: {name: a}}\nkind: List\n")
    assert found == [
        ("dump.yaml:3: a: kind: is missing; every Kubernetes object names its apiVersion and kind", 3)
    ]


def test_a_custom_resource_with_items_is_one_object() -> None:
    """Neither a root field `items` nor a kind that ends in List alone makes a List."""
    assert content("apiVersion: x/v1\nkind: Menu\nitems: [{a: 1}]\n")["items"] == [{"a": 1}]
    assert content("apiVersion: x/v1\nitems: [{a: 1}]\nkind: Menu\n")["items"] == [{"a": 1}]
    named = content("apiVersion: x/v1\nkind: AllowList\nmetadata: {name: a}\n")
    assert named["kind"] == "AllowList"


def test_an_error_in_one_item_leaves_the_others() -> None:
    """A repeated key spoils its own item only."""
    text = """\
apiVersion: v1
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a}, x: 1, x: 2}
- {apiVersion: v1, kind: Pod, metadata: {name: b}}
kind: List
"""
    assert read(text) == [
        ("dump.yaml:3: Pod a: x: the key is given twice (first at line 3); keep one of them", 3),
        ("Pod b", 4),
    ]


class Endless(io.RawIOBase):
    """A List that never ends."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, _size: int = -1) -> bytes:
        self.taken += 1
        item = b"- apiVersion: v1\n  kind: Pod\n"
        return item * 1000 if self.taken > 1 else b"apiVersion: v1\nitems:\n"

    def readline(self, _size: int | None = -1) -> bytes:
        raise AssertionError("the pieces end with whole lines")


def test_items_are_yielded_while_the_list_is_read() -> None:
    """A dump of any size is read with the memory of one object."""
    stream = Endless()
    found: Iterator[RawObject | Problem] = read_documents(stream, "dump.yaml")  # type: ignore[arg-type]
    assert next(found) == RawObject({"apiVersion": "v1", "kind": "Pod"}, "dump.yaml", 3)
    assert stream.taken < 10


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "a",
        "managedFields": [{"manager": "kubelet"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "1"},
    },
    "spec": {
        "volumes": [{"name": "v"}],
        "containers": [
            {
                "name": "c",
                "image": "i",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "PILOT_JWT_ENABLE_REMOTE_JWKS", "value": "1"}, {"name": "X"}],
            }
        ],
        "initContainers": [{"name": "i", "restartPolicy": "Always", "command": ["x"]}],
    },
    "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready"}]},
}
TRIMMED_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "annotations": {"kept": "1"}},
    "spec": {
        "containers": [
            {
                "name": "c",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "PILOT_JWT_ENABLE_REMOTE_JWKS", "value": "1"}],
            }
        ],
        "initContainers": [{"name": "i", "restartPolicy": "Always"}],
    },
    "status": {"podIP": "10.0.0.1"},
}


def test_what_no_rule_reads_is_left_out() -> None:
    """JSON and YAML are trimmed alike."""
    assert content(json.dumps(POD)) == TRIMMED_POD
    assert content(f"---\n{json.dumps(POD)}") == TRIMMED_POD


def test_only_mesh_settings_are_kept_of_config_maps() -> None:
    """Of a ConfigMap's data the mesh and injector settings matter."""
    found = content("apiVersion: v1\ndata: {mesh: a, other: b}\nkind: ConfigMap\n")
    assert found["data"] == {"mesh": "a"}


def test_nothing_is_kept_of_secrets() -> None:
    """No secret value stays in memory."""
    text = "apiVersion: v1\ndata: {mesh: YQ==, x: YQ==}\nstringData: {y: a}\nkind: Secret\n"
    assert content(text) == {"apiVersion": "v1", "kind": "Secret"}


def test_network_policies_are_complete() -> None:
    """A validator sees every field of a policy."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {
            "podSelector": {},
            "ingress": [{"from": [], "ports": [{"port": "http", "x": 1}]}],
            "y": None,
        },
    }
    assert content(json.dumps(policy)) == policy
