"""The Kustomize baseline: under its deny-all Istio works from a cold start, and each policy is needed.

The overlay `generic` is built and applied as its users do, with the address of this mesh's API server and the
components `egress-gateway` and `metrics`. An application's namespace has the component `app-namespace`. What
istiod needs because of a JWKS address is not part of the bundle: `istio-netpol generate` prints it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.bundle.overlays import filled_tree, kustomize_build
from tests.mesh import manifests, topology
from tests.mesh.istio import EGRESS, INGRESS, ROOT, has_proxy
from tests.mesh.istio import manifests as rendered
from tests.mesh.metrics import scraped
from tests.mesh.necessity import generated, kind_of, shown
from tests.mesh.outside import IDENTITY, KEYS
from tests.mesh.tokens import Issuer
from tests.mesh.traffic import Answer, Inside, Outside, get

if TYPE_CHECKING:
    from tests.mesh.enforcement.nftables import Refused
    from tests.mesh.mesh import Mesh

pytestmark = pytest.mark.xdist_group("mesh")

HOST = "baseline.example.test"
JWKS_KIND = "istiod-to-jwks"
READY_WITHIN = 120.0

COMPONENTS = ("egress-gateway", "metrics")
NOT_EXERCISED = {
    "istio-cni-node-from-metrics",
    "istio-cni-node-to-apiserver",
    "istio-cni-node-to-dns",
    "ztunnel-from-metrics",
}
"""Policies for what this mesh has not: ztunnel, and Istio's CNI agent. Here `istio-init` redirects
the traffic of pods."""

STARTS = [
    ("istio-ingressgateway-to-dns", INGRESS, 53, "dns-refused"),
    ("istio-ingressgateway-to-istiod", INGRESS, 15012, "istiod-not-reached"),
    ("istio-egressgateway-to-dns", EGRESS, 53, "dns-refused"),
    ("istio-egressgateway-to-istiod", EGRESS, 15012, "istiod-not-reached"),
    ("istiod-from-proxies", INGRESS, 15012, "istiod-not-reached"),
    ("istiod-to-apiserver", "istiod", topology.API_SERVER_PORT, "istiod-waits-for-sync"),
    ("app/pods-to-dns", "echo", 53, "dns-refused"),
    ("app/pods-to-istiod", "echo", 15012, "istiod-not-reached"),
]
"""Policies without which something does not become ready, the port at which it is refused, and what its log
shows then. Those of the application's namespace begin with `app/`."""

DENIALS = {"zz-default-deny": (ROOT, "stranger"), "app/zz-default-deny": ("", "echo")}
"""The deny-alls, each with a pod that nothing else isolates."""

SCRAPES = {
    "gateways-from-metrics": [(app, port) for app in (INGRESS, EGRESS) for port in (15020, 15090)],
    "istiod-from-metrics": [("istiod", 15014)],
}
"""Policies without which metrics are out of reach, with the pods and the ports."""

OTHERS = {"istio-ingressgateway-from-clients", "istiod-from-apiserver", "istiod-to-dns", *DENIALS, *SCRAPES}
"""Policies whose lack shows elsewhere, each in a test of its own."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The policies of the bundle as they are in the mesh, and the namespaces of an application and of whoever
    scrapes metrics."""

    mesh: Mesh
    namespace: str
    monitoring: str
    policies: dict[str, dict[str, Any]]

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Leaves one policy out for as long as the block runs."""
        with self.mesh.without(self.policies[name]):
            self.mesh.enforcement.forget_refused()
            yield

    def home(self, deployment: str) -> str:
        return self.namespace if deployment == "echo" else ROOT

    def wait_until_all_are_ready(self) -> None:
        for deployment in ("istiod", INGRESS, EGRESS, "echo"):
            self.mesh.wait_until_ready(self.home(deployment), deployment, seconds=READY_WITHIN)

    def addresses(self) -> set[str]:
        """Of all pods that are under the bundle's policies."""
        pods = [pod for home in (ROOT, self.namespace) for pod in self.mesh.pods(home, "app")]
        return {pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP")}

    def refused(self) -> list[Refused]:
        """The packets from and to these pods that were refused. Those to a Service without endpoints don't
        count: nothing would have answered them."""
        ours = self.addresses()
        return [
            packet
            for packet in self.mesh.enforcement.refused()
            if {packet.source, packet.destination} & ours
            and ip_address(packet.destination) not in ip_network(topology.SERVICE_RANGE)
        ]

    def wait_until_refused(self, *ports: int) -> None:
        """Until packets to all of these ports were refused: who is seen to lack something may not have asked
        for it yet."""
        self.mesh.wait_until(
            f"packets to {', '.join(map(str, ports))} are refused",
            lambda: {packet.port for packet in self.refused()} >= set(ports),
        )

    def visit(self, token: str, scheme: str = "http") -> Answer:
        """A person's request by way of the load balancer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        resolve = {HOST: self.mesh.load_balancer(ROOT, INGRESS)}
        return get(
            self.mesh, Outside("client"), f"{scheme}://{HOST}/", headers=headers, resolve=resolve, timeout=5
        )

    def scraped(self, app: str, port: int) -> int | None:
        """The status with which a pod answers to who asks for its metrics."""
        return scraped(self.mesh, Inside(self.monitoring, "prometheus"), ROOT, app, port).status

    def admitted(self) -> dict[str, Any]:
        """What the API server answers for a pod that is to be injected."""
        pod = {"metadata": {"name": "new"}, "spec": {"containers": [{"name": "app", "image": "app"}]}}
        path = f"/api/v1/namespaces/{self.namespace}/pods?dryRun=All"
        return self.mesh.api.request("POST", path, {"apiVersion": "v1", "kind": "Pod", **pod}).object


@pytest.fixture(scope="module")
def baseline(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baseline]:
    """The bundle in istio-system and in a namespace where an echo runs; its gateway asks for tokens."""
    namespace, monitoring = mesh.namespace(), mesh.namespace({})
    tree = overlays(tmp_path_factory.mktemp("bundle"), namespace, monitoring)
    mine = [*objects(mesh), *egress_gateway()]
    policies: dict[str, dict[str, Any]] = {}
    try:
        mesh.apply(*manifests.echo(namespace), *manifests.client(monitoring, "prometheus"), *mine)
        for overlay in ("apps", "generic"):
            policies |= applied(mesh, tree / "overlays" / overlay)
        keys = [policy for policy in generated(mesh) if kind_of(policy) == JWKS_KIND]
        assert keys, f"nothing was generated for {JWKS_KIND}"
        mesh.apply(*keys)
        mine += keys
        mesh.settled()
        yield Baseline(mesh, namespace, monitoring, policies)
    finally:
        for label in ("istio-netpol.io/bundle=default-deny", "app.kubernetes.io/part-of=istio-netpol"):
            mesh.kubectl("delete", "networkpolicies", "--all-namespaces", "--wait=false", "--selector", label)
        mesh.delete(*mine)
        mesh.settled()


@pytest.fixture
def works(baseline: Baseline) -> Baseline:
    """All policies are there, and all pods are ready."""
    baseline.wait_until_all_are_ready()
    return baseline


def overlays(folder: Path, namespace: str, monitoring: str) -> Path:
    """A copy of the bundle with the values of this mesh filled in, and an overlay for applications."""
    tree = filled_tree(folder)
    values = tree / "overlays" / "generic" / "values.yaml"
    text = values.read_text()
    assert "203.0.113.10/32" in text
    text = text.replace("203.0.113.10/32", f"{topology.CONTROL_PLANE}/32")
    values.write_text(f"{text}metrics:\n  namespace: {monitoring}\n")
    file = values.with_name("kustomization.yaml")
    added = "".join(f"- ../../components/{component}\n" for component in COMPONENTS)
    file.write_text(file.read_text().replace("components:\n", f"components:\n{added}"))
    (tree / "overlays" / "apps").mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "components": ["../../components/app-namespace"],
    }
    (tree / "overlays" / "apps" / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return tree


def applied(mesh: Mesh, overlay: Path) -> dict[str, dict[str, Any]]:
    """Builds an overlay and applies what comes out; its policies by name."""
    built = kustomize_build(overlay)
    assert built.returncode == 0, built.stderr
    done = mesh.kubectl("apply", "--server-side", "--filename", "-", stdin=built.stdout)
    assert done.code == 0, done.stderr
    found = [manifest for manifest in yaml.safe_load_all(built.stdout) if manifest["kind"] == "NetworkPolicy"]
    prefix = "app/" if overlay.name == "apps" else ""
    return {prefix + policy["metadata"]["name"]: policy for policy in found}


def egress_gateway() -> list[dict[str, Any]]:
    """What istioctl renders for an egress gateway besides the control plane."""
    return [found for found in rendered(gateways=[EGRESS]) if EGRESS in found["metadata"]["name"]]


def objects(mesh: Mesh) -> list[dict[str, Any]]:
    """A Gateway on HTTP and HTTPS that answers by itself to whoever has a token."""
    https = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "hosts": [HOST],
        "tls": {"mode": "SIMPLE", "credentialName": "baseline"},
    }
    answer = {"directResponse": {"status": 200, "body": {"string": "welcome"}}}
    route = {"hosts": [HOST], "gateways": ["baseline"], "http": [answer]}
    return [
        _certificate(mesh),
        manifests.gateway(ROOT, "baseline", [manifests.http_server(80, HOST), https]),
        manifests.virtual_service(ROOT, "baseline", route),
        *_asking_for_tokens(),
    ]


def _certificate(mesh: Mesh) -> dict[str, Any]:
    pair = mesh.outside.authority.issue([HOST])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "baseline", "namespace": ROOT},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    }


def _asking_for_tokens() -> list[dict[str, Any]]:
    gateway = {"selector": {"matchLabels": {"istio": "ingressgateway"}}}
    accepted = {"issuer": f"https://{IDENTITY}", "jwksUri": KEYS}
    refused = {
        "from": [{"source": {"notRequestPrincipals": ["*"]}}],
        "to": [{"operation": {"hosts": [HOST]}}],
    }
    denial = {**gateway, "action": "DENY", "rules": [refused]}
    return [
        manifests.istio("RequestAuthentication", ROOT, "baseline", {**gateway, "jwtRules": [accepted]}),
        manifests.istio("AuthorizationPolicy", ROOT, "baseline", denial),
    ]


def test_every_policy_of_the_overlay_is_tried_here_or_named_as_not_exercised(baseline: Baseline) -> None:
    tried = {name for name, *_ in STARTS} | OTHERS
    assert not tried & NOT_EXERCISED
    assert set(baseline.policies) == tried | NOT_EXERCISED


def test_istio_works_from_a_cold_start(works: Baseline) -> None:
    """istiod serves, injects, signs and fetches keys; the gateway gets listeners, routes and certificates;
    not one packet of theirs is refused."""
    mesh = works.mesh
    mesh.enforcement.forget_refused()
    for deployment in ("istiod", INGRESS, EGRESS, "echo"):
        mesh.restart(works.home(deployment), deployment)
    works.wait_until_all_are_ready()
    (echo,) = mesh.pods(works.namespace, "app=echo")
    assert has_proxy(echo)
    token, forged = mesh.outside.issuer.token(), Issuer(f"https://{IDENTITY}").token()
    mesh.wait_until("people are let in", lambda: works.visit(token).status == 200)
    assert works.visit(token, "https").status == 200
    assert works.visit(forged).status == 401
    assert works.visit("").status == 403
    assert works.refused() == []


@pytest.mark.parametrize(("policy", "deployment", "port", "symptom"), STARTS)
def test_without_the_policy_what_starts_does_not_become_ready(
    works: Baseline, policy: str, deployment: str, port: int, symptom: str
) -> None:
    mesh, home = works.mesh, works.home(deployment)
    with works.without(policy):
        mesh.restart(home, deployment)
        works.wait_until_refused(port)
        container = "discovery" if deployment == "istiod" else "istio-proxy"
        mesh.wait_until("its log tells", lambda: symptom in shown(mesh.logs(home, deployment, container)))
        assert not mesh.ready(home, deployment)


def test_without_the_policy_people_do_not_reach_the_gateway(works: Baseline) -> None:
    token = works.mesh.outside.issuer.token()
    with works.without("istio-ingressgateway-from-clients"):
        for scheme in ("http", "https"):
            assert works.visit(token, scheme).status is None
        works.wait_until_refused(8080, 8443)
    assert [works.visit(token, scheme).status for scheme in ("http", "https")] == [200, 200]


def test_without_the_policy_the_api_server_does_not_reach_the_injector(works: Baseline) -> None:
    """A connection that is open lives on, so istiod is started anew."""
    mesh = works.mesh
    assert has_proxy(works.admitted())
    with works.without("istiod-from-apiserver"):
        mesh.restart(ROOT, "istiod")
        mesh.wait_until("istiod is ready", lambda: mesh.ready(ROOT, "istiod"), READY_WITHIN)
        mesh.settled()
        answer = works.admitted()
        assert not has_proxy(answer)
        assert "failed calling webhook" in json.dumps(answer)
        works.wait_until_refused(15017)
    mesh.wait_until("pods are injected again", lambda: has_proxy(works.admitted()))


def test_without_the_policy_istiod_finds_no_keys(works: Baseline) -> None:
    mesh, token = works.mesh, works.mesh.outside.issuer.token()
    mesh.wait_until("people are let in", lambda: works.visit(token).status == 200)
    with works.without("istiod-to-dns"):
        mesh.restart(ROOT, "istiod")
        mesh.wait_until("a valid token is refused", lambda: works.visit(token).status == 401, READY_WITHIN)
        works.wait_until_refused(53)
    mesh.restart(ROOT, "istiod")
    mesh.wait_until("people are let in again", lambda: works.visit(token).status == 200, READY_WITHIN)


@pytest.mark.parametrize("policy", sorted(SCRAPES))
def test_without_the_policy_metrics_are_out_of_reach(works: Baseline, policy: str) -> None:
    mesh = works.mesh
    mesh.wait_until("whoever scrapes runs", lambda: mesh.ready(works.monitoring, "prometheus"))
    with works.without(policy):
        assert [works.scraped(*target) for target in SCRAPES[policy]] == [None] * len(SCRAPES[policy])
    assert [works.scraped(*target) for target in SCRAPES[policy]] == [200] * len(SCRAPES[policy])


@pytest.mark.parametrize("policy", sorted(DENIALS))
def test_without_the_deny_all_what_no_other_policy_isolates_is_open(works: Baseline, policy: str) -> None:
    mesh = works.mesh
    home, app = DENIALS[policy]
    stranger = manifests.echo(ROOT, "stranger", labels={"sidecar.istio.io/inject": "false"})
    mesh.apply(*stranger)
    try:
        mesh.wait_until(f"{app} runs", lambda: mesh.ready(home or works.namespace, app))
        mesh.settled()
        (pod,) = mesh.pods(home or works.namespace, f"app={app}")
        url = f"http://{pod['status']['podIP']}:{manifests.HTTP}/"
        assert get(mesh, Outside("client"), url, timeout=5).status is None
        with works.without(policy):
            assert get(mesh, Outside("client"), url, timeout=30).status == 200
        assert get(mesh, Outside("client"), url, timeout=5).status is None
    finally:
        mesh.delete(*stranger)
