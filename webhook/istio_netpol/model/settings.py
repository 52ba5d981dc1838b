"""Settings that decisions depend on. Read once at the edge (see `config`), frozen, passed down."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct, field


class Mode(StrEnum):
    """What admission does with a missing policy, loosest first."""

    OFF = "off"
    WARN = "warn"
    REJECT = "reject"
    AUGMENT = "augment"


class RuleSeverity(StrEnum):
    """What the findings of a rule count as, in place of what the rule says; `off` leaves them out."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    OFF = "off"


class Translation(StrEnum):
    """When a plugin judges a packet to a Service: with the address that the pod dialled, or afterwards, with
    that of the endpoint."""

    BEFORE = "before"
    AFTER = "after"


class NetworkSettings(Struct, frozen=True):
    """The network plugin: what it judges policies against, and whom an ipBlock matches."""

    plugin: str = ""
    """Its id in the [table of platforms](platforms.md#network-plugins), such as `calico`, `cilium` or
    `aws-vpc-cni`. Empty: policies are judged after address translation, and an ipBlock matches any
    address."""

    judges: Translation | None = None
    """Whether a packet to a Service is judged before or after it has the endpoint's address, where the
    plugin's own answer does not hold."""

    ip_blocks_match_nodes: bool | None = None
    """Whether an ipBlock matches the cluster's nodes, where the plugin's own answer does not hold."""

    ip_blocks_match_pods: bool | None = None
    """Whether an ipBlock matches the cluster's pods, where the plugin's own answer does not hold."""


class MeshSettings(Struct, frozen=True):
    """The Istio control plane: how to recognise it, and the stand-in where the input holds none."""

    root_namespace: str = "istio-system"
    """Where istiod runs, and where mesh-wide policies live."""

    istiod_labels: Mapping[str, str] = field(default_factory=lambda: {"app": "istiod", "istio": "pilot"})
    """Labels of the stand-in istiod pods (`istiod` chart, Istio 1.32). Real ones are recognised by `app:
    istiod` alone."""

    gateway_labels: Mapping[str, str] = field(
        default_factory=lambda: {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    )
    """Labels of the stand-in ingress gateway pods (`istio-ingress` chart)."""

    gateway_namespace: str = ""
    """Where the ingress gateways run whose pods are not in the input. Empty: those with the labels above in
    the root namespace, others in the namespace of their Gateway."""

    discovery_port: int = 15012
    """xDS and CA over mutual TLS."""

    injection_webhook_port: int = 15017
    """The port behind the istiod Service's 443: injection and validation webhooks."""

    enable_namespaces_by_default: bool = False
    """`sidecarInjectorWebhook.enableNamespacesByDefault` of the istiod chart."""

    scope_gateway_to_namespace: bool = False
    """`PILOT_SCOPE_GATEWAY_TO_NAMESPACE`: a Gateway selects pods of its own namespace only."""

    health_check_sources: tuple[str, ...] = ()
    """The addresses or CIDRs out of which load balancers check gateways on their status port, 15021, where a
    default-deny would cut that; `0.0.0.0/0` where nobody knows them. Empty: a load balancer whose Service
    lists the port may check it, which is told as a warning."""

    gateway_controller: str = "istio.io/gateway-controller"
    """`PILOT_GATEWAY_API_CONTROLLER_NAME`: the controllerName of the GatewayClasses that are istiod's, where
    the input does not hold istiod with the variable."""

    remote_jwks: bool = False
    """`PILOT_JWT_ENABLE_REMOTE_JWKS`: proxies fetch the JWKS of a Service or ServiceEntry themselves,
    istiod the others."""

    cluster_domain: str = "cluster.local"
    """The suffix of in-cluster names."""


class DnsSettings(Struct, frozen=True):
    """Cluster DNS: where the `kube-dns` Service and its pods are not in the input."""

    namespace: str = "kube-system"
    """Where the stand-in DNS pods run."""

    labels: Mapping[str, str] = field(default_factory=lambda: {"k8s-app": "kube-dns"})
    """Labels of the stand-in DNS pods; kubeadm, k3s, EKS, GKE and AKS all use this one."""

    port: int = 53
    """The pods' port on the wire. Gardener listens on 8053, vcluster on 1053."""

    node_local_address: str = ""
    """The link-local address of node-local-dns (usually 169.254.20.10) where the cluster runs it."""

    addresses: tuple[str, ...] = ()
    """Further addresses at which DNS answers on port 53: the Service's ClusterIP where pods ask it
    untranslated, Cloud DNS (169.254.169.254), LocalDNS (169.254.10.10, 169.254.10.11)."""

    pods: bool = True
    """Whether pods answer DNS. `false` where the nodes do, as in EKS Auto Mode: then no pods are assumed, and
    `addresses` says where DNS answers."""

    servers: tuple[str, ...] = ()
    """The name servers that are asked for hosts, as IP, IP:port or [IPv6]:port, in this order. Empty: those
    of the machine (`/etc/resolv.conf`), in a pod the cluster's. In the chart, `networkPolicies.dns` has to
    let the pods reach them."""


class CallerSettings(Struct, frozen=True):
    """Pods out of which the API server's calls come."""

    namespace: str = ""
    """Their namespace. Empty: any with the labels below."""

    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that their namespace carries."""

    pod_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that they carry."""


class ApiServerSettings(Struct, frozen=True):
    """The API server: what pods dial, what policies see of that after address translation, and out of which
    pods it calls webhooks."""

    addresses: tuple[str, ...] = ()
    """Addresses or CIDRs. Empty: taken from the `kubernetes` EndpointSlice of the input, and anywhere
    where that is absent too."""

    port: int = 6443
    """Used only where the EndpointSlice is absent."""

    host: str = ""
    """What pods dial instead of the Service: the name or address that KUBERNETES_SERVICE_HOST has in their
    containers (Gardener). Used where no pod of the input tells it."""

    host_port: int = 443
    """The port of `host`."""

    service_address: str = ""
    """The ClusterIP of Service `default/kubernetes`, for plugins that judge before address translation. Used
    where the Service is absent."""

    on_nodes: bool = False
    """Whether its endpoints are nodes of the cluster, which an ipBlock does not match with every plugin."""

    callers: tuple[CallerSettings, ...] = ()
    """The pods out of which it calls webhooks: a list of `namespace`, `namespaceLabels` and `podLabels`.
    Empty: Gardener's vpn-shoot and konnectivity's agents where the input holds them, else any address."""


class HostSettings(Struct, frozen=True):
    """What hosts and addresses may be opened, whoever writes them."""

    allowed_hosts: tuple[str, ...] = ("*",)
    """Patterns (`*.example.com`) of hosts that may be opened."""

    allowed_addresses: tuple[str, ...] = ()
    """Public addresses and CIDRs that may be written instead of a host. Empty: any where `allowedHosts` has
    `*`, none where it does not."""

    known_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The operator's word on what a host stands for: replaces DNS, and is not subject to the refusals
    below."""

    allowed_private: tuple[str, ...] = ()
    """Private, loopback, link-local, platform or cluster CIDRs that an administrator permits nevertheless, to
    hosts and to literal addresses."""

    pod_cidrs: tuple[str, ...] = ()
    """Addresses of this cluster's pods. A host that resolves to one of them is refused."""

    service_cidrs: tuple[str, ...] = ()
    """Addresses of this cluster's Services. A host that resolves to one of them is refused."""

    node_cidrs: tuple[str, ...] = ()
    """Addresses of this cluster's nodes. A host that resolves to one of them is refused."""

    max_addresses_per_host: int = 32
    """How many addresses one host may have. A host with more is refused as a whole."""

    max_addresses_per_namespace: int = 256
    """How many addresses the objects of one namespace may have opened together, so that no tenant fills the
    policies of istiod."""

    widest_ipv4_block: int = 22
    """The shortest prefix into which several IPv4 addresses of one host are merged. With 22, 185.199.108.133
    to 185.199.111.133 are one /22."""

    widest_ipv6_block: int = 64
    """The shortest prefix into which several IPv6 addresses of one host are merged."""


class AdmissionSettings(Struct, frozen=True):
    """Who is judged, and how strictly."""

    default_mode: Mode = Mode.WARN
    """For namespaces without the label `istio-netpol.io/mode`; as shipped, installing breaks nothing."""

    floor: Mode | None = None
    """The loosest mode that a namespace label may choose."""

    own_namespace: str = "istio-netpol"
    """The namespace of webhook and controller. It is never judged, so that they can't lock themselves out.
    The chart sets it to that of the release."""

    exempt_namespaces: tuple[str, ...] = ()
    """Namespaces whose objects are never judged, besides Kubernetes' own and that of the webhook."""

    exempt_users: tuple[str, ...] = ()
    """Users whose requests are never judged."""

    exempt_groups: tuple[str, ...] = ("system:nodes",)
    """Groups whose members' requests are never judged. Kubelets are one."""

    trusted_namespaces: tuple[str, ...] = (
        "istio-system",
        "istio-ingress",
        "istio-egress",
        "kyma-system",
        "kube-system",
    )
    """Namespaces in which only cluster administrators write: their objects may open other namespaces, and
    their istiod and gateways are believed. By default those into which Istio's guides and Kyma install."""

    contact: str = ""
    """Whom a denial names to ask, about policies in namespaces in which its reader can't write above all: a
    team, a channel, a URL."""

    kyma_labels: bool = False
    """Mode augment adds Kyma's opt-in labels (`networking.kyma-project.io/…`) to the pods of new workloads
    where one of Kyma's own policies then lets them through, instead of a policy beside it; not to what Argo
    CD or Flux tracks."""

    max_request_bytes: int = 8 * 1024 * 1024
    """The largest request that is read: an object and what it was before, each at most what etcd stores."""

    max_connections: int = 1024
    """Connections that are open at once. One more ends another one, of the client with the most; clients of
    which no review was answered lately yield first."""

    max_connections_per_client: int = 512
    """The same for one client address. The API server keeps 25 idle ones for each webhook and replica, and
    opens one more for each review that is under way."""

    max_buffered_bytes: int = 64 * 1024 * 1024
    """Of requests that are not complete or wait for their turn, of all clients together; beyond that, the
    largest is dropped. At least `maxRequestBytes`."""

    request_seconds: int = 10
    """How long a client may take for its handshake, for sending a request, and for taking the answer."""

    deny_controlled_pods: bool = False
    """Deny pods, ReplicaSets and Jobs of a controller. Off: a node failure must not become an outage."""

    stale_after_seconds: int = 60
    """How old what was read of the cluster may be: `/readyz` fails beyond that."""

    max_policies_per_object: int = 20
    """How many policies one review may write in mode augment; what needs more is refused."""

    max_policies_per_namespace: int = 500
    """How many generated policies the objects of one namespace may ask for, in their own namespace and in
    trusted ones together, and as many again in each other namespace. Beyond that neither the webhook nor the
    controller writes more of them, and what other namespaces ask for is not affected."""

    writes_per_second: int = 10
    """Of policies, for the objects of each namespace, by each replica of the webhook; ten times as many may
    come at once."""


class ControllerSettings(Struct, frozen=True):
    """How the controller keeps policies."""

    collect_after_seconds: int = 300
    """How long a generated policy outlives its need. Longer than an object takes from its review to its
    storage."""

    take_back_after_seconds: int = 30
    """How long a policy that a review had written stays where its object is not stored: refused by others, by
    a quota, or by the validating review."""

    host_overlap_seconds: int = 3600
    """How long addresses stay open after a host was last seen at them."""

    writes_per_second: int = 20
    """Of policies, in the whole cluster. The namespaces whose objects ask for them take turns: none waits for
    another's backlog."""

    stale_after_seconds: int = 30
    """Nothing is written or collected by what was read of the cluster when it may be older than this."""


class LimitSettings(Struct, frozen=True):
    """What one object may ask for. What it asks for beyond that is not judged: the finding `not-judged` says
    so, nothing is opened for it, and modes `augment` and `reject` refuse the object."""

    flows_per_object: int = 7_500
    """Connections that one rule takes from one object."""

    findings_per_object: int = 200
    """What one rule lists of one object besides, destinations that are not there, say. The rest is
    counted."""

    lookups_per_object: int = 200_000
    """How often one rule may look something up in the cluster for one object."""

    review_seconds: int = 8
    """How long the answer to a review may take, where the API server does not wait for less. Then modes
    `augment` and `reject` refuse the object, and `warn` admits it with a warning."""


class BundleSettings(Struct, frozen=True):
    """What `istio-netpol bundle verify` expects of a bundle."""

    default_deny: bool = True
    """Whether each of its namespaces has to deny what no policy allows. `false` where the platform refuses
    that, as SAP BTP does in Kyma's own namespaces: then no policy may isolate pods that nothing else
    isolates, and pods that no policy selects stay open."""


class Settings(Struct, frozen=True):
    """All of them."""

    network: NetworkSettings = field(default_factory=NetworkSettings)
    mesh: MeshSettings = field(default_factory=MeshSettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    api_server: ApiServerSettings = field(default_factory=ApiServerSettings)
    hosts: HostSettings = field(default_factory=HostSettings)
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)
    controller: ControllerSettings = field(default_factory=ControllerSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    bundle: BundleSettings = field(default_factory=BundleSettings)
    check_scrape: bool = False
    """Require that the metrics ports of the mesh can be scraped."""

    scrape_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods scrape them."""

    severities: Mapping[str, RuleSeverity] = field(default_factory=dict)
    """What the findings of a rule count as in the commands that report them, by rule id: `broad-policy:
    info`, `scrape: off`. The webhook and the controller do not heed it."""

    exclude: tuple[str, ...] = ()
    """Patterns as in `.gitignore` of files and folders that the commands leave out, below the folder of the
    settings file."""

    rule_pages: str = ""
    """The address under which the rules' pages are published (`https://docs.example.com/istio-netpol/rules`):
    the id of a rule is added after a slash. Empty: `istio-netpol rule ID` prints them."""
