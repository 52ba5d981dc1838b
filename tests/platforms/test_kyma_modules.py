"""The table of Kyma's modules tells their workloads apart, and says of each what is left to open."""

from __future__ import annotations

import pytest

from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS, kyma_workload
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE, KymaNeed, KymaWorkload, OwnPolicies

BY_NAME = {workload.name: workload for workload in KYMA_WORKLOADS}


@pytest.mark.parametrize("workload", KYMA_WORKLOADS, ids=lambda workload: workload.name)
def test_a_workload_is_told_from_all_others_by_its_labels(workload: KymaWorkload) -> None:
    """No policy for one module's pods selects another's."""
    found = [
        known_workload.name
        for known_workload in KYMA_WORKLOADS
        if known_workload.selector.matches(workload.labels)
    ]
    assert found == [workload.name]
    assert kyma_workload(KYMA_NAMESPACE, workload.labels) is workload


def test_the_label_of_nats_manager_is_not_its_own() -> None:
    """keda-manager has it, too, and is told by one more."""
    shared = {"control-plane": "manager"}
    assert kyma_workload(KYMA_NAMESPACE, shared) is BY_NAME["nats-manager"]
    keda = {**shared, "app.kubernetes.io/component": "keda-manager.kyma-project.io"}
    assert kyma_workload(KYMA_NAMESPACE, keda) is BY_NAME["keda-manager"]


def test_labels_count_in_kyma_s_own_namespace_alone() -> None:
    """A tenant's Deployment labelled `app: serverless` is not Kyma's."""
    assert kyma_workload("shop", BY_NAME["serverless-ctrl-mngr"].labels) is None
    assert kyma_workload(KYMA_NAMESPACE, {"app": "something-else"}) is None


def test_every_name_that_is_called_is_in_the_table() -> None:
    """A call leads to pods whose labels are known."""
    assert len(BY_NAME) == len(KYMA_WORKLOADS)
    called = {call.to for workload in KYMA_WORKLOADS for call in workload.calls}
    assert called <= BY_NAME.keys()


@pytest.mark.parametrize(
    ("name", "need", "lacks"),
    [
        ("warden-admission", KymaNeed.WEBHOOK, True),
        ("oathkeeper", KymaNeed.CALLS, True),
        ("telemetry-manager", KymaNeed.WEBHOOK, False),
        ("keda-admission-webhooks", KymaNeed.WEBHOOK, True),
        ("keda-admission-webhooks", KymaNeed.DNS, False),
        ("rt-bootstrapper-controller-manager", KymaNeed.DNS, True),
        ("rt-bootstrapper-controller-manager", KymaNeed.API_SERVER, False),
    ],
)
def test_what_a_module_s_own_policies_leave_closed_is_said(name: str, need: KymaNeed, lacks: bool) -> None:
    """Everything without policies or with policies that are off, and the gaps of those that are on."""
    assert BY_NAME[name].lacks(need) is lacks


def test_gaps_are_told_of_policies_that_are_there() -> None:
    """A module whose policies are off or missing has no gaps: all of it is open to be cut."""
    assert all(workload.own is OwnPolicies.ON for workload in KYMA_WORKLOADS if workload.gaps)
