"""`docs/platforms.md`, made from the tables of plugins and environments."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from istio_netpol.platforms.environments import ENVIRONMENTS, Dial, Environment, PodSelection
from istio_netpol.platforms.example_settings import example_settings
from istio_netpol.platforms.plugins import PLUGINS, HostNetworkPeers, NetworkPlugin
from istio_netpol.platforms.sources import FactSource

_INTRODUCTION = """\
# Platforms

Whether a NetworkPolicy lets a packet through depends on the network plugin, and what a policy has to open
depends on where the cluster comes from. This page is the table from which settings, `doctor` and the overlays
of the [bundle](bundle.md) take it, with the source of each row and the day on which it was read. No row was
tried on a cluster of that vendor.

The page is made from `istio_netpol/platforms`; `pytest tests/docs --update` writes it anew.

## Network plugins

The id is what [`network.plugin`](settings.md#network) is set to.

- **Judges**: whether the policy sees the address that a pod dials (*before* the Service's address is
  translated) or the endpoint that was chosen for it (*after*).
- **An ipBlock matches**: what it matches besides addresses outside of the cluster.
- **Peers in the host's network**: which peer matches the packets of hostNetwork pods, besides an ipBlock of
  their node.
- **Open connections**: whether they outlive a policy that denies new ones like them.
"""

_HEAD = (
    "| id | plugin | judges | an ipBlock matches | peers in the host's network | open connections | remark |",
    "|---|---|---|---|---|---|---|",
)
_HOST_PEERS = {
    HostNetworkPeers.NONE: "none",
    HostNetworkPeers.NODES: "a pod peer opens the pod's whole node",
    HostNetworkPeers.NAMESPACE: "the plugin's namespace for hosts",
}


def platforms_page() -> str:
    """The page, ending in a line break."""
    lines = [_INTRODUCTION, *_HEAD]
    lines += [_plugin_row(plugin) for plugin in PLUGINS]
    lines += ["", "Sources:", ""]
    lines += [line for plugin in PLUGINS for line in _sources(plugin.name, plugin.sources)]
    lines += ["", "## Environments", "", "The id is the name of the overlay.", ""]
    for environment in ENVIRONMENTS:
        lines += _environment(environment)
    return "\n".join(lines).rstrip("\n") + "\n"


def _plugin_row(plugin: NetworkPlugin) -> str:
    if not plugin.enforces:
        cells = [f"`{plugin.id}`", plugin.name, "does not enforce policies", "", "", "", plugin.remark]
        return f"| {' | '.join(cells)} |"
    matched = [
        what
        for what, matches in (("nodes", plugin.ip_blocks_match_nodes), ("pods", plugin.ip_blocks_match_pods))
        if matches
    ]
    cells = [
        f"`{plugin.id}`",
        plugin.name,
        str(plugin.judges),
        ", ".join(matched) or "neither nodes nor pods",
        _HOST_PEERS[plugin.host_network_peers],
        "survive" if plugin.keeps_connections else "are cut",
        plugin.remark,
    ]
    return f"| {' | '.join(cells)} |"


def _sources(subject: str, sources: tuple[FactSource, ...]) -> Iterator[str]:
    for source in sources:
        yield f"- {subject}: {source.text}. Read {source.read.isoformat()}."


def _environment(environment: Environment) -> Iterator[str]:
    yield f"### {environment.title}"
    yield ""
    facts = [
        ("overlay", f"`{environment.id}`"),
        ("network plugins", ", ".join(f"`{plugin}`" for plugin in environment.plugins)),
        *_api_server(environment),
        *_dns(environment),
        *(_health_check(environment)),
        ("remark", environment.remark),
    ]
    yield "| what | fact |"
    yield "|---|---|"
    yield from (f"| {what} | {fact} |" for what, fact in facts if fact)
    yield ""
    yield "Settings, with the usual plugin; names and addresses of single clusters are examples:"
    yield ""
    yield "```yaml"
    header = {"apiVersion": "istio-netpol.io/v1", "kind": "Settings"}
    yield yaml.safe_dump({**header, **example_settings(environment)}, sort_keys=False).rstrip("\n")
    yield "```"
    yield ""
    yield "Sources:"
    yield ""
    yield from _sources(environment.title, environment.sources)
    yield ""


def _api_server(environment: Environment) -> Iterator[tuple[str, str]]:
    facts = environment.api_server
    where = "nodes of the cluster" if facts.on_nodes else "outside of the cluster's nodes"
    yield "API server", f"endpoints on {facts.port}, {where}"
    dialled = {
        Dial.SERVICE: "the ClusterIP of Service `default/kubernetes`, 443",
        Dial.NAME: "the name in KUBERNETES_SERVICE_HOST, 443, after they asked DNS for it",
    }
    yield "pods dial", dialled[facts.dials]
    callers = " or ".join(_pods(selection) for selection in facts.callers)
    yield "webhooks are called from", callers or "addresses, not pods"
    yield "about the API server", facts.remark


def _dns(environment: Environment) -> Iterator[tuple[str, str]]:
    facts = environment.dns
    pods = ", ".join(_pods(selection) for selection in facts.pods)
    yield "DNS", f"{pods}; the pods of the Service listen on {facts.port}" if pods else "no pods"
    addresses = [f"`{address}`" for address in facts.addresses]
    if facts.asks_service_address:
        addresses.append("the Service's ClusterIP, untranslated")
    yield "DNS may answer at", ", ".join(addresses)
    yield "about DNS", facts.remark


def _health_check(environment: Environment) -> Iterator[tuple[str, str]]:
    for check in environment.health_checks:
        sources = f", from {', '.join(check.addresses)}" if check.addresses else ""
        yield "health checks", f"{check.by}: {check.ports}{sources}"


def _pods(selection: PodSelection) -> str:
    labels = ", ".join(f"`{key}: {value}`" for key, value in selection.pod_labels.items())
    marks = ", ".join(f"`{key}: {value}`" for key, value in selection.namespace_labels.items())
    doubt = "; sources contradict each other" if selection.is_disputed else ""
    return f"{labels} in {selection.namespace}{f' (labelled {marks})' if marks else ''}{doubt}"
