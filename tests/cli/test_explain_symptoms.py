"""`istio-netpol explain --symptom`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator
from tests.cli.workspace import DENY_ALL, JWT, SHOP, Run

from istio_netpol.cli.main import program

SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "symptoms.schema.json").read_text())
)
SERVICES = """\
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, clusterIP: 10.96.3.3, ports: [{name: tcp, port: 5432}]}
"""
CLUSTER = (
    SHOP.replace(
        "labels: {app: cart}}", 'labels: {app: cart}, annotations: {istio-netpol.io/calls: "db:5432"}}'
    )
    + SERVICES
)
AUTHORIZATION = """\
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-front, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {namespaces: [front]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: other}
spec: {rules: []}
"""
POD = """\
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: cart-7d9c5b6f4d
  namespace: shop
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: d, controller: true}]
spec: {selector: {matchLabels: {app: cart}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: cart-7d9c5b6f4d-x2x9z
  namespace: shop
  labels: {app: cart}
  annotations: {istio-netpol.io/calls: "db:5432"}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: cart-7d9c5b6f4d, uid: u, controller: true}]
spec:
  containers:
  - {name: cart, image: cart, ports: [{containerPort: 8080, name: http}]}
  - {name: istio-proxy, image: proxyv2, ports: [{containerPort: 15090, name: http-envoy-prom}]}
status: {phase: Running, podIP: 10.1.2.3, podIPs: [{ip: 10.1.2.3}]}
"""
LINE = (
    '[2026-11-29T16:37:00.000Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0 '
    '- "-" "-" '
    '"-" "-" "10.1.2.9:5432" outbound|5432||db.shop.svc.cluster.local - 10.96.3.3:5432 10.1.2.3:51000 - -'
)
BY_PREFIX = f"[pod/cart-7d9c5b6f4d-x2x9z/istio-proxy] {LINE}"
NOT_READY = (
    "Envoy proxy is NOT ready: config not received from XDS server (is Istiod running?): cds updates: 0"
)


def symptoms(
    run: Run, text: str, *arguments: str, code: int, manifests: str = CLUSTER + DENY_ALL
) -> list[Any]:
    """What the program says of a text, with the manifests as its PATH."""
    result = run("explain", "-", "--symptom", text, "--offline", "-f", "json", *arguments, stdin=manifests)
    assert result.exit_code == code, result.stderr
    document = json.loads(result.stdout)
    SCHEMA.validate(document)
    found: list[Any] = document["symptoms"]
    return found


@pytest.mark.parametrize(
    ("line", "manifests"),
    [(BY_PREFIX, CLUSTER), (f"cart-7d9c5b6f4d-x2x9z istio-proxy {LINE}", CLUSTER), (LINE, CLUSTER + POD)],
)
def test_an_access_log_names_both_ends(run: Run, line: str, manifests: str) -> None:
    """By the pod that wrote it, or the address from which it came, and by its cluster."""
    (found,) = symptoms(run, line, code=1, manifests=manifests + DENY_ALL)
    assert (found["id"], found["outcome"]) == ("connect-refused", "denied")
    (suspect,) = found["suspects"]
    assert (suspect["source"], suspect["destination"]) == ("Deployment shop/cart", "Deployment shop/db")
    assert (suspect["rule"], suspect["port"], suspect["allowed"]) == ("workload-to-workload", 5432, False)
    assert "shop/default-deny" in suspect["message"]


def test_its_remedy_is_the_cure(run: Run) -> None:
    """With the policies that are shown, the same line blames no policy."""
    (found,) = symptoms(run, BY_PREFIX, code=1)
    remedy = "---\n" + yaml.safe_dump_all(found["suspects"][0]["remedy"])
    (cured,) = symptoms(run, BY_PREFIX, code=0, manifests=CLUSTER + DENY_ALL + remedy)
    assert cured["outcome"] == "allowed"
    text = run("explain", "-", "--symptom", BY_PREFIX, "--offline", stdin=CLUSTER + DENY_ALL + remedy).stdout
    assert "the NetworkPolicies here allow it" in text
    assert "look where NetworkPolicies do not" in text


def test_a_call_that_nothing_declares_is_followed(run: Run) -> None:
    """The line itself says that it is made."""
    (found,) = symptoms(run, BY_PREFIX, code=1, manifests=SHOP + SERVICES + DENY_ALL)
    (suspect,) = found["suspects"]
    assert suspect["allowed"] is False
    assert [policy["spec"]["policyTypes"] for policy in suspect["remedy"]] == [["Egress"], ["Ingress"]]


def test_the_ends_can_be_named(run: Run) -> None:
    """Where the text does not say them."""
    ends = ("--from", "shop/cart", "--to", "shop/db:5432")
    (found,) = symptoms(run, "upstream request timeout", *ends, code=1, manifests=SHOP + DENY_ALL)
    assert [suspect["source"] for suspect in found["suspects"]] == ["Deployment shop/cart"]
    (found,) = symptoms(run, "upstream request timeout", *ends, code=0, manifests=SHOP)
    assert found["outcome"] == "allowed"
    result = run("explain", "-", "--symptom", "UF", "--from", "shop/nobody", "--offline", stdin=SHOP)
    assert result.exit_code == 2
    assert "names no workload of the input" in result.stderr


def test_a_pod_in_init_lacks_istiod(run: Run) -> None:
    """Its own flows are judged, not those of other pods."""
    text = "cart-7d9c5b6f4d-x2x9z   0/2   Init:1/2   0   5m"
    (found,) = symptoms(run, text, code=1)
    assert {suspect["source"] for suspect in found["suspects"]} == {"Deployment shop/cart"}
    assert {suspect["rule"] for suspect in found["suspects"]} == {"proxy-to-istiod", "dns"}


def test_events_name_their_pod(run: Run) -> None:
    """`kubectl describe pod` at its head, `kubectl get events` in each line."""
    probe = (
        'Startup probe failed: Get "http://10.1.2.3:15021/healthz/ready": dial tcp 10.1.2.3:15021: connect: '
        "connection refused"
    )
    described = (
        "Name:             cart-7d9c5b6f4d-x2x9z\nNamespace:        shop\nPriority:         0\nEvents:\n"
        f"  Warning  Unhealthy  2s (x15 over 30s)  kubelet  {probe}\n"
    )
    listed = f"shop   2m   Warning   Unhealthy   pod/cart-7d9c5b6f4d-x2x9z   {probe}"
    for text in (described, listed):
        (found,) = symptoms(run, text, code=1)
        assert found["told"]["pod"] == "cart-7d9c5b6f4d-x2x9z"
        assert found["told"]["namespace"] == "shop"
        assert {suspect["source"] for suspect in found["suspects"]} == {"Deployment shop/cart"}


def test_rbac_names_the_authorization_policies(run: Run) -> None:
    """And blames no NetworkPolicy, though one denies everything."""
    manifests = CLUSTER + DENY_ALL + AUTHORIZATION
    (found,) = symptoms(run, "RBAC: access denied", code=0, manifests=manifests)
    assert (found["outcome"], found["suspects"]) == ("other-cause", [])
    assert found["remarks"] == [
        "no rule of the ALLOW policies of the input may match: other/nobody, shop/only-front"
    ]
    line = "[pod/cart-7d9c5b6f4d-x2x9z/istio-proxy] rbac_access_denied_matched_policy[none]"
    (found,) = symptoms(run, line, code=0, manifests=manifests)
    assert found["remarks"] == [
        "no rule of the ALLOW policies of Deployment shop/cart may match: shop/only-front"
    ]
    line = "rbac_access_denied_matched_policy[ns[shop]-policy[only-front]-rule[0]]"
    (found,) = symptoms(run, line, code=0, manifests=manifests)
    assert found["remarks"] == ["AuthorizationPolicy shop/only-front refuses it, with rules[0]"]
    (found,) = symptoms(run, "RBAC: access denied", code=0)
    assert "no AuthorizationPolicy of the input can be it" in found["remarks"][0]


def test_rbac_of_a_module_that_was_not_fetched(run: Run) -> None:
    """Envoy then refuses everything with the same words: that is a policy's fault."""
    module = """\
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: filter, namespace: shop}
spec: {url: "oci://192.0.2.7:5000/filter:1", selector: {matchLabels: {app: cart}}}
"""
    (found,) = symptoms(run, "RBAC: access denied", code=1, manifests=CLUSTER + DENY_ALL + module)
    assert {suspect["rule"] for suspect in found["suspects"]} == {"workload-to-external"}


ISTIOD_DENY = DENY_ALL.replace("namespace: shop", "namespace: istio-system")
ISTIOD = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod, istio: pilot}}
    spec:
      containers:
      - {name: discovery, image: pilot, ports: [{containerPort: 15012}, {containerPort: 15017}]}
---
apiVersion: v1
kind: Service
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}
spec:
  selector: {app: istiod}
  ports: [{name: https-dns, port: 15012}, {name: https-webhook, port: 443, targetPort: 15017}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: istio-sidecar-injector}
webhooks:
- name: namespace.sidecar-injector.istio.io
  clientConfig: {service: {namespace: istio-system, name: istiod, path: /inject, port: 443}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  namespaceSelector: {matchLabels: {istio-injection: enabled}}
  admissionReviewVersions: [v1]
  sideEffects: None
"""


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Jwt verification fail", "istiod-to-jwks"),
        ('Failed to fetch public key from jwks URI "https://keys.example.com/jwks.json"', "istiod-to-jwks"),
        (
            'failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post '
            '"https://istiod.istio-system.svc:443/inject?timeout=10s": context deadline exceeded',
            "webhook-from-apiserver",
        ),
        ("waiting for sync... name=ConfigMap_istio attempt=100 time=9.49s", "to-apiserver"),
    ],
)
def test_what_the_control_plane_lacks(run: Run, text: str, rule: str) -> None:
    """The flow that the line is about is judged: istiod's, not the DNS of somebody else."""
    manifests = SHOP + JWT + ISTIOD + ISTIOD_DENY
    (found,) = symptoms(run, text, code=1, manifests=manifests)
    assert (found["outcome"], found["suspects"][0]["rule"]) == ("denied", rule)
    assert {suspect["allowed"] for suspect in found["suspects"]} == {False}
    for suspect in found["suspects"]:
        assert "istio-system/istiod" in suspect["source"] + suspect["destination"]
    allowed = symptoms(run, text, code=0, manifests=SHOP + JWT + ISTIOD)
    assert allowed[0]["outcome"] == "allowed"


def test_another_provider_of_keys_is_another_flow(run: Run) -> None:
    """A line that names a URL is not blamed on the keys of somebody else."""
    text = 'Failed to fetch public key from jwks URI "https://elsewhere.example.com/jwks.json"'
    (found,) = symptoms(run, text, code=0, manifests=SHOP + JWT + ISTIOD + ISTIOD_DENY)
    assert (found["outcome"], found["suspects"]) == ("unknown", [])


def test_prometheus_is_judged_where_it_complains(run: Run) -> None:
    """Though scraping is looked at only where the settings ask for it."""
    prometheus = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: monitoring}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: prometheus}}
  template:
    metadata: {labels: {app.kubernetes.io/name: prometheus}}
    spec: {containers: [{name: prometheus, image: prometheus}]}
"""
    text = 'Get "http://10.1.2.3:15020/stats/prometheus": context deadline exceeded'
    (found,) = symptoms(run, text, code=1, manifests=CLUSTER + POD + DENY_ALL + prometheus)
    assert {suspect["rule"] for suspect in found["suspects"]} == {"scrape"}
    assert {suspect["destination"] for suspect in found["suspects"]} == {"Deployment shop/cart"}


def test_without_input_it_says_where_to_look(run: Run) -> None:
    """Nothing is judged, so nothing is denied."""
    result = run("explain", "--symptom", BY_PREFIX, KUBECONFIG="/nowhere", HOME="/nowhere")
    assert result.exit_code == 0, result.stderr
    assert "connect-refused: a NetworkPolicy is possible" in result.stdout
    assert (
        "look at workload-to-workload: from pod cart-7d9c5b6f4d-x2x9z to db.shop.svc.cluster.local:5432"
        in result.stdout
    )
    assert "no flow is judged" in result.stderr
    document = json.loads(
        run(
            "explain", "--symptom", "Jwt is expired", "-f", "json", KUBECONFIG="/nowhere", HOME="/nowhere"
        ).stdout
    )
    SCHEMA.validate(document)
    assert document["symptoms"][0]["outcome"] == "other-cause"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("all is well", "nothing in this line is a known symptom"),
        ("all\nis\nwell", "nothing in these 3 lines is a known symptom"),
        ("", "holds nothing"),
        ("shop.yaml", "is the name of a file; to read it: --symptom - < shop.yaml"),
    ],
)
def test_what_is_not_known_is_said_honestly(run: Run, text: str, told: str) -> None:
    """Exit code 2: neither yes nor no."""
    result = run("explain", "shop.yaml", "--symptom", text, "--offline")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_standard_input_is_one_thing(run: Run) -> None:
    """Manifests or the log, not both."""
    result = run("explain", "-", "--symptom", "-", stdin=SHOP)
    assert result.exit_code == 2
    assert "not as both" in result.stderr


def test_neither_ends_nor_symptom(run: Run) -> None:
    """Something has to be asked."""
    result = run("explain", "shop.yaml", "--from", "shop/cart")
    assert result.exit_code == 2
    assert "--symptom" in result.stderr


def test_the_likeliest_comes_first(run: Run) -> None:
    """What a policy here denies before what something else refuses, what works last."""
    works = '"GET / HTTP/1.1" 200 - via_upstream - "-" 0 6 1 0 "-" "-" "-" "cart" "10.1.2.9:80" x -'
    lines = [
        works,
        "Jwt is expired",
        f"[pod/cart-7d9c5b6f4d-x2x9z/istio-proxy] {NOT_READY}",
        BY_PREFIX,
        works,
    ]
    log = "\n".join(lines)
    found = symptoms(run, log, code=1)
    assert [symptom["id"] for symptom in found] == [
        "proxy-not-ready",
        "connect-refused",
        "token-rejected",
        "answered",
    ]
    assert [(symptom["line"], symptom["count"]) for symptom in found] == [(3, 1), (4, 1), (2, 1), (1, 2)]


def test_the_server_of_an_answer_tells_whose_it_is(run: Run) -> None:
    """A load balancer has words of its own for what it can't reach."""
    curl = (
        "* Connected to shop.example.com (203.0.113.7) port 443\n> GET / HTTP/1.1\n> Host: shop.example.com\n"
        "< HTTP/1.1 503 Service Unavailable\n< server: awselb/2.0\n<\nno healthy upstream\n"
    )
    (found,) = symptoms(run, curl, code=0, manifests=SHOP)
    assert found["told"] == {"host": "shop.example.com", "server": "awselb/2.0"}
    assert "the answer is of the server 'awselb/2.0', not of a proxy of the mesh" in found["remarks"]


def test_each_overlay_answers(run: Run) -> None:
    """Under its name."""
    result = run("explain", ".", "--exclude", "old/", "--symptom", BY_PREFIX, "--offline", "-f", "json")
    document = json.loads(result.stdout)
    SCHEMA.validate(document)
    assert document["kind"] == "SymptomsList"
    assert all(item["input"] for item in document["items"])


def test_what_is_shown_of_a_line_is_safe(run: Run) -> None:
    """No control characters, no tokens from a URL."""
    text = '\x1b[31m"GET /x?token=secret HTTP/1.1" 503 UF - - "-" 0 24 9999 - "-"\x07 end'
    result = run("explain", "-", "--symptom", text, "--offline", stdin=SHOP)
    assert "secret" not in result.stdout
    assert "\x1b" not in result.stdout
    assert "\\x07" in result.stdout


def test_a_log_is_read_from_standard_input(run: Run) -> None:
    """In any encoding that a shell writes."""
    log = f"{NOT_READY}\r\n".encode("utf-16")
    arguments = ["explain", "manifests", "--symptom", "-", "--offline", "-f", "json"]
    run("--version")
    result = CliRunner().invoke(program, arguments, input=log)
    assert [symptom["id"] for symptom in json.loads(result.stdout)["symptoms"]] == ["proxy-not-ready"]
    garbage = CliRunner().invoke(program, arguments, input=bytes(range(256)) * 400)
    assert garbage.exit_code == 2
    assert "is not text" in garbage.stderr


def test_a_namespace_narrows_what_a_text_leaves_open(run: Run) -> None:
    """Of all pods that may be meant, those of the namespace; what serves all namespaces counts in each."""
    other = (
        (SHOP + DENY_ALL).replace("name: shop", "name: front").replace("namespace: shop", "namespace: front")
    )
    manifests = CLUSTER + DENY_ALL + "---\n" + other
    (found,) = symptoms(run, "sidecar not ready", code=1, manifests=manifests)
    assert {suspect["source"].split()[1].split("/")[0] for suspect in found["suspects"]} == {"shop", "front"}
    (found,) = symptoms(run, "sidecar not ready", "-n", "front", code=1, manifests=manifests)
    assert {suspect["source"].split()[1].split("/")[0] for suspect in found["suspects"]} == {"front"}
    (found,) = symptoms(
        run, "Jwt verification fail", "-n", "shop", code=1, manifests=SHOP + JWT + ISTIOD + ISTIOD_DENY
    )
    assert found["suspects"][0]["rule"] == "istiod-to-jwks"


@pytest.mark.parametrize(
    "text",
    [
        'Startup probe failed: Get "http://10.1.2.3:15021/healthz/ready": dial tcp 10.1.2.3:15021: connect: '
        "connection refused",
        'Readiness probe failed: Get "http://10.1.2.3:15020/app-health/cart/readyz": dial tcp '
        "10.1.2.3:15020: "
        "connect: connection refused",
    ],
)
def test_a_probe_names_its_pod_by_the_address(run: Run, text: str) -> None:
    """The kubelet called it there."""
    (found,) = symptoms(run, text, code=1, manifests=CLUSTER + POD + DENY_ALL)
    assert {suspect["source"] for suspect in found["suspects"]} == {"Deployment shop/cart"}
    assert "proxy-to-istiod" in {suspect["rule"] for suspect in found["suspects"]}


@pytest.mark.parametrize(
    "text",
    [
        "nc: connect to db.shop.svc.cluster.local port 5432 (tcp) timed out: Operation now in progress",
        'connection to server at "db.shop" (10.96.3.3), port 5432 failed: Connection timed out',
        "HTTPConnectionPool(host='db.shop', port=5432): Max retries exceeded: [Errno 110] Connection "
        "timed out",
        "dial tcp 10.96.3.3:5432: i/o timeout",
        "connect ECONNREFUSED 10.96.3.3:5432",
        "shop/cart-7d9c5b6f4d-x2x9z:51234 -> db.shop Policy denied DROPPED: connecting to db.shop:5432",
    ],
)
def test_clients_name_whom_they_called(run: Run, text: str) -> None:
    """By name or address, of the Service or of the pod."""
    (found,) = symptoms(run, f"[pod/cart-7d9c5b6f4d-x2x9z/cart] {text}", code=1)
    assert found["outcome"] == "denied"
    assert {(suspect["destination"], suspect["port"]) for suspect in found["suspects"]} == {
        ("Deployment shop/db", 5432)
    }


def test_a_vague_answer_yields_to_its_body(run: Run) -> None:
    """A status alone says nothing that the body does not say better."""
    found = symptoms(
        run, "< HTTP/1.1 504 Gateway Timeout\n< server: istio-envoy\n\nupstream request timeout", code=1
    )
    assert [symptom["id"] for symptom in found] == ["request-timeout"]
    found = symptoms(run, "504 Gateway Timeout", code=1)
    assert [symptom["id"] for symptom in found] == ["answer-without-reason"]


GATEWAY = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: gateway, namespace: ingress}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  template:
    metadata: {labels: {istio: ingressgateway}}
    spec: {containers: [{name: istio-proxy, image: proxyv2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway-1, namespace: ingress, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, image: proxyv2}]}
status: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}]}
"""


@pytest.mark.parametrize(
    ("downstream", "source"),
    [
        ("10.1.0.1:8443 10.1.2.3:51000", "gateway"),
        ("10.96.3.3:5432 10.1.2.3:51000", "cart"),
        ("10.1.2.9:5432 10.1.2.3:51000", "cart"),
    ],
)
def test_a_line_is_of_its_own_pod(run: Run, downstream: str, source: str) -> None:
    """Not of a gateway's client in the mesh, and not of the pod that an application called by its address."""
    line = (
        '"- - -" 0 UF - - "-" 0 0 10000 - "-" "-" "-" "-" "10.1.2.9:5432" outbound|5432||db.shop.svc - '
        f"{downstream} - -"
    )
    manifests = CLUSTER + POD + GATEWAY + DENY_ALL
    (found,) = symptoms(run, line, code=1, manifests=manifests)
    assert {suspect["source"].split("/")[1].split("-")[0] for suspect in found["suspects"]} == {source}


AMBIENT = (
    SHOP.replace("istio-injection: enabled", "istio.io/dataplane-mode: ambient")
    .replace("labels: {app: cart}}", 'labels: {app: cart}, annotations: {istio-netpol.io/calls: "db:5432"}}')
    .replace(', sidecar.istio.io/inject: "false"', "")
)


@pytest.mark.parametrize(
    "target",
    [
        'dst.addr=10.1.2.9:15008 dst.service="db.shop.svc.cluster.local"',
        'dst.service="db.shop.svc.cluster.local"',
    ],
)
def test_ztunnel_names_both_ends(run: Run, target: str) -> None:
    """Of the tunnel on TCP 15008, which is what policies see."""
    line = (
        "2026-01-01T00:00:00Z error access connection complete src.addr=10.1.2.3:4000 "
        'src.workload="cart-7d9c5b6f4d-x2x9z" '
        f'src.namespace="shop" {target} direction="outbound" duration="10002ms" error="connection timed '
        f"out, maybe a "
        'NetworkPolicy is blocking HBONE port 15008: deadline has elapsed"'
    )
    (found,) = symptoms(run, line, code=1, manifests=AMBIENT + SERVICES + DENY_ALL)
    assert found["flows"] == ["hbone"]
    assert {suspect["port"] for suspect in found["suspects"]} == {15008}
    assert {suspect["source"] for suspect in found["suspects"]} == {"Deployment shop/cart"}
    assert {suspect["destination"] for suspect in found["suspects"]} == {"Deployment shop/db"}


EXTERNAL = """\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec:
  hosts: [api.example.com]
  exportTo: ["."]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
"""


@pytest.mark.parametrize("cluster", ["outbound|443||api.example.com", "PassthroughCluster"])
def test_what_is_outside_is_called_by_host_or_address(run: Run, cluster: str) -> None:
    """Declared or not."""
    line = (
        '[pod/cart-7d9c5b6f4d-x2x9z/istio-proxy] "- - -" 0 UF,URX - - "-" 0 0 10001 - "-" "-" "-" "-" '
        f'"203.0.113.9:443" {cluster} - 203.0.113.9:443 10.1.2.3:51000 api.example.com -'
    )
    address = ("--address", "api.example.com=203.0.113.9")
    (found,) = symptoms(run, line, *address, code=1, manifests=CLUSTER + EXTERNAL + DENY_ALL)
    assert {suspect["rule"] for suspect in found["suspects"]} == {"workload-to-external"}
    assert {suspect["source"] for suspect in found["suspects"]} == {"Deployment shop/cart"}
    assert all("203.0.113.9" in suspect["destination"] for suspect in found["suspects"])
    assert found["suspects"][0]["remedy"]


def test_a_probe_in_ambient_mode_comes_from_an_address_of_its_own(run: Run) -> None:
    """And that is what a policy has to admit, not the tunnel."""
    probed = AMBIENT.replace("image: cart,", "image: cart, readinessProbe: {httpGet: {path: /, port: 8080}},")
    text = "Readiness probe failed: dial tcp 10.1.2.3:8080: i/o timeout"
    (found,) = symptoms(run, text, code=1, manifests=probed + DENY_ALL)
    assert {suspect["source"] for suspect in found["suspects"] if suspect["allowed"] is False} == {
        "169.254.7.127/32",
        "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128",
    }


def test_a_cluster_that_does_not_answer_leaves_the_table(tmp_path: Path, programs: Path) -> None:
    """Nobody named it: the answer that needs none is given, with a note. In a process of its own, since the
    client looks for its kubeconfig once."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n"
    )
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    command = [str(programs / "istio-netpol"), "explain", "--symptom", "UF"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "the cluster can't be read, so no flow is judged" in result.stderr
    assert "look at gateway-to-workload" in result.stdout


def test_an_error_of_the_application_names_who_answered(run: Run) -> None:
    """This hop works: the log of the next one says more."""
    line = (
        '"GET / HTTP/1.1" 503 - via_upstream - "-" 0 6 1 0 "-" "-" "-" "x" "10.1.2.9:5432" '
        "outbound|5432||db.shop.svc.cluster.local 10.1.2.3:1 10.96.3.3:5432 10.1.2.3:51000 - -"
    )
    (found,) = symptoms(run, line, code=0)
    assert (found["blame"], found["outcome"], found["suspects"]) == ("works", "other-cause", [])
    text = run("explain", "-", "--symptom", line, "--offline", stdin=CLUSTER + DENY_ALL).stdout
    assert "answered: this connection works" in text
    assert "the answer came from db.shop.svc.cluster.local" in text


PUBLIC = """\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE}}
"""
UNDECLARED = SHOP + SERVICES + PUBLIC + DENY_ALL
"""Nothing says that cart calls db, and clients reach the gateway."""


@pytest.mark.parametrize(
    "text",
    [
        "curl: (28) Failed to connect to db.shop port 5432 after 130000 ms: Connection timed out",
        'connection to server at "db.shop.svc" (10.96.3.3), port 5432 failed: Connection timed out',
        "Error: connect ETIMEDOUT 10.96.3.3:5432",
        "dial tcp 10.96.3.3:5432: connect: connection timed out",
        "curl: (28) Failed to connect to 192.0.2.7 port 443 after 130000 ms: Connection timed out",
    ],
)
def test_an_open_gateway_does_not_speak_for_other_calls(run: Run, text: str) -> None:
    """The pod that connects is known, and so is whom it calls: `explain --from --to` denies it."""
    (found,) = symptoms(run, text, "--from", "shop/cart", code=1, manifests=UNDECLARED)
    assert found["outcome"] == "denied"
    assert {suspect["rule"] for suspect in found["suspects"]} == {"workload-to-workload"}


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("curl: (28) Failed to connect to db.shop port 5432 after 9 ms: Connection timed out", ()),
        ("curl: (28) Failed to connect to api.example.org port 443 after 9 ms: Connection timed out", ()),
        ("connect ETIMEDOUT 10.1.2.3:5432", ()),
        ("connection timed out", ("--to", "shop/db:5432")),
        ("connection timed out", ("--to", "api.example.org:443")),
        ("connection timed out", ("--from", "shop/cart")),
    ],
)
def test_who_is_not_known_to_call_is_asked_for(run: Run, text: str, arguments: tuple[str, ...]) -> None:
    """That a gateway is open does not make a call to something else allowed."""
    (found,) = symptoms(run, text, *arguments, code=0, manifests=UNDECLARED)
    assert (found["outcome"], found["suspects"]) == ("unknown", [])


def test_a_host_of_a_gateway_is_judged_by_its_door(run: Run) -> None:
    """Of a client outside nothing else is known; another port than the gateway's is none of its."""
    line = "curl: (28) Failed to connect to shop.example.com port {} after 9 ms: Connection timed out"
    (found,) = symptoms(run, line.format(443), code=0, manifests=UNDECLARED)
    assert found["outcome"] == "allowed"
    assert {suspect["rule"] for suspect in found["suspects"]} == {"client-to-gateway"}
    (found,) = symptoms(run, line.format(5432), code=0, manifests=UNDECLARED)
    assert found["outcome"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--from", "shop/db", "--to", "shop/cart:8080"),
            ["authorization: no rule of AuthorizationPolicy shop/only-front"],
        ),
        (
            ("--to", "shop/cart:8080"),
            ["no rule of the ALLOW policies of Deployment shop/cart may match: shop/only"],
        ),
        (
            ("--from", "shop/cart"),
            ["no rule of the ALLOW policies of the input may match: other/nobody, shop/only"],
        ),
        (("--to", "shop/db:5432"), ["no AuthorizationPolicy of Deployment shop/db can be it"]),
    ],
)
def test_who_is_called_refuses(run: Run, arguments: tuple[str, ...], told: list[str]) -> None:
    """Not who connects, whose policies are about its own callers."""
    manifests = CLUSTER + DENY_ALL + AUTHORIZATION
    (found,) = symptoms(run, "RBAC: access denied", *arguments, code=0, manifests=manifests)
    assert [remark[: len(start)] for remark, start in zip(found["remarks"], told, strict=True)] == told
