"""What a new pod changes, seen through the controller that owns it."""

import pytest
from tests.values import deny_all, deployment, namespace

from istio_netpol.analysis.impact import review_change
from istio_netpol.flows.table import FlowTable
from istio_netpol.model.flows import FlowKind
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import Settings
from istio_netpol.model.workloads import Owner, Workload
from istio_netpol.state.snapshot import Snapshot

SHOP = namespace("shop", **{"istio-injection": "enabled"})
CLOSED = deny_all("shop")


class Nobody:
    def resolve(self, host, asker, seconds=0.0):
        return Resolution(host, (), ResolutionStatus.FAILED)


def pod(owner, **labels):
    return Workload(ObjectRef("v1", "Pod", "shop", "a-1"), labels or {"app": "a"}, owner=owner)


def rules_of(new, *present):
    table = FlowTable.of(Snapshot.of([SHOP, CLOSED, *present]), Settings())
    return {finding.rule for finding in review_change(table, [new], [], Nobody()).findings}


@pytest.mark.parametrize(
    "owner",
    [None, Owner("argoproj.io/v1alpha1", "Workflow", "a"), Owner("apps/v1", "ReplicaSet", "a-abc")],
    ids=["bare", "of a kind that nobody reads", "of a ReplicaSet that was not read"],
)
def test_a_new_pod_is_told_what_it_lacks(owner):
    """Whoever owns it, a pod that would lose its istiod under a deny-all is not admitted in silence."""
    assert FlowKind.PROXY_TO_ISTIOD in rules_of(pod(owner))


def test_one_more_pod_of_a_known_controller_brings_nothing_new():
    """A replica like the others is not reported again for what its Deployment lacks already."""
    assert not rules_of(pod(Owner("apps/v1", "Deployment", "a")), deployment("shop/a"))


def test_a_pod_that_differs_from_its_template_is_judged_for_itself():
    """Other labels mean other policies, so the Deployment's verdict does not stand for the pod."""
    differing = pod(Owner("apps/v1", "Deployment", "a"), app="b")
    assert FlowKind.PROXY_TO_ISTIOD in rules_of(differing, deployment("shop/a"))
