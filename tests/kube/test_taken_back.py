"""What a review had written for an object that is not stored is taken back; what was there before is not."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess, end_lease
from tests.kube.manifests import DENY_ALL, deployment
from tests.kube.test_admission import is_there

from istio_netpol.model.own_names import MANAGED_BY, MODE_LABEL, OWNER, PROVISIONAL_AT, UNNEEDED_SINCE

pytestmark = pytest.mark.usefixtures("webhook")

MOST = 5
SETTINGS = f"""\
apiVersion: istio-netpol.io/v1
kind: Settings
admission: {{maxPoliciesPerNamespace: {MOST}}}
controller: {{collectAfterSeconds: 3600, takeBackAfterSeconds: 4, writesPerSecond: 100}}
"""
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
ADDED = "istio-netpol added NetworkPolicy"
REFUSED = "the platform team wants another name"
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    path.write_text(SETTINGS)
    return path


class Shop:
    """A namespace of mode augment under a deny-all."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.name = plane.namespace({MODE_LABEL: "augment", "istio-injection": "enabled"})
        self._policies = f"/apis/networking.k8s.io/v1/namespaces/{self.name}/networkpolicies"
        plane.create(self._policies, DENY_ALL)
        plane.wait_until("the webhook has seen the deny-all", self._is_seen)

    def deploy(self, name: str) -> str:
        """Applies a Deployment; why it was refused."""
        done = self.plane.kubectl().apply(deployment(name, self.name))
        assert (done.code == 0) == is_there(self.plane, name, self.name)
        return "" if done.code == 0 else done.stderr

    def generated(self) -> dict[str, dict[str, Any]]:
        """The metadata of the generated policies by name."""
        path = f"{self._policies}?labelSelector={MANAGED_BY}%3D{OWNER}"
        items = self.plane.api().request("GET", path).object["items"]
        return {item["metadata"]["name"]: item["metadata"] for item in items}

    def provisional(self) -> set[str]:
        """Those whose object was not seen yet."""
        found = self.generated().items()
        return {name for name, metadata in found if PROVISIONAL_AT in metadata["annotations"]}

    def refuse(self, name: str) -> None:
        """A policy of the platform's, which is asked after the mutating webhooks, refuses Deployments whose
        names begin so."""
        metadata = {"name": self.name}
        validation = {"expression": f"!object.metadata.name.startsWith('{name}')", "message": REFUSED}
        here = {"matchLabels": {"kubernetes.io/metadata.name": self.name}}
        policy = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [validation]}
        binding = {
            "policyName": self.name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": here},
        }
        for kind, spec in (
            ("ValidatingAdmissionPolicy", policy),
            ("ValidatingAdmissionPolicyBinding", binding),
        ):
            plural = f"{kind.lower()}s".replace("policys", "policies")
            manifest = {"apiVersion": ADMISSION.removeprefix("/apis/"), "kind": kind}
            self.plane.create(f"{ADMISSION}/{plural}", {**manifest, "metadata": metadata, "spec": spec})
        self.plane.wait_until("it is refused", lambda: REFUSED in self._tried(name))

    def _is_seen(self) -> bool:
        return "would add NetworkPolicy" in self._tried("try")

    def _tried(self, name: str) -> str:
        """What kubectl says to a dry run."""
        tried = deployment(f"{name}-{next(_NUMBERS)}", self.name)
        return self.plane.kubectl().apply(tried, options=("--dry-run=server",)).stderr


@pytest.fixture
def shop(control_plane: ControlPlane) -> Shop:
    return Shop(control_plane)


@pytest.fixture
def controller(shop: Shop, settings_file: Path) -> Iterator[ControllerProcess]:
    with started(shop, settings_file) as process:
        yield process


def started(shop: Shop, settings: Path) -> ControllerProcess:
    process = ControllerProcess(shop.plane.kubeconfig(), shop.name, settings)
    process.wait_for("leading")
    return process


@pytest.mark.usefixtures("controller")
def test_policies_of_an_object_that_others_refuse_go(shop: Shop) -> None:
    """What another object had is left alone."""
    assert shop.deploy("cart") == ""
    shop.plane.wait_until("the object of cart is seen", lambda: shop.provisional() == set())
    before = shop.generated()
    shop.refuse("till")
    told = shop.deploy("till")
    assert REFUSED in told
    assert ADDED in told
    shop.plane.wait_until("they are taken back", lambda: shop.generated().keys() == before.keys())
    assert {name: policy["uid"] for name, policy in shop.generated().items()} == {
        name: policy["uid"] for name, policy in before.items()
    }


@pytest.mark.usefixtures("controller")
def test_policies_of_an_object_that_the_validating_review_refuses_go(shop: Shop) -> None:
    """It needs two, and there is room for one more."""
    assert shop.deploy("cart") == shop.deploy("desk") == ""
    before = shop.generated()
    assert len(before) == MOST - 1
    told = shop.deploy("till")
    assert "denied the request" in told
    assert told.count(ADDED) == 1
    shop.plane.wait_until("it is taken back", lambda: shop.generated().keys() == before.keys())


def test_what_a_killed_controller_leaves_its_successor_takes_back(shop: Shop, settings_file: Path) -> None:
    """Nothing is remembered but in the policies themselves. A webhook that restarts in between remembers
    nothing, either."""
    shop.refuse("till")
    assert REFUSED in shop.deploy("till")
    written = shop.generated()
    assert shop.provisional() == written.keys() != set()
    with started(shop, settings_file) as first:

        def is_noticed() -> bool:
            return all(UNNEEDED_SINCE in policy["annotations"] for policy in shop.generated().values())

        shop.plane.wait_until("the controller has noticed", is_noticed, every=0.01)
        first.end(signal.SIGKILL)
    end_lease(shop.plane, shop.name)
    with started(shop, settings_file):
        shop.plane.wait_until("they are taken back", lambda: shop.generated() == {})


@pytest.mark.usefixtures("controller")
def test_a_dry_run_has_nothing_to_take_back(shop: Shop) -> None:
    """It writes nothing."""
    assert shop.generated() == {}
