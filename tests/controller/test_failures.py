"""What the controller does not do while it is blind, replaced or dead: with a real API server."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.users import TENANT
from tests.controller.process import LEASE, ControllerProcess, end_lease
from tests.controller.test_on_a_cluster import BOTH, Shop
from tests.kube.proxy import Proxy

SETTINGS = """\
apiVersion: istio-netpol.io/v1
kind: Settings
controller: {{collectAfterSeconds: 1, staleAfterSeconds: 2, writesPerSecond: {rate}}}
"""
GROUPS = (
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "networking.k8s.io",
)
DEPLOYMENTS = "/apis/apps/v1/deployments"
LEADING = "istio_netpol_controller_leading {}"
QUIET_SECONDS = 4.0
"""For so long nothing happens that must not."""


@pytest.fixture
def shop(control_plane: ControlPlane) -> Shop:
    return Shop(control_plane)


def settings(folder: Path, rate: int = 100) -> Path:
    path = folder / "settings.yaml"
    path.write_text(SETTINGS.format(rate=rate))
    return path


def versions(shop: Shop) -> dict[str, str]:
    return {name: policy["metadata"]["resourceVersion"] for name, policy in shop.policies().items()}


def assert_stays(what: Callable[[], Any]) -> None:
    """That a value is the same for a while."""
    before, ends = what(), time.monotonic() + QUIET_SECONDS
    while time.monotonic() < ends:
        assert what() == before
        time.sleep(0.2)


def says(controller: ControllerProcess, metric: str) -> Callable[[], bool]:
    return lambda: metric in controller.get("/metrics")[1]


def role(name: str, groups: tuple[str, ...]) -> list[dict[str, Any]]:
    """All rights in API groups, for the tenant's user."""
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    rules = [{"apiGroups": list(groups), "resources": ["*"], "verbs": ["*"]}]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": TENANT}
    return [
        {**api, "kind": "ClusterRole", "rules": rules},
        {**api, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]},
    ]


class Rights:
    """The tenant's user as the controller: the rest, and Deployments as long as it may see them."""

    def __init__(self, shop: Shop) -> None:
        self._plane = shop.plane
        self._kubectl = shop.plane.kubectl()
        self._names = (f"{shop.name}-rest", f"{shop.name}-apps")

    def grant(self) -> None:
        rest, apps = self._names
        assert self._kubectl.apply(*role(rest, GROUPS), *role(apps, ("apps",))).code == 0

    def blind(self) -> None:
        assert self._kubectl("delete", "clusterrolebinding", self._names[1]).code == 0
        api = self._plane.api(TENANT)
        self._plane.wait_until("it may not", lambda: api.request("GET", DEPLOYMENTS).status == 403)

    def remove(self) -> None:
        self._kubectl("delete", "clusterrole,clusterrolebinding", "--ignore-not-found", *self._names)


@pytest.fixture
def rights(shop: Shop) -> Iterator[Rights]:
    rights = Rights(shop)
    rights.grant()
    yield rights
    rights.remove()


def behind(proxy: Proxy, plane: ControlPlane, folder: Path) -> Path:
    """The tenant's kubeconfig, with the proxy in place of the API server."""
    config = json.loads(plane.kubeconfig(TENANT).read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{proxy.port}"
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def test_nothing_is_written_or_collected_while_a_part_of_the_cluster_is_not_seen(
    shop: Shop, rights: Rights, tmp_path: Path
) -> None:
    """Who can't see Deployments does not take what they need for needless, after a start and after a watch
    that broke off; once they are seen again, what was missed is made up for."""
    plane, path = shop.plane, settings(tmp_path)
    shop.deploy("cart")
    shop.deny_all()
    with Proxy(plane.api().port) as proxy:
        kubeconfig = behind(proxy, plane, tmp_path)
        with ControllerProcess(kubeconfig, shop.name, path) as controller:
            shop.wait_for(BOTH)
            rights.blind()
            proxy.cut()
            plane.wait_until("it is blind", says(controller, "istio_netpol_controller_stale 1.0"))
            gone = plane.kubectl()("--namespace", shop.name, "delete", "deployment", "cart")
            assert gone.code == 0, gone.stderr
            assert_stays(lambda: versions(shop))
            assert controller.get("/readyz")[0] == 503
        with ControllerProcess(kubeconfig, shop.name, path) as controller:
            controller.wait_for("leading")
            assert_stays(lambda: versions(shop))
            rights.grant()
            shop.wait_for([], 120)  # a watch without rights is tried again twice a minute


def taken(shop: Shop) -> dict[str, Any]:
    """Gives the lease to somebody else, as only a mistake would while the leader holds it."""
    while True:
        lease = shop.plane.api().request("GET", LEASE.format(shop.name)).object
        lease["spec"]["holderIdentity"] = "somebody-else"
        answer = shop.plane.api().request("PUT", LEASE.format(shop.name), lease)
        if answer.status != 409:
            return answer.object


def test_who_loses_the_lease_stops_in_the_middle_of_its_writes(shop: Shop, tmp_path: Path) -> None:
    """Some of the policies are written when somebody else gets the lease: the others are theirs."""
    for number in range(20):
        shop.deploy(f"cart-{number}")
    with ControllerProcess(shop.plane.kubeconfig(), shop.name, settings(tmp_path, rate=1)) as controller:
        shop.deny_all()
        shop.plane.wait_until("writing has begun", lambda: len(shop.policies()) > 0)
        assert taken(shop)["spec"]["holderIdentity"] == "somebody-else"
        shop.plane.wait_until("it noticed", says(controller, LEADING.format("0.0")))
        assert len(shop.policies()) < 2 * 20
        assert_stays(lambda: versions(shop))


def test_a_leader_that_was_frozen_writes_nothing_after_its_successor_did(shop: Shop, tmp_path: Path) -> None:
    """A node that hangs and comes back finds another leader, and changes nothing."""
    path, kubeconfig = settings(tmp_path, rate=2), shop.plane.kubeconfig()
    for number in range(4):
        shop.deploy(f"cart-{number}")
    with ControllerProcess(kubeconfig, shop.name, path) as first:
        first.wait_for("leading")
        with ControllerProcess(kubeconfig, shop.name, path) as second:
            shop.deny_all()
            shop.plane.wait_until("writing has begun", lambda: len(shop.policies()) > 0)
            first.send(signal.SIGSTOP)
            try:
                second.wait_for("leading")
                shop.wait_for(sorted(BOTH * 4), seconds=60)
                before = versions(shop)
            finally:
                first.send(signal.SIGCONT)
            shop.plane.wait_until("it follows", says(first, LEADING.format("0.0")))
            assert_stays(lambda: versions(shop))
            assert versions(shop) == before
            assert LEADING.format("1.0") in second.get("/metrics")[1]


def test_a_controller_that_is_killed_again_and_again_converges(shop: Shop, tmp_path: Path) -> None:
    """Wherever SIGKILL strikes, what the last one leaves is made right by the next."""
    path, kubeconfig = settings(tmp_path, rate=20), shop.plane.kubeconfig()
    shop.deny_all()
    points = [random.uniform(0.0, 1.5) for _ in range(3)]
    for number, point in enumerate(points):
        for part in "abc":
            shop.deploy(f"cart-{number}-{part}")
        with ControllerProcess(kubeconfig, shop.name, path) as controller:
            controller.wait_for("leading")
            time.sleep(point)
            controller.end(signal.SIGKILL)
        end_lease(shop.plane, shop.name)
        gone = shop.plane.kubectl()("--namespace", shop.name, "delete", "deployment", f"cart-{number}-a")
        assert gone.code == 0, gone.stderr
    with ControllerProcess(kubeconfig, shop.name, path):
        kinds = sorted(BOTH * 2 * len(points))
        shop.plane.wait_until(f"it converges, killed after {points}", lambda: shop.kinds() == kinds, 60)
        assert_stays(lambda: versions(shop))
