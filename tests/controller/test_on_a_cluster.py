"""The controller against a real API server: what an operator sees when policies are touched by hand."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess, end_lease

from istio_netpol.model.own_names import UNNEEDED_SINCE

GRACE = 3
SETTINGS = f"""\
apiVersion: istio-netpol.io/v1
kind: Settings
controller: {{collectAfterSeconds: {GRACE}, writesPerSecond: 100}}
"""
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
DENY_ALL = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


class Shop:
    """A namespace of mode augment with sidecars, and what kubectl shows of it."""

    def __init__(self, plane: ControlPlane, mode: str = "augment") -> None:
        self.plane = plane
        labels = {"istio-injection": "enabled", "istio-netpol.io/mode": mode}
        self.name = plane.namespace(labels)

    def deny_all(self) -> None:
        self.make("NetworkPolicy", "deny-all", DENY_ALL)

    def make(self, kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> None:
        api = {"NetworkPolicy": "networking.k8s.io/v1", "Deployment": "apps/v1"}[kind]
        metadata |= {"name": name, "namespace": self.name}
        done = self.plane.kubectl().apply(
            {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}
        )
        assert done.code == 0, done.stderr

    def deploy(self, name: str) -> None:
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "c"}]}}
        self.make("Deployment", name, {"selector": {"matchLabels": labels}, "template": template})

    def policies(self) -> dict[str, dict[str, Any]]:
        """Generated policies by name."""
        items = self.plane.api().request("GET", POLICIES.format(self.name)).object["items"]
        label = "app.kubernetes.io/managed-by"
        return {
            item["metadata"]["name"]: item
            for item in items
            if item["metadata"].get("labels", {}).get(label) == "istio-netpol"
        }

    def kinds(self) -> list[str]:
        return sorted(
            policy["metadata"]["labels"]["istio-netpol.io/flow"] for policy in self.policies().values()
        )

    def version(self) -> str:
        """From which on `events_since` tells of what happens next."""
        listed = self.plane.api().request("GET", POLICIES.format(self.name)).object
        return str(listed["metadata"]["resourceVersion"])

    def events_since(self, version: str) -> list[dict[str, Any]]:
        """Every change of the namespace's policies since then, in order, up to one that is made here."""
        self.make("NetworkPolicy", "the-last", {"podSelector": {}})
        for seconds in (1, 5, 30):
            query = f"?watch=1&timeoutSeconds={seconds}&resourceVersion={version}"
            watched = self.plane.kubectl()("get", "--raw", POLICIES.format(self.name) + query)
            assert watched.code == 0, watched.stderr
            events = [json.loads(line) for line in watched.stdout.splitlines()]
            names = [event["object"]["metadata"]["name"] for event in events]
            if "the-last" in names:
                return events[: names.index("the-last")]
        raise AssertionError("the API server does not tell of the last change")

    def wait_for(self, kinds: list[str], seconds: float = 60.0) -> None:
        self.plane.wait_until(f"policies are {kinds}", lambda: self.kinds() == kinds, seconds)


BOTH = ["dns", "proxy-to-istiod"]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture
def shop(control_plane: ControlPlane) -> Shop:
    return Shop(control_plane)


@pytest.fixture
def controller(shop: Shop, settings: Path) -> Iterator[ControllerProcess]:
    with ControllerProcess(shop.plane.kubeconfig(), shop.name, settings) as process:
        process.wait_for("leading")
        yield process


def _kubectl(shop: Shop, *arguments: str) -> None:
    done = shop.plane.kubectl()("--namespace", shop.name, *arguments)
    assert done.code == 0, done.stderr


@pytest.mark.usefixtures("controller")
def test_a_deny_all_is_followed_by_its_remedies(shop: Shop) -> None:
    """Who switches on a deny-all sees the sidecars' policies appear, though nothing else happens."""
    shop.deploy("cart")
    shop.deny_all()
    shop.wait_for(BOTH)
    owner = next(iter(shop.policies().values()))["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("Deployment", "cart")


@pytest.mark.usefixtures("controller")
def test_a_policy_that_was_deleted_or_edited_by_hand_comes_back(shop: Shop) -> None:
    """What was generated stays as it was generated."""
    shop.deploy("cart")
    shop.deny_all()
    shop.wait_for(BOTH)
    before = {name: policy["spec"] for name, policy in shop.policies().items()}
    deleted, edited = sorted(before)
    _kubectl(shop, "delete", "networkpolicy", deleted)
    opened = json.dumps({"spec": {"egress": [{}]}})
    _kubectl(shop, "patch", "networkpolicy", edited, "--type=merge", "--patch", opened)
    shop.plane.wait_until(
        "both are back", lambda: {n: p["spec"] for n, p in shop.policies().items()} == before
    )


@pytest.mark.usefixtures("controller")
def test_policies_whose_need_is_gone_are_collected_after_the_grace_period(shop: Shop) -> None:
    """Nobody has to clean up after a Deployment; and what came back in time was never cut."""
    shop.deploy("cart")
    shop.deny_all()
    shop.wait_for(BOTH)
    version = shop.version()
    began = time.monotonic()
    _kubectl(shop, "delete", "deployment", "cart")
    shop.wait_for([])
    assert time.monotonic() - began > GRACE - 1, "the mark is in whole seconds"
    events = shop.events_since(version)
    marked, gone = events[:2], events[2:]
    assert [event["type"] for event in events] == ["MODIFIED"] * 2 + ["DELETED"] * 2
    assert all(UNNEEDED_SINCE in event["object"]["metadata"]["annotations"] for event in marked)
    assert {event["object"]["metadata"]["uid"] for event in marked} == {
        event["object"]["metadata"]["uid"] for event in gone
    }


@pytest.mark.usefixtures("controller")
def test_a_forged_label_makes_a_policy_neither_ours_nor_safe_to_delete(shop: Shop) -> None:
    """A tenant's policy is the tenant's, whatever it claims to be."""
    forged = {
        "labels": {"app.kubernetes.io/managed-by": "istio-netpol", "istio-netpol.io/flow": "dns"},
        "annotations": {
            "istio-netpol.io/required-by": f"Deployment/{shop.name}/gone",
            "istio-netpol.io/unneeded-since": "2020-01-01T00:00:00Z",
        },
    }
    shop.make("NetworkPolicy", "forged", DENY_ALL, **forged)
    shop.deploy("cart")
    shop.wait_for(["dns", *BOTH])
    before = shop.policies()["forged"]["metadata"]["resourceVersion"]
    _kubectl(shop, "delete", "deployment", "cart")
    shop.wait_for(["dns"])
    assert shop.policies()["forged"]["metadata"]["resourceVersion"] == before


@pytest.mark.usefixtures("controller")
def test_nothing_is_written_in_a_namespace_of_another_mode(shop: Shop) -> None:
    """Who only wants warnings gets no policies."""
    other = Shop(shop.plane, mode="warn")
    for namespace in (other, shop):
        namespace.deploy("cart")
        namespace.deny_all()
    shop.wait_for(BOTH)
    assert other.kinds() == []


def test_one_of_two_controllers_leads_and_the_other_takes_over(
    shop: Shop, settings: Path, controller: ControllerProcess
) -> None:
    """A rollout or a lost node leaves nobody without a controller."""
    with ControllerProcess(shop.plane.kubeconfig(), shop.name, settings) as second:
        second.wait_for("serving")
        shop.plane.wait_until("the second is ready", lambda: second.get("/readyz")[0] == 200)
        assert "istio_netpol_controller_leading 0.0" in second.get("/metrics")[1]
        assert "istio_netpol_controller_leading 1.0" in controller.get("/metrics")[1]
        assert controller.end() == 0
        second.wait_for("leading")
        shop.deploy("cart")
        shop.deny_all()
        shop.wait_for(BOTH)


def test_a_controller_that_was_killed_in_the_middle_is_made_up_for(
    shop: Shop, settings: Path, controller: ControllerProcess
) -> None:
    """SIGKILL between two writes leaves nothing that the next start does not put right."""
    for number in range(10):
        shop.deploy(f"cart-{number}")
    shop.deny_all()
    shop.plane.wait_until("writing has begun", lambda: len(shop.policies()) > 1)
    controller.end(signal.SIGKILL)
    end_lease(shop.plane, shop.name)
    with ControllerProcess(shop.plane.kubeconfig(), shop.name, settings):
        shop.wait_for(sorted(BOTH * 10), seconds=60)


@pytest.mark.usefixtures("controller")
def test_a_namespace_that_is_deleted_is_left_alone(shop: Shop) -> None:
    """The controller does not fight with the deletion of a namespace, and goes on elsewhere."""
    doomed = Shop(shop.plane)
    for namespace in (doomed, shop):
        namespace.deploy("cart")
        namespace.deny_all()
        namespace.wait_for(BOTH)
    _kubectl(shop, "delete", "namespace", doomed.name, "--wait=false")
    shop.deploy("till")
    shop.wait_for(sorted(BOTH * 2))
