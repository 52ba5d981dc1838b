"""What the chart's roles grant: what the program does with the API, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from kubernetes.client import ApiClient, Configuration
from tests.chart.rendering import NAMESPACE, RELEASE, Manifest, manifests, plural
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import GATEWAY_API, ISTIO, defined
from tests.cluster.fixtures import require, require_go

from istio_netpol.cli.main import program
from istio_netpol.kube.client import KubernetesClient
from istio_netpol.kube.cluster import Cluster
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.discovery import served
from istio_netpol.kube.scopes import CONFIG_MAP, MIRRORED
from istio_netpol.manifests.decode import DECODERS

pytestmark = pytest.mark.xdist_group("rights")  # what it starts is started once

Right = tuple[str, str, str, str, str]
"""Namespace or nothing for all, group, resource, name or nothing for all, verb."""

SCENARIOS = Path(__file__).parents[1] / "scenarios"
AUGMENT = {"augment": {"enabled": True}}
POLICIES = ("networking.k8s.io", "networkpolicies")


@pytest.fixture(autouse=True)
def helm() -> None:
    require("helm")


def granted(objects: list[Manifest], component: str) -> set[Right]:
    """What a component's ServiceAccount may do."""
    roles = {
        (manifest["kind"], manifest["metadata"]["name"]): manifest
        for manifest in objects
        if "rules" in manifest
    }
    return {
        right
        for binding in objects
        if "roleRef" in binding
        and binding["subjects"][0] == subject(component)
        and len(binding["subjects"]) == 1
        for right in rights_of(
            binding["metadata"].get("namespace", ""),
            roles[binding["roleRef"]["kind"], binding["roleRef"]["name"]]["rules"],
        )
    }


def subject(component: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": f"{RELEASE}-{component}", "namespace": NAMESPACE}


def rights_of(namespace: str, rules: list[Manifest]) -> Iterator[Right]:
    """A rule's product."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", [""]):
                    yield from ((namespace, group, resource, name, verb) for verb in rule["verbs"])


def read_by_rules(*verbs: str) -> set[Right]:
    """What every kind with a decoder needs, but those that the cluster source leaves out or narrows."""
    kinds = DECODERS.keys() - {MIRRORED, CONFIG_MAP}
    rights = {("", group, plural(kind), "", verb) for group, kind in kinds for verb in verbs}
    return rights | {("istio-system", "", "configmaps", "", verb) for verb in verbs}


def on(namespace: str, group: str, resource: str, *verbs: str, name: str = "") -> set[Right]:
    return {(namespace, group, resource, name, verb) for verb in verbs}


def registration(*verbs: str) -> set[Right]:
    """What concerns our own two webhook configurations."""
    kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
    return {
        right
        for kind in kinds
        for right in on("", "admissionregistration.k8s.io", kind, *verbs, name=RELEASE)
    }


def test_the_webhook_reads_what_rules_read_and_nothing_else() -> None:
    """But for the paths under which it is called. A kind with a new decoder needs its line in the chart; one
    that no rule reads may not have any."""
    assert granted(manifests(), "webhook") == read_by_rules("list", "watch") | registration("list", "watch")


OWNERLESS = {
    ("", "nodes"),
    ("discovery.k8s.io", "endpointslices"),
    ("gateway.networking.k8s.io", "gatewayclasses"),
    ("gateway.networking.k8s.io", "referencegrants"),
    ("networking.istio.io", "destinationrules"),
    ("networking.k8s.io", "ingressclasses"),
    ("networking.istio.io", "workloadentries"),
    ("policy.networking.k8s.io", "adminnetworkpolicies"),
    ("policy.networking.k8s.io", "baselineadminnetworkpolicies"),
    ("policy.networking.k8s.io", "clusternetworkpolicies"),
    ("security.istio.io", "peerauthentications"),
}
"""Kinds that rules read and none is about: they need no policy, and no Event tells of them."""

CONTROLLER = {
    *read_by_rules("list", "watch"),
    *(right for right in read_by_rules("get") if right[1:3] not in OWNERLESS),
    *on("", "events.k8s.io", "events", "create"),
    *on("", "openreports.io", "reports", "create", "list", "patch"),
    *on("", "wgpolicyk8s.io", "policyreports", "create", "list", "patch"),
    *on(NAMESPACE, "coordination.k8s.io", "leases", "create"),
    *on(NAMESPACE, "coordination.k8s.io", "leases", "get", "update", name=RELEASE),
    *registration("get", "patch"),
}
CERTIFICATES = {
    *on(NAMESPACE, "", "secrets", "create"),
    *on(NAMESPACE, "", "secrets", "get", "update", name=f"{RELEASE}-certificate"),
    *on(NAMESPACE, "", "secrets", "get", "update", name=f"{RELEASE}-certificate-ca"),
}


def test_the_controller_has_the_rights_that_it_uses() -> None:
    """Beside what rules read: its lease, what it tells, our two webhook configurations, and the Secrets of
    certificate and CA by name."""
    assert granted(manifests(), "controller") == CONTROLLER | CERTIFICATES


def test_no_finding_is_about_a_kind_that_may_not_be_looked_up() -> None:
    """In no scenario would an Event lack the uid of its object, or a policy its owner."""
    files = sorted(SCENARIOS.glob("*/findings.yaml"))
    found = [finding for file in files for finding in yaml.safe_load(file.read_text()) or ()]
    resources = {plural(finding["object"].partition("/")[0]) for finding in found}
    assert {"deployments", "virtualservices", "networkpolicies"} <= resources
    assert resources & {resource for _, resource in OWNERLESS} == set()


def test_cert_manager_takes_the_rights_on_certificates_away() -> None:
    """Where somebody else keeps the certificate, nobody of ours can read a Secret."""
    given = {"certificates": {"provider": "cert-manager"}}
    assert granted(manifests(given), "controller") == CONTROLLER


@pytest.mark.parametrize(
    "values",
    [AUGMENT, {"config": {"admission": {"defaultMode": "augment"}}}],
    ids=["asked for", "the mode of every namespace"],
)
def test_policies_are_written_only_where_a_mode_needs_it(values: dict[str, Any]) -> None:
    """Without augment nobody of ours can write a NetworkPolicy; with it, the controller alone deletes any."""
    writes = {
        component: granted(manifests(values), component) - granted(manifests(), component)
        for component in ("webhook", "controller")
    }
    assert writes == {
        "webhook": on("", *POLICIES, "create", "get", "patch"),
        "controller": on("", *POLICIES, "create", "delete", "patch"),
    }


DOCTOR = {
    *on("", "", "namespaces", "list"),
    *on("", "", "nodes", "list"),
    *on("", "", "pods", "list"),
    *on("", "", "services", "get"),
    *on("", "", "configmaps", "get", name="amazon-vpc-cni"),
    *on("", "", "configmaps", "get", name="cilium-config"),
    *on("", "", "configmaps", "get", name="shoot-info"),
    *on("", "apps", "daemonsets", "list"),
    *on("", "apps", "deployments", "list"),
    *on("", "discovery.k8s.io", "endpointslices", "list"),
    *on("", "networking.k8s.io", "networkpolicies", "list"),
    *on("", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "list"),
    *on("", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "list"),
}


def test_doctor_sees_what_it_examines_and_nothing_else() -> None:
    """It has an account of its own, which is there only where it runs."""
    assert granted(manifests({"doctor": {"run": "1"}}), "doctor") == DOCTOR
    assert granted(manifests(), "doctor") == set()


def test_readers_of_the_map_are_asked_about_only_where_it_is_served() -> None:
    """Asking who somebody is and what they may do grants the webhook nothing else, and the controller nothing
    at all."""
    served = manifests({"map": {"enabled": True}})
    assert granted(served, "webhook") - granted(manifests(), "webhook") == {
        *on("", "authentication.k8s.io", "tokenreviews", "create"),
        *on("", "authorization.k8s.io", "subjectaccessreviews", "create"),
    }
    assert granted(served, "controller") == granted(manifests(), "controller")


def test_policies_are_written_only_in_the_namespaces_named() -> None:
    """A list of namespaces is the end of where policies can be written."""
    values = {"augment": {"enabled": True, "namespaces": ["shop", "istio-system"]}}
    writes = granted(manifests(values), "webhook") - granted(manifests(), "webhook")
    assert writes == {
        right
        for place in ("shop", "istio-system")
        for right in on(place, *POLICIES, "create", "get", "patch")
    }


def test_rights_can_be_granted_by_others() -> None:
    """With `rbac.create: false` the chart grants nothing."""
    assert [
        manifest["kind"] for manifest in manifests({"rbac": {"create": False}}) if "rules" in manifest
    ] == []


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A cluster with Istio's and the Gateway API's kinds, the chart's accounts and its roles."""
    require("helm")
    require_go()
    kubectl = control_plane.kubectl()
    for name in (NAMESPACE, "istio-system"):
        kubectl("create", "namespace", name)
    accounts_and_rights = [
        manifest
        for manifest in manifests({"doctor": {"run": "1"}})
        if manifest["kind"] == "ServiceAccount" or "rules" in manifest or "roleRef" in manifest
    ]
    with defined(control_plane, ISTIO, GATEWAY_API):
        applied = kubectl.apply(*accounts_and_rights)
        assert applied.code == 0, applied.stderr
        yield control_plane
        # helm refuses to install where any of them is left
        deleted = kubectl("delete", "--filename", "-", stdin=yaml.safe_dump_all(accounts_and_rights))
        assert deleted.code == 0, deleted.stderr


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_the_cluster_is_read_whole_with_these_rights(cluster: ControlPlane, component: str) -> None:
    """As the chart's ServiceAccount, every kind that the API server serves is listed and watched."""
    connection = connection_of(cluster, component)
    plurals = {(resource.group, resource.kind): resource.plural for resource in served(connection, DECODERS)}
    assert {("networking.istio.io", "Gateway"), ("gateway.networking.k8s.io", "HTTPRoute")} <= plurals.keys()
    assert {kind: plural(kind[1]) for kind in plurals if kind != MIRRORED} == {
        kind: name for kind, name in plurals.items() if kind != MIRRORED
    }
    source = Cluster(connection, ["istio-system"])
    source.start()
    try:
        cluster.wait_until("everything is read", lambda: source.take() is not None)
        assert source.state().age == 0.0
    finally:
        source.stop()


def test_doctor_lacks_no_right_that_its_job_needs(cluster: ControlPlane, tmp_path: Path) -> None:
    """As the Job's ServiceAccount, what it is started with finds out about each of its topics."""
    (job,) = (manifest for manifest in manifests({"doctor": {"run": "1"}}) if manifest["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    arguments = [argument for argument in container["args"] if not argument.startswith("--config=")]
    account = f"{RELEASE}-doctor"
    token = cluster.kubectl()("create", "token", account, "--namespace", NAMESPACE)
    cluster.users.tokens[account] = token.stdout.strip()
    done = CliRunner().invoke(
        program,
        [*arguments, "-f", "json", "--kubeconfig", str(cluster.kubeconfig(account))],
    )
    assert done.exit_code in {0, 1}, done.output
    found = json.loads(done.stdout)["findings"]
    assert {line["topic"] for line in found} >= {"API server", "DNS", "Network plugin", "istiod", "Webhooks"}
    assert [line for line in found if line["verdict"] == "not seen"] == []


def connection_of(cluster: ControlPlane, component: str) -> ApiConnection:
    """A connection with a token of the component's ServiceAccount."""
    token = cluster.kubectl()("create", "token", f"{RELEASE}-{component}", "--namespace", NAMESPACE)
    assert token.code == 0, token.stderr
    configuration = Configuration()
    configuration.host, configuration.ssl_ca_cert = cluster.url, str(cluster.ca)
    configuration.api_key = {"authorization": f"Bearer {token.stdout.strip()}"}
    return ApiConnection(KubernetesClient(ApiClient(configuration)))


@pytest.mark.parametrize(
    "what",
    [
        ("get", "secrets"),
        ("list", "configmaps"),
        ("create", "networkpolicies"),
        ("delete", "networkpolicies"),
        ("create", "pods"),
    ],
    ids=" ".join,
)
def test_what_is_not_needed_is_forbidden(cluster: ControlPlane, what: tuple[str, str]) -> None:
    """The API server itself refuses what the chart does not grant."""
    for component in ("webhook", "controller"):
        account = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-{component}"
        outcome = cluster.kubectl()("auth", "can-i", *what, "--namespace", "default", "--as", account)
        assert outcome.stdout.strip() == "no", component
