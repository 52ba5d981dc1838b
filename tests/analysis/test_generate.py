"""Which policies `generate` writes, and which it leaves out."""

from __future__ import annotations

from tests.istio.builders import ingress_gateway, istiod
from tests.values import EGRESS, deployment, namespace, policy

from istio_netpol.analysis.generate import generate
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot


class NoDns:
    """A resolver that knows no host."""

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        return Resolution(host, (), ResolutionStatus.NOT_FOUND, reason=f"{host} does not exist")


def to_istiod(*others: NetworkPolicy, per_namespace: bool) -> list[tuple[str, str]]:
    """Kind and needing objects of the policies to istiod, for a gateway beside an injected workload."""
    edge = namespace("edge", **{"istio-injection": "enabled"})
    objects = [edge, istiod(), ingress_gateway("edge/gateway"), deployment("edge/web"), *others]
    found = generate(Snapshot.of(objects), Settings(), NoDns(), per_namespace)
    return [
        (
            network_policy.labels["istio-netpol.io/flow"],
            network_policy.annotations["istio-netpol.io/required-by"],
        )
        for network_policy in found
        if "istiod" in network_policy.name
    ]


DENY = policy("edge/deny", types=[EGRESS])


def test_one_policy_for_all_pods_replaces_those_for_some() -> None:
    """With --per-namespace a gateway gets no policy to istiod beside the one for all pods, which names it."""
    assert to_istiod(DENY, per_namespace=True) == [
        ("proxy-to-istiod", "Deployment/edge/gateway, Deployment/edge/web")
    ]


def test_each_workload_has_its_own_policy_otherwise() -> None:
    """Without --per-namespace, and where not all pods are isolated, each workload has its own policy."""
    each = [
        ("gateway-to-istiod", "Deployment/edge/gateway"),
        ("proxy-to-istiod", "Deployment/edge/web"),
    ]
    assert to_istiod(DENY, per_namespace=False) == each
    apart = [
        policy("edge/gateway", selects={"app": "istio-ingressgateway"}, types=[EGRESS]),
        policy("edge/web", selects={"app": "web"}, types=[EGRESS]),
    ]
    assert to_istiod(*apart, per_namespace=True) == each
