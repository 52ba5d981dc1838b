"""Deletion of what needs a policy, with Kubernetes' own garbage collector."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess
from tests.controller.test_on_a_cluster import BOTH, Shop

LONG_GRACE = """\
apiVersion: istio-netpol.io/v1
kind: Settings
controller: {collectAfterSeconds: 3600, writesPerSecond: 100}
"""


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
        done = control_plane.kubectl()("--namespace", shop.name, "delete", "deployment", "cart")
        assert done.code == 0, done.stderr
        shop.wait_for(BOTH)
        owners = {each["metadata"]["ownerReferences"][0]["name"] for each in shop.policies().values()}
        assert owners == {"till"}
