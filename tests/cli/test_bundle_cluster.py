"""What `istio-netpol bundle verify` says of a cluster that an overlay is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from tests.bundle.overlays import KUSTOMIZE, kind_with_kyma
from tests.cli.test_bundle import KIND, verify
from tests.cli.test_schemas import errors as schema_errors

from istio_netpol.analysis.bundle_coverage.kyma_components import COMPONENTS, KYMA_METRICS, OF_WORKLOADS

Manifest = dict[str, Any]
HERE = "kyma-system"
PORTS = [{"containerPort": 8443, "name": "https"}]
NOWHERE = [{"ipBlock": {"cidr": "10.96.0.1/32"}}]
"""The address of the Service kubernetes below."""


@dataclass(frozen=True, slots=True)
class Place:
    """An overlay that denies kyma-system, and a folder for the dump."""

    overlay: Path
    folder: Path


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kind_with_kyma(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def place(overlay: Path, tmp_path: Path) -> Place:
    return Place(overlay, tmp_path)


def named(kind: str, name: str, api_version: str, where: str = HERE, **content: Any) -> Manifest:
    """An object with a name."""
    metadata = {"name": name, **({"namespace": where} if where else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def guard(account: str = "guard", **pod: Any) -> Manifest:
    """A workload of which no rule knows anything."""
    container = {"name": "c", "image": "i", "ports": PORTS}
    template = {
        "metadata": {"labels": {"app": "guard", **pod.pop("labels", {})}},
        "spec": {"serviceAccountName": account, "containers": [container], **pod},
    }
    spec = {"selector": {"matchLabels": {"app": "guard"}}, "template": template}
    return named("Deployment", "guard", "apps/v1", spec=spec)


SERVICE = named(
    "Service",
    "guard",
    "v1",
    spec={
        "selector": {"app": "guard"},
        "clusterIP": "10.96.7.7",
        "ports": [{"port": 443, "targetPort": "https"}],
    },
)
KUBERNETES = named(
    "Service",
    "kubernetes",
    "v1",
    "default",
    spec={"clusterIP": "10.96.0.1", "ports": [{"port": 443, "targetPort": 6443}]},
)
CALLED = {"service": {"namespace": HERE, "name": "guard", "port": 443}}


def webhooks(kind: str = "Validating", failure_policy: str = "Fail") -> Manifest:
    """A webhook that the guard serves."""
    webhook = {
        "name": "pods.guard.example.com",
        "clientConfig": CALLED,
        "failurePolicy": failure_policy,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    api = "admissionregistration.k8s.io/v1"
    return named(f"{kind}WebhookConfiguration", "guard", api, "", webhooks=[webhook])


API_SERVICE = named(
    "APIService",
    "v1.guard.example.com",
    "apiregistration.k8s.io/v1",
    "",
    spec={"group": "guard.example.com", "version": "v1", **CALLED},
)
CONVERSION = named(
    "CustomResourceDefinition",
    "guards.example.com",
    "apiextensions.k8s.io/v1",
    "",
    spec={"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": CALLED}}},
)


def policy(name: str, **spec: Any) -> Manifest:
    """A NetworkPolicy for the guard, unless it selects others."""
    whole = {"podSelector": {"matchLabels": {"app": "guard"}}, **spec}
    return named("NetworkPolicy", name, "networking.k8s.io/v1", spec=whole)


def opened(*peers: Manifest, port: Any = 8443, name: str = "guard-in") -> Manifest:
    """A policy that lets somebody in to the guard; without peers, everybody."""
    rule = {"ports": [{"port": port}], **({"from": list(peers)} if peers else {})}
    return policy(name, policyTypes=["Ingress"], ingress=[rule])


def let_out(*ports: int, name: str = "guard-out", to: list[Manifest] | None = None) -> Manifest:
    """A policy that lets the guard out on ports, to anywhere unless peers are named."""
    listed = [{"port": port, "protocol": protocol} for port in ports for protocol in ("TCP", "UDP")]
    rule = {"ports": listed, **({"to": to} if to else {})}
    return policy(name, policyTypes=["Egress"], egress=[rule])


def dump(place: Place, *objects: Manifest) -> Path:
    """The file of a dump, a List as kubectl prints it."""
    file = place.folder / "cluster.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": list(objects)}))
    return file


def report(place: Place, *objects: Manifest, code: int | None = None) -> dict[str, Any]:
    """What the overlay meets in a cluster of these objects, as JSON."""
    result = verify(place.overlay, "--cluster-dump", dump(place, *objects), "-f", "json")
    assert result.exit_code in (0, 1), result.stderr
    assert schema_errors("bundle", result.stdout) == []
    if code is not None:
        assert result.exit_code == code, result.stdout
    return dict(json.loads(result.stdout))


def side(document: dict[str, Any], direction: str, name: str = "guard") -> dict[str, Any]:
    """One side of a workload."""
    found = [
        covered
        for covered in document["coverage"]["sides"]
        if covered["workload"]["name"] == name and covered["direction"] == direction
    ]
    assert len(found) == 1
    return dict(found[0])


def uncovered(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The findings about workloads by the direction that they name."""
    found = [finding for finding in document["findings"] if finding["rule"] == "uncovered-workload"]
    return {finding["message"].partition(": its ")[2].partition(" ")[0]: finding for finding in found}


def errors(document: dict[str, Any]) -> list[str]:
    return [finding["message"] for finding in document["findings"] if finding["severity"] == "error"]


def warnings(document: dict[str, Any]) -> list[str]:
    return [finding["message"] for finding in document["findings"] if finding["severity"] == "warning"]


@pytest.mark.parametrize("caller", [webhooks(), webhooks("Mutating"), API_SERVICE, CONVERSION])
def test_what_cannot_go_on_without_an_answer_fails_the_proof(place: Place, caller: Manifest) -> None:
    """A webhook that fails closed, an API and a conversion behind the default-deny: exit code 1, with the
    policy that keeps them."""
    document = report(place, guard(), SERVICE, caller, code=1)
    (message,) = errors(document)
    assert "Deployment kyma-system/guard from the API server (TCP 8443) is denied" in message
    (called,) = side(document, "Ingress")["callers"]
    assert called["object"]["name"] == caller["metadata"]["name"]
    assert called["failsClosed"]
    assert not called["allowed"]
    finding = next(finding for finding in document["findings"] if finding["severity"] == "error")
    assert finding["remedy"][0]["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8443}]}]


def test_the_same_holds_for_the_manifests_of_a_control_plane(place: Place) -> None:
    """A foreign webhook among them is told of in the same way."""
    file = dump(place, guard(), SERVICE, webhooks())
    result = verify(place.overlay, "--control-plane", file)
    assert result.exit_code == 1
    assert "not covered: Deployment kyma-system/guard, ingress" in result.stdout
    assert result.stdout.count("error webhook-from-apiserver") == 1


def test_a_webhook_that_may_stay_silent_is_a_warning(place: Place) -> None:
    """The API server goes on without it, and nobody would notice."""
    document = report(place, guard(), SERVICE, webhooks(failure_policy="Ignore"), code=0)
    assert any("pods.guard.example.com" in message for message in warnings(document))
    (called,) = side(document, "Ingress")["callers"]
    assert not called["failsClosed"]


def test_a_workload_that_nothing_covers_is_named_with_what_it_loses(place: Place) -> None:
    """Whoever calls its Service, DNS, and the API server, which its own service account is for."""
    document = report(place, guard(), SERVICE, code=0)
    assert side(document, "Ingress")["state"] == "notCovered"
    assert side(document, "Ingress")["loses"] == ["clients on TCP 8443 (Service guard)"]
    assert side(document, "Egress")["loses"] == ["DNS", "the API server", "whatever else it calls"]
    found = uncovered(document)
    assert set(found) == {"ingress", "egress"}
    assert "podSelector {app: guard}" in found["ingress"]["message"]
    ports = {
        port["port"]
        for remedy in found["egress"]["remedy"]
        for rule in remedy["spec"]["egress"]
        for port in rule["ports"]
    }
    assert ports == {53, 6443}


def test_nothing_says_that_pods_of_the_default_account_use_the_api_server(place: Place) -> None:
    """DNS is told, and no policy for the API server is proposed."""
    found = report(place, guard("default"), let_out(5432))
    assert side(found, "Egress")["loses"] == ["DNS"]


@pytest.mark.parametrize("name", ["kyma-project.io--guard", "mine", "kim-snatch-kyma-project.io--guard"])
def test_policies_of_others_cover_whatever_they_are_called(place: Place, name: str) -> None:
    """They are known by whom they select and what they admit."""
    document = report(
        place,
        guard(),
        SERVICE,
        webhooks(),
        opened(name=name),
        let_out(53, 6443, name=f"{name}-out"),
        code=0,
    )
    assert side(document, "Ingress")["state"] == "covered"
    assert side(document, "Egress")["state"] == "covered"
    assert side(document, "Ingress")["otherPolicies"] == [f"kyma-system/{name}"]
    assert not errors(document)


def test_a_policy_for_other_pods_covers_nothing(place: Place) -> None:
    """Though its name says what it is for."""
    wrong = policy(
        "kyma-project.io--guard-allow-webhook",
        podSelector={"matchLabels": {"app": "guardian"}},
        policyTypes=["Ingress"],
        ingress=[{}],
    )
    document = report(place, guard(), SERVICE, webhooks(), wrong, code=1)
    assert side(document, "Ingress")["state"] == "notCovered"


def test_a_policy_that_exists_on_paper_only_is_named(place: Place) -> None:
    """It admits the address of a Service, from which nobody connects: Kyma's keda has such a policy."""
    keda = opened(*NOWHERE, name="kyma-project.io--keda-admission-webhooks-webhook")
    document = report(place, guard(), SERVICE, KUBERNETES, webhooks(failure_policy="Ignore"), keda)
    assert side(document, "Ingress")["state"] == "notCovered"
    assert side(document, "Ingress")["deniedAnyway"]
    (message,) = [warning for warning in warnings(document) if "pods.guard.example.com" in warning]
    assert "opens it on paper only: 10.96.0.1/32 is the address of a Service" in message
    assert "without the overlay too, by NetworkPolicy kyma-system/kyma-project.io--keda" in message


def coredns(port: int) -> list[Manifest]:
    """Cluster DNS that listens on a port of its own."""
    labels = {"k8s-app": "kube-dns"}
    ports = [{"containerPort": port, "protocol": "UDP"}, {"containerPort": port}]
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i", "ports": ports}]},
    }
    spec = {"selector": {"matchLabels": labels}, "template": template}
    listed = [
        {"name": protocol.lower(), "port": 53, "targetPort": port, "protocol": protocol}
        for protocol in ("UDP", "TCP")
    ]
    return [
        named("Deployment", "coredns", "apps/v1", "kube-system", spec=spec),
        named("Service", "kube-dns", "v1", "kube-system", spec={"selector": labels, "ports": listed}),
    ]


def test_dns_by_the_port_of_the_service_is_no_dns(place: Place) -> None:
    """Policies see the pods' port: with CoreDNS on 8053, 53 to everywhere opens nothing."""
    found = report(place, guard("default"), *coredns(8053), let_out(53))
    assert side(found, "Egress")["loses"] == ["DNS"]
    found = report(place, guard("default"), *coredns(8053), let_out(53, 8053))
    assert side(found, "Egress")["loses"] == []


def test_older_policies_of_the_bundle_are_replaced_not_added(place: Place) -> None:
    """What an earlier version of the overlay opened goes with it, whether the name is gone or still there."""
    gone = opened(name="guard-from-apiserver")
    gone["metadata"]["labels"] = {"app.kubernetes.io/part-of": "istio-netpol"}
    document = report(place, guard(), SERVICE, webhooks(), gone, code=1)
    assert not side(document, "Ingress")["otherPolicies"]
    changed = opened(name="api-gateway-operator-from-apiserver")
    assert (
        side(report(place, guard(), SERVICE, webhooks(), changed, code=1), "Ingress")["state"] == "notCovered"
    )


def test_a_second_bundle_keeps_its_policies(place: Place) -> None:
    """Labels of the bundle count where the overlay has policies."""
    elsewhere = opened(name="guard-in")
    elsewhere["metadata"]["labels"] = {"app.kubernetes.io/part-of": "another"}
    assert side(report(place, guard(), SERVICE, elsewhere), "Ingress")["state"] == "covered"


def test_injected_pods_need_their_istiod(place: Place) -> None:
    """The namespace's label is the cluster's word: the overlay's Namespace does not take it away."""
    injected = named("Namespace", HERE, "v1", "")
    injected["metadata"]["labels"] = {"istio-injection": "enabled"}
    labels = {"app": "istiod"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    istiod = named("Deployment", "istiod", "apps/v1", "istio-system", spec=spec)
    document = report(place, injected, istiod, guard(), code=1)
    assert any("to Deployment istio-system/istiod (TCP 15012)" in message for message in errors(document))
    lost = ["DNS", "the API server", "Deployment istio-system/istiod", "whatever else it calls"]
    assert side(document, "Egress")["loses"] == lost
    already = report(place, injected, istiod, guard(), let_out(53, 6443), code=0)
    assert any(
        "(TCP 15012)" in warning and "without the overlay too" in warning for warning in warnings(already)
    )
    out = guard(labels={"sidecar.istio.io/inject": "false"})
    assert not errors(report(place, injected, istiod, out, let_out(53, 6443), code=0))


def test_pods_in_the_network_of_their_node_lose_nothing(place: Place) -> None:
    """No policy concerns them."""
    document = report(place, guard(), guard_on_nodes(), SERVICE)
    assert {covered["workload"]["name"] for covered in document["coverage"]["sides"]} == {"guard"}


def guard_on_nodes() -> Manifest:
    found = guard(hostNetwork=True, labels={"app": "agent"})
    found["metadata"]["name"] = "agent"
    found["spec"]["selector"]["matchLabels"] = {"app": "agent"}
    return found


def test_a_part_that_is_closed_is_told_of_with_its_service(place: Place) -> None:
    """One port is open to its callers, the other one to nobody."""
    two = guard()
    two["spec"]["template"]["spec"]["containers"][0]["ports"] = [
        *PORTS,
        {"containerPort": 9666, "name": "grpc"},
    ]
    second = named(
        "Service",
        "scaler",
        "v1",
        spec={"selector": {"app": "guard"}, "ports": [{"port": 1, "targetPort": "grpc"}]},
    )
    document = report(place, two, SERVICE, second, opened())
    found = side(document, "Ingress")
    assert found["state"] == "partlyCovered"
    assert found["loses"] == ["clients on TCP 9666 (Service scaler)"]


def test_ports_for_probes_alone_are_nobodys_loss(place: Place) -> None:
    """The kubelet gets through whatever policies say."""
    probed = guard()
    container = probed["spec"]["template"]["spec"]["containers"][0]
    container["ports"] = [*PORTS, {"containerPort": 8081, "name": "health"}]
    container["livenessProbe"] = {"httpGet": {"path": "/", "port": "health"}}
    document = report(place, probed, opened())
    assert [listen["port"] for listen in side(document, "Ingress")["listens"]] == [8443]


def test_a_workload_that_listens_nowhere_is_only_worth_knowing(place: Place) -> None:
    """No container declares a port, and no Service leads to it."""
    silent = guard()
    del silent["spec"]["template"]["spec"]["containers"][0]["ports"]
    document = report(place, silent, let_out(53, 6443), code=0)
    found = uncovered(document)
    assert {way: finding["severity"] for way, finding in found.items()} == {"ingress": "info"}


def test_a_cluster_of_which_nothing_is_isolated_proves_nothing(place: Place) -> None:
    """No flows and no workloads are no success: exit code 2, and what to do."""
    elsewhere = guard()
    elsewhere["metadata"]["namespace"] = "shop"
    result = verify(place.overlay, "--cluster-dump", dump(place, elsewhere))
    assert result.exit_code == 2
    assert "holds no workload that the overlay isolates" in result.stderr
    assert "istio-netpol dump" in result.stderr


def test_what_a_dump_lacks_is_said(place: Place) -> None:
    """Pods alone don't say whom the API server calls."""
    result = verify(place.overlay, "--cluster-dump", dump(place, guard()))
    assert "the input holds no webhook configurations, APIServices and conversions" in result.stdout
    assert "istio-system: the input holds none of its workloads" in result.stdout


def test_text_names_the_side_the_port_and_the_loss(place: Place) -> None:
    """A person reads what is cut before the list of findings."""
    result = verify(place.overlay, "--cluster-dump", dump(place, guard(), SERVICE, webhooks()))
    assert "Workloads of istio-system, kyma-system under the overlay:" in result.stdout
    assert (
        "not covered: Deployment kyma-system/guard, ingress\n      listens on TCP 8443 (closed)"
        in result.stdout
    )
    assert "1 workload and 1 required flow looked at: 1 workload cut" in result.stdout


@pytest.mark.parametrize("name", ["sarif", "junit"])
def test_other_formats_have_the_findings(place: Place, name: str) -> None:
    """CI systems show them like any others."""
    result = verify(place.overlay, "--cluster-dump", dump(place, guard(), SERVICE), "-f", name)
    assert "uncovered-workload" in result.stdout


def test_strict_counts_what_is_cut(place: Place) -> None:
    """A team that wants every workload covered says so."""
    file = dump(place, guard(), SERVICE)
    assert verify(place.overlay, "--cluster-dump", file).exit_code == 0
    assert verify(place.overlay, "--cluster-dump", file, "--strict").exit_code == 1


def of_eventing(name: str, **labels: str) -> Manifest:
    """A workload that a module of Kyma brings, with the labels that it has there."""
    found = guard(name)
    found["metadata"]["name"] = name
    found["spec"]["selector"]["matchLabels"] = labels
    found["spec"]["template"]["metadata"]["labels"] = labels
    return found


MODULES = {
    "eventing-manager": ({"app.kubernetes.io/name": "eventing-manager"}, "take the component kyma-eventing"),
    "eventing-nats": (
        {"app.kubernetes.io/name": "nats", "app.kubernetes.io/instance": "eventing"},
        "take the component kyma-nats",
    ),
    "warden-operator": (
        {"app": "warden", "app.kubernetes.io/component": "warden-operator"},
        "take the component kyma-warden",
    ),
    "oathkeeper": (
        {"app.kubernetes.io/name": "oathkeeper", "app.kubernetes.io/instance": "ory"},
        "take the component kyma-oathkeeper into the overlay, or switch the module's own policies on",
    ),
    "keda-operator": ({"app": "keda-operator"}, "which brings policies of its own"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_known_module_is_named_with_the_component_that_is_for_it(place: Place, name: str) -> None:
    """Nobody has to find out what eventing needs."""
    labels, advice = MODULES[name]
    found = side(report(place, of_eventing(name, **labels)), "Egress", name)
    assert found["state"] == "notCovered"
    assert advice in found["remedy"]
    uses_api_server = name != "eventing-nats"
    assert ("the API server" in found["loses"]) == uses_api_server


def test_metrics_alone_are_only_worth_knowing(place: Place) -> None:
    """Nothing stops where nobody scrapes; the component that opens them is named."""
    manager = of_eventing("nats-manager", **{"control-plane": "manager"})
    manager["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    document = report(place, manager)
    found = side(document, "Ingress", "nats-manager")
    assert found["loses"] == ["scrapes of its metrics on TCP 8080"]
    assert "take the component kyma-metrics" in found["remedy"]
    assert uncovered(document)["ingress"]["severity"] == "info"


def test_gateways_need_what_rules_say(place: Place) -> None:
    """Their service account is their own, and they do not use the API server."""
    gateway = of_eventing("istio-ingressgateway", app="istio-ingressgateway", istio="ingressgateway")
    gateway["metadata"]["namespace"] = "istio-system"
    gateway["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
    document = report(place, gateway, KUBERNETES)
    assert side(document, "Egress", "istio-ingressgateway")["state"] == "covered"


def test_every_component_that_is_named_is_there() -> None:
    """The advice can be followed."""
    components = {path.name for path in (KUSTOMIZE / "components").iterdir()}
    assert {*COMPONENTS.values(), *OF_WORKLOADS.values(), KYMA_METRICS} <= components


def piped(place: Place) -> Result:
    content = dump(place, guard(), SERVICE).read_text()
    return verify(place.overlay, "--cluster-dump", "-", stdin=content)


def test_a_dump_may_come_from_standard_input(place: Place) -> None:
    """`istio-netpol dump | istio-netpol bundle verify … --cluster-dump -`."""
    assert "not covered: Deployment kyma-system/guard, egress" in piped(place).stdout


CONTRADICTIONS = {
    "two clusters": (["--cluster-dump", "a.yaml", "--live"], "name two clusters"),
    "a context too": (["--cluster-dump", "a.yaml", "--context", "prod"], "name two clusters"),
    "a dry run on a dump": (["--cluster-dump", "a.yaml", "--dry-run-server"], "asks a cluster: add --live"),
    "one input twice": (["--cluster-dump", "-", "--control-plane", "-"], "can't both read standard input"),
}


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_contradictions_are_refused(contradiction: str) -> None:
    """Before anything is built."""
    arguments, sentence = CONTRADICTIONS[contradiction]
    result = verify(KIND, *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr


def agent(name: str, where: str = "kube-system", **pod: Any) -> Manifest:
    """The DaemonSet of a network plugin, or one of that name."""
    labels = {"k8s-app": name}
    container = {"name": "agent", "image": "i"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **pod}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return named("DaemonSet", name, "apps/v1", where, spec=spec)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("cilium", "cilium (Cilium) or cilium-nodes"),
        ("anetd", "gke-dataplane-v2 (GKE Dataplane V2)"),
        ("aws-node", "aws-vpc-cni (AWS VPC CNI)"),
        ("ovnkube-node", "ovn-kubernetes (OVN-Kubernetes)"),
    ],
)
def test_another_network_plugin_proves_nothing(place: Place, name: str, ids: str) -> None:
    """The overlay says kindnet, and what the cluster runs judges an ipBlock or an address in another way."""
    file = dump(place, guard(), agent(name, hostNetwork=True))
    result = verify(place.overlay, "--cluster-dump", file)
    assert result.exit_code == 2, result.output
    assert f"cluster.yaml: runs DaemonSet kube-system/{name}, and the setting network.plugin" in result.stderr
    assert f"set network.plugin in environment.yaml to {ids}" in result.stderr


@pytest.mark.parametrize(
    "agents",
    [
        pytest.param([agent("calico-node", hostNetwork=True)], id="judges alike"),
        pytest.param([agent(name, hostNetwork=True) for name in ("kindnet", "cilium")], id="both"),
        pytest.param([agent("cilium", "team-a")], id="a tenant's, which is no agent"),
        pytest.param([agent("kube-flannel-ds", hostNetwork=True)], id="does not enforce"),
    ],
)
def test_a_plugin_that_changes_nothing_is_no_obstacle(place: Place, agents: list[Manifest]) -> None:
    report(place, guard(), *agents)


def test_what_the_cluster_holds_is_not_assumed(place: Place) -> None:
    """The dump has cluster DNS, and Service kubernetes with its endpoints: nothing is taken for granted."""
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    selector = {"k8s-app": "kube-dns"}
    dns = named("Service", "kube-dns", "v1", "kube-system", spec={"selector": selector, "ports": ports})
    template = {"metadata": {"labels": selector}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    pods = {"selector": {"matchLabels": selector}, "template": template}
    coredns = named("Deployment", "coredns", "apps/v1", "kube-system", spec=pods)
    file = dump(place, guard(), KUBERNETES, dns, coredns)
    told = verify(place.overlay, "--cluster-dump", file).stdout.partition("Assumed:")[2]
    assert "the input holds no NetworkPolicies" in told
    assert "cluster DNS" not in told
    assert "API server is not known" not in told
