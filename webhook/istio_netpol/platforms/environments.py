"""The environments that clusters come from: how their pods reach API server and DNS, and who reaches them.

The id of an environment is the name of its overlay in the kustomize bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from istio_netpol.platforms.sources import FactSource, looked_up, surveyed

KUBE_SYSTEM = "kube-system"
NODE_LOCAL_ADDRESS = "169.254.20.10"
"""Where node-local-dns answers unless its own arguments say otherwise."""

METADATA_ADDRESS = "169.254.169.254"
"""The metadata server of Google, AWS and Azure, which serves credentials on 80; Cloud DNS answers on 53."""

NODE_LOCAL_DNS_LABELS = {"k8s-app": "node-local-dns"}


GARDENER_OPT_OUT = ("apiserver-proxy.networking.gardener.cloud/inject", "disable")
"""The label of pods and namespaces in which Gardener does not set KUBERNETES_SERVICE_HOST."""

AKS_HOST_ANNOTATION = "kubernetes.azure.com/set-kube-service-host-fqdn"
"""The annotation of pods in which AKS sets KUBERNETES_SERVICE_HOST, as it does in kube-system and
gatekeeper-system."""


class Dial(StrEnum):
    """The address that a pod connects to in order to reach the API server."""

    SERVICE = "service"
    """The ClusterIP of Service default/kubernetes, which becomes one of its endpoints."""

    NAME = "name"
    """What KUBERNETES_SERVICE_HOST is set to in every container: a DNS name outside of the cluster."""


class PodSelection(Struct, frozen=True):
    """Pods by their labels in a namespace by its name or by its labels."""

    pod_labels: Mapping[str, str]
    namespace: str = KUBE_SYSTEM
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Which the namespace must carry as well."""

    is_disputed: bool = False
    """Whether sources contradict each other about it."""


class ApiServerFacts(Struct, frozen=True):
    """The API server of an environment, as its pods reach it."""

    port: int
    """Of its endpoints, behind the Service's 443."""

    dials: Dial = Dial.SERVICE
    on_nodes: bool = False
    """Whether its endpoints are nodes of the cluster."""

    callers: tuple[PodSelection, ...] = ()
    """The pods out of which it calls webhooks; empty where it calls them from addresses."""

    remark: str = ""


class DnsFacts(Struct, frozen=True):
    """Cluster DNS of an environment."""

    pods: tuple[PodSelection, ...] = (PodSelection({"k8s-app": "kube-dns"}),)
    """That answer; empty where no pod does."""

    port: int = 53
    """The pods' own."""

    addresses: tuple[str, ...] = ()
    """At which DNS answers on port 53 where the cluster is set up so."""

    asks_service_address: bool = False
    """Whether pods may ask the ClusterIP of the Service, untranslated."""

    remark: str = ""


class HealthCheck(Struct, frozen=True):
    """A load balancer's check that reaches the gateway's pods."""

    by: str
    ports: str
    addresses: tuple[str, ...] = ()
    """It comes from; empty where only the cluster's administrators know."""


class Environment(Struct, frozen=True):
    """An environment, and what its clusters have in common."""

    id: str
    title: str
    plugins: tuple[str, ...]
    """Ids of the plugins that its clusters have, the usual one first."""

    api_server: ApiServerFacts
    sources: tuple[FactSource, ...]
    dns: DnsFacts = field(default_factory=DnsFacts)
    health_checks: tuple[HealthCheck, ...] = ()
    services: str = ""
    """The usual range of its Services' addresses, where settings have to name one of them."""

    remark: str = ""


VPN_SHOOT = PodSelection({"app": "vpn-shoot"}, namespace_labels={"gardener.cloud/purpose": KUBE_SYSTEM})
"""Gardener: the API server reaches the cluster's network through these pods."""

KONNECTIVITY_OF_GKE = PodSelection({"k8s-app": "konnectivity-agent"})
KONNECTIVITY_OF_AKS = PodSelection({"app": "konnectivity-agent"}, is_disputed=True)

_GARDENER = Environment(
    "gardener",
    "Gardener",
    ("calico", "cilium-nodes"),
    ApiServerFacts(
        443,
        Dial.NAME,
        callers=(VPN_SHOOT,),
        remark="a webhook sets KUBERNETES_SERVICE_HOST, unless pod or namespace has the label "
        "`apiserver-proxy.networking.gardener.cloud/inject: disable`; such pods dial the EndpointSlice's "
        "address in 240.0.0.0/8 (64:ff9b:1::/48). The name's addresses are those of the seed's load "
        "balancer, "
        "which change when the control plane moves",
    ),
    looked_up(
        "gardener/gardener docs/usage/networking/shoot_kubernetes_service_host_injection.md",
        'gardener/gardener docs/operations/network_policies.md, "Webhook Servers in Shoot Clusters"',
    )
    + surveyed(
        "gardener/gardener v1.149 pkg/component/gardener/resourcemanager/resource_manager.go",
        "gardener/gardener v1.149 pkg/gardenlet/operation/botanist/kubeapiserverexposure.go, "
        "nodelocaldns.go, pkg/component/networking/coredns",
    ),
    DnsFacts(
        (PodSelection({"k8s-app": "kube-dns"}), PodSelection(NODE_LOCAL_DNS_LABELS)),
        8053,
        (NODE_LOCAL_ADDRESS, "fd30:1319:f1e:230b::1"),
        asks_service_address=True,
        remark="node-local DNS is optional: with Calico and kube-proxy in iptables mode it answers at the "
        "Service's ClusterIP, in IPVS mode at the link-local address; with Cilium it is pods that listen "
        "on 53",
    ),
)

_EKS = Environment(
    "eks",
    "Amazon EKS",
    ("aws-vpc-cni", "calico", "cilium"),
    ApiServerFacts(
        443,
        remark="the VPC CNI judges the Service's ClusterIP on 443; the addresses of the endpoints change "
        "with "
        "every upgrade. Webhooks are called from the cluster's subnets",
    ),
    surveyed(
        "aws/amazon-network-policy-controller-k8s v1.1.7 pkg/resolvers/endpoints.go",
        "aws/aws-network-policy-agent#281 (control plane addresses)",
        "kubernetes-sigs/aws-load-balancer-controller#1830, #1831; istio/istio manifests/charts/gateway",
    ),
    DnsFacts(addresses=(NODE_LOCAL_ADDRESS,), remark="node-local DNS is an add-on of the cluster's owner"),
    (
        HealthCheck("Classic Load Balancer, through a NodePort", "15021, the Service's first port"),
        HealthCheck("Network Load Balancer, from its subnets", "the target group's port"),
    ),
    services="172.20.0.0/16",
    remark="policies are enforced once the add-on has `enableNetworkPolicy: true`",
)

ENVIRONMENTS = (
    Environment(
        "generic",
        "Own machines (kubeadm and alike)",
        ("calico", "cilium", "antrea", "kube-router", "weave", "kube-network-policies"),
        ApiServerFacts(6443, on_nodes=True),
        surveyed("https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/ (Kubernetes 1.36)"),
        DnsFacts(
            addresses=(NODE_LOCAL_ADDRESS,),
            asks_service_address=True,
            remark="node-local DNS is optional; with kube-proxy in iptables mode it answers at the Service's "
            "ClusterIP",
        ),
    ),
    Environment(
        "kind",
        "kind",
        ("kindnet", "calico", "cilium"),
        ApiServerFacts(6443, on_nodes=True),
        surveyed("kubernetes-sigs/kind fed2688", "kubernetes-sigs/kube-network-policies v1.1.1"),
        remark="a cluster of one node proves nothing about the API server with images before mid-2026",
    ),
    Environment(
        "k3d",
        "k3s and k3d",
        ("kube-router", "calico", "cilium"),
        ApiServerFacts(6443, on_nodes=True),
        surveyed(
            "k3s-io/k3s pkg/cloudprovider/servicelb.go; k3s-io/klipper-lb entry",
            "cloudnativelabs/kube-router 7c2c277; k3s-io/k3s#10342",
        ),
        health_checks=(HealthCheck("ServiceLB: pods svclb-* of kube-system masquerade", "all"),),
    ),
    _GARDENER,
    _EKS,
    replace(
        _EKS,
        id="eks-auto",
        title="Amazon EKS Auto Mode",
        plugins=("aws-vpc-cni",),
        dns=DnsFacts(
            (),
            asks_service_address=True,
            remark="DNS is a service of the node and answers at the tenth address of the Services' range",
        ),
        sources=_EKS.sources
        + looked_up("aws/containers-roadmap#2552 (2025), #2546; archestra-ai/archestra#5538 (2026-06)")
        + surveyed(
            "awsdocs/amazon-eks-user-guide auto-net-pol.adoc",
        ),
        remark="policies are enforced once ConfigMap kube-system/amazon-vpc-cni has "
        '`enable-network-policy-controller: "true"` and the NodeClass `networkPolicy`',
    ),
    Environment(
        "gke",
        "Google Kubernetes Engine",
        ("gke-dataplane-v2", "calico"),
        ApiServerFacts(
            443,
            callers=(KONNECTIVITY_OF_GKE,),
            remark="private clusters need a firewall rule of the VPC for 15017 as well",
        ),
        looked_up("tektoncd/operator#4000 (2026-08)", "tigera/operator#5212 (2026-08; konnectivity)")
        + surveyed(
            "world-federation-of-advertisers/cross-media-measurement#3569 (2026-02)",
            "terraform-google-modules/terraform-google-kubernetes-engine#2265",
        ),
        DnsFacts(
            (PodSelection({"k8s-app": "kube-dns"}), PodSelection(NODE_LOCAL_DNS_LABELS)),
            addresses=(NODE_LOCAL_ADDRESS, METADATA_ADDRESS),
            asks_service_address=True,
            remark=f"Cloud DNS answers at {METADATA_ADDRESS}, which serves credentials on other ports; "
            "node-local DNS is the default from 1.34.1-gke.3720000; with Dataplane V2 it is pods that listen "
            "on 53, with Calico it answers at the Service's ClusterIP",
        ),
        (
            HealthCheck(
                "Google's health checks, with container-native load balancing",
                "the gateway's, and 15021",
                ("35.191.0.0/16", "130.211.0.0/22"),
            ),
        ),
    ),
    Environment(
        "aks",
        "Azure Kubernetes Service",
        ("azure-cilium", "azure-npm", "calico"),
        ApiServerFacts(
            443,
            callers=(KONNECTIVITY_OF_AKS,),
            remark="a pod with the annotation `kubernetes.azure.com/set-kube-service-host-fqdn` dials the "
            "API server's name. With kubenet the agents' packets have a node's address; with API server VNet "
            "integration there are no agents, and the calls come from a delegated subnet",
        ),
        looked_up(
            "https://learn.microsoft.com/azure/aks/localdns-custom (from 1.37); "
            "https://learn.microsoft.com/azure/aks/faq (set-kube-service-host-fqdn)",
            "tigera/operator#5212 (2026-08; pods' addresses, AKS 1.36); Azure/AKS#2031 (kubenet's "
            "masquerade)",
            "Azure/application-gateway-kubernetes-ingress#285 (the variables that AKS sets)",
        )
        + surveyed(
            "MicrosoftDocs/azure-aks-docs fb060ab articles/aks/azure-cni-powered-by-cilium.md",
            "Azure/AKS CHANGELOG.md 8d1c890 (LocalDNS, from 1.36)",
            "MicrosoftDocs/azure-aks-docs configure-kubenet.md (konnectivity: nodes' addresses)",
            "MicrosoftDocs/azure-aks-docs configure-load-balancer-standard.md",
        ),
        DnsFacts(
            addresses=("169.254.10.10", "169.254.10.11"),
            remark="LocalDNS is the default on Automatic and, with exclusions, from 1.37 (by the "
            "changelog from "
            "1.36); with Cilium it takes a CiliumNetworkPolicy with entity host as well",
        ),
        (HealthCheck("Azure Load Balancer with externalTrafficPolicy: Cluster", "every port, 15021 too"),),
        remark="the admissions enforcer rewrites the namespaceSelector of webhooks",
    ),
    Environment(
        "openshift",
        "OpenShift",
        ("ovn-kubernetes",),
        ApiServerFacts(
            6443,
            on_nodes=True,
            remark="with a hosted control plane address and port are others. It calls webhooks from the "
            "host's "
            "network: `policy-group.network.openshift.io/host-network` with `podSelector: {}`",
        ),
        surveyed(
            "openshift/cluster-dns-operator 4b8ae49 pkg/manifests/assets/dns",
            "ovn-kubernetes/ovn-kubernetes 8871cd9; netobserv/network-observability-operator#2157",
        ),
        DnsFacts(
            (
                PodSelection(
                    {"dns.operator.openshift.io/daemonset-dns": "default"}, namespace="openshift-dns"
                ),
            ),
            5353,
        ),
    ),
    replace(_GARDENER, id="kyma-gardener", title="Kyma on Gardener"),
    replace(
        _GARDENER,
        id="kyma-btp",
        title="SAP BTP, Kyma runtime",
        sources=_GARDENER.sources
        + surveyed(
            "SAP-docs/btp-cloud-platform docs/50-administration-and-ops/admission-policies-2e02ddb.md "
            "(since 2026-02-24)"
        ),
        remark="an admission policy refuses policies with default-deny-all rules in Kyma's own namespaces",
    ),
)

WEBHOOK_CALLERS = tuple(
    {
        tuple(caller.pod_labels.items()): caller
        for environment in ENVIRONMENTS
        for caller in environment.api_server.callers
    }.values()
)
"""The pods out of which the API server calls webhooks in any of them."""

ENVIRONMENTS_BY_ID = {environment.id: environment for environment in ENVIRONMENTS}
