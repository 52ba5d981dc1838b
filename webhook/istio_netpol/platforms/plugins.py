"""The network plugins: against what they judge a policy, and whom an ipBlock matches.

"Cluster ingress and egress mechanisms often require rewriting the source or destination IP of packets. In
cases where this happens, it is not defined whether this happens before or after NetworkPolicy processing"
(Kubernetes, NetworkPolicy, "Behavior of to and from selectors"): so each plugin defines it.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.settings import Translation
from istio_netpol.platforms.sources import FactSource, looked_up, surveyed


class HostNetworkPeers(StrEnum):
    """Which peers match the packets of pods in the host's network, besides an ipBlock of their node."""

    NONE = "none"
    """No pod selector matches them."""

    NODES = "nodes"
    """A pod selector that matches such a pod opens its whole node."""

    NAMESPACE = "namespace"
    """A namespaceSelector of the plugin's own namespace for hosts, with an empty podSelector."""


class NetworkPlugin(Struct, frozen=True):
    """A plugin, and how it reads a NetworkPolicy."""

    id: str
    name: str
    daemon_sets: tuple[str, ...]
    """By which it is known; empty where nothing but its settings tells it apart from another one."""

    sources: tuple[FactSource, ...]
    enforces: bool = True
    judges: Translation = Translation.AFTER
    """Whether it sees the address that a pod dials, or that of the endpoint that was chosen for it."""

    ip_blocks_match_nodes: bool = True
    ip_blocks_match_pods: bool = True
    host_network_peers: HostNetworkPeers = HostNetworkPeers.NONE
    keeps_connections: bool = True
    """Whether open connections outlive a policy that denies new ones like them."""

    remark: str = ""
    """What else has to be known of it, as a clause."""

    variant_of: str = ""
    """The id of the plugin whose DaemonSet it runs as, set up in another way; empty for most."""

    @property
    def peculiarities(self) -> tuple[str, ...]:
        """How it differs from what the Kubernetes documentation lets one expect, its remark last."""
        if not self.enforces:
            return (self.remark,) if self.remark else ()
        unmatched = [
            f"no {what}"
            for what, matches in (
                ("pods", self.ip_blocks_match_pods),
                ("nodes", self.ip_blocks_match_nodes),
            )
            if not matches
        ]
        clauses = (
            "policies are judged before address translation" if self.judges is Translation.BEFORE else "",
            f"ipBlocks match {' and '.join(unmatched)}" if unmatched else "",
            "" if self.keeps_connections else "open connections are cut",
            self.remark,
        )
        return tuple(clause for clause in clauses if clause)


_CILIUM_SOURCES = looked_up(
    'cilium/cilium Documentation/security/policy/layer3.rst, "Selecting nodes with CIDR / ipBlock" (1.19)'
) + surveyed(
    "cilium/cilium#20550; cilium/cilium#2700 and #3605 (policy is consulted for each packet)",
)

CILIUM = "cilium"
CILIUM_MATCHING_NODES = "cilium-nodes"
AWS_VPC_CNI = "aws-vpc-cni"
KUBE_ROUTER = "kube-router"

PLUGINS = (
    NetworkPlugin(
        "gke-dataplane-v2",
        "GKE Dataplane V2",
        ("anetd",),
        surveyed("jupyterhub/zero-to-jupyterhub-k8s#3167 (2023)", "what it is made of: Cilium"),
        ip_blocks_match_nodes=False,
        ip_blocks_match_pods=False,
        keeps_connections=False,
        remark="reports about nodes contradict each other: nothing should hang on an ipBlock of theirs",
    ),
    NetworkPlugin(
        CILIUM,
        "Cilium",
        ("cilium",),
        _CILIUM_SOURCES,
        ip_blocks_match_nodes=False,
        ip_blocks_match_pods=False,
        keeps_connections=False,
        remark="an API server that runs on nodes takes `policy-cidr-match-mode: nodes`, or a "
        "CiliumNetworkPolicy with entity kube-apiserver",
    ),
    NetworkPlugin(
        CILIUM_MATCHING_NODES,
        "Cilium with policy-cidr-match-mode: nodes",
        (),
        _CILIUM_SOURCES
        + surveyed("gardener/gardener-extension-networking-cilium v1.48 charts, configmap.yaml (sets it)"),
        ip_blocks_match_pods=False,
        keeps_connections=False,
        remark="the mode is beta since Cilium 1.15",
        variant_of=CILIUM,
    ),
    NetworkPlugin(
        "azure-cilium",
        "Azure CNI powered by Cilium",
        (),
        surveyed(
            "MicrosoftDocs/azure-aks-docs articles/aks/azure-cni-powered-by-cilium.md (2026-08-05): ipBlocks "
            "match no pods and no nodes, and cilium-config may not be changed"
        ),
        ip_blocks_match_nodes=False,
        ip_blocks_match_pods=False,
        keeps_connections=False,
        remark="its DaemonSet is Cilium's",
        variant_of=CILIUM,
    ),
    NetworkPlugin(
        "calico",
        "Calico",
        ("calico-node", "canal"),
        surveyed(
            "projectcalico/calico 87c1590 felix/rules (filter table) and felix/bpf-gpl/tc.c "
            "(post_nat_ip_dst)",
            "tigera/docs f2a2762 protect-hosts.mdx, calico-network-policy.mdx; projectcalico/calico#6399",
        ),
        remark="in all of its dataplanes",
    ),
    NetworkPlugin(
        "antrea",
        "Antrea",
        ("antrea-agent",),
        surveyed("antrea-io/antrea v2.7.0 docs/antrea-network-policy.md, pkg/controller crd_utils.go"),
    ),
    NetworkPlugin(
        "ovn-kubernetes",
        "OVN-Kubernetes",
        ("ovnkube-node", "ovnkube-node-dpu"),
        surveyed(
            "ovn-kubernetes/ovn-kubernetes 8871cd9 docs/design/acls.md (apply-after-lb)",
            "kubernetes-sigs/network-policy-api#305 (open connections)",
        ),
        host_network_peers=HostNetworkPeers.NAMESPACE,
        keeps_connections=False,
        remark="the peer of hosts is the namespace label `policy-group.network.openshift.io/host-network` "
        "with `podSelector: {}` (OpenShift)",
    ),
    NetworkPlugin(
        "azure-npm",
        "Azure Network Policy Manager",
        ("azure-npm",),
        surveyed(
            "Azure/azure-container-networking cbd7560 npm/ (chain-management_linux.go, podController.go)",
            "MicrosoftDocs/azure-aks-docs migrate-from-npm-to-cilium-network-policy.md (2025-07-30)",
        ),
        remark="judges nothing between a pod and its own node",
    ),
    NetworkPlugin(
        KUBE_ROUTER,
        "kube-router",
        ("kube-router",),
        surveyed("cloudnativelabs/kube-router 7c2c277 npc_iptables.go, pod.go; k3s-io/k3s#10342"),
        remark="k3s and k3d have it within their own process",
    ),
    NetworkPlugin(
        "weave",
        "Weave",
        ("weave-net",),
        surveyed("weaveworks/weave docs/weavenpc-design.md, npc/analyser.go (2022-11-23)"),
        remark="refuses policies with named ports; the project has ended",
    ),
    NetworkPlugin(
        "kindnet",
        "kindnet",
        ("kindnet",),
        surveyed(
            "kubernetes-sigs/kube-network-policies v1.1.1 pkg/dataplane/controller.go",
            "kubernetes-sigs/kind fed2688 images/kindnetd; kubernetes-sigs/kind#842",
        ),
        remark="enforces policies since kind 0.24; images before mid-2026 judge nothing between a pod "
        "and its "
        "own node",
    ),
    NetworkPlugin(
        "kube-network-policies",
        "kube-network-policies",
        ("kube-network-policies",),
        surveyed("kubernetes-sigs/kube-network-policies v1.1.1 (strict-mode is its default)"),
        keeps_connections=False,
    ),
    NetworkPlugin(
        "flannel",
        "flannel",
        ("kube-flannel-ds", "kube-flannel"),
        surveyed("flannel-io/flannel README.md"),
        enforces=False,
    ),
    NetworkPlugin(
        "azure-cni",
        "Azure CNI",
        ("azure-cni", "azure-cns"),
        surveyed("MicrosoftDocs/azure-aks-docs articles/aks/use-network-policies.md"),
        enforces=False,
    ),
    NetworkPlugin(
        AWS_VPC_CNI,
        "AWS VPC CNI",
        ("aws-node",),
        looked_up(
            "aws/amazon-network-policy-controller-k8s v1.1.7 pkg/resolvers/endpoints.go "
            "(getMatchingServiceClusterIPs)"
        )
        + surveyed(
            "aws/aws-network-policy-agent v1.4.1 pkg/ebpf/c/tc.v4egress.bpf.c, fw_rule_processor.go; "
            "issue #146 of the controller (except ranges)",
        ),
        judges=Translation.BEFORE,
        host_network_peers=HostNetworkPeers.NODES,
        keeps_connections=False,
        remark="a pod peer admits the ClusterIP of a Service whose own selector satisfies it; an except "
        "range "
        "denies for every broader rule of the pod",
    ),
)
"""In the order in which `doctor` looks for them."""

PLUGINS_BY_ID = {plugin.id: plugin for plugin in PLUGINS}
