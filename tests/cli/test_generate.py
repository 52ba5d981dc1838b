"""`istio-netpol generate`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.cli.workspace import DENY_ALL, ISTIOD_DENIED, JWT, SHOP, Run


def test_the_policies_mend_the_input(run: Run, workspace: Path) -> None:
    """Checked together with what they were generated from, nothing is denied."""
    (workspace / "policies.yaml").write_text(run("generate", "manifests", "--offline").stdout)
    assert run("check", "manifests", "--offline").exit_code == 1
    assert run("check", "manifests", "policies.yaml", "--offline").exit_code == 0


def test_a_folder_gets_a_file_each(run: Run, workspace: Path) -> None:
    """Named after namespace and name; together they hold what standard output would."""
    result = run("generate", "manifests", "--offline", "-o", "made/policies")
    files = sorted((workspace / "made/policies").iterdir())
    policies = [yaml.safe_load(file.read_text()) for file in files]
    assert [file.name for file in files] == [
        f"{policy['metadata']['namespace']}--{policy['metadata']['name']}.yaml" for policy in policies
    ]
    assert policies == list(yaml.safe_load_all(run("generate", "manifests", "--offline").stdout))
    assert result.stdout == ""
    assert result.stderr == "wrote 2 policies to made/policies\n"


def test_nothing_missing_is_said_on_standard_error(run: Run) -> None:
    """Standard output stays empty, so that a pipe gets no text."""
    result = run("generate", "shop.yaml", "--offline")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no policy is missing\n")


def test_per_namespace_selects_all_pods(run: Run) -> None:
    """One policy for DNS and one for istiod, whatever the number of workloads."""
    result = run("generate", "manifests", "--offline", "--per-namespace")
    assert [document["spec"]["podSelector"] for document in yaml.safe_load_all(result.stdout)] == [{}, {}]


def test_tight_selects_the_workload(run: Run) -> None:
    """The default."""
    tight = run("generate", "manifests", "--offline", "--tight").stdout
    assert tight == run("generate", "manifests", "--offline").stdout
    selectors = [document["spec"]["podSelector"] for document in yaml.safe_load_all(tight)]
    assert selectors == [{"matchLabels": {"app": "cart"}}] * 2


def test_assume_deny_all_generates_before_the_deny_all_is_there(run: Run) -> None:
    """The policies are those that a deny-all would make necessary, and none cuts another's pods off: each
    allows at once all that its pods need."""
    assumed = run("generate", "shop.yaml", "--offline", "--assume-deny-all")
    for given in (SHOP, SHOP + DENY_ALL):
        checked = run("check", "-", "--offline", stdin=f"{given}---\n{assumed.stdout}")
        assert checked.exit_code == 0
    (policy,) = yaml.safe_load_all(assumed.stdout)
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 15012}
    assert assumed.stderr.splitlines()[0].startswith(
        "apply these policies before the deny-all, which comes last"
    )


def test_policies_of_an_assumed_deny_all_are_printed_in_the_order_to_apply(run: Run) -> None:
    """Each prefix of the output leaves every workload what it needs; which ones have to wait is said."""
    labels = ("{app: cart}", "{app: cart, tier: db}")
    shop = SHOP.replace("{app: cart}", labels[0]).replace("{app: db}", labels[1])
    shop = shop.replace('{app: db, sidecar.istio.io/inject: "false"}', labels[1])
    assumed = run("generate", "-", "--offline", "--assume-deny-all", stdin=shop)
    policies = list(yaml.safe_load_all(assumed.stdout))
    for count in range(len(policies) + 1):
        applied = shop + "".join(f"---\n{yaml.safe_dump(policy)}" for policy in policies[:count])
        assert run("check", "-", "--offline", stdin=applied).exit_code == 0
    selected = [policy["spec"]["podSelector"]["matchLabels"] for policy in policies]
    assert selected == [{"app": "cart", "tier": "db"}, {"app": "cart"}]
    assert f"in this order: shop/{policies[1]['metadata']['name']}\n" in assumed.stderr


PREDICTED = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: cart, port: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
"""


@pytest.mark.parametrize("scope", ["--tight", "--per-namespace"])
def test_pods_that_istiod_deploys_for_a_gateway_are_open_today_too(run: Run, scope: str) -> None:
    """They are in no manifest, and run nevertheless: what isolates them allows all that they need."""
    given = SHOP + PREDICTED
    assumed = run("generate", "-", "--offline", "--assume-deny-all", scope, stdin=given)
    policies = list(yaml.safe_load_all(assumed.stdout))
    assert len(policies) == 4
    assert len(policies) == 4
    for count in range(len(policies) + 1):
        applied = given + "".join(f"---\n{yaml.safe_dump(policy)}" for policy in policies[:count])
        assert run("check", "-", "--offline", stdin=applied).exit_code == 0, count


def test_pods_that_are_isolated_already_get_the_policies_of_a_real_deny_all(run: Run) -> None:
    """Nothing has to be applied in an order then, and nothing is said of one."""
    assumed = run("generate", "manifests", "--offline", "--assume-deny-all")
    assert assumed.stdout == run("generate", "manifests", "--offline").stdout
    assert "apply these policies" not in assumed.stderr


def test_what_no_policy_covers_is_told(run: Run) -> None:
    """A host whose address nobody knows can't be opened."""
    result = run("generate", "-", "--offline", stdin=SHOP + JWT + ISTIOD_DENIED)
    assert result.exit_code == 0
    assert "not covered: RequestAuthentication shop/jwt: keys.example.com does not resolve" in result.stderr


def test_what_several_workloads_lack_alike_is_told_once(run: Run) -> None:
    """A host that nobody knows, called by two workloads: one line, not the same one twice."""
    second = SHOP.split("---\n")[1].replace("name: cart", "name: till").replace("app: cart", "app: till")
    called = """\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: payments, namespace: shop}
spec:
  hosts: [payments.example.net]
  exportTo: ["."]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
"""
    given = f"{SHOP}---\n{second}{called}{DENY_ALL}"
    result = run("generate", "-", "--offline", "--per-namespace", stdin=given)
    left = [line for line in result.stderr.splitlines() if line.startswith("not covered: ")]
    denied = [line for line in left if "egress to payments.example.net (TCP 443) is denied" in line]
    assert [line.endswith(" (from Deployment shop/cart, Deployment shop/till)") for line in denied] == [True]
    assert len(left) == len(set(left)) == 2


def test_a_folder_that_is_a_file_is_refused(run: Run) -> None:
    """Nothing is overwritten."""
    result = run("generate", "manifests", "--offline", "-o", "shop.yaml")
    assert result.exit_code == 2
    assert "Directory 'shop.yaml' is a file." in result.stderr


def test_a_folder_below_a_file_is_refused(run: Run) -> None:
    """With the path that is in the way."""
    result = run("generate", "manifests", "--offline", "-o", "shop.yaml/policies")
    assert result.exit_code == 2
    assert (
        "not written: shop.yaml/policies can't be made: Not a directory; name another folder with -o\n"
        in result.stderr
    )


def test_a_folder_without_a_name_is_refused(run: Run) -> None:
    """A script's variable was empty; the current folder is not what it meant."""
    result = run("generate", "manifests", "--offline", "-o", "")
    assert result.exit_code == 2
    assert "Invalid value for '-o' / '--output': the name is empty; use . for this folder" in result.stderr


def test_somebody_elses_file_is_not_written_over(run: Run, workspace: Path) -> None:
    """The others are written, and the exit code tells that one was not."""
    run("generate", "manifests", "--offline", "-o", "policies")
    first, second = sorted((workspace / "policies").iterdir())
    first.write_text("mine: true\n")
    second.unlink()
    result = run("generate", "manifests", "--offline", "-o", "policies")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "wrote 1 policy to policies",
        f"not written: {first.name} is there already and was not written by istio-netpol",
    ]
    assert first.read_text() == "mine: true\n"
    assert second.exists()


def test_files_of_an_earlier_run_are_named(run: Run, workspace: Path) -> None:
    """Else a policy that nothing needs any more would be applied for ever."""
    run("generate", "manifests", "--offline", "-o", "policies")
    result = run("generate", "manifests", "--offline", "--per-namespace", "-o", "policies")
    assert result.exit_code == 0
    assert [line.partition("-cart-")[0] for line in result.stderr.splitlines()] == [
        "wrote 2 policies to policies",
        "not needed any more: policies/shop--dns",
        "not needed any more: policies/shop--proxy-to-istiod",
    ]


def test_files_that_are_part_of_the_input_are_needed(run: Run, workspace: Path) -> None:
    """Nothing is missing because they are there."""
    run("generate", "manifests", "--offline", "-o", "manifests/policies")
    again = run("generate", "manifests", "--offline", "-o", "manifests/policies")
    assert again.stderr == "wrote 0 policies to manifests/policies\n"


WEBHOOK = """\
apiVersion: v1
kind: Pod
metadata: {name: hook, namespace: ops, labels: {app: hook}}
spec: {containers: [{name: hook, image: hook, ports: [{containerPort: 9443}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: ops}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: 9443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
- name: a.example.com
  failurePolicy: Fail
  clientConfig: {service: {name: hook, namespace: ops}}
  admissionReviewVersions: [v1]
  sideEffects: None
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: hook, namespace: ops}
spec:
  podSelector: {matchLabels: {app: hook}}
  policyTypes: [Ingress]
  ingress:
  - from: [FROM]
    ports: [{port: PORT}]
"""


def _hook(peer: str, port: int) -> str:
    return WEBHOOK.replace("FROM", peer).replace("PORT", str(port))


@pytest.mark.parametrize(
    "peer", ["{ipBlock: {cidr: 203.0.113.9/32}}", "{namespaceSelector: {matchLabels: {team: metrics}}}"]
)
def test_the_api_server_is_not_where_callers_of_other_ports_are(run: Run, peer: str) -> None:
    """Whoever may scrape a webhook's metrics says nothing of where the API server calls from."""
    made = run("generate", "-", "--offline", stdin=_hook(peer, 9090)).stdout
    assert yaml.safe_load(made)["spec"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 9443}]}]


def test_a_webhook_that_admits_only_pods_is_told_what_helps(run: Run) -> None:
    """The advice is about the API server, whom no Service of another type would let in."""
    result = run("check", "-", "--offline", stdin=_hook("{namespaceSelector: {}}", 9443))
    assert "admit by an ipBlock the addresses from which the API server calls" in result.stdout
    assert "ClusterIP" not in result.stdout


GATEWAY = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: inner, namespace: edge}
spec:
  selector: {matchLabels: {istio: inner}}
  template:
    metadata: {labels: {istio: inner}, annotations: {inject.istio.io/templates: gateway}}
    spec: {containers: [{name: istio-proxy, image: auto, ports: [{containerPort: 15090, name: metrics}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: inner, namespace: edge}
spec: {selector: {istio: inner}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: inner, namespace: edge}
spec: {selector: {istio: inner}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: inner, namespace: edge}
spec:
  podSelector: {matchLabels: {istio: inner}}
  policyTypes: [Ingress]
  ingress:
  - from: [{namespaceSelector: {matchLabels: {team: partners}}}]
    ports: [PORT]
"""


@pytest.mark.parametrize(
    ("port", "labels"),
    [
        ("{port: http-envoy-prom}", None),
        ("{port: metrics}", None),
        ("{port: 15020, endPort: 15021}", None),
        ("{port: 15020}, {port: 8443}", {"team": "partners"}),
        ("{port: https}", {"team": "partners"}),
    ],
)
def test_who_scrapes_a_gateway_is_no_client(run: Run, port: str, labels: dict[str, str] | None) -> None:
    """Whom other rules admit to ports of the proxy itself, by number, name or range, is no client."""
    made = run("generate", "-", "--offline", stdin=GATEWAY.replace("PORT", port)).stdout
    selector = {"matchLabels": labels} if labels else {}
    assert yaml.safe_load(made)["spec"]["ingress"] == [
        {"from": [{"namespaceSelector": selector}], "ports": [{"protocol": "TCP", "port": 8080}]}
    ]
