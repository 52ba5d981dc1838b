"""Kyma's opt-in labels, which mode augment may add instead of a policy."""

from __future__ import annotations

import json
from base64 import b64decode
from copy import deepcopy
from typing import Any

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    Manifest,
    allow,
    deny_all,
    deployment,
    manifest,
    namespace,
    owned_by,
    pod,
    pod_template,
    policy,
    service,
    virtual_service,
)
from tests.admission.state import Answers, State, asked, written
from tests.serving.reviews import review

from istio_netpol.admission.opt_in import patch_of
from istio_netpol.model.settings import AdmissionSettings, Settings
from istio_netpol.server.reviewer import Reviewer

LABEL = "networking.kyma-project.io/from-ingressgateway"
SETTINGS = Settings(admission=AdmissionSettings(kyma_labels=True))
OPENED_BY_LABEL = {"podSelector": {"matchLabels": {LABEL: "allowed"}}, "namespaceSelector": {}}
KYMA = policy(
    "istio-system/kyma-project.io--istio-ingressgateway-egress",
    {
        "podSelector": {"matchLabels": {"istio": "ingressgateway"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": [OPENED_BY_LABEL]}],
    },
)
CART = deployment("shop/cart")
BASE = (*CONTROL_PLANE, KYMA, allow("shop/mesh", egress=[{}]), deny_all("shop", "Ingress"))
WAITING = (service("shop/cart"), virtual_service("shop/cart", "cart"))


def shop(*objects: Manifest, mode: str = "augment", settings: Settings = SETTINGS) -> State:
    """A namespace whose workload a route waits for, behind a gateway whose egress Kyma keeps."""
    return State([*BASE, *WAITING, namespace("shop", mode), *objects], settings)


def homes(state: State, new: Manifest) -> list[str]:
    """Where policies are written for an object."""
    return sorted(network_policy.namespace for network_policy in state.mutate(new).write)


def labelled(made: Manifest) -> Manifest:
    """A Deployment as the API server stores it."""
    after = deepcopy(made)
    after["spec"]["template"]["metadata"]["labels"][LABEL] = "allowed"
    return after


def test_a_label_takes_the_place_of_a_policy_beside_kymas() -> None:
    """The gateway's side is Kyma's, which the label opens; the pods' own side still gets a policy."""
    state = shop()
    decision = state.mutate(CART)
    assert decision.labels == ((LABEL, "allowed"),)
    assert [network_policy.namespace for network_policy in decision.write] == ["shop"]
    assert any(LABEL in warning for warning in decision.warnings)
    stored = state.after(*written(decision)).validate(labelled(CART))
    assert (stored.allowed, stored.warnings) == (True, ())


def marked(**metadata: Any) -> Manifest:
    """The Deployment with more in its own metadata."""
    return {**CART, "metadata": {**CART["metadata"], **metadata}}


ISOLATING = policy(
    "shop/opted-in", {"podSelector": {"matchLabels": {LABEL: "allowed"}}, "policyTypes": ["Egress"]}
)


@pytest.mark.parametrize(
    ("state", "new"),
    [
        (shop(settings=Settings()), CART),
        (shop(), marked(labels={"app.kubernetes.io/instance": "shop"})),
        (shop(), marked(annotations={"argocd.argoproj.io/tracking-id": "shop"})),
        (shop(), marked(labels={"kustomize.toolkit.fluxcd.io/name": "shop"})),
        (shop(), marked(ownerReferences=[owned_by("Deployment", "x")])),
        (shop(ISOLATING), CART),
        (shop(), deployment("shop/cart", labels={"app": "cart", LABEL: "denied"})),
    ],
    ids=["off", "argo-by-label", "argo", "flux", "controlled", "isolates", "says-otherwise"],
)
def test_no_label_where_it_would_be_taken_away_or_do_harm(state: State, new: Manifest) -> None:
    """The flow is opened by policies on both sides, as without the setting."""
    assert state.mutate(new).labels == ()
    assert homes(state, new) == ["istio-system", "shop"]


def test_no_label_for_what_is_there_already() -> None:
    """An update is never rolled out anew for a label; a route that comes last gets a policy."""
    state = State([*BASE, namespace("shop", "augment"), CART, WAITING[0]], SETTINGS)
    assert homes(state, WAITING[1]) == ["istio-system", "shop"]
    other = deployment("shop/cart", port=9090)
    assert state.after(WAITING[1]).mutate(other, CART).labels == ()


def test_no_label_that_opens_nothing() -> None:
    """Kyma's policy is not among those that deny, or nothing is denied."""
    quiet = State([*BASE, namespace("shop", "augment")], SETTINGS)
    assert quiet.mutate(CART).labels == ()
    assert shop(mode="reject").mutate(CART).labels == ()


def test_a_policy_of_a_tenant_offers_no_label() -> None:
    """Kyma's name on a policy counts where only administrators write."""
    forged = policy("shop/kyma-project.io--x", {**KYMA["spec"], "podSelector": {}})
    tenants = [value for value in BASE if value is not KYMA]
    closed = deny_all("istio-system", "Egress", selects={"istio": "ingressgateway"})
    state = State([*tenants, *WAITING, closed, forged, namespace("shop", "augment")], SETTINGS)
    assert state.mutate(CART).labels == ()


ESCAPED = "networking.kyma-project.io~1from-ingressgateway"
CRON = {"jobTemplate": {"spec": {"template": pod_template({"app": "x"})}}}


@pytest.mark.parametrize(
    ("made", "path"),
    [
        (CART, f"/spec/template/metadata/labels/{ESCAPED}"),
        (pod("shop/cart"), f"/metadata/labels/{ESCAPED}"),
        (manifest("Job", "shop/x", {"template": {"spec": {}}}), "/spec/template/metadata"),
        (manifest("Job", "shop/x", {"template": {"metadata": {"a": 1}}}), "/spec/template/metadata/labels"),
        (manifest("CronJob", "shop/x", CRON), f"/spec/jobTemplate/spec/template/metadata/labels/{ESCAPED}"),
    ],
)
def test_the_patch_adds_to_the_labels_of_the_pods(made: Manifest, path: str) -> None:
    """Whatever the template of the kind is called, and whether or not it has labels."""
    (operation,) = patch_of(asked(made), ((LABEL, "allowed"),))
    assert (operation["op"], operation["path"]) == ("add", path)
    assert "allowed" in json.dumps(operation["value"])


def test_the_patch_is_in_the_answer() -> None:
    """As AdmissionReview has it; answers without one have no patch."""
    reviewer = Reviewer(_Nowhere(), Answers({}))
    reviewer.take(shop().table)
    response = json.loads(reviewer.review(review(CART, dry_run=True), mutating=True).body)["response"]
    assert response["patchType"] == "JSONPatch"
    assert [entry["op"] for entry in json.loads(b64decode(response["patch"]))] == ["add"]
    validated = json.loads(reviewer.review(review(CART, dry_run=True), mutating=False).body)["response"]
    assert "patch" not in validated


class _Nowhere:
    """A store that nobody should ask."""

    def write(self, policies: Any, asker: str = "") -> Any:
        raise AssertionError(policies)
