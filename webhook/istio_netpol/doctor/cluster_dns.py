"""Compares cluster DNS as pods reach it with the settings.

That is the Service with its pods and their port, caches on the nodes, and the addresses at which DNS answers
where no pod's label names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address

from istio_netpol.doctor.platform import AUTO, COMPUTE_TYPE, recognised
from istio_netpol.doctor.survey import (
    Manifest,
    Survey,
    as_selector,
    dig,
    labels_of,
    listed,
    name_of,
    namespace_of,
    selector_of,
)
from istio_netpol.kube.resources import DAEMON_SETS, NODES, PODS, SERVICES
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings
from istio_netpol.platforms.environments import METADATA_ADDRESS

TOPIC = "DNS"
NAMES = (("kube-system", "kube-dns"), ("openshift-dns", "dns-default"), ("kube-system", "coredns"))
"""The usual places of the Service: of kubeadm and the clouds, of OpenShift, of charts of CoreDNS."""

NODE_CACHE = "node-local-dns"
_FLAG = re.compile(r"^-{1,2}localip[= ]?(.*)$")


def cluster_dns(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Compares the pods that answer, their labels and port with the settings."""
    service = dns_service(survey)
    if service is None:
        yield Diagnosis(
            TOPIC,
            "Service kube-system/kube-dns",
            "is not there",
            Health.NOTE,
            "DNS is not a Service here (EKS Auto Mode, Cloud DNS): set dns.pods to false, and name its "
            "address in dns.addresses",
        )
    else:
        yield from _of_service(survey, service, settings)


def dns_service(survey: Survey) -> Manifest | None:
    """The Service of cluster DNS; None where no Service has a usual name."""
    services = (survey.named(SERVICES, name, namespace) for namespace, name in NAMES)
    return next((service for service in services if service is not None), None)


def _of_service(survey: Survey, service: Manifest, settings: Settings) -> Iterator[Diagnosis]:
    namespace = namespace_of(service)
    title = f"Service {namespace}/{name_of(service)}"
    selector = selector_of(service)
    if not selector:
        yield Diagnosis(
            TOPIC, title, "selects no pods", Health.NOTE, "allow DNS by the addresses of its endpoints"
        )
        return
    labels = as_selector(selector)
    pods = survey.all(PODS, namespace, labels)
    ports = sorted(
        {port for entry in listed(dig(service, "spec", "ports")) for port in _targets(entry, pods)}
    )
    running = [pod for pod in pods if dig(pod, "status", "phase") in (None, "Running")]
    found = f"pods {namespace}, {labels}, port {', '.join(map(str, ports)) or 'unknown'}"
    if not running and not settings.dns.pods:
        yield Diagnosis(TOPIC, title, "no pod answers, as the setting dns.pods has it")
        return
    if not running:
        yield Diagnosis(
            TOPIC, title, f"no running pod has {labels}", Health.WRONG, "no name resolves: look at CoreDNS"
        )
        return
    yield Diagnosis(TOPIC, title, found)
    yield from _compared(settings, title, namespace, labels, pods, ports)


def _compared(
    settings: Settings,
    title: str,
    namespace: str,
    labels: str,
    pods: Sequence[Manifest],
    ports: Sequence[int],
) -> Iterator[Diagnosis]:
    """Where the settings say something else of the pods that answer."""
    wanted = settings.dns
    differs = [
        *([f"dns.namespace: {namespace}"] if wanted.namespace != namespace else ()),
        *([f"dns.labels: {{{labels.replace('=', ': ')}}}"] if _differ(wanted.labels, pods) else ()),
        *([f"dns.port: {ports[0]}"] if ports and wanted.port not in ports else ()),
    ]
    if differs:
        yield Diagnosis(
            TOPIC,
            "settings dns",
            f"{wanted.namespace}, {as_selector(wanted.labels)}, port {wanted.port}",
            Health.NOTE,
            f"set {'; '.join(differs)}: it counts where an input holds no {title}",
        )


def _differ(labels: Mapping[str, str], pods: Sequence[Manifest]) -> bool:
    return any(not labels.items() <= labels_of(pod).items() for pod in pods)


def _targets(entry: Manifest, pods: Sequence[Manifest]) -> Iterator[int]:
    """The ports of the pods on which DNS is answered, for one port of the Service."""
    if dig(entry, "port") != 53:
        return
    target = dig(entry, "targetPort") or 53
    if isinstance(target, int):
        yield target
        return
    for pod in pods:
        for container in listed(dig(pod, "spec", "containers")):
            for port in listed(dig(container, "ports")):
                if dig(port, "name") == target:
                    yield int(dig(port, "containerPort") or 0)


def node_cache(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Whether the settings name the address at which a cache on the nodes answers."""
    configured = settings.dns.node_local_address
    caches = [daemon_set for daemon_set in survey.all(DAEMON_SETS) if NODE_CACHE in name_of(daemon_set)]
    if not caches:
        if configured:
            yield Diagnosis(
                TOPIC,
                "setting dns.nodeLocalAddress",
                f"{configured}, and no DaemonSet is called {NODE_CACHE}",
                Health.NOTE,
                "remove the setting unless something else answers there (AKS LocalDNS, Cloud DNS)",
            )
        return
    for cache in caches:
        yield _of_cache(cache, configured)


def _of_cache(cache: Manifest, configured: str) -> Diagnosis:
    """Whether the address that is configured is one of the cache's."""
    title = f"DaemonSet {namespace_of(cache)}/{name_of(cache)}"
    addresses = list(_local_addresses(cache))
    if not dig(cache, "spec", "template", "spec", "hostNetwork"):
        found = "NodeLocal DNSCache in pods of its own: allow DNS to k8s-app: node-local-dns too"
        return Diagnosis(TOPIC, title, found)
    if configured and configured in addresses:
        return Diagnosis(TOPIC, title, f"NodeLocal DNSCache at {', '.join(addresses)}")
    return Diagnosis(
        TOPIC,
        title,
        f"NodeLocal DNSCache at {', '.join(addresses) or 'an unknown address'}, "
        f"and the setting dns.nodeLocalAddress is {configured or 'empty'}",
        Health.WRONG,
        f"set dns.nodeLocalAddress to {addresses[0] if addresses else 'its address'}, and take the "
        "component node-local-dns into the overlay",
    )


def _local_addresses(cache: Manifest) -> Iterator[str]:
    """The addresses after `-localip`, link-local ones first."""
    for container in listed(dig(cache, "spec", "template", "spec", "containers")):
        arguments = [
            str(word) for word in (*listed(dig(container, "command")), *listed(dig(container, "args")))
        ]
        for index, argument in enumerate(arguments):
            found = _FLAG.match(argument)
            if found:
                text = found[1] or next(iter(arguments[index + 1 :]), "")
                yield from sorted(filter(_is_address, text.split(",")), key=_is_routed)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_routed(text: str) -> bool:
    return not ip_address(text).is_link_local


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
        if NODE_CACHE in name_of(cache) and address and address in _local_addresses(cache):
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
