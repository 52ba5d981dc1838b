"""What an examination finds, question by question: what is well, and each thing that can be wrong."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.doctor.fake_api import FakeApi, Manifest, daemon_set, endpoints, manifest, survey

from istio_netpol.certs.issuing import Validity, certificate_pem, make_authority, make_leaf
from istio_netpol.doctor.api_server import api_server
from istio_netpol.doctor.cluster_dns import cluster_dns, node_cache
from istio_netpol.doctor.examination import examine
from istio_netpol.doctor.mesh import injection, istiod
from istio_netpol.doctor.network_plugin import network_plugin
from istio_netpol.doctor.policies import not_evaluated, policies, tiers
from istio_netpol.doctor.survey import Survey
from istio_netpol.doctor.versions import istio_versions, kubernetes_version, kyma_versions
from istio_netpol.doctor.webhooks import NOT_CONTROLLED, webhooks
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SETTINGS = Settings()


def worst(found: Iterable[Diagnosis]) -> Diagnosis:
    """The worst of the findings; there has to be one."""
    order = (Health.WRONG, Health.NOT_SEEN, Health.NOTE, Health.OK)
    return min(found, key=lambda diagnosis: order.index(diagnosis.health))


def bundled(cidr: str, port: int, **block: Any) -> Manifest:
    rule = {"to": [{"ipBlock": {"cidr": cidr, **block}}], "ports": [{"protocol": "TCP", "port": port}]}
    labels = {"app.kubernetes.io/part-of": "istio-netpol"}
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "istiod-to-apiserver",
        "istio-system",
        labels=labels,
        spec={"egress": [rule]},
    )


def test_the_api_server_as_settings_and_bundle_have_it() -> None:
    settings = replace(SETTINGS, api_server=replace(SETTINGS.api_server, addresses=("192.0.2.0/24",)))
    found = list(api_server(survey(endpoints(), bundled("192.0.2.0/24", 6443)), settings))
    assert {diagnosis.health for diagnosis in found} == {Health.OK}
    assert "192.0.2.5:6443" in found[0].found


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (bundled("192.0.2.0/24", 443), "192.0.2.5:6443"),
        (bundled("198.51.100.0/24", 6443), "192.0.2.5:6443"),
        (bundled("192.0.2.0/24", 6443, **{"except": ["192.0.2.4/30"]}), "192.0.2.5:6443"),
    ],
)
def test_a_policy_of_the_bundle_that_misses_the_api_server(policy: Manifest, reason: str) -> None:
    found = worst(api_server(survey(endpoints(), policy), SETTINGS))
    assert found.health is Health.WRONG
    assert reason in found.found
    assert "values.yaml" in found.remedy


def test_settings_that_name_another_api_server() -> None:
    settings = replace(SETTINGS, api_server=replace(SETTINGS.api_server, addresses=("198.51.100.7",)))
    assert worst(api_server(survey(endpoints()), settings)).remedy == "add 192.0.2.5"
    found = worst(api_server(survey(endpoints(port=443)), SETTINGS))
    assert (found.health, found.looked_at) == (Health.NOTE, "setting apiServer.port")


def test_an_api_server_that_publishes_nothing() -> None:
    assert worst(api_server(survey(), SETTINGS)).health is Health.WRONG


def dns(target: Any = 53, labels: dict[str, str] | None = None, where: str = "kube-system") -> list[Manifest]:
    selected = labels or {"k8s-app": "kube-dns"}
    name = "kube-dns" if where == "kube-system" else "dns-default"
    ports = [{"name": "dns", "port": 53, "protocol": "UDP", "targetPort": target}]
    named = [{"name": "dns-port", "containerPort": 8053, "protocol": "UDP"}]
    pod = manifest("v1", "Pod", "coredns-1", where, labels=selected)
    return [
        manifest("v1", "Service", name, where, spec={"selector": selected, "ports": ports}),
        {**pod, "spec": {"containers": [{"name": "c", "ports": named}]}, "status": {"phase": "Running"}},
    ]


def test_dns_as_the_settings_have_it() -> None:
    found = list(cluster_dns(survey(*dns()), SETTINGS))
    assert [diagnosis.health for diagnosis in found] == [Health.OK]
    assert "k8s-app=kube-dns, port 53" in found[0].found


@pytest.mark.parametrize("target", [8053, "dns-port"])
def test_dns_on_another_port(target: int | str) -> None:
    """As on Gardener, by number or by name."""
    found = worst(cluster_dns(survey(*dns(target)), SETTINGS))
    assert found.health is Health.NOTE
    assert "dns.port: 8053" in found.remedy


def test_dns_of_openshift() -> None:
    labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
    found = worst(cluster_dns(survey(*dns(5353, labels, "openshift-dns")), SETTINGS))
    assert "dns.namespace: openshift-dns" in found.remedy
    assert "dns.port: 5353" in found.remedy


def test_dns_without_pods_and_without_a_service() -> None:
    assert worst(cluster_dns(survey(dns()[0]), SETTINGS)).health is Health.WRONG
    assert worst(cluster_dns(survey(), SETTINGS)).health is Health.NOTE


@pytest.mark.parametrize(
    "arguments",
    [
        ["-localip", "10.96.0.10,169.254.20.10"],
        ["--localip=169.254.20.10"],
        ["-localip=169.254.20.10,10.96.0.10"],
    ],
)
def test_a_cache_on_the_nodes_has_to_be_in_the_settings(arguments: list[str]) -> None:
    cache = daemon_set("node-local-dns", hostNetwork=True, containers=[{"name": "c", "args": arguments}])
    found = worst(node_cache(survey(*dns(), cache), SETTINGS))
    assert (found.health, found.looked_at) == (Health.WRONG, "DaemonSet kube-system/node-local-dns")
    assert "set dns.nodeLocalAddress to 169.254.20.10" in found.remedy
    known = replace(SETTINGS, dns=replace(SETTINGS.dns, node_local_address="169.254.20.10"))
    assert worst(node_cache(survey(*dns(), cache), known)).health is Health.OK


def test_a_setting_for_a_cache_that_is_not_there() -> None:
    known = replace(SETTINGS, dns=replace(SETTINGS.dns, node_local_address="169.254.20.10"))
    assert worst(node_cache(survey(*dns()), known)).health is Health.NOTE


AGENT = {"name": "aws-eks-nodeagent", "args": ["--enable-network-policy=true"]}


@pytest.mark.parametrize(
    ("sets", "health", "name"),
    [
        ([daemon_set("cilium")], Health.OK, "Cilium"),
        ([daemon_set("anetd")], Health.OK, "GKE Dataplane V2"),
        ([daemon_set("calico-node", "calico-system")], Health.OK, "Calico"),
        ([daemon_set("antrea-agent")], Health.OK, "Antrea"),
        ([daemon_set("ovnkube-node", "openshift-ovn-kubernetes")], Health.OK, "OVN-Kubernetes"),
        ([daemon_set("kindnet")], Health.OK, "kindnet"),
        ([daemon_set("weave-net")], Health.OK, "Weave"),
        ([daemon_set("azure-npm")], Health.OK, "Azure Network Policy Manager"),
        ([daemon_set("kube-router")], Health.OK, "kube-router"),
        ([daemon_set("aws-node", containers=[AGENT])], Health.OK, "AWS VPC CNI"),
        ([daemon_set("aws-node", containers=[{"name": "aws-node"}])], Health.WRONG, "AWS VPC CNI"),
        ([daemon_set("kube-flannel-ds", "kube-flannel")], Health.WRONG, "flannel"),
        ([daemon_set("azure-cns")], Health.WRONG, "Azure CNI"),
        (
            [daemon_set("kube-flannel-ds", "kube-flannel"), daemon_set("kube-network-policies")],
            Health.OK,
            "flannel",
        ),
        (
            [daemon_set("aws-node", containers=[{"name": "aws-node"}]), daemon_set("calico-node")],
            Health.OK,
            "Calico",
        ),
    ],
)
def test_a_plugin_is_known_by_what_it_installs(sets: list[Manifest], health: Health, name: str) -> None:
    found = list(network_plugin(survey(*sets)))
    assert worst(found).health is health
    assert any(name in diagnosis.found for diagnosis in found)


def test_the_agent_of_aws_is_switched_on_by_its_settings_too() -> None:
    agent = daemon_set("aws-node", containers=[{"name": "aws-eks-nodeagent", "args": []}])
    data = {"enable-network-policy-controller": "true"}
    config = manifest("v1", "ConfigMap", "amazon-vpc-cni", "kube-system", data=data)
    assert worst(network_plugin(survey(agent, config))).health is Health.OK


def test_k3s_has_its_plugin_within() -> None:
    node = manifest("v1", "Node", "n", status={"nodeInfo": {"kubeletVersion": "v1.33.1+k3s1"}})
    (found,) = network_plugin(survey(node))
    assert "kube-router within k3s" in found.found


def test_a_plugin_that_nobody_knows() -> None:
    (found,) = network_plugin(survey(daemon_set("my-cni")))
    assert found.health is Health.NOTE
    assert "--probe" in found.remedy


def control_plane(
    namespace: str = "istio-system", image: str = "istio/pilot:1.31.2", **labels: str
) -> Manifest:
    all_labels = {"app": "istiod", "istio": "pilot", **labels}
    template = {"metadata": {"labels": all_labels}, "spec": {"containers": [{"name": "d", "image": image}]}}
    return manifest(
        "apps/v1",
        "Deployment",
        "istiod",
        namespace,
        labels={"app": "istiod"},
        spec={"template": template},
        status={"readyReplicas": 1},
    )


def test_istiod_as_the_settings_have_it() -> None:
    assert worst(istiod(survey(control_plane()), SETTINGS)).health is Health.OK


def test_istiod_elsewhere_without_labels_or_down() -> None:
    assert worst(istiod(survey(control_plane("mesh")), SETTINGS)).remedy.startswith(
        "set mesh.rootNamespace to mesh"
    )
    assert worst(istiod(survey(control_plane(istio="x")), SETTINGS)).health is Health.NOTE
    assert worst(istiod(survey({**control_plane(), "status": {}}), SETTINGS)).health is Health.WRONG
    assert worst(istiod(survey(), SETTINGS)).health is Health.NOTE


def injector(revision: str, *, key: str = "istio.io/rev", value: str = "", tag: str = "") -> Manifest:
    selector = {"matchExpressions": [{"key": key, "operator": "In", "values": [value or revision]}]}
    labels = {"istio.io/rev": revision, **({"istio.io/tag": tag} if tag else {})}
    webhook = {"name": "rev.namespace.sidecar-injector.istio.io", "namespaceSelector": selector}
    return manifest(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        f"istio-sidecar-injector-{tag or revision}",
        labels=labels,
        webhooks=[webhook],
    )


def namespace(name: str, **labels: str) -> Manifest:
    return manifest(
        "v1", "Namespace", name, labels={key.replace("__", "/"): value for key, value in labels.items()}
    )


DEFAULT = injector("default", key="istio-injection", value="enabled")


@pytest.mark.parametrize(
    ("labels", "injectors"),
    [
        ({"istio-injection": "enabled"}, [DEFAULT]),
        ({"istio.io/rev": "1-31"}, [injector("1-31")]),
        ({"istio.io/rev": "prod"}, [injector("1-31", value="prod", tag="prod")]),
        ({}, []),
    ],
)
def test_namespaces_that_get_what_they_ask_for(labels: dict[str, str], injectors: list[Manifest]) -> None:
    found = injection(survey(namespace("shop", **labels), *injectors), SETTINGS)
    assert worst(found).health is Health.OK


@pytest.mark.parametrize(
    ("labels", "injectors", "remedy"),
    [
        ({"istio.io/rev": "1-20"}, [injector("1-31")], "one of 1-31"),
        ({"istio-injection": "enabled"}, [injector("1-31")], "one of 1-31"),
        ({"istio-injection": "enabled"}, [], "install istiod"),
        (
            {"istio-injection": "enabled", "istio.io/rev": "1-31"},
            [DEFAULT, injector("1-31")],
            "remove istio-injection",
        ),
        ({"istio.io/dataplane-mode": "ambient"}, [], "install ztunnel"),
        ({"istio-netpol.io/mode": "strict"}, [], "correct the label"),
    ],
)
def test_namespaces_that_ask_in_vain(labels: dict[str, str], injectors: list[Manifest], remedy: str) -> None:
    found = worst(injection(survey(namespace("shop", **labels), *injectors), SETTINGS))
    assert found.health is Health.WRONG
    assert remedy in found.remedy


def served(
    days: int = 90, *, bundle: bytes | None = None, name: str = "opted-in.istio-netpol.io"
) -> list[Manifest]:
    authority = make_authority(Validity.of(NOW, timedelta(days=days)))
    pem = certificate_pem(authority.certificate) if bundle is None else bundle
    service = {"namespace": "netpol", "name": "hook", "port": 443}
    client = {"caBundle": b64encode(pem).decode(), "service": service}
    webhook = {"name": name, "failurePolicy": "Fail", "clientConfig": client}
    slices = manifest(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "hook-1",
        "netpol",
        labels={"kubernetes.io/service-name": "hook"},
        endpoints=[{"addresses": ["10.0.0.9"], "conditions": {"ready": True}}],
    )
    return [
        manifest(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            "istio-netpol",
            webhooks=[webhook],
        ),
        manifest(
            "v1", "Service", "hook", "netpol", spec={"clusterIP": "10.96.0.9", "ports": [{"port": 443}]}
        ),
        slices,
    ]


def unreachable(address: str, port: int, name: str, bundle: bytes) -> str:
    return f"{address}:{port} can't be reached from here (timed out)"


def judged(objects: list[Manifest]) -> list[Diagnosis]:
    return list(webhooks(survey(*objects), SETTINGS, NOW, unreachable))


@pytest.mark.parametrize(
    "name", ["opted-in.istio-netpol.io", "validation.istio.io", "x.sidecar-injector.istio.io"]
)
def test_a_webhook_that_is_well(name: str) -> None:
    found = judged(served(name=name))
    assert Health.WRONG not in {diagnosis.health for diagnosis in found}
    assert any("failurePolicy Fail" in diagnosis.found for diagnosis in found)
    assert any(diagnosis.found == "90 days left" for diagnosis in found)
    assert any("not looked at" in diagnosis.found for diagnosis in found)


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        (served(bundle=b""), "is empty"),
        (served(bundle=b"nonsense"), "holds no certificate"),
        (served(days=3), "3 days left"),
        (served()[:1], "is not there"),
        ([*served()[:2]], "no endpoint is ready"),
    ],
)
def test_a_webhook_that_is_not(objects: list[Manifest], text: str) -> None:
    found = worst(judged(objects))
    assert found.health is Health.WRONG
    assert text in found.found
    assert found.remedy


def test_a_certificate_that_has_expired() -> None:
    found = worst(webhooks(survey(*served(days=10)), SETTINGS, NOW + timedelta(days=20), unreachable))
    assert found.found == "expired 10 days ago"


def test_the_certificate_that_is_served_counts_too() -> None:
    authority = make_authority(Validity.of(NOW, timedelta(days=90)))
    leaf = make_leaf(authority, ["hook.netpol.svc"], Validity.of(NOW, timedelta(days=5)))
    found = webhooks(survey(*served()), SETTINGS, NOW, lambda *_: leaf.certificate)
    assert worst(found).found == "5 days left"
    refused = "is not one that caBundle vouches for: self-signed certificate"
    assert worst(webhooks(survey(*served()), SETTINGS, NOW, lambda *_: refused)).health is Health.WRONG


def test_a_setting_that_the_registration_does_not_follow() -> None:
    """What is refused besides has to be sent: settings that were edited alone change nothing."""
    denying = replace(SETTINGS, admission=replace(SETTINGS.admission, deny_controlled_pods=True))
    (configuration, *others) = served()
    followed = webhooks(survey(configuration, *others), denying, NOW, unreachable)
    assert Health.WRONG not in {found.health for found in followed}
    configuration["webhooks"][0]["matchConditions"] = [{"name": NOT_CONTROLLED, "expression": "true"}]
    ignored = worst(webhooks(survey(configuration, *others), denying, NOW, unreachable))
    assert "denyControlledPods" in ignored.found
    assert Health.WRONG not in {found.health for found in judged([configuration, *others])}


def test_webhooks_of_others_are_not_looked_at() -> None:
    found = judged(served(name="validate.kyverno.svc", bundle=b""))
    assert [diagnosis.looked_at for diagnosis in found] == ["configurations of istio-netpol"]


def test_versions_beside_those_that_were_tested() -> None:
    assert worst(kubernetes_version("v1.36.3")).health is Health.OK
    assert worst(kubernetes_version("v1.33.1-eks-1")).health is Health.NOTE
    assert worst(kubernetes_version("v1.25.0")).health is Health.WRONG
    assert worst(istio_versions(survey(control_plane()))).health is Health.OK
    assert worst(
        istio_versions(survey(control_plane(image="r:5000/pilot:1.27.3-distroless")))
    ).found.startswith("1.27.3")
    by_digest = control_plane(image="r:5000/pilot@sha256:00")
    assert worst(istio_versions(survey(by_digest))).found.startswith("not told by its image")
    manager = {"template": {"spec": {"containers": [{"name": "m", "image": "k/istio-manager:1.30.0"}]}}}
    kyma = manifest("apps/v1", "Deployment", "istio-controller-manager", "kyma-system", spec=manager)
    assert worst(kyma_versions(survey(kyma))).health is Health.OK


def test_policies_by_their_authors() -> None:
    def policy(name: str, **labels: str) -> Manifest:
        return manifest("networking.k8s.io/v1", "NetworkPolicy", name, "x", labels=labels)

    own = policy("a", **{"app.kubernetes.io/managed-by": "istio-netpol"})
    kyma = policy("kyma-project.io--istio", **{})
    (found,) = policies(survey(own, kyma, policy("c"), bundled("192.0.2.0/24", 6443)))
    assert found.found == "1 of Kyma, 1 of others, 1 of the bundle, 1 written by istio-netpol"


def test_policies_of_other_kinds() -> None:
    admin = manifest("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", "strict")
    cilium = manifest("cilium.io/v2", "CiliumNetworkPolicy", "l7", "shop")
    calico = manifest("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "default.all")
    assert worst(tiers(survey(admin))).found == "1: strict"
    found = list(not_evaluated(survey(cilium, calico)))
    assert {diagnosis.health for diagnosis in found} == {Health.NOTE}
    assert any("shop/l7" in diagnosis.found for diagnosis in found)


def test_what_may_not_be_seen_is_named_with_the_right_that_it_takes() -> None:
    """The rest is looked at nevertheless."""
    api = FakeApi(
        [endpoints(), *dns(), daemon_set("cilium"), *served()], forbidden={"daemonsets", "services"}
    )
    found = list(examine(Survey(api), SETTINGS, NOW, unreachable))
    hidden = {
        (diagnosis.topic, diagnosis.found) for diagnosis in found if diagnosis.health is Health.NOT_SEEN
    }
    assert hidden == {
        ("Network plugin", "not seen: needs list on daemonsets.apps"),
        ("DNS", "not seen: needs list on daemonsets.apps"),
        ("DNS", "not seen: needs get on services in kube-system"),
        ("Webhooks", "not seen: needs get on services in netpol"),
        ("Gateways", "not seen: needs list on services"),
    }
    assert any(diagnosis.topic == "API server" and diagnosis.health is Health.OK for diagnosis in found)


def test_secrets_are_never_asked_for() -> None:
    api = FakeApi([endpoints(), *dns(), daemon_set("cilium"), *served(), control_plane(), DEFAULT])
    list(examine(Survey(api), SETTINGS, NOW, unreachable))
    assert not [path for path in api.asked if "secrets" in path]
