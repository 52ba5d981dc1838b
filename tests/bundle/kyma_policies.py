"""The NetworkPolicies that Kyma's istio and api-gateway modules write."""

from __future__ import annotations

from tests.values import UDP, block, namespaces, pods, policy, port, rule

from istio_netpol.model.labels import EVERYTHING, Operator, Requirement, Selector
from istio_netpol.model.policies import PolicyPeer

ISTIOD, GATEWAY, AGENT = {"istio": "pilot"}, {"istio": "ingressgateway"}, {"k8s-app": "istio-cni-node"}
EGRESS = {"istio": "egressgateway"}
OUT = (rule(port(53, UDP), port(53)), rule(port(443)))
IS_MODULE = Selector(match_expressions=(Requirement("kyma-project.io/module", Operator.EXISTS),))


def anywhere(selector: Selector) -> PolicyPeer:
    """Pods of every namespace."""
    return PolicyPeer(selector, EVERYTHING)


def labelled(name: str) -> PolicyPeer:
    """Pods of every namespace that carry one of Kyma's opt-in labels."""
    return anywhere(Selector.of({f"networking.kyma-project.io/{name}": "allowed"}))


INJECTED = anywhere(Selector.of({"security.istio.io/tlsMode": "istio"}))
SCRAPERS = (anywhere(IS_MODULE), labelled("istio-metrics"), labelled("metrics-scraping"))
KYMA = [
    policy(
        "istio-system/kyma-project.io--istio-pilot",
        selects=ISTIOD,
        egress=OUT,
        ingress=[
            rule(INJECTED, pods(**GATEWAY), pods(**EGRESS), port(15012)),
            rule(port(15017)),
            rule(*SCRAPERS, port(15014)),
        ],
    ),
    policy(
        "istio-system/kyma-project.io--istio-pilot-jwks", selects=ISTIOD, egress=[rule(port(80), port(443))]
    ),
    policy("istio-system/kyma-project.io--istio-cni-node", selects=AGENT, egress=OUT),
    policy(
        "istio-system/kyma-project.io--istio-ingressgateway",
        selects=GATEWAY,
        egress=[rule(pods(**ISTIOD), port(15012)), OUT[0]],
        ingress=[rule(port(8080), port(8443)), rule(*SCRAPERS, port(15020), port(15021), port(15090))],
    ),
    policy(
        "istio-system/kyma-project.io--istio-ingressgateway-egress",
        selects=GATEWAY,
        egress=[rule(labelled("from-ingressgateway"))],
    ),
    policy(
        "istio-system/kyma-project.io--istio-egressgateway",
        selects=EGRESS,
        egress=[rule()],
        ingress=[rule(labelled("to-egressgateway")), rule(*SCRAPERS, port(15020), port(15021), port(15090))],
    ),
    policy(
        "kyma-system/kyma-project.io--allow-istio-controller-manager",
        selects={"app.kubernetes.io/name": "istio-operator"},
        egress=OUT,
    ),
    policy(
        "kyma-system/kyma-project.io--api-gateway-allow",
        selects={"kyma-project.io/module": "api-gateway"},
        egress=[rule(port(443)), rule(block("0.0.0.0/0"), port(53, UDP), port(53))],
        ingress=[
            rule(namespaces(), port(9443)),
            rule(labelled("metrics-scraping"), anywhere(IS_MODULE), port(8080)),
        ],
    ),
    *(
        policy(f"kyma-system/kyma-project.io--scraper-{number}", selects=peer.pod_selector, egress=[rule()])
        for number, peer in enumerate(SCRAPERS)
    ),
]
"""What Kyma's istio and api-gateway modules write when `spec.networkPoliciesEnabled` is set, and that
scrapers may go anywhere, as Kyma's telemetry module has it. Source: kyma-project/istio 1.30.0
internal/reconciliations/istioresources/networkpolicies; kyma-project/api-gateway 3.10.0
internal/networkpolicy."""
