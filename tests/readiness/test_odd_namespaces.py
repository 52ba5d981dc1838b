"""What a plan does with namespaces that are not plain ones, and with what nobody can judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tests.readiness.conftest import Plan
from tests.readiness.estate import Manifest

from istio_netpol.cli.main import program

SETTINGS = "apiVersion: istio-netpol.io/v1\nkind: Settings\n"
CILIUM = {"endpointSelector": {"matchLabels": {"app": "cart"}}, "ingress": [{}], "egress": [{}]}
CALICO = {"selector": "app == 'cart'", "types": ["Ingress", "Egress"], "ingress": [{"action": "Allow"}]}


def namespace(name: str, **labels: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def workload(
    name: str, where: str, *, labels: dict[str, str] | None = None, calls: str = "", **spec: Any
) -> Manifest:
    annotations = {"istio-netpol.io/calls": calls} if calls else {}
    metadata = {"labels": {"app": name, **(labels or {})}, "annotations": annotations}
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 8080}]}
    template = {"metadata": metadata, "spec": {"containers": [container], **spec}}
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": where},
        "spec": {"selector": selector, "template": template},
    }


def service(name: str, where: str, port: int = 8080, protocol: str = "TCP", app: str = "") -> Manifest:
    ports = [{"name": f"p{port}", "port": port, "protocol": protocol}]
    spec = {"selector": {"app": app or name}, "ports": ports}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": where},
        "spec": spec,
    }


def policy(name: str, where: str, *types: str, api: str = "networking.k8s.io/v1", **spec: Any) -> Manifest:
    body = spec or {"podSelector": {}, "policyTypes": list(types)}
    return {
        "apiVersion": api,
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": where},
        "spec": body,
    }


def mesh() -> list[Manifest]:
    """istiod, DNS and the API server: so nothing of them is assumed."""
    dns = service("kube-dns", "kube-system", 53, "UDP", "coredns")
    dns["spec"]["ports"].append({"name": "tcp", "port": 53, "protocol": "TCP"})
    coredns = workload("coredns", "kube-system", labels={"k8s-app": "kube-dns"})
    istiod = workload("istiod", "istio-system", labels={"istio": "pilot", "sidecar.istio.io/inject": "false"})
    kubernetes = service("kubernetes", "default", 443)
    del kubernetes["spec"]["selector"]
    slices = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["192.0.2.5"]}],
        "ports": [{"name": "https", "port": 6443}],
    }
    names = [namespace(name) for name in ("default", "kube-system", "istio-system")]
    return [*names, dns, coredns, istiod, service("istiod", "istio-system", 15012), kubernetes, slices]


def shop(where: str = "shop", **labels: str) -> list[Manifest]:
    """Two workloads of which one calls the other."""
    called = workload("db", where)
    called["spec"]["template"]["metadata"]["annotations"] = {"istio-netpol.io/called-by": f"{where}/cart"}
    return [
        namespace(where, **{"istio-injection": "enabled", **labels}),
        workload("cart", where, calls="db:8080"),
        called,
        service("db", where),
    ]


def told(plan: Plan, objects: list[Manifest], *arguments: str) -> dict[str, Any]:
    result = plan([*mesh(), *objects], "-f", "json", *arguments)
    assert result.exit_code in {0, 1}, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert (result.exit_code == 0) == found["safe"]
    return found


def denied_by(found: dict[str, Any], where: str) -> list[list[str]]:
    """The policy types of the denials that a plan brings to a namespace."""
    return [
        step["policy"]["spec"]["policyTypes"]
        for step in found["steps"]
        if step["action"] == "deny-all" and step["policy"]["metadata"]["namespace"] == where
    ]


def row(found: dict[str, Any], where: str) -> dict[str, Any]:
    (one,) = [place for place in found["namespaces"] if place["name"] == where]
    return dict(one)


def test_what_is_known_in_full_is_ready(plan: Plan) -> None:
    """Every side of every flow has its step, and nothing is cut."""
    found = told(plan, shop())
    assert found["safe"] is True
    assert found["stillCut"] == found["ask"] == []
    kept = {
        (connection["rule"], connection["port"]): connection["keptBy"] for connection in found["wouldCut"]
    }
    assert kept["workload-to-workload", 8080]["egress"] != []
    assert kept["workload-to-workload", 8080]["ingress"] != []
    assert denied_by(found, "shop") == [["Egress", "Ingress"]] or denied_by(found, "shop") == [
        ["Ingress", "Egress"]
    ]


@pytest.mark.parametrize(("there", "missing"), [("Ingress", "Egress"), ("Egress", "Ingress")])
def test_of_a_partial_denial_the_other_half_is_planned(plan: Plan, there: str, missing: str) -> None:
    """What is denied already is not denied once more."""
    found = told(plan, [*shop(), policy("mine", "shop", there)])
    assert denied_by(found, "shop") == [[missing]]
    assert row(found, "shop")["denied"] == [there.lower()]


def test_a_namespace_under_denial_gets_only_what_is_missing(plan: Plan) -> None:
    """No second denial; what is cut today is mended."""
    found = told(plan, [*shop(), policy("mine", "shop", "Ingress", "Egress")])
    assert denied_by(found, "shop") == []
    assert row(found, "shop")["denied"] == ["egress", "ingress"]
    assert row(found, "shop")["policies"]["egress"] > 0
    assert found["safe"] is True


@pytest.mark.parametrize(
    ("where", "labels", "reason"),
    [
        ("kube-system", {}, "Kubernetes' own"),
        ("kube-node-lease", {}, "Kubernetes' own"),
        ("istio-netpol", {}, "the webhook's own"),
        ("kyma-system", {}, "managed by Kyma"),
        ("modules", {"operator.kyma-project.io/managed-by": "kyma"}, "managed by Kyma"),
        ("legacy", {"istio-netpol.io/mode": "off"}, "istio-netpol.io/mode is off"),
    ],
)
def test_some_namespaces_are_left_alone(plan: Plan, where: str, labels: dict[str, str], reason: str) -> None:
    """They get no denial, and the report says why."""
    objects = (
        shop() if where == "kube-system" else [*shop(), namespace(where, **labels), workload("x", where)]
    )
    found = told(plan, objects)
    assert denied_by(found, where) == []
    assert reason in row(found, where)["leftAlone"]
    assert not [pod for pod in found["ask"] if pod["namespace"] == where]


def test_exempt_namespaces_are_left_alone(plan: Plan, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"{SETTINGS}admission: {{exemptNamespaces: [batch]}}\n")
    found = told(plan, [*shop(), namespace("batch"), workload("job", "batch")], "--config", str(settings))
    assert denied_by(found, "batch") == []
    assert "exemptNamespaces" in row(found, "batch")["leftAlone"]


def test_a_floor_does_not_let_a_namespace_out(plan: Plan, tmp_path: Path) -> None:
    """Mode off is below the floor, so that it does not hold."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"{SETTINGS}admission: {{floor: warn}}\n")
    found = told(plan, shop(**{"istio-netpol.io/mode": "off"}), "--config", str(settings))
    assert denied_by(found, "shop") != []


def test_what_a_namespace_of_mode_off_needs_of_others_is_not_cut_unsaid(plan: Plan) -> None:
    """Nothing is written there, so its own side stays open; the called side gets its policy."""
    called = workload("db", "shop")
    called["spec"]["template"]["metadata"]["annotations"] = {"istio-netpol.io/called-by": "legacy/*"}
    legacy = [
        namespace("legacy", **{"istio-netpol.io/mode": "off"}),
        workload("old", "legacy", calls="shop/db:8080"),
    ]
    found = told(plan, [namespace("shop"), called, service("db", "shop"), *legacy])
    kept = [connection["keptBy"] for connection in found["wouldCut"] if connection["port"] == 8080]
    assert kept
    assert all(network_policy["egress"] == [] and network_policy["ingress"] for network_policy in kept)
    assert {step["policy"]["metadata"]["namespace"] for step in found["steps"]}.isdisjoint({"legacy"})


def test_a_call_without_consent_waits(plan: Plan) -> None:
    """The called side is denied last, and the step says what it costs."""
    caller = workload("front", "site", calls="shop/db:8080")
    found = told(plan, [*shop(), namespace("site"), caller])
    (cut,) = found["stillCut"]
    assert cut["why"] == "consent-missing"
    (step,) = [step for step in found["steps"] if step["number"] == cut["step"]]
    assert step["afterAnswers"]
    assert len(step["cuts"]) == 1


def test_host_network_pods_are_never_asked_about(plan: Plan) -> None:
    """NetworkPolicies do not concern them."""
    found = told(plan, [*shop(), namespace("nodes"), workload("agent", "nodes", hostNetwork=True)])
    assert found["ask"] == []
    assert found["safe"] is True


def test_pods_without_a_controller_count(plan: Plan) -> None:
    """A bare pod of which nothing is known has owners, too."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "debug", "namespace": "tools", "labels": {"run": "debug"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    found = told(plan, [*shop(), namespace("tools"), pod])
    assert [(asked["kind"], asked["name"]) for asked in found["ask"]] == [("Pod", "debug")]


def test_a_workload_that_is_isolated_already_is_not_asked_about(plan: Plan) -> None:
    """The plan changes nothing for it: whoever isolated it knew what it needs."""
    own = policy(
        "own", "tools", podSelector={"matchLabels": {"app": "sealed"}}, policyTypes=["Ingress", "Egress"]
    )
    found = told(plan, [*shop(), namespace("tools"), workload("sealed", "tools"), own])
    assert found["ask"] == []


@pytest.mark.parametrize(
    "unread",
    [
        {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "spec": CILIUM},
        {"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "spec": CALICO},
    ],
)
def test_policies_that_are_not_read_make_it_unsafe(plan: Plan, unread: Manifest) -> None:
    """Where they select an end of what is needed."""
    unread = {**unread, "metadata": {"name": "theirs", "namespace": "shop"}}
    found = told(plan, [*shop(), unread])
    assert {finding["rule"] for finding in found["notJudged"]} == {"policy-not-read"}
    assert found["safe"] is False


def test_a_tier_that_denies_is_told_as_denied_today(plan: Plan) -> None:
    """No NetworkPolicy overrules the Admin tier, so the plan doesn't claim to mend it."""
    rules = [
        {
            "name": "no",
            "action": "Deny",
            "from": [{"namespaces": {}}],
        }
    ]
    subject = {"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    admin = {
        "apiVersion": "policy.networking.k8s.io/v1alpha1",
        "kind": "AdminNetworkPolicy",
        "metadata": {"name": "no-entry"},
        "spec": {"priority": 5, "subject": subject, "ingress": rules},
    }
    names = shop()
    names[0]["metadata"]["labels"]["kubernetes.io/metadata.name"] = "shop"
    found = told(plan, [*names, admin])
    assert [(connection["why"], connection["step"]) for connection in found["stillCut"]] == [
        ("workload-to-workload", 0)
    ]
    assert found["safe"] is False


def test_ambient_pods_keep_their_tunnel_and_their_probes(plan: Plan) -> None:
    """Connections arrive at the tunnel's port, the kubelet's probes from a link-local address."""
    objects = shop()
    objects[0]["metadata"]["labels"] = {"istio.io/dataplane-mode": "ambient"}
    container = objects[2]["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"port": 8080}}
    found = told(plan, objects)
    kept = {(connection["rule"], connection["port"]) for connection in found["wouldCut"]}
    assert {("workload-to-workload", 15008), ("hbone", 8080)} <= kept
    assert found["stillCut"] == []


def test_what_is_assumed_is_not_safe(plan: Plan) -> None:
    """Of a part of a cluster nobody can say that it is ready."""
    result = plan(shop(), "-f", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["assumed"]
    assert found["stillCut"] == []


def test_a_name_that_is_taken_is_left_to_its_owner(plan: Plan) -> None:
    """The denial gets another one."""
    own = policy(
        "default-deny-all", "shop", podSelector={"matchLabels": {"app": "cart"}}, policyTypes=["Ingress"]
    )
    found = told(plan, [*shop(), own])
    names = {step["policy"]["metadata"]["name"] for step in found["steps"] if step["action"] == "deny-all"}
    (of_shop,) = [
        step["policy"]["metadata"]["name"]
        for step in found["steps"]
        if step["action"] == "deny-all" and step["policy"]["metadata"]["namespace"] == "shop"
    ]
    assert of_shop == "default-deny-all-too"
    assert "default-deny-all" in names


def test_a_namespace_that_is_being_deleted_is_left_alone(plan: Plan) -> None:
    gone = namespace("gone")
    gone["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z"
    found = told(plan, [*shop(), gone])
    assert row(found, "gone")["leftAlone"] == "being deleted"


def test_a_folder_that_holds_something_is_refused(plan: Plan, tmp_path: Path) -> None:
    """Two plans in one folder could not be told apart."""
    folder = tmp_path / "plan"
    folder.mkdir()
    (folder / "mine.yaml").write_text("a: 1\n")
    result = plan([*mesh(), *shop()], "-o", str(folder))
    assert result.exit_code == 2
    assert "is not empty; name a new folder with -o" in result.stderr
    assert [file.name for file in folder.iterdir()] == ["mine.yaml"]


def test_a_plan_that_is_safe_has_no_folder_of_its_own_for_answers(plan: Plan, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    result = plan([*mesh(), *shop()], "-o", str(folder))
    assert result.exit_code == 0, result.output
    names = sorted(file.name for file in folder.iterdir())
    assert names[0] == "00-plan.md"
    assert all(file.endswith(".yaml") for file in names[1:])
    plan = (folder / "00-plan.md").read_text()
    assert "Ready: all" in plan
    assert "What no object declares is not seen." in " ".join(plan.split())


def test_nothing_left_to_apply(plan: Plan) -> None:
    """Every namespace denies, and nothing is missing."""
    found = plan([namespace("empty"), policy("mine", "empty", "Ingress", "Egress")])
    assert found.exit_code == 0, found.output
    assert "Nothing is left to apply." in found.stdout


def test_hostile_names_reach_no_terminal(plan: Plan) -> None:
    """Control characters of an annotation are shown, not obeyed; Markdown is escaped."""
    caller = workload("front", "site", calls="shop/\x1b[31mdb:8080")
    for name in ("text", "markdown"):
        result = plan([*mesh(), *shop(), namespace("site"), caller], "-f", name)
        assert result.exit_code == 1
        assert "\x1b" not in result.stdout


def test_a_denial_that_a_policy_takes_back_is_told_as_such(plan: Plan) -> None:
    """Isolated, and open to everybody: whoever reads only of the denial would think it closed."""
    both = ["Ingress", "Egress"]
    wide = policy("temp", "shop", podSelector={}, policyTypes=both, ingress=[{}], egress=[{}])
    narrow = policy(
        "some", "shop", podSelector={"matchLabels": {"app": "db"}}, policyTypes=both, ingress=[{}]
    )
    objects = [*shop(), policy("deny", "shop", *both), wide, narrow]
    assert row(told(plan, objects), "shop")["openedBy"] == ["shop/temp"]
    assert "denied, opened by temp" in plan([*mesh(), *objects]).stdout


def test_a_rule_that_the_settings_turn_off_leaves_no_question(plan: Plan, tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"{SETTINGS}severities: {{policy-not-read: off}}\n")
    metadata = {"name": "theirs", "namespace": "shop"}
    unread = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": metadata,
        "spec": CILIUM,
    }
    assert told(plan, [*shop(), unread])["safe"] is False
    assert told(plan, [*shop(), unread], "--config", str(settings))["safe"] is True


def test_the_plan_has_the_policies_that_generate_writes(plan: Plan, tmp_path: Path) -> None:
    """The same in other words, but for namespaces that are left alone."""
    found = told(plan, shop())
    file = tmp_path / "all.yaml"
    file.write_text(yaml.dump_all([*mesh(), *shop()], Dumper=yaml.CSafeDumper))
    arguments = ["generate", str(file), "--offline", "--assume-deny-all"]
    generated = list(yaml.safe_load_all(CliRunner().invoke(program, arguments).stdout))
    allowing = [step["policy"] for step in found["steps"] if step["action"] == "allow"]
    assert len(generated) > 0
    assert sorted(network_policy["metadata"]["name"] for network_policy in allowing) == sorted(
        network_policy["metadata"]["name"] for network_policy in generated
    )


def test_a_host_without_addresses_is_not_kept_by_those_of_another(plan: Plan) -> None:
    """On the same port of the same caller: what is opened to one host says nothing of the other."""
    caller = workload("front", "site", calls="known.example.com:443, unknown.example.com:443")
    found = told(plan, [namespace("site"), caller], "--address", "known.example.com=203.0.113.9")
    (cut,) = found["stillCut"]
    assert cut["destinations"] == [{"host": "unknown.example.com"}]
    (step,) = [step for step in found["steps"] if step["cuts"]]
    assert step["number"] == cut["step"]
    assert step["afterAnswers"]
