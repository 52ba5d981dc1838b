"""Generated policies in a real API server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import NOBODY
from tests.kube.following import connection
from tests.values import EGRESS, policy

from istio_netpol.controller.plan import Apply
from istio_netpol.controller.policy_writer import ActionWriter
from istio_netpol.kube.policy_store import ClusterStore, LivePolicies
from istio_netpol.model.labels import Selector
from istio_netpol.model.own_names import MANAGED_BY, OWNER, PROVISIONAL_AT, REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import StoreResult


def generated(namespace: str, name: str = "generated", **labels: str) -> NetworkPolicy:
    """A policy as remedies are."""
    return replace(
        policy(f"{namespace}/{name}", selects=Selector.of(labels or {"app": "x"}), types=(EGRESS,)),
        labels={MANAGED_BY: OWNER},
    )


def path(namespace: str, name: str = "") -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}".rstrip("/")


def foreign(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }


def test_a_written_policy_is_stored_when_the_call_returns(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The API server has it at once, under the field manager's name, and a live read shows it."""
    found = connection(control_plane, tmp_path)
    (result,) = ClusterStore(found).write([generated(namespace)])
    assert result.written
    stored = control_plane.api().request("GET", path(namespace, "generated")).object
    assert [entry["manager"] for entry in stored["metadata"]["managedFields"]] == ["istio-netpol"]
    assert [policy.name for policy in LivePolicies(found).read(namespace) or ()] == ["generated"]


def test_writing_again_adds_who_needs_it_and_changes_nothing_else(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The same policy again leaves the object as it is; for another object it names both. Until its object
    was seen stored, it says when a review last had it written."""
    now = datetime(2026, 11, 29, tzinfo=UTC)
    store = ClusterStore(connection(control_plane, tmp_path), lambda: now)

    def stored() -> Any:
        return control_plane.api().request("GET", path(namespace, "generated")).object

    def needed_by(name: str) -> NetworkPolicy:
        return replace(generated(namespace), annotations={REQUIRED_BY: f"Deployment/{namespace}/{name}"})

    store.write([needed_by("b")])
    first = stored()
    store.write([needed_by("b")])
    assert stored()["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    (result,) = store.write([needed_by("a")])
    assert result.written
    again = stored()
    assert again["spec"] == first["spec"]
    assert again["metadata"]["annotations"] == {
        REQUIRED_BY: f"Deployment/{namespace}/a, Deployment/{namespace}/b",
        PROVISIONAL_AT: "2026-11-29T00:00:00+00:00",
    }


def test_a_policy_whose_object_was_seen_is_not_made_provisional_again(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The controller applied it without the mark; a later review only adds who needs it."""
    found = connection(control_plane, tmp_path)
    seen = replace(generated(namespace), annotations={REQUIRED_BY: f"Deployment/{namespace}/a"})
    ActionWriter(found).carry_out(Apply(seen))
    ClusterStore(found).write([replace(seen, annotations={REQUIRED_BY: f"Deployment/{namespace}/b"})])
    stored = control_plane.api().request("GET", path(namespace, "generated")).object
    assert stored["metadata"]["annotations"] == {
        REQUIRED_BY: f"Deployment/{namespace}/a, Deployment/{namespace}/b"
    }


def test_another_content_under_the_same_name_is_never_written(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Were two contents to get one name, the one that is stored stays."""
    store = ClusterStore(connection(control_plane, tmp_path))
    store.write([generated(namespace)])
    first = control_plane.api().request("GET", path(namespace, "generated")).object
    (result,) = store.write([generated(namespace, app="y")])
    assert not result.written
    assert "is there already and does something else than its name says" in result.refused
    assert control_plane.api().request("GET", path(namespace, "generated")).object == first


def test_what_others_made_is_left_alone(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """A policy of that name without our label is not touched, and the refusal says so."""
    control_plane.create(path(namespace), foreign("generated"))
    (result,) = ClusterStore(connection(control_plane, tmp_path)).write([generated(namespace)])
    assert not result.written
    assert f"NetworkPolicy {namespace}/generated" in result.refused
    assert "not managed by istio-netpol" in result.refused
    stored = control_plane.api().request("GET", path(namespace, "generated")).object
    assert stored["spec"]["podSelector"] == {}


def test_fields_that_others_manage_are_not_forced(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Whoever edited our policy is told of in a refusal instead of being overwritten at admission."""
    store = ClusterStore(connection(control_plane, tmp_path))
    store.write([generated(namespace)])
    api = control_plane.api()
    stored = api.request("GET", path(namespace, "generated")).object
    stored["spec"]["podSelector"] = {"matchLabels": {"app": "theirs"}}
    assert api.request("PUT", path(namespace, "generated"), stored).status == 200
    (result,) = store.write([generated(namespace)])
    assert not result.written
    assert "somebody changed it" in result.refused


ADMISSION = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture
def narrowing(control_plane: ControlPlane, namespace: str) -> Iterator[None]:
    """Somebody whose admission policy adds a label to the selector of the namespace's NetworkPolicies."""
    patch = "[JSONPatch{op: 'add', path: '/spec/podSelector/matchLabels/tier', value: 'front'}]"
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [
                {
                    "apiGroups": ["networking.k8s.io"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["networkpolicies"],
                }
            ],
        },
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    made = {
        "mutatingadmissionpolicies": {"kind": "MutatingAdmissionPolicy", "spec": spec},
        "mutatingadmissionpolicybindings": {
            "kind": "MutatingAdmissionPolicyBinding",
            "spec": {"policyName": namespace},
        },
    }
    about = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": namespace}}
    for plural, manifest in made.items():
        control_plane.create(f"{ADMISSION}/{plural}", {**about, **manifest})
    yield
    for plural in made:
        control_plane.api().request("DELETE", f"{ADMISSION}/{plural}/{namespace}")


@pytest.mark.usefixtures("narrowing")
def test_what_another_webhook_changes_is_no_success(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """What is stored would leave pods closed for which the policy was written."""
    store = ClusterStore(connection(control_plane, tmp_path))
    numbers = itertools.count()
    results: list[StoreResult] = []

    def is_changed() -> bool:
        results[:] = store.write([generated(namespace, f"generated-{next(numbers)}")])
        return not results[0].written

    control_plane.wait_until("the admission policy is at work", is_changed)
    assert "is not stored as it was written" in results[0].refused


def test_missing_rights_are_a_refusal_and_no_error(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Without the right to write, the result says so; without the right to read, nothing is told."""
    found = connection(control_plane, tmp_path, NOBODY)
    (result,) = ClusterStore(found).write([generated(namespace)])
    assert not result.written
    assert "networkpolicies" in result.refused
    assert LivePolicies(found).read(namespace) is None
