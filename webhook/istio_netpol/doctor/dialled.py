"""Compares what pods dial for the API server, and out of which pods it calls webhooks, with what is
configured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from istio_netpol.doctor.survey import (
    BUNDLE_SELECTOR,
    Manifest,
    Survey,
    as_selector,
    dig,
    listed,
    name_of,
    namespace_of,
)
from istio_netpol.kube.resources import NETWORK_POLICIES, NODES, PODS, SERVICES
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings
from istio_netpol.platforms.environments import KUBE_SYSTEM, WEBHOOK_CALLERS
from istio_netpol.platforms.kyma_workload import KYMA_NAMESPACE

TOPIC = "API server"
HOST = "KUBERNETES_SERVICE_HOST"
"""The variable by which client-go finds the API server. The kubelet sets it to the Service's address; a value
that a container sets itself, or gets from a webhook (Gardener, AKS), counts more."""

API_SERVER_HOST = "api-server-host"
"""The component that lets pods out to what they are told to dial."""

FROM_API_SERVER = "-from-apiserver"


def dialled_hosts(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Compares the value of KUBERNETES_SERVICE_HOST in the pods of the control plane with the setting."""
    looked_at = f"{HOST} in the control plane's pods"
    namespaces = sorted({settings.mesh.root_namespace, KYMA_NAMESPACE, settings.admission.own_namespace})
    pods = [pod for namespace in namespaces for pod in survey.all(PODS, namespace)]
    hosts = Counter(host for pod in pods for host in _hosts(pod))
    configured = settings.api_server.host
    if not pods:
        yield Diagnosis(TOPIC, looked_at, f"no pods in {', '.join(namespaces)}", Health.NOTE)
    elif not hosts:
        address = _service_address(survey)
        found = f"not set: they dial Service default/kubernetes, {address}:443"
        is_odd = bool(configured)
        remedy = (
            f"remove the setting apiServer.host ({configured}), unless pods elsewhere are told to dial it"
        )
        yield Diagnosis(
            TOPIC, looked_at, found, Health.NOTE if is_odd else Health.OK, remedy if is_odd else ""
        )
    for host, count in sorted(hosts.items()):
        text = f"{host} in {count} of {len(pods)} pods, which they dial instead of the Service"
        is_known = host == configured
        yield Diagnosis(
            TOPIC,
            looked_at,
            text,
            Health.OK if is_known else Health.NOTE,
            ""
            if is_known
            else f"set apiServer.host to {host}, and take the component {API_SERVER_HOST} into the overlay",
        )


def _hosts(pod: Manifest) -> set[str]:
    containers = (*listed(dig(pod, "spec", "containers")), *listed(dig(pod, "spec", "initContainers")))
    variables = (variable for container in containers for variable in listed(dig(container, "env")))
    return {
        str(dig(variable, "value"))
        for variable in variables
        if dig(variable, "name") == HOST and dig(variable, "value")
    }


def _service_address(survey: Survey) -> str:
    service = survey.named(SERVICES, "kubernetes", "default")
    return str(dig(service, "spec", "clusterIP") or "an unknown address")


def service_judged(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Whether settings know the Service's address, where policies are judged before address translation."""
    address, configured = _service_address(survey), settings.api_server.service_address
    is_known = configured in ("", address)
    yield Diagnosis(
        TOPIC,
        "Service default/kubernetes",
        f"{address}:443, which this network plugin judges instead of the endpoints",
        Health.OK if is_known else Health.WRONG,
        "" if is_known else f"set apiServer.serviceAddress to {address} instead of {configured}",
    )


def node_addresses(survey: Survey) -> frozenset[str]:
    """The addresses of all nodes."""
    return frozenset(
        str(dig(address, "address"))
        for node in survey.all(NODES)
        for address in listed(dig(node, "status", "addresses"))
    )


def webhook_callers(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """The pods of a tunnel out of which the API server calls, and whether the bundle lets them in."""
    found = [
        (caller, caller.pod_labels)
        for caller in WEBHOOK_CALLERS
        if survey.all(PODS, caller.namespace, as_selector(caller.pod_labels))
    ]
    if not found:
        if settings.api_server.callers:
            yield Diagnosis(
                TOPIC,
                "setting apiServer.callers",
                "names pods of a tunnel, and none that is known is there",
                Health.NOTE,
                "compare it with the pods of kube-system: webhooks are cut where it is wrong",
            )
        return
    for caller, labels in found:
        text = f"pods {caller.namespace}, {as_selector(labels)}: webhooks are called out of them"
        yield Diagnosis(
            TOPIC, "callers of webhooks", f"{text}, so an ipBlock of the API server matches nobody"
        )
    for policy in survey.all(NETWORK_POLICIES, "", BUNDLE_SELECTOR):
        if name_of(policy).endswith(FROM_API_SERVER):
            yield _lets_in(policy, [labels for _, labels in found])


def _lets_in(policy: Manifest, callers: list[Mapping[str, str]]) -> Diagnosis:
    title = f"NetworkPolicy {namespace_of(policy)}/{name_of(policy)}"
    rules = listed(dig(policy, "spec", "ingress"))
    closed = [labels for labels in callers if not any(_admits(rule, labels) for rule in rules)]
    if not closed:
        return Diagnosis(TOPIC, title, "lets the callers of webhooks in")
    names = " and ".join(map(as_selector, closed))
    return Diagnosis(
        TOPIC,
        title,
        f"does not let pods {names} of {KUBE_SYSTEM} in",
        Health.WRONG,
        "take the component webhook-callers-gardener, webhook-callers-gke or webhook-callers-aks into the "
        "overlay: the one of this platform",
    )


def _admits(rule: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether an ingress rule has no peers, or one that selects pods with these labels."""
    peers = listed(dig(rule, "from"))
    return not peers or any(
        dig(peer, "ipBlock") is None
        and dig(peer, "namespaceSelector") is not None
        and (dig(peer, "podSelector", "matchLabels") or {}).items() <= labels.items()
        for peer in peers
    )
