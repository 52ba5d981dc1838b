"""The chart's values for an environment, as the table of platform facts has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from typing import Any

import yaml

from istio_netpol.platforms.environments import Dial, Environment, PodSelection

HEADER = """\
# {title}: values of the chart, from the table of platform facts (docs/platforms.md).
"""
CHART_DEFAULT = {"k8s-app": "kube-dns"}
CALLERS_VARY = ("aks", "gke")
"""Where the agents' packets may have a node's address, or there are no agents: a peer would cut them off."""

OF_ONE_ENVIRONMENT: dict[str, dict[str, Any]] = {
    "aks": {"admission": {"annotations": {"admissions.enforcer/disabled": "true"}}},
    "openshift": {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}},
}
"""AKS's enforcer would rewrite our selectors, which leave kube-system out themselves; restricted-v2 assigns
ids."""


def values_text(environment: Environment) -> str:
    """The file of that environment."""
    policies = {"apiServer": _api_server(environment), "dns": _dns(environment)}
    values = {**OF_ONE_ENVIRONMENT.get(environment.id, {}), "networkPolicies": policies}
    remarks = "".join(f"# {remark}\n" for remark in _remarks(environment))
    return HEADER.format(title=environment.title) + remarks + yaml.safe_dump(values, sort_keys=False)


def _remarks(environment: Environment) -> Iterator[str]:
    """What differs between clusters, so that it is the user's to set."""
    if environment.api_server.dials is Dial.NAME:
        yield "Set networkPolicies.apiServer.hostCidrs to the addresses of KUBERNETES_SERVICE_HOST:"
        yield "until then any address is open on 443."
    else:
        by_service = "aws-vpc-cni" in environment.plugins
        known = "ClusterIP of Service" if by_service else "addresses of EndpointSlice"
        yield f"Set networkPolicies.apiServer.cidrs to the {known} default/kubernetes:"
        yield f"until then any address is open on {environment.api_server.port}."
    if environment.dns.asks_service_address:
        yield "Where pods ask the ClusterIP of cluster DNS itself, add that to networkPolicies.dns.cidrs."
    if environment.id in CALLERS_VARY:
        callers = [_caller(pods) for pods in environment.api_server.callers]
        yield "Where konnectivity's agents have addresses of pods, narrow who may call the webhook by"
        yield "networkPolicies.apiServer.callers:"
        yield from (f"- {yaml.safe_dump(caller, default_flow_style=True).strip()}" for caller in callers)


def _api_server(environment: Environment) -> dict[str, Any]:
    facts = environment.api_server
    found: dict[str, Any] = {"ports": [facts.port]}
    if facts.callers and environment.id not in CALLERS_VARY:
        found["callers"] = [_caller(caller) for caller in facts.callers]
    return found


def _caller(pods: PodSelection) -> dict[str, Any]:
    labels = {"namespaceLabels": dict(pods.namespace_labels)} if pods.namespace_labels else {}
    return {"namespace": pods.namespace, **labels, "podLabels": dict(pods.pod_labels)}


def _dns(environment: Environment) -> dict[str, Any]:
    facts = environment.dns
    addresses = (
        {"cidrs": [str(ip_network(address)) for address in facts.addresses]} if facts.addresses else {}
    )
    if not facts.pods:
        return {"pods": False, **addresses}
    return {**_pods(facts.pods), "ports": [facts.port], **addresses}


def _pods(selections: Sequence[PodSelection]) -> dict[str, Any]:
    cluster_dns, *node_local = selections
    labels: dict[str, str | None] = dict(cluster_dns.pod_labels)
    for key in CHART_DEFAULT.keys() - labels.keys():
        labels = {key: None, **labels}
    found: dict[str, Any] = {"namespace": cluster_dns.namespace, "podLabels": labels}
    for selection in node_local:
        assert selection.namespace == cluster_dns.namespace
        found["nodeLocalPodLabels"] = dict(selection.pod_labels)
    return found
