"""NetworkPolicies with the effect of those that Kyma's modules bring: whom they select, what they open."""

from __future__ import annotations

from collections.abc import Iterator

from tests.values import EGRESS, INGRESS, TCP, UDP, block, pods, policy, port, rule

from istio_netpol.model.labels import Selector, namespace_named
from istio_netpol.model.policies import NetworkPolicy, PolicyPeer
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE, KymaNeed, KymaWorkload, OwnPolicies

SERVICE_KUBERNETES = "100.64.0.1/32"
"""The address that keda-manager writes into the policy of KEDA's webhook."""

SCRAPERS = pods(**{"networking.kyma-project.io/metrics-scraping": "allowed"})
KUBE_DNS = PolicyPeer(Selector.of({"k8s-app": "kube-dns"}), namespace_named("kube-system"))


def own_policies() -> list[NetworkPolicy]:
    """Those of every module that has them on."""
    return [
        found
        for known in KYMA_WORKLOADS
        if known.own is OwnPolicies.ON
        for found in (*_egress(known), *_ingress(known))
    ]


def _key(known: KymaWorkload, what: str) -> str:
    return f"{KYMA_NAMESPACE}/kyma-project.io--{known.name}-{what}"


def _egress(known: KymaWorkload) -> Iterator[NetworkPolicy]:
    """443 to everybody, whatever else they call, and DNS unless the module leaves it out."""
    istiod = {15012} if known.sidecar else set()
    numbers = sorted({443, *istiod, *(call.port for call in known.calls)})
    rules = [rule(*map(port, numbers))]
    yield policy(_key(known, "to-apiserver"), selects=known.selector, types=(EGRESS,), egress=rules)
    if KymaNeed.DNS not in known.gaps or KymaNeed.API_SERVER in known.gaps:
        anywhere = rule(block("0.0.0.0/0"), port(53, UDP), port(53, TCP))
        gardener = rule(KUBE_DNS, port(8053, UDP), port(8053, TCP))
        yield policy(
            _key(known, "to-dns"), selects=known.selector, types=(EGRESS,), egress=[anywhere, gardener]
        )


def _ingress(known: KymaWorkload) -> Iterator[NetworkPolicy]:
    """The webhook from everybody, what pods call, and metrics for who may scrape."""
    source = [block(SERVICE_KUBERNETES)] if KymaNeed.WEBHOOK in known.gaps else []
    if known.webhook_port:
        rules = [rule(*source, port(known.webhook_port))]
        yield policy(_key(known, "webhook"), selects=known.selector, types=(INGRESS,), ingress=rules)
    if known.for_pods:
        rules = [rule(*map(port, known.for_pods))]
        yield policy(_key(known, "clients"), selects=known.selector, types=(INGRESS,), ingress=rules)
    rules = [rule(SCRAPERS, *map(port, known.metrics))] if KymaNeed.METRICS not in known.gaps else []
    yield policy(_key(known, "metrics"), selects=known.selector, types=(INGRESS,), ingress=rules)
