"""Compares the addresses at which DNS answers, where no pod's label names it, with the settings."""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.doctor.cluster_dns import NODE_CACHE, TOPIC, dns_service, local_addresses
from istio_netpol.doctor.platform import AUTO, COMPUTE_TYPE, recognised
from istio_netpol.doctor.survey import DAEMON_SETS, NODES, Survey, dig, labels_of, name_of
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings
from istio_netpol.platforms.environments import METADATA_ADDRESS

LOCAL_DNS = "kubernetes.azure.com/localdns-state"
"""Label of AKS's nodes, `enabled` where LocalDNS runs (Azure/karpenter-provider-azure)."""

LOCAL_DNS_ADDRESSES = ("169.254.10.10", "169.254.10.11")
"""MicrosoftDocs/azure-aks-docs articles/aks/localdns-custom.md (2026-07-06)."""


def dns_addresses(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """The addresses that pods ask and that are not a pod's: the Service's own, the node's, those of the
    provider's DNS."""
    yield from _service_address(survey, settings)
    yield from _auto_mode(survey, settings)
    yield from _local_dns(survey, settings)
    yield from _cloud_dns(survey, settings)


def _needed(
    looked_at: str,
    found: str,
    addresses: tuple[str, ...],
    settings: Settings,
    component: str = "dns-addresses",
) -> Diagnosis:
    """Whether the settings have these addresses."""
    missing = [address for address in addresses if address not in settings.dns.addresses]
    return Diagnosis(
        TOPIC,
        looked_at,
        found,
        Health.WRONG if missing else Health.OK,
        f"add {', '.join(missing)} to dns.addresses, and take the component {component} into the overlay"
        if missing
        else "",
    )


def _service_ip(survey: Survey) -> str:
    """The ClusterIP of cluster DNS; empty where the Service does not exist."""
    return str(dig(dns_service(survey), "spec", "clusterIP") or "")


def _service_address(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """A cache on the nodes that binds the Service's address: pods ask that, untranslated."""
    address = _service_ip(survey)
    for cache in survey.all(DAEMON_SETS):
        if NODE_CACHE in name_of(cache) and address and address in local_addresses(cache):
            found = f"binds the address of cluster DNS, {address}: pods ask it there, untranslated"
            yield _needed(f"DaemonSet {name_of(cache)}", found, (address,), settings, "dns-service")


def _auto_mode(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """EKS Auto Mode: the node answers at the address of cluster DNS, and no pod does."""
    nodes = survey.all(NODES)
    if not nodes or not all(labels_of(node).get(COMPUTE_TYPE) == AUTO for node in nodes):
        return
    looked_at, address = "EKS Auto Mode", _service_ip(survey)
    if settings.dns.pods:
        yield Diagnosis(
            TOPIC, looked_at, "no pod answers DNS, the node does", Health.WRONG, "set dns.pods to false"
        )
    if address:
        yield _needed(looked_at, f"DNS answers at {address}", (address,), settings, "dns-service-only")
    elif not settings.dns.addresses:
        yield Diagnosis(
            TOPIC,
            looked_at,
            "DNS answers at the tenth address of the Services' range",
            Health.WRONG,
            "name it in dns.addresses, 172.20.0.10 say: /etc/resolv.conf of a pod has it",
        )


def _local_dns(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """AKS LocalDNS."""
    count = sum(labels_of(node).get(LOCAL_DNS) == "enabled" for node in survey.all(NODES))
    if count:
        found = f"AKS LocalDNS on {count} nodes"
        yield _needed(f"Nodes with {LOCAL_DNS}", found, LOCAL_DNS_ADDRESSES, settings)


def _cloud_dns(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """GKE: nothing in the cluster says whether Cloud DNS serves it."""
    found = recognised(survey)
    if found is None or found.environment.id != "gke" or METADATA_ADDRESS in settings.dns.addresses:
        return
    yield Diagnosis(
        TOPIC,
        "Cloud DNS",
        f"answers at {METADATA_ADDRESS} where the cluster uses it, which nothing in it says",
        Health.NOTE,
        f"add {METADATA_ADDRESS} to dns.addresses if /etc/resolv.conf of a pod names it",
    )
