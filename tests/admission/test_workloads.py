"""Workloads under review: what is denied, what is spared, and what an update may always do."""

from __future__ import annotations

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    allow,
    deny_all,
    deployment,
    gateway,
    manifest,
    namespace,
    owned_by,
    pod,
    pod_template,
    policy,
    service,
    virtual_service,
)
from tests.admission.state import Manifest, State, shown, written

from istio_netpol.model.settings import AdmissionSettings, Settings

DENIED = deny_all("shop")
CART = deployment("shop/cart")
MESH_EGRESS = [
    {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}},
                "podSelector": {"matchLabels": {"app": "istiod"}},
            }
        ],
        "ports": [{"port": 15012}],
    },
    {"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]},
]
"""What a sidecar needs."""


def shop(mode: str, *objects: Manifest, settings: Settings | None = None) -> State:
    """The namespace shop in a mode, in a mesh."""
    return State([*CONTROL_PLANE, namespace("shop", mode), *objects], settings or Settings())


def test_workload_that_lacks_its_istiod_is_refused_with_what_lets_it_pass() -> None:
    """Applying the policies of the denial, then the same request, is admitted."""
    state = shop("reject", DENIED)
    refused = state.validate(CART)
    assert not refused.allowed
    assert refused.rules == ("dns", "proxy-to-istiod")
    assert refused.message.startswith(
        "Deployment shop/cart is refused: policies deny 3 connections that it needs.\n"
        "- egress to Deployment kube-system/coredns (assumed) (TCP 53) is denied by "
        "NetworkPolicy shop/deny-all; it is needed because its sidecar finds istiod by name [dns]\n"
    )
    assert state.after(*shown(refused)).validate(CART).allowed
    assert state.validate(CART) == refused


def test_causes_carry_rule_and_field() -> None:
    """A program finds the rule id of each cause, and the path of the field that asks for the flow."""
    caller = deployment("shop/cart", calls="ledger:80")
    state = shop(
        "reject",
        DENIED,
        deployment("shop/ledger"),
        service("shop/ledger"),
        allow("shop/mesh", egress=MESH_EGRESS),
    )
    causes = state.validate(caller).causes
    assert [(cause.rule, cause.field) for cause in causes] == [
        ("workload-to-workload", "metadata.annotations[istio-netpol.io/calls]")
    ]


@pytest.mark.parametrize("mode", ["warn", ""])
def test_mode_warn_admits_with_a_warning_for_each_flow(mode: str) -> None:
    """As shipped nothing is refused; the warnings say what would be."""
    decision = shop(mode, DENIED).validate(CART)
    assert decision.allowed
    assert [warning.partition(" is denied")[0] for warning in decision.warnings] == [
        "Deployment shop/cart: egress to Deployment kube-system/coredns (assumed) (TCP 53)",
        "Deployment shop/cart: egress to Deployment kube-system/coredns (assumed) (UDP 53)",
        "Deployment shop/cart: egress to Deployment istio-system/istiod (TCP 15012)",
    ]


def test_mode_off_says_nothing() -> None:
    """Neither webhook has anything to say in a namespace that is switched off."""
    state = shop("off", DENIED)
    for decision in (state.validate(CART), state.mutate(CART)):
        assert (decision.allowed, decision.warnings, decision.write) == (True, (), ())


def test_mode_augment_writes_first_and_then_admits() -> None:
    """The mutating webhook writes what is missing; the validating one finds nothing to object to."""
    state = shop("augment", DENIED)
    mutated = state.mutate(CART)
    assert [network_policy.key.rsplit("-", 4)[0] for network_policy in mutated.write] == [
        "shop/dns-cart",
        "shop/proxy-to-istiod-cart",
    ]
    admitted = state.after(*written(mutated)).validate(CART)
    assert (admitted.allowed, admitted.warnings) == (True, ())


def test_mode_augment_refuses_what_could_not_be_written() -> None:
    """Where the store failed, the pods would start without their sidecar's istiod."""
    refused = shop("augment", DENIED).validate(CART)
    assert not refused.allowed
    assert len(shown(refused)) == 2


def test_other_modes_write_nothing() -> None:
    """Only mode augment changes the cluster."""
    for mode in ("reject", "warn", "off"):
        assert shop(mode, DENIED).mutate(CART).write == ()


def test_dry_run_says_what_it_would_write() -> None:
    """A dry run writes nothing, and is not refused for what a real run would write."""
    state = shop("augment", DENIED)
    mutated, validated = state.mutate(CART, dry_run=True), state.validate(CART, dry_run=True)
    assert mutated.write == ()
    assert [warning.rsplit("-", 4)[0] for warning in mutated.warnings] == [
        "dry run: istio-netpol would add NetworkPolicy shop/dns-cart",
        "dry run: istio-netpol would add NetworkPolicy shop/proxy-to-istiod-cart",
    ]
    assert validated.allowed
    assert not shop("reject", DENIED).validate(CART, dry_run=True).allowed


def test_flow_that_only_an_administrator_can_open_is_a_warning() -> None:
    """Who can do nothing about a closed istiod is not refused because of it."""
    state = shop("reject", deny_all("istio-system", "Ingress"))
    decision = state.validate(CART)
    assert decision.allowed
    assert "ingress to Deployment istio-system/istiod" in decision.warnings[0]


# Updates


def test_workload_can_always_be_scaled_and_relabelled() -> None:
    """An update that changes no flow is admitted without a word, however much is denied already."""
    state = shop("reject", DENIED, CART)
    scaled = deployment("shop/cart", replicas=5)
    labelled = {**CART, "metadata": {**CART["metadata"], "labels": {"team": "blue"}}}
    for new in (CART, scaled, labelled):
        decision = state.validate(new, CART)
        assert (decision.allowed, decision.warnings) == (True, ())


def test_update_answers_only_for_the_flows_that_it_breaks() -> None:
    """What was denied before stays a matter of before."""
    caller = deployment("shop/cart", calls="ledger:80")
    state = shop("reject", DENIED, CART, deployment("shop/ledger"), service("shop/ledger"))
    refused = state.validate(caller, CART)
    assert [cause.rule for cause in refused.causes] == ["workload-to-workload"]
    assert not refused.allowed


def test_update_right_after_the_create_is_compared_with_what_was_stored() -> None:
    """A workload that the snapshot has not seen yet is no new one for that."""
    other_port = deployment("shop/cart", port=9090)
    state = shop("reject", DENIED)
    assert state.validate(other_port, CART).allowed


def test_update_away_from_the_labels_that_a_policy_selects_is_refused() -> None:
    """A new template label takes the pods out of the policy that lets them reach istiod."""
    mesh = policy(
        "shop/mesh",
        {"podSelector": {"matchLabels": {"mesh": "yes"}}, "policyTypes": ["Egress"], "egress": MESH_EGRESS},
    )
    before = deployment("shop/cart", labels={"app": "cart", "mesh": "yes"})
    state = shop("reject", DENIED, mesh, before)
    assert not state.validate(deployment("shop/cart"), before).allowed


@pytest.mark.parametrize("kind", ["Deployment", "Pod", "Service", "Secret"])
def test_everything_but_a_policy_can_be_deleted(kind: str) -> None:
    """Deleting is never judged where nothing of others is lost."""
    state = shop("reject", DENIED, CART)
    assert state.validate(None, manifest(kind, "shop/cart", {})).allowed


# What controllers make


def replica_set(labels: dict[str, str]) -> Manifest:
    spec = {"selector": {"matchLabels": labels}, "template": pod_template(labels)}
    return manifest("ReplicaSet", "shop/cart-6d4", spec, ownerReferences=[owned_by("Deployment", "cart")])


HASHED = {"app": "cart", "pod-template-hash": "6d4"}


@pytest.mark.parametrize(
    "made",
    [
        pod("shop/cart-6d4-x", HASHED, ("ReplicaSet", "cart-6d4")),
        pod("shop/ledger-0", {"app": "ledger"}, ("DaemonSet", "ledger")),
        replica_set(HASHED),
        manifest(
            "Job",
            "shop/report-1",
            {"template": pod_template({"app": "report"})},
            ownerReferences=[owned_by("CronJob", "report")],
        ),
    ],
    ids=lambda made: f"{made['kind']}-{made['metadata']['name']}",
)
def test_what_a_controller_makes_is_never_refused(made: Manifest) -> None:
    """A node that fails, a rollback or a CronJob's next run does not become an outage: a warning says what
    is missing."""
    decision = shop("reject", DENIED).validate(made)
    assert decision.allowed
    assert any("istiod" in warning for warning in decision.warnings)


def test_what_a_controller_makes_is_refused_where_administrators_say_so() -> None:
    """The setting is there for clusters that prefer no pod to a pod without its mesh."""
    strict = Settings(admission=AdmissionSettings(deny_controlled_pods=True))
    state = shop("reject", DENIED, settings=strict)
    refused = state.validate(pod("shop/cart-6d4-x", HASHED, ("ReplicaSet", "cart-6d4")))
    assert {cause.rule for cause in refused.causes} == {"dns", "proxy-to-istiod"}


def test_what_a_controller_makes_is_augmented() -> None:
    """The policy is there before the first pod starts, and is named after what a person would edit."""
    state = shop("augment", DENIED)
    mutated = state.mutate(pod("shop/cart-6d4-x", HASHED, ("ReplicaSet", "cart-6d4")))
    assert [
        network_policy.annotations["istio-netpol.io/required-by"] for network_policy in mutated.write
    ] == ["Deployment/shop/cart"] * 2
    assert written(mutated) == written(state.mutate(replica_set(HASHED)))


def test_pods_of_a_judged_controller_bring_nothing_new() -> None:
    """What a Deployment was told, its ReplicaSets and pods are not told again."""
    state = shop("warn", DENIED, CART)
    for made in (replica_set(HASHED), pod("shop/cart-6d4-x", HASHED, ("ReplicaSet", "cart-6d4"))):
        assert state.validate(made).warnings == ()


def test_pod_that_differs_from_its_template_is_judged_by_itself() -> None:
    """A pod whose labels were changed on the way may be isolated where its siblings are not."""
    quarantine = deny_all("shop", selects={"quarantine": "yes"})
    plain = pod("shop/cart-6d4-a", HASHED, ("ReplicaSet", "cart-6d4"))
    state = shop("warn", quarantine, CART, plain)
    odd = pod("shop/cart-6d4-x", {**HASHED, "quarantine": "yes"}, ("ReplicaSet", "cart-6d4"))
    assert len(state.validate(odd).warnings) == 3


def test_pod_without_a_controller_is_refused() -> None:
    """Who creates a pod by hand reads the denial."""
    assert not shop("reject", DENIED).validate(pod("shop/debug")).allowed


def test_pod_whose_name_is_yet_to_be_generated_is_judged() -> None:
    """generateName stands in for the name."""
    spec, labels = pod("shop/debug")["spec"], {"app": "debug"}
    nameless = manifest("Pod", "shop/", spec, generateName="debug-", labels=labels)
    refused = shop("reject", DENIED).validate(nameless)
    assert refused.message.startswith("Pod shop/debug-* is refused")


# What others need of it


def test_workload_is_judged_by_what_other_objects_say_of_it() -> None:
    """A VirtualService that waited for its workload needs it to be reachable now."""
    waiting = (service("shop/cart"), virtual_service("shop/cart", "cart"))
    state = shop("reject", allow("shop/mesh", egress=MESH_EGRESS), deny_all("shop", "Ingress"), *waiting)
    refused = state.validate(CART)
    assert [(cause.rule, cause.field) for cause in refused.causes] == [("impact", "")]
    assert state.after(*shown(refused)).validate(CART).allowed


def test_workload_is_judged_by_who_may_call_it_in_words_for_many() -> None:
    """A ServiceEntry speaks of all workloads of its namespace, those to come included."""
    entry = manifest(
        "ServiceEntry",
        "shop/api",
        {
            "hosts": ["api.example.com"],
            "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "203.0.113.7"}],
        },
    )
    state = shop("reject", allow("shop/mesh", egress=MESH_EGRESS), entry)
    refused = state.validate(CART)
    assert [cause.rule for cause in refused.causes] == ["impact"]
    assert "203.0.113.7" in refused.message


EDGE = {"app": "edge", "istio": "edge-gateway", "sidecar.istio.io/inject": "false"}


def test_gateway_pods_are_judged_by_the_routes_that_wait_for_them() -> None:
    """A gateway that arrives last has to reach what VirtualServices expose."""
    edge = gateway("shop/edge", {"app": "edge"})
    waiting = (CART, service("shop/cart"), virtual_service("shop/cart", "cart", "shop/edge"), edge)
    state = shop("reject", allow("shop/mesh", egress=MESH_EGRESS), *waiting)
    refused = state.validate(deployment("shop/edge", labels=EDGE))
    assert [cause.rule for cause in refused.causes] == ["impact"]
    assert "routes what Gateway shop/edge receives" in refused.message


@pytest.mark.parametrize("injected", [True, False])
def test_a_new_workload_counts_with_the_label_that_its_sidecar_brings(injected: bool) -> None:
    """A policy for pods with sidecars lets it through before the first pod has the label, and no other."""
    sidecars = [{"from": [{"podSelector": {"matchLabels": {"security.istio.io/tlsMode": "istio"}}}]}]
    server = {"podSelector": {"matchLabels": {"app": "ledger"}}, "policyTypes": ["Ingress"]}
    ledger = deployment("shop/ledger", called_by="shop/*")
    state = State(
        [
            *CONTROL_PLANE,
            namespace("shop", "reject", injected),
            policy("shop/sidecars", {**server, "ingress": sidecars}),
            ledger,
            service("shop/ledger"),
        ]
    )
    assert state.validate(deployment("shop/cart", calls="ledger:80")).allowed is injected


# What is not known yet


@pytest.mark.parametrize(
    "early",
    [
        virtual_service("shop/cart", "cart"),
        virtual_service("shop/cart", "cart", "shop/missing"),
        deployment("shop/cart", calls="ledger:80, nowhere.example"),
        deployment("new/cart"),
        pod("new/cart"),
    ],
    ids=["no-service", "no-gateway", "no-callee", "no-namespace", "no-namespace-for-a-pod"],
)
def test_what_arrives_before_its_counterpart_is_never_refused(early: Manifest) -> None:
    """`kubectl apply -f folder` and GitOps send objects in any order."""
    state = State([*CONTROL_PLANE, namespace("shop", "reject")])
    assert state.validate(early).allowed


def test_unknown_destination_is_a_warning() -> None:
    """The warning says what is missing and what to do."""
    decision = shop("reject").validate(virtual_service("shop/cart", "cart"))
    assert decision.rules == ("unknown-destination",)
    assert "there is no Service or ServiceEntry with the host cart" in decision.warnings[0]
