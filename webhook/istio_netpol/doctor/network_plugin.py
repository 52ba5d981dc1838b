"""Recognises the network plugin by what it installs, and compares it with the settings.

Whether it enforces NetworkPolicies comes first; then whether the settings have policies judged as it does.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.doctor.dialled import node_addresses
from istio_netpol.doctor.platform import AUTO, COMPUTE_TYPE
from istio_netpol.doctor.survey import (
    Manifest,
    NotSeenError,
    Survey,
    dig,
    labels_of,
    listed,
    name_of,
    namespace_of,
)
from istio_netpol.kube.resources import CONFIG_MAPS, DAEMON_SETS, ENDPOINT_SLICES, NODES
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings, Translation
from istio_netpol.platforms.plugins import (
    AWS_VPC_CNI,
    CILIUM,
    CILIUM_MATCHING_NODES,
    KUBE_ROUTER,
    PLUGINS,
    PLUGINS_BY_ID,
    NetworkPlugin,
)

TOPIC = "Network plugin"
AWS_AGENTS = ("aws-eks-nodeagent", "aws-network-policy-agent")
"""The container of aws-node that enforces, by the names of the add-on and of the chart."""

AWS_SWITCH = "enable-network-policy-controller"
MATCH_MODE = "policy-cidr-match-mode"
"""Of the ConfigMap cilium-config (cilium/cilium Documentation/security/policy/layer3.rst, 1.19)."""

AZURE_DATAPLANE = "kubernetes.azure.com/ebpf-dataplane"
"""Label of AKS's nodes, by which its Cilium chooses them (Azure/karpenter-provider-azure)."""


def network_plugin(survey: Survey) -> Iterator[Diagnosis]:
    """Tells each plugin that is found, and whether any of them enforces."""
    found = list(found_plugins(survey))
    for plugin, title in found:
        health = Health.OK if plugin.enforces or len(found) > 1 else Health.WRONG
        text = f"{plugin.name}, which {'enforces' if plugin.enforces else 'does not enforce'} NetworkPolicies"
        peculiar = "; ".join(plugin.peculiarities)
        yield Diagnosis(
            TOPIC,
            title,
            f"{text}: {peculiar}" if peculiar else text,
            health,
            "" if health is Health.OK else _INSTALL,
        )
    if not found:
        yield Diagnosis(
            TOPIC,
            "DaemonSets",
            "none of a plugin that is known",
            Health.NOTE,
            "ask its makers whether it enforces NetworkPolicies, or find out with --probe",
        )
    elif not any(plugin.enforces for plugin, _ in found):
        yield Diagnosis(TOPIC, "enforcement", "no plugin enforces NetworkPolicies", Health.WRONG, _INSTALL)


_INSTALL = "install a plugin that does, or add one for policies alone (Calico, kube-network-policies)"


def found_plugins(survey: Survey) -> Iterator[tuple[NetworkPlugin, str]]:
    """Each plugin that is there, as it is set up, and what shows it. Raises NotSeenError."""
    by_name: dict[str, Manifest] = {name_of(daemon_set): daemon_set for daemon_set in survey.all(DAEMON_SETS)}
    for plugin in PLUGINS:
        manifest = next((by_name[name] for name in plugin.daemon_sets if name in by_name), None)
        if manifest is None:
            continue
        title = f"DaemonSet {namespace_of(manifest)}/{name_of(manifest)}"
        yield _set_up(plugin, survey, manifest), title
    if not any(name in by_name for plugin in PLUGINS for name in plugin.daemon_sets):
        yield from _embedded(survey)


def _set_up(plugin: NetworkPlugin, survey: Survey, manifest: Manifest) -> NetworkPlugin:
    """The plugin as its own settings make it."""
    if plugin.id == AWS_VPC_CNI:
        return _aws(survey, manifest)
    if plugin.id != CILIUM:
        return plugin
    try:
        return _cilium_as_set_up(survey)
    except NotSeenError as error:
        return replace(plugin, remark=f"{plugin.remark}; how it is set up is not seen ({error})")


def _cilium_as_set_up(survey: Survey) -> NetworkPlugin:
    """Cilium by its ConfigMap and by who runs it: AKS labels the nodes with the dataplane. Raises
    NotSeenError."""
    settings = survey.named(CONFIG_MAPS, "cilium-config", "kube-system")
    if "nodes" in str(dig(settings, "data", MATCH_MODE) or "").split():
        return PLUGINS_BY_ID[CILIUM_MATCHING_NODES]
    is_azure = any(labels_of(node).get(AZURE_DATAPLANE) == "cilium" for node in survey.all(NODES))
    return PLUGINS_BY_ID["azure-cilium" if is_azure else CILIUM]


def _embedded(survey: Survey) -> Iterator[tuple[NetworkPlugin, str]]:
    """k3s carries flannel and kube-router in its own process, nodes of EKS Auto Mode the VPC CNI."""
    nodes = survey.all(NODES)
    if nodes and all(labels_of(node).get(COMPUTE_TYPE) == AUTO for node in nodes):
        yield _auto_mode(survey), f"nodes with {COMPUTE_TYPE}={AUTO}"
        return
    version = str(dig(nodes[0], "status", "nodeInfo", "kubeletVersion") or "") if nodes else ""
    if "+k3s" in version:
        yield (
            replace(
                PLUGINS_BY_ID[KUBE_ROUTER],
                name="kube-router within k3s",
                remark="unless k3s runs with --disable-network-policy",
            ),
            f"kubelet {version}",
        )


def _auto_mode(survey: Survey) -> NetworkPlugin:
    """The VPC CNI of EKS Auto Mode enforces where a ConfigMap says so."""
    settings = survey.named(CONFIG_MAPS, "amazon-vpc-cni", "kube-system")
    is_on = dig(settings, "data", AWS_SWITCH) == "true"
    advice = f'ConfigMap kube-system/amazon-vpc-cni has to say {AWS_SWITCH}: "true"'
    remark = "the NodeClass has to have networkPolicy, too" if is_on else advice
    return replace(PLUGINS_BY_ID[AWS_VPC_CNI], enforces=is_on, remark=remark)


def _aws(survey: Survey, manifest: Manifest) -> NetworkPlugin:
    """aws-node enforces where its policy agent runs and is switched on."""
    containers = listed(dig(manifest, "spec", "template", "spec", "containers"))
    agent = next((container for container in containers if dig(container, "name") in AWS_AGENTS), None)
    arguments = [str(argument) for argument in listed(dig(agent, "args"))]
    is_on = "--enable-network-policy=true" in arguments
    settings = survey.named(CONFIG_MAPS, "amazon-vpc-cni", "kube-system")
    is_on = is_on or dig(settings, "data", AWS_SWITCH) == "true"
    remark = (
        "rules need 443 of the Service kubernetes, too"
        if agent and is_on
        else "its network policy agent is not switched on (enable-network-policy)"
    )
    return replace(PLUGINS_BY_ID[AWS_VPC_CNI], enforces=bool(agent and is_on), remark=remark)


def plugin_settings(survey: Survey, settings: Settings) -> Iterator[Diagnosis]:
    """Whether `network.plugin` names the plugin that enforces, and what follows for the API server."""
    plugin = next((candidate for candidate, _ in found_plugins(survey) if candidate.enforces), None)
    if plugin is None:
        return
    if plugin.id == CILIUM:
        plugin = _cilium_as_set_up(survey)
    yield _named(plugin, settings)
    yield from _on_nodes(survey, plugin, settings)


def _named(plugin: NetworkPlugin, settings: Settings) -> Diagnosis:
    configured, looked_at = settings.network.plugin, "setting network.plugin"
    if configured == plugin.id:
        return Diagnosis(TOPIC, looked_at, configured)
    if configured:
        return Diagnosis(
            TOPIC,
            looked_at,
            f"{configured}, and {plugin.name} is there",
            Health.WRONG,
            f"set network.plugin to {plugin.id}: policies are judged as that plugin does",
        )
    is_usual = (
        plugin.judges is Translation.AFTER and plugin.ip_blocks_match_nodes and plugin.ip_blocks_match_pods
    )
    return Diagnosis(
        TOPIC,
        looked_at,
        "empty: policies are judged after address translation, and an ipBlock matches any address",
        Health.OK if is_usual else Health.NOTE,
        "" if is_usual else f"set network.plugin to {plugin.id}, which judges otherwise",
    )


def _on_nodes(survey: Survey, plugin: NetworkPlugin, settings: Settings) -> Iterator[Diagnosis]:
    """Whether the API server runs on nodes, which ipBlocks do not match with every plugin."""
    slices = survey.all(ENDPOINT_SLICES, "default", "kubernetes.io/service-name=kubernetes")
    addresses = {
        str(address)
        for endpoint_slice in slices
        for endpoint in listed(endpoint_slice.get("endpoints"))
        for address in listed(dig(endpoint, "addresses"))
    }
    on_nodes = sorted(addresses & node_addresses(survey))
    if not on_nodes:
        return
    looked_at, found = "API server", f"runs on nodes of the cluster ({', '.join(on_nodes)})"
    if not plugin.ip_blocks_match_nodes:
        yield Diagnosis(
            TOPIC,
            looked_at,
            f"{found}, which no ipBlock matches with {plugin.name}",
            Health.WRONG,
            "set policy-cidr-match-mode: nodes in cilium-config, or take the component "
            "cilium-api-server into the overlay, which has a CiliumNetworkPolicy for the entity",
        )
    elif not settings.api_server.on_nodes:
        yield Diagnosis(TOPIC, looked_at, found, Health.NOTE, "set apiServer.onNodes to true")
