"""Finds out whether load balancers can check the health of gateways under the policies that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from istio_netpol.doctor.platform import recognised
from istio_netpol.doctor.survey import (
    Manifest,
    Survey,
    admits_port,
    as_selector,
    dig,
    labels_of,
    listed,
    name_of,
    namespace_of,
    selector_of,
)
from istio_netpol.kube.resources import NETWORK_POLICIES, PODS, SERVICES
from istio_netpol.model.diagnosis import Diagnosis, Health

TOPIC = "Gateways"
STATUS_PORT = 15021
"""The port on which gateways answer health checks (istio/istio manifests/charts/gateway/values.yaml)."""


def health_checks(survey: Survey) -> Iterator[Diagnosis]:
    """Each LoadBalancer Service with Istio's status port: whether policies let checks in on it."""
    found = recognised(survey)
    checks = found.environment.health_checks if found else ()
    for service in survey.all(SERVICES):
        ports = {dig(port, "port") for port in listed(dig(service, "spec", "ports"))}
        if dig(service, "spec", "type") == "LoadBalancer" and STATUS_PORT in ports:
            by = "; ".join(f"{check.by}, on {check.ports}" for check in checks)
            yield _of_service(survey, service, by)


def _of_service(survey: Survey, service: Manifest, by: str) -> Diagnosis:
    title = f"Service {namespace_of(service)}/{name_of(service)}"
    traffic = str(dig(service, "spec", "externalTrafficPolicy") or "Cluster")
    told = f"externalTrafficPolicy {traffic}"
    closed = _closed(survey, service)
    checked = f"checked by {by}" if by else "whoever checks it"
    if not closed:
        return Diagnosis(TOPIC, title, f"{told}; {STATUS_PORT} is open to health checks")
    return Diagnosis(
        TOPIC,
        title,
        f"{told}; {', '.join(closed)} closes {STATUS_PORT} to everybody outside of the cluster; {checked}",
        # kube-proxy answers the checks of a Service that keeps to its node (healthCheckNodePort).
        Health.WRONG if by and traffic == "Cluster" else Health.NOTE,
        "take the component health-checks into the overlay, on GKE health-checks-google, and beside the "
        "component gateway gateway-health-checks",
    )


def _closed(survey: Survey, service: Manifest) -> list[str]:
    """The policies that isolate the Service's pods while none lets anybody outside in on the status port."""
    namespace = namespace_of(service)
    selector = selector_of(service)
    pods = survey.all(PODS, namespace, as_selector(selector)) if selector else ()
    labels = labels_of(pods[0]) if pods else selector
    isolating = [policy for policy in survey.all(NETWORK_POLICIES, namespace) if _isolates(policy, labels)]
    rules = [rule for policy in isolating for rule in listed(dig(policy, "spec", "ingress"))]
    if any(map(_lets_in, rules)):
        return []
    return sorted(name_of(policy) for policy in isolating)


def _isolates(policy: Manifest, labels: Mapping[str, str]) -> bool:
    selector = dig(policy, "spec", "podSelector") or {}
    types = listed(dig(policy, "spec", "policyTypes")) or ["Ingress"]
    wanted = dig(selector, "matchLabels") or {}
    return "Ingress" in types and not dig(selector, "matchExpressions") and wanted.items() <= labels.items()


def _lets_in(rule: Manifest) -> bool:
    """Whether an ingress rule admits addresses, or everybody, on the status port."""
    peers, ports = listed(dig(rule, "from")), listed(dig(rule, "ports"))
    is_for_addresses = not peers or any(dig(peer, "ipBlock") is not None for peer in peers)
    return is_for_addresses and admits_port(ports, STATUS_PORT)
