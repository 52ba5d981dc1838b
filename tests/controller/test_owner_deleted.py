"""Deletion of what needs a policy, with Kubernetes' own garbage collector."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess
from tests.controller.test_on_a_cluster import BOTH, Shop
from tests.controller.test_plan import generated
from tests.values import policy, port, rule

from istio_netpol.controller.plan import Apply
from istio_netpol.controller.policy_writer import ActionWriter
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.discovery import served
from istio_netpol.kube.policy_store import CONFLICT
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.model.references import ObjectRef

LONG_GRACE = """\
apiVersion: istio-netpol.io/v1
kind: Settings
controller: {collectAfterSeconds: 3600, writesPerSecond: 100}
"""


def uids(shop: Shop, owner: str) -> set[str]:
    """The policies that go with a Deployment."""
    return {
        network_policy["metadata"]["uid"]
        for network_policy in shop.policies().values()
        if owner in {reference["name"] for reference in network_policy["metadata"].get("ownerReferences", ())}
    }


@pytest.mark.usefixtures("controller_manager")
def test_the_policies_of_a_deleted_workload_go_with_it(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Kubernetes collects them long before the grace period ends, and those of other workloads stay."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(LONG_GRACE)
    shop = Shop(control_plane)
    with ControllerProcess(control_plane.kubeconfig(), shop.name, settings):
        shop.deploy("cart")
        shop.deploy("till")
        shop.deny_all()
        shop.wait_for(sorted(BOTH * 2))
        others = uids(shop, "till")
        done = control_plane.kubectl()("--namespace", shop.name, "delete", "deployment", "cart")
        assert done.code == 0, done.stderr
        control_plane.wait_until("its policies are gone", lambda: not uids(shop, "cart"))
        assert len(others) == 2
        assert uids(shop, "till") == others


def test_a_policy_whose_owner_is_gone_by_now_is_not_written(control_plane: ControlPlane) -> None:
    """What was planned before a deletion was seen must not come back and stay, without an owner."""
    shop = Shop(control_plane)
    shop.deploy("cart")
    connection = ApiConnection.open(kubeconfig=control_plane.kubeconfig())
    writer = ActionWriter(connection)
    writer.knows(served(connection, DECODERS))
    needed = generated(policy(f"{shop.name}/cart", egress=[rule(port(53))]))
    here, gone = (ObjectRef("apps/v1", "Deployment", shop.name, name) for name in ("cart", "till"))
    with pytest.raises(ApiError, match=f"Deployment {shop.name}/till is gone") as refused:
        writer.carry_out(Apply(needed, (here, gone)))
    assert refused.value.status == CONFLICT
    assert shop.policies() == {}
    writer.carry_out(Apply(needed, (here,)))
    assert len(uids(shop, "cart")) == 1
