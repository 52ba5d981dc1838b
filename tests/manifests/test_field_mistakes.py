"""Fields with wrong values: one sentence each, with the object, the field path and the value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
ROOT_CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "i"}}


def complaints(*objects: dict[str, Any]) -> list[str]:
    """What is said of JSON documents, without the place."""
    text = "\n".join(json.dumps(resource) for resource in objects)
    problems = load(read_documents(text.encode(), "a.json")).problems
    return [str(problem).partition(": ")[2] for problem in problems]


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}


@pytest.mark.parametrize("text", ["²", "0", "65536", "9" * 5000, "-1", ""])
def test_a_port_of_an_authorization_policy_that_is_none(text: str) -> None:
    """Digits of other scripts and numbers of any length are told like any other mistake."""
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "a"},
        "spec": {"rules": [{"to": [{"operation": {"ports": [text]}}]}]},
    }
    (sentence,) = complaints(policy)
    assert sentence.startswith("AuthorizationPolicy default/a: spec.rules[0].to[0].operation.ports[0] = ")
    assert sentence.endswith(': is not a port number; write "8080"')


@pytest.mark.parametrize(
    ("mesh", "sentence"),
    [
        ("[", "data.mesh: its line 2: is not valid YAML: did not find expected node content while parsing a "
              "flow node that begins at line 2"),
        ("a: &a [*a]", "data.mesh: its line 1: a[0]: the alias *a stands within the value that it repeats; "
                       "move it out of there"),
        ("a: 1\na: 2", "data.mesh: its line 2: a: the key is given twice (first at line 1); "
                       "keep one of them"),
        ("- a", "data.mesh = ['a']: is not a mapping"),
    ],
)  # fmt: skip
def test_a_broken_mesh_config_is_one_sentence(mesh: str, sentence: str) -> None:
    """The YAML within the ConfigMap has the limits of the files."""
    assert complaints(ROOT_CONFIG | {"data": {"mesh": mesh}}) == [f"ConfigMap i/istio: {sentence}"]


def test_a_date_in_the_mesh_config_is_a_text() -> None:
    """Even one that no calendar has."""
    assert complaints(ROOT_CONFIG | {"data": {"mesh": "trustDomain: 2001-99-99"}}) == []


def test_labels_of_pods_are_checked() -> None:
    """A generated policy would select by them, and the API server would refuse it."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"template": {"metadata": {"labels": {"app": "a b"}}}},
    }
    (sentence,) = complaints(deployment)
    assert sentence.startswith(
        'Deployment default/a: spec.template.metadata.labels[app] = "a b": is not a label value'
    )


def test_a_problem_is_told_once() -> None:
    """A pod's labels are read as those of the object and as those of its template."""
    bad = pod() | {"metadata": {"name": "a", "labels": {"app": "a b"}}}
    assert len(complaints(bad)) == 1


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ({}, "spec.ports[0].port: is missing; use 1 to 65535"),
        ({"port": 0}, "spec.ports[0].port = 0: is not a port number; use 1 to 65535"),
        ({"port": True}, "spec.ports[0].port = true: is a boolean, not a whole number"),
        ({"port": 1, "targetPort": 65536}, "spec.ports[0].targetPort = 65536: is not a port number; "
                                           "use 1 to 65535"),
        ({"port": 1, "targetPort": "80"}, 'spec.ports[0].targetPort = "80": is not a port name; write the '
                                          "number without quotes: 80"),
    ],
)  # fmt: skip
def test_a_port_of_a_service_that_is_none(port: dict[str, Any], sentence: str) -> None:
    """As the API server would refuse it."""
    assert complaints(SERVICE | {"spec": {"ports": [port]}}) == [f"Service default/a: {sentence}"]


@pytest.mark.parametrize("target", [None, 0, ""])
def test_an_absent_target_port_is_the_port(target: object) -> None:
    """Null, 0 and the empty text count as absent, as for the API server."""
    text = json.dumps(SERVICE | {"spec": {"ports": [{"port": 80, "targetPort": target}]}})
    (service,) = load(read_documents(text.encode(), "a.json")).objects
    assert service.ports[0].target == 80


def test_an_object_without_a_name_is_called_so() -> None:
    """There is no name to point to it by."""
    assert complaints({"apiVersion": "v1", "kind": "Pod", "metadata": {}}) == [
        "Pod without a name: metadata.name: is missing; name the object"
    ]


def test_an_owner_that_can_not_exist_is_refused() -> None:
    """Pods are told by their owner's name, and policies are named after it."""
    bad = pod() | {"metadata": {"name": "a", "ownerReferences": [{"controller": True, "name": "//"}]}}
    assert complaints(bad) == [
        'Pod default/a: metadata.ownerReferences[0].name = "//": is not an object name'
    ]


def test_control_characters_are_spelled_out() -> None:
    """A manifest must not steer the terminal of whoever reads what is wrong with it."""
    (sentence,) = complaints(pod(hostNetwork="\x1b[2J\nx"))
    assert sentence == 'Pod default/a: spec.hostNetwork = "\\x1b[2J\\nx": is a string, not true or false'


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (5, 'is a number, not a string; quote it: "5"'),
        (1.1, "is a number, not a string; quote it"),
        (
            True,
            "is a boolean, not a string; "
            "quote it; YAML takes y, yes and on for true, and n, no and off for false",
        ),
    ],
)
def test_a_text_that_was_not_quoted(value: object, remedy: str) -> None:
    """Only of whole numbers is it sure what was written: 1.10 and `y` are no longer there to be shown."""
    (sentence,) = complaints(pod(serviceAccountName=value))
    assert sentence.endswith(remedy)
