"""NetworkPolicies as the API server judges and completes them, and as `istio-netpol check` does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.cluster.control_plane import ControlPlane

from istio_netpol.cli.main import program
from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.read import read_documents

Manifest = dict[str, Any]


def table(name: str) -> list[Manifest]:
    """The policies of a file; `metadata.name` says what is odd about each."""
    cases = yaml.safe_load(Path(__file__).with_name(name).read_text())
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": case["name"]},
            "spec": case["spec"],
        }
        for case in cases
    ]


def described(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


REFUSED, ACCEPTED, EARLIER = (
    table(f"{name}.yaml") for name in ("refused", "accepted", "accepted_before_1.36")
)


def path(namespace: str, options: str = "") -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies{options}"


def decoded(manifest: Manifest) -> tuple[list[Any], list[Problem]]:
    """What our decoder makes of a manifest."""
    (raw,) = read_documents(json.dumps(manifest).encode(), "policy.json")
    assert not isinstance(raw, Problem)
    return decode(raw)


def reach(manifest: Manifest) -> tuple[Any, ...]:
    """What a policy selects and allows, as our decoder reads it."""
    ((policy,), problems) = decoded(manifest)
    assert problems == []
    return (policy.pod_selector, policy.policy_types, policy.ingress, policy.egress)


@pytest.mark.parametrize("manifest", REFUSED, ids=described)
def test_what_the_api_server_refuses_is_refused_for_the_same_field(
    control_plane: ControlPlane, namespace: str, manifest: Manifest, tmp_path: Path
) -> None:
    """`check` fails in CI on what `kubectl apply` would refuse, and points to the same place."""
    api = control_plane.api()
    stored = api.request("POST", path(namespace), manifest)
    tried = api.request("POST", path(namespace, "?dryRun=All"), manifest)
    assert stored.status in (400, 422)
    assert tried.object["message"] == stored.object["message"]
    fields = {problem.field for problem in decoded(manifest)[1]}
    causes = stored.object.get("details", {}).get("causes", [])
    if stored.status == 422:  # a 400 names Go's type instead of the place in the list
        assert {re.sub(r"(?<=matchLabels)\[.*", "", field or "") for field in fields} == {
            cause["field"] for cause in causes
        }
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(manifest))
    result = CliRunner().invoke(program, ["check", str(file)])
    assert result.exit_code == 2
    assert all(field in result.stderr for field in fields if field)
    assert fields


@pytest.mark.parametrize("manifest", ACCEPTED, ids=described)
def test_what_the_api_server_accepts_means_the_same_before_and_after(
    control_plane: ControlPlane, namespace: str, manifest: Manifest, tmp_path: Path
) -> None:
    """A folder and a dump of the cluster that it was applied to give the same verdicts: our defaults are
    those of the API server."""
    stored = control_plane.api().request("POST", path(namespace), manifest)
    assert stored.status == 201, stored.object
    assert reach(manifest) == reach(stored.object)
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(manifest))
    result = CliRunner().invoke(program, ["check", "--offline", str(file)])
    assert result.exit_code in (0, 1), result.stderr


@pytest.mark.parametrize("manifest", EARLIER, ids=described)
def test_what_earlier_api_servers_accepted_is_read(
    control_plane: ControlPlane, namespace: str, manifest: Manifest
) -> None:
    """Clusters hold such policies from before their upgrade, and they still allow what they did."""
    assert control_plane.api().request("POST", path(namespace), manifest).status == 422
    assert decoded(manifest)[1] == []


def test_kubectl_reports_every_refused_policy(control_plane: ControlPlane, namespace: str) -> None:
    """A server-side dry-run refuses each of them, and none is stored."""
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": REFUSED})
    kubectl = control_plane.kubectl()
    outcome = kubectl(
        "create", "--dry-run=server", "--validate=ignore", "-n", namespace, "-f", "-", stdin=items
    )
    assert (outcome.code, outcome.stdout) == (1, "")
    assert len(re.findall(r"(?m)^Error from server|^The NetworkPolicy", outcome.stderr)) == len(REFUSED)
    assert kubectl("get", "networkpolicies", "-n", namespace, "-o", "name").stdout == ""
