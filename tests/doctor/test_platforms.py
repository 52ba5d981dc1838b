"""What an examination finds on each platform: where the cluster is from, what pods dial, what differs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from tests.bundle.overlays import KUSTOMIZE
from tests.doctor.fake_api import FakeApi, Manifest, daemon_set, endpoints, manifest
from tests.serving.process import SOURCE_ROOT

from istio_netpol.doctor.examination import examine
from istio_netpol.doctor.survey import Survey
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import CallerSettings, Settings
from istio_netpol.platforms.environments import ENVIRONMENTS_BY_ID

SETTINGS = Settings()
HOST = "api.shoot.example.com"


def examined(*objects: Manifest, settings: Settings = SETTINGS, topic: str = "") -> list[Diagnosis]:
    """All findings, or those of a topic."""
    found = examine(Survey(FakeApi(objects)), settings, datetime(2026, 11, 1, tzinfo=UTC), _unreachable)
    return [diagnosis for diagnosis in found if topic in ("", diagnosis.topic)]


def _unreachable(*_: object) -> str:
    return "can't be reached"


def about(found: Iterable[Diagnosis], looked_at: str) -> Diagnosis:
    """The one finding whose subject begins so."""
    (only,) = [diagnosis for diagnosis in found if diagnosis.looked_at.startswith(looked_at)]
    return only


def node(version: str = "v1.36.0", provider: str = "", address: str = "10.0.0.1", **labels: str) -> Manifest:
    named = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
    return {
        **manifest("v1", "Node", "node-1", labels=named),
        "spec": {"providerID": provider},
        "status": {
            "nodeInfo": {"kubeletVersion": version},
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }


def labelled(**labels: str) -> Manifest:
    """A node with labels whose keys are written as they are."""
    return {**node(), "metadata": {"name": "node-1", "labels": labels}}


def namespace(name: str, **labels: str) -> Manifest:
    return manifest("v1", "Namespace", name, labels=labels)


GARDENER = namespace("kube-system", **{"gardener.cloud/purpose": "kube-system"})
AUTO = labelled(**{"eks.amazonaws.com/compute-type": "auto"})
PLATFORMS = {
    "gardener": [GARDENER],
    "gardener by its ConfigMap": [manifest("v1", "ConfigMap", "shoot-info", "kube-system")],
    "kyma-gardener": [GARDENER, namespace("kyma-system")],
    "eks": [labelled(**{"eks.amazonaws.com/nodegroup": "a"})],
    "eks by its kubelet": [node("v1.34.1-eks-113cf36", "aws:///eu-central-1a/i-0")],
    "eks-auto": [AUTO],
    "gke": [labelled(**{"cloud.google.com/gke-nodepool": "a"})],
    "gke by its kubelet": [node("v1.34.1-gke.3720000")],
    "aks": [labelled(**{"kubernetes.azure.com/cluster": "a"})],
    "openshift": [labelled(**{"node.openshift.io/os_id": "rhcos"})],
    "k3d": [node("v1.36.0+k3s1")],
    "kind": [node(provider="kind://docker/kind/kind-control-plane")],
    "generic": [node()],
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_is_known_by_what_it_leaves_in_a_cluster(name: str) -> None:
    """And its overlay is named."""
    id_ = name.partition(" ")[0]
    found = about(examined(*PLATFORMS[name], topic="Platform"), "environment")
    assert ENVIRONMENTS_BY_ID[id_].title in found.found
    assert f"overlay {id_} " in found.found
    assert found.health is Health.OK


def test_nodes_of_which_some_are_in_auto_mode_are_eks() -> None:
    """Its overlay is for clusters without DNS pods."""
    other = labelled(**{"eks.amazonaws.com/nodegroup": "a"})
    other["metadata"]["name"] = "node-2"
    assert "overlay eks is" in about(examined(AUTO, other, topic="Platform"), "environment").found


def test_kyma_on_gardener_may_be_sap_btp() -> None:
    """Which refuses a default-deny: nobody has to learn that from a failed sync."""
    found = about(examined(GARDENER, namespace("kyma-system"), topic="Platform"), "SAP BTP")
    assert "overlay kyma-btp" in found.remedy


def pod(name: str, where: str, host: str = "", labels: dict[str, str] | None = None) -> Manifest:
    env = [{"name": "KUBERNETES_SERVICE_HOST", "value": host}] if host else []
    return {
        **manifest("v1", "Pod", name, where, labels=labels or {}),
        "spec": {"containers": [{"name": "c", "env": env}]},
    }


KUBERNETES = manifest("v1", "Service", "kubernetes", "default", spec={"clusterIP": "100.64.0.1"})


def with_api(**changes: Any) -> Settings:
    return replace(SETTINGS, api_server=replace(SETTINGS.api_server, **changes))


def with_dns(**changes: Any) -> Settings:
    return replace(SETTINGS, dns=replace(SETTINGS.dns, **changes))


def with_plugin(plugin: str) -> Settings:
    return replace(SETTINGS, network=replace(SETTINGS.network, plugin=plugin))


def test_what_pods_are_told_to_dial_is_shown_beside_the_settings() -> None:
    """On Gardener a webhook sets the variable in every container."""
    objects = [pod("istiod", "istio-system", HOST), pod("old", "istio-system"), KUBERNETES]
    found = about(examined(*objects, topic="API server"), "KUBERNETES_SERVICE_HOST")
    assert f"{HOST} in 1 of 2 pods" in found.found
    assert f"set apiServer.host to {HOST}" in found.remedy
    known = about(
        examined(*objects, settings=with_api(host=HOST), topic="API server"), "KUBERNETES_SERVICE_HOST"
    )
    assert known.health is Health.OK


def test_pods_that_are_told_nothing_dial_the_service() -> None:
    """Its address is named; a setting that says otherwise is told of."""
    objects = [pod("istiod", "istio-system"), KUBERNETES]
    found = about(examined(*objects, topic="API server"), "KUBERNETES_SERVICE_HOST")
    assert (found.health, "100.64.0.1:443" in found.found) == (Health.OK, True)
    odd = about(
        examined(*objects, settings=with_api(host=HOST), topic="API server"), "KUBERNETES_SERVICE_HOST"
    )
    assert f"remove the setting apiServer.host ({HOST})" in odd.remedy


def bundled(name: str, **spec: Any) -> Manifest:
    labels = {"app.kubernetes.io/part-of": "istio-netpol"}
    return manifest("networking.k8s.io/v1", "NetworkPolicy", name, "istio-system", labels=labels, spec=spec)


CALLERS = {
    "vpn-shoot": {"app": "vpn-shoot"},
    "konnectivity on GKE": {"k8s-app": "konnectivity-agent"},
}


@pytest.mark.parametrize("name", CALLERS)
def test_webhooks_are_called_out_of_the_pods_of_a_tunnel(name: str) -> None:
    """An ipBlock of the API server cuts them, a pod peer or none lets them in."""
    labels = CALLERS[name]
    there = [GARDENER, pod("tunnel", "kube-system", labels=labels)]
    found = examined(*there, topic="API server")
    assert "an ipBlock of the API server matches nobody" in about(found, "callers of webhooks").found
    by_address = bundled("istiod-from-apiserver", ingress=[{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}])
    wrong = about(examined(*there, by_address, topic="API server"), "NetworkPolicy istio-system/istiod-from")
    assert (wrong.health, "component" in wrong.remedy) == (Health.WRONG, True)
    peer = {"namespaceSelector": {}, "podSelector": {"matchLabels": labels}}
    for rule in ({}, {"from": [peer]}):
        policy = bundled("istiod-from-apiserver", ingress=[rule])
        right = about(examined(*there, policy, topic="API server"), "NetworkPolicy istio-system/istiod-from")
        assert right.health is Health.OK


def test_callers_that_settings_name_and_that_are_not_there() -> None:
    """Webhooks are cut where they are wrong."""
    settings = with_api(callers=(CallerSettings("kube-system", {}, {"app": "tunnel"}),))
    assert (
        about(examined(settings=settings, topic="API server"), "setting apiServer.callers").health
        is Health.NOTE
    )


def aws(*, on: bool) -> list[Manifest]:
    """The VPC CNI, whose agent enforces where it is switched on."""
    found = daemon_set("aws-node")
    arguments = [f"--enable-network-policy={str(on).lower()}"]
    found["spec"]["template"]["spec"]["containers"] = [{"name": "aws-eks-nodeagent", "args": arguments}]
    return [found, KUBERNETES, endpoints("172.31.5.5", 443)]


def to_api_server(cidr: str) -> Manifest:
    rule = {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": 443}]}
    return bundled("istiod-to-apiserver", egress=[rule])


def test_the_vpc_cni_judges_the_address_of_the_service() -> None:
    """On EKS a policy for the endpoints opens nothing, one for the ClusterIP what pods dial."""
    topic = "API server"
    title = "NetworkPolicy istio-system/istiod-to-apiserver"
    wrong = about(examined(*aws(on=True), to_api_server("172.31.5.5/32"), topic=topic), title)
    assert (wrong.health, "100.64.0.1:443" in wrong.found) == (Health.WRONG, True)
    assert (
        about(examined(*aws(on=True), to_api_server("100.64.0.1/32"), topic=topic), title).health is Health.OK
    )


def test_settings_that_judge_as_another_plugin() -> None:
    """The plugin that is there is named with its id."""
    found = about(examined(*aws(on=True), topic="Network plugin"), "setting network.plugin")
    assert (found.health, "set network.plugin to aws-vpc-cni" in found.remedy) == (Health.NOTE, True)
    other = examined(*aws(on=True), settings=with_plugin("calico"), topic="Network plugin")
    assert about(other, "setting network.plugin").health is Health.WRONG
    same = examined(*aws(on=True), settings=with_plugin("aws-vpc-cni"), topic="Network plugin")
    assert about(same, "setting network.plugin").health is Health.OK
    usual = about(examined(daemon_set("calico-node"), topic="Network plugin"), "setting network.plugin")
    assert usual.health is Health.OK


def test_a_service_address_that_has_changed() -> None:
    settings = with_api(service_address="10.0.0.1")
    wrong = about(
        examined(*aws(on=True), settings=settings, topic="API server"), "Service default/kubernetes"
    )
    assert "set apiServer.serviceAddress to 100.64.0.1" in wrong.remedy


def cilium(mode: str = "") -> list[Manifest]:
    data = {"policy-cidr-match-mode": mode} if mode else {}
    return [daemon_set("cilium"), manifest("v1", "ConfigMap", "cilium-config", "kube-system", data=data)]


def test_cilium_matches_nodes_where_its_settings_say_so() -> None:
    """An API server on a node is reached by an ipBlock only then."""
    server = [node(address="192.0.2.5"), endpoints("192.0.2.5", 6443)]
    found = about(examined(*cilium(), *server, topic="Network plugin"), "API server")
    assert (found.health, "no ipBlock matches with Cilium" in found.found) == (Health.WRONG, True)
    nodes = about(examined(*cilium("nodes"), *server, topic="Network plugin"), "API server")
    assert (nodes.health, nodes.remedy) == (Health.NOTE, "set apiServer.onNodes to true")
    settings = with_api(on_nodes=True)
    told = examined(*cilium("nodes"), *server, settings=settings, topic="Network plugin")
    assert not [diagnosis for diagnosis in told if diagnosis.looked_at == "API server"]
    elsewhere = examined(*cilium(), node(), endpoints("198.51.100.9", 443), topic="Network plugin")
    assert not [diagnosis for diagnosis in elsewhere if diagnosis.looked_at == "API server"]


def test_cilium_of_aks_is_one_of_its_own() -> None:
    """Its settings may not be changed."""
    azure = labelled(**{"kubernetes.azure.com/ebpf-dataplane": "cilium", "kubernetes.azure.com/cluster": "a"})
    found = about(examined(daemon_set("cilium"), azure, topic="Network plugin"), "DaemonSet")
    assert "Azure CNI powered by Cilium" in found.found


@pytest.mark.parametrize("on", [True, False])
def test_auto_mode_enforces_once_a_config_map_says_so(on: bool) -> None:
    """There is no DaemonSet that would tell."""
    data = {"enable-network-policy-controller": str(on).lower()}
    settings = manifest("v1", "ConfigMap", "amazon-vpc-cni", "kube-system", data=data)
    found = about(examined(AUTO, settings, KUBERNETES, topic="Network plugin"), "nodes with")
    assert found.health is (Health.OK if on else Health.WRONG)
    assert on or "amazon-vpc-cni has to say" in found.found


def dns_service(address: str = "10.96.0.10") -> Manifest:
    spec = {"clusterIP": address, "selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 53}]}
    return manifest("v1", "Service", "kube-dns", "kube-system", spec=spec)


def test_auto_mode_answers_dns_on_the_node() -> None:
    """Pods that nobody runs are not missed once the settings know that."""
    found = about_all(examined(AUTO, dns_service("172.20.0.10"), topic="DNS"), "EKS Auto Mode")
    assert [diagnosis.remedy for diagnosis in found] == [
        "set dns.pods to false",
        "add 172.20.0.10 to dns.addresses, and take the component dns-service-only into the overlay",
    ]
    settings = with_dns(pods=False, addresses=("172.20.0.10",))
    known = examined(AUTO, dns_service("172.20.0.10"), settings=settings, topic="DNS")
    assert {diagnosis.health for diagnosis in known} == {Health.OK}


def about_all(found: Iterable[Diagnosis], looked_at: str) -> list[Diagnosis]:
    return [diagnosis for diagnosis in found if diagnosis.looked_at == looked_at]


def test_a_cache_that_binds_the_address_of_cluster_dns() -> None:
    """Pods ask the ClusterIP, untranslated, which no selector matches."""
    cache = daemon_set("node-local-dns")
    cache["spec"]["template"]["spec"] = {
        "hostNetwork": True,
        "containers": [{"name": "c", "args": ["-localip", "169.254.20.10,10.96.0.10"]}],
    }
    settings = with_dns(node_local_address="169.254.20.10")
    found = about(examined(cache, dns_service(), settings=settings, topic="DNS"), "DaemonSet node-local-dns")
    assert (found.health, "add 10.96.0.10 to dns.addresses" in found.remedy) == (Health.WRONG, True)
    known = with_dns(node_local_address="169.254.20.10", addresses=("10.96.0.10",))
    assert about(
        examined(cache, dns_service(), settings=known, topic="DNS"), "DaemonSet node-local-dns"
    ).health is (Health.OK)


def test_local_dns_of_aks() -> None:
    """It is a service of the node, at two addresses."""
    local = labelled(
        **{"kubernetes.azure.com/cluster": "a", "kubernetes.azure.com/localdns-state": "enabled"}
    )
    found = about(examined(local, topic="DNS"), "Nodes with")
    assert (found.health, "add 169.254.10.10, 169.254.10.11" in found.remedy) == (Health.WRONG, True)
    off = labelled(**{"kubernetes.azure.com/cluster": "a", "kubernetes.azure.com/localdns-state": "disabled"})
    assert not [
        diagnosis for diagnosis in examined(off, topic="DNS") if diagnosis.looked_at.startswith("Nodes with")
    ]


def test_cloud_dns_can_not_be_seen() -> None:
    """It is only worth knowing, until the settings have it."""
    gke = PLATFORMS["gke"]
    assert about(examined(*gke, topic="DNS"), "Cloud DNS").health is Health.NOTE
    known = examined(*gke, settings=with_dns(addresses=("169.254.169.254",)), topic="DNS")
    assert not [diagnosis for diagnosis in known if diagnosis.looked_at == "Cloud DNS"]


def configuration(enforced: bool = False, **metadata: Any) -> Manifest:
    """istio-netpol's own webhooks; AKS adds to the selector where nobody tells it not to."""
    added = [{"key": "control-plane", "operator": "NotIn", "values": ["true"]}] if enforced else []
    webhook = {"name": "validate.istio-netpol.io", "clientConfig": {"url": "https://x"}}
    webhook["namespaceSelector"] = {"matchExpressions": added}
    found = manifest("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "istio-netpol")
    return {**found, "metadata": {"name": "istio-netpol", **metadata}, "webhooks": [webhook]}


def test_the_admissions_enforcer_of_aks() -> None:
    """It rewrites selectors unless a label or annotation tells it not to."""
    aks = PLATFORMS["aks"]
    title = "ValidatingWebhookConfiguration"
    assert about(examined(*aks, configuration(), topic="Platform"), title).health is Health.NOTE
    rewritten = about(examined(*aks, configuration(enforced=True), topic="Platform"), title)
    assert (rewritten.health, "admissions.enforcer/disabled" in rewritten.remedy) == (Health.WRONG, True)
    for where in ("labels", "annotations"):
        left = configuration(**{where: {"admissions.enforcer/disabled": "true"}})
        assert about(examined(*aks, left, topic="Platform"), title).health is Health.OK
    assert not about_all(examined(node(), configuration(), topic="Platform"), title)


def own_deployment(ready: int, **context: int) -> Manifest:
    template = {"spec": {"securityContext": context, "containers": []}}
    labels = {"app.kubernetes.io/name": "istio-netpol"}
    found = manifest(
        "apps/v1", "Deployment", "webhook", "istio-netpol", labels=labels, spec={"template": template}
    )
    return {**found, "status": {"readyReplicas": ready}}


def test_openshift_assigns_users() -> None:
    """What chooses one is refused by restricted-v2."""
    openshift = PLATFORMS["openshift"]
    refused = about(examined(*openshift, own_deployment(0, runAsUser=65532), topic="Platform"), "Deployment")
    assert (refused.health, "platforms/openshift.yaml" in refused.remedy) == (Health.WRONG, True)
    assert about(examined(*openshift, own_deployment(2), topic="Platform"), "Deployment").health is Health.OK


def gateway(traffic: str = "Cluster") -> Manifest:
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": traffic,
        "selector": {"istio": "ingressgateway"},
        "ports": [{"port": 15021}, {"port": 443}],
    }
    return manifest("v1", "Service", "istio-ingressgateway", "istio-system", spec=spec)


def policy(*ports: int, **peer: Any) -> Manifest:
    rule = {"ports": [{"port": port} for port in ports], **({"from": [peer]} if peer else {})}
    return bundled("from-clients", podSelector={}, policyTypes=["Ingress"], ingress=[rule])


@pytest.mark.parametrize(
    ("platform", "traffic", "rule", "health"),
    [
        ("eks", "Cluster", policy(8443), Health.WRONG),
        ("gke", "Cluster", policy(8443), Health.WRONG),
        ("eks", "Local", policy(8443), Health.NOTE),
        ("kind", "Cluster", policy(8443), Health.NOTE),
        ("eks", "Cluster", policy(8443, 15021), Health.OK),
        ("eks", "Cluster", policy(15021, ipBlock={"cidr": "10.0.0.0/8"}), Health.OK),
        ("eks", "Cluster", policy(15021, podSelector={}), Health.WRONG),
    ],
)
def test_health_checks_reach_the_gateway(platform: str, traffic: str, rule: Manifest, health: Health) -> None:
    """Load balancers that check pods on 15021 take the gateway out where a default-deny closes it."""
    found = about(examined(*PLATFORMS[platform], gateway(traffic), rule, topic="Gateways"), "Service")
    assert found.health is health
    assert (found.remedy != "") == (health is not Health.OK)


def test_a_gateway_that_nothing_isolates_is_checked_without_ado() -> None:
    found = about(examined(*PLATFORMS["eks"], gateway(), topic="Gateways"), "Service")
    assert found.health is Health.OK


def test_a_plugin_whose_settings_may_not_be_read_is_known_all_the_same() -> None:
    """What can't be told is not seen, instead of wrong."""
    api = FakeApi([*cilium("nodes"), node(address="192.0.2.5"), endpoints("192.0.2.5", 6443)], {"configmaps"})
    found = examine(
        Survey(api), SETTINGS, datetime(2026, 11, 1, tzinfo=UTC), _unreachable, ["Network plugin"]
    )
    by_subject = {diagnosis.looked_at: diagnosis for diagnosis in found}
    assert "how it is set up is not seen (needs get on configmaps" in (
        by_subject["DaemonSet kube-system/cilium"].found
    )
    assert by_subject["settings"].health is Health.NOT_SEEN
    assert "API server" not in by_subject


@pytest.mark.parametrize(
    "name",
    [
        "api-server-host",
        "cilium-api-server",
        "dns-addresses",
        "dns-service",
        "dns-service-only",
        "gateway-health-checks",
        "health-checks",
        "health-checks-google",
        "webhook-callers-aks",
        "webhook-callers-gardener",
        "webhook-callers-gke",
    ],
)
def test_a_component_that_a_remedy_names_is_there(name: str) -> None:
    """The advice can be followed."""
    told = "".join(file.read_text() for file in (SOURCE_ROOT / "istio_netpol" / "doctor").glob("*.py"))
    assert name in told
    assert (KUSTOMIZE / "components" / name / "kustomization.yaml").is_file()
