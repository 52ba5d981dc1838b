"""Which requests the API server sends to the webhook, by the chart's configurations, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.chart.objects import DEPLOYMENT, ENTRY, POD, POD_SPEC, POLICY, SERVICE
from tests.chart.recorder import Recorder
from tests.chart.registration import configurations, registered, until_called
from tests.chart.rendering import NAMESPACE, RELEASE
from tests.cluster.clients import Outcome
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ISTIO, defined
from tests.cluster.fixtures import require, require_go

from istio_netpol.manifests.decode_core import SOURCE_RANGES
from istio_netpol.model.services import INTERNAL_LOAD_BALANCERS

pytestmark = pytest.mark.xdist_group("admission-scope")  # what it starts is started once


@dataclass
class Scope:
    """An API server with the chart's configurations, and who is called."""

    plane: ControlPlane
    recorder: Recorder

    def namespace(self, mode: str = "augment") -> str:
        """A new namespace of that mode; none if empty."""
        return self.plane.namespace({"istio-netpol.io/mode": mode} if mode else {})

    def sent(self, act: Callable[[], Outcome]) -> set[tuple[str, str, str]]:
        """What one kubectl command sends: path, operation and kind; fails when kubectl does."""
        self.recorder.reviews.clear()
        outcome = act()
        assert outcome.code == 0, outcome.stderr
        return {
            (review["path"], review["operation"], review["kind"]["kind"]) for review in self.recorder.reviews
        }

    def apply(self, namespace: str, manifest: Mapping[str, Any], *options: str) -> Outcome:
        """`kubectl apply` of one object."""
        return self.plane.kubectl().apply(manifest, options=("--namespace", namespace, *options))

    def kubectl(self, namespace: str, *arguments: str) -> Outcome:
        """kubectl in that namespace."""
        return self.plane.kubectl()("--namespace", namespace, *arguments)


@pytest.fixture(scope="module")
def scope(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scope]:
    require("helm")
    require_go()
    with (
        Recorder(tmp_path_factory.mktemp("recorder")) as recorder,
        defined(control_plane, ISTIO),
        registered(control_plane, configurations(recorder.url, recorder.ca_bundle)),
    ):
        scope = Scope(control_plane, recorder)
        paths = {"/validate", "/mutate"}
        namespace = scope.namespace()
        until_called(
            control_plane, namespace, lambda: paths <= {review["path"] for review in recorder.reviews}
        )
        yield scope


def both(operation: str, kind: str) -> set[tuple[str, str, str]]:
    """Seen by both webhooks."""
    return {("/mutate", operation, kind), ("/validate", operation, kind)}


@pytest.mark.parametrize("manifest", [DEPLOYMENT, POD, POLICY, SERVICE, ENTRY], ids=lambda m: m["kind"])
def test_what_is_created_is_sent(scope: Scope, manifest: dict[str, Any]) -> None:
    """Whatever can need a flow, or cut one, is reviewed before it is stored."""
    namespace = scope.namespace()
    assert scope.sent(lambda: scope.apply(namespace, manifest)) == both("CREATE", manifest["kind"])


def test_a_dry_run_is_sent_as_one(scope: Scope) -> None:
    """`--dry-run=server` tells what would happen, and the webhook knows that it must write nothing."""
    namespace = scope.namespace()
    sent = scope.sent(lambda: scope.apply(namespace, DEPLOYMENT, "--dry-run=server"))
    assert sent == both("CREATE", "Deployment")
    assert all(review["dryRun"] for review in scope.recorder.reviews)


@pytest.mark.parametrize("mode", ["", "warn", "reject"])
def test_only_augment_is_sent_to_the_mutating_webhook(scope: Scope, mode: str) -> None:
    """Where nothing is written before an object is stored, nobody waits for it."""
    namespace = scope.namespace(mode)
    sent = scope.sent(lambda: scope.apply(namespace, DEPLOYMENT))
    assert sent == {("/validate", "CREATE", "Deployment")}


def test_one_request_is_validated_once(scope: Scope) -> None:
    """The entries for namespaces that opted in and for all others never both match."""
    for mode in ("", "warn", "reject", "augment"):
        namespace = scope.namespace(mode)
        scope.sent(lambda namespace=namespace: scope.apply(namespace, DEPLOYMENT))  # type: ignore[misc]
        validations = [review for review in scope.recorder.reviews if review["path"] == "/validate"]
        assert len(validations) == 1, mode


def test_mode_off_is_never_sent(scope: Scope) -> None:
    """A namespace that is let go depends on the webhook no more."""
    assert scope.sent(lambda: scope.apply(scope.namespace("off"), DEPLOYMENT)) == set()


EDITS = {
    "labels": {"metadata": {"labels": {"tier": "web"}}},
    "a declared need": {"metadata": {"annotations": {"istio-netpol.io/calls": "ledger"}}},
    "Istio's annotation": {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}},
    "the pods' labels": {"spec": {"template": {"metadata": {"labels": {"tier": "web"}}}}},
    "the pods' ports": {
        "spec": {"template": {"spec": {"containers": [{"name": "app", "ports": [{"containerPort": 8080}]}]}}}
    },
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_update_that_matters_is_sent(scope: Scope, edit: str) -> None:
    """What rules read is reviewed again when it changes."""
    namespace = scope.namespace()
    scope.sent(lambda: scope.apply(namespace, DEPLOYMENT))
    patch = ("patch", "deployment", "cart", "--type=strategic", "--patch", json.dumps(EDITS[edit]))
    assert scope.sent(lambda: scope.kubectl(namespace, *patch)) == both("UPDATE", "Deployment")


IDLE: dict[str, tuple[str, ...]] = {
    "scale": ("scale", "deployment", "cart", "--replicas=3"),
    "replicas in the spec": ("patch", "deployment", "cart", "--patch", '{"spec": {"replicas": 2}}'),
    "an annotation of others": ("annotate", "deployment", "cart", "example.com/note=seen"),
    "an annotation that only looks like ours": ("annotate", "deployment", "cart", "notistio.io/x=seen"),
    "status": (
        "patch",
        "deployment",
        "cart",
        "--subresource=status",
        "--patch",
        '{"status": {"observedGeneration": 7}}',
    ),
    "delete": ("delete", "deployment", "cart"),
}


@pytest.mark.parametrize("what", IDLE)
def test_what_cannot_matter_is_not_sent(scope: Scope, what: str) -> None:
    """Scaling, status, others' annotations and deletions never wait for the webhook."""
    namespace = scope.namespace()
    scope.sent(lambda: scope.apply(namespace, DEPLOYMENT))
    assert scope.sent(lambda: scope.kubectl(namespace, *IDLE[what])) == set()


def test_the_status_of_a_pod_is_not_sent(scope: Scope) -> None:
    """What a kubelet reports of its pods is no admission."""
    namespace = scope.namespace()
    scope.sent(lambda: scope.apply(namespace, POD))
    patch = ("patch", "pod", "cart", "--subresource=status", "--patch", '{"status": {"podIP": "10.0.0.7"}}')
    assert scope.sent(lambda: scope.kubectl(namespace, *patch)) == set()


def test_a_changed_annotation_of_a_crowd_is_sent(scope: Scope) -> None:
    """Nobody slips a declared need past the webhook by drowning it in annotations."""
    namespace = scope.namespace()
    crowd = {f"example.com/{number}": "x" * 900 for number in range(250)}
    crowded = {**DEPLOYMENT, "metadata": {**DEPLOYMENT["metadata"], "annotations": crowd}}  # type: ignore[dict-item]
    create = ("create", "--filename", "-")
    plane = scope.plane
    scope.sent(lambda: plane.kubectl()("--namespace", namespace, *create, stdin=json.dumps(crowded)))
    annotate = ("annotate", "deployment", "cart", "istio-netpol.io/calls=ledger")
    assert scope.sent(lambda: scope.kubectl(namespace, *annotate)) == both("UPDATE", "Deployment")


def test_a_large_object_is_compared_within_the_budget(scope: Scope) -> None:
    """An expression that ran out of budget would refuse every edit of an object as large as etcd takes."""
    namespace = scope.namespace("reject")
    many = [{"name": f"V{number}", "value": "x" * 60} for number in range(9000)]
    large = json.loads(json.dumps(DEPLOYMENT))
    large["spec"]["template"]["spec"]["containers"][0]["env"] = many
    plane = scope.plane
    create = ("--namespace", namespace, "create", "--filename", "-")
    assert scope.sent(lambda: plane.kubectl()(*create, stdin=json.dumps(large)))
    replicas = ("patch", "deployment", "cart", "--patch", '{"spec": {"replicas": 2}}')
    assert scope.sent(lambda: scope.kubectl(namespace, *replicas)) == set()
    edit = '[{"op": "replace", "path": "/spec/template/spec/containers/0/env/8999/value", "value": "y"}]'
    last_value = ("patch", "deployment", "cart", "--type=json", "--patch", edit)
    assert scope.sent(lambda: scope.kubectl(namespace, *last_value)) == {
        ("/validate", "UPDATE", "Deployment")
    }


def test_a_taken_annotation_is_sent(scope: Scope) -> None:
    """Taking a consent back can cut what relies on it."""
    namespace = scope.namespace()
    agreed = {**SERVICE, "metadata": {"name": "cart", "annotations": {"istio-netpol.io/called-by": "a/b"}}}
    scope.sent(lambda: scope.apply(namespace, agreed))
    annotate = ("annotate", "service", "cart", "istio-netpol.io/called-by-")
    assert scope.sent(lambda: scope.kubectl(namespace, *annotate)) == both("UPDATE", "Service")


def test_policies_are_sent_until_they_are_gone(scope: Scope) -> None:
    """A policy that is edited or deleted can cut what runs."""
    namespace = scope.namespace()
    scope.sent(lambda: scope.apply(namespace, POLICY))
    patch = ("patch", "networkpolicy", "cart", "--patch", '{"spec": {"policyTypes": ["Egress"]}}')
    assert scope.sent(lambda: scope.kubectl(namespace, *patch)) == both("UPDATE", "NetworkPolicy")
    delete = ("delete", "networkpolicy", "cart")
    assert scope.sent(lambda: scope.kubectl(namespace, *delete)) == both("DELETE", "NetworkPolicy")
    assert all(review["object"] is None for review in scope.recorder.reviews)


def test_an_istio_object_is_sent_again_with_another_spec(scope: Scope) -> None:
    """Custom resources are compared by their spec."""
    namespace = scope.namespace()
    scope.sent(lambda: scope.apply(namespace, ENTRY))
    patch = ("patch", "serviceentry", "cart", "--type=merge", "--patch")
    more = '{"spec": {"hosts": ["a.example.com", "b.example.com"]}}'
    assert scope.sent(lambda: scope.kubectl(namespace, *patch, more)) == both("UPDATE", "ServiceEntry")
    note = '{"metadata": {"annotations": {"example.com/note": "seen"}}}'
    assert scope.sent(lambda: scope.kubectl(namespace, *patch, note)) == set()


def test_labels_of_namespaces_are_sent(scope: Scope) -> None:
    """A label by which policies select a namespace can cut flows; `off` always gets through."""
    namespace = scope.namespace()
    label = ("label", "namespace", namespace, "--overwrite")
    assert scope.sent(lambda: scope.plane.kubectl()(*label, "team=web")) == both("UPDATE", "Namespace")
    annotate = ("annotate", "namespace", namespace, "example.com/note=seen")
    assert scope.sent(lambda: scope.plane.kubectl()(*annotate)) == set()
    assert scope.sent(lambda: scope.plane.kubectl()(*label, "istio-netpol.io/mode=off")) == set()


def test_finalizers_of_what_goes_away_are_not_sent(scope: Scope) -> None:
    """What is being deleted can always be let go."""
    namespace = scope.namespace()
    held = {**SERVICE, "metadata": {"name": "cart", "finalizers": ["example.com/held"]}}
    scope.sent(lambda: scope.apply(namespace, held))
    scope.sent(lambda: scope.kubectl(namespace, "delete", "service", "cart", "--wait=false"))
    patch = (
        "patch",
        "service",
        "cart",
        "--patch",
        '{"metadata": {"finalizers": null, "labels": {"a": "b"}}}',
    )
    assert scope.sent(lambda: scope.kubectl(namespace, *patch)) == set()


@pytest.mark.parametrize("manifest", [POLICY, ENTRY], ids=lambda manifest: manifest["kind"])
def test_an_edit_of_what_is_being_deleted_is_sent(scope: Scope, manifest: dict[str, Any]) -> None:
    """A finalizer keeps it, and until that goes network plugins and istiod act on whatever it says."""
    namespace, kind = scope.namespace("reject"), manifest["kind"]
    held = {**manifest, "metadata": {"name": "cart", "finalizers": ["example.com/held"]}}
    scope.sent(lambda: scope.apply(namespace, held))
    scope.sent(lambda: scope.kubectl(namespace, "delete", kind, "cart", "--wait=false"))
    edits = {
        "NetworkPolicy": {"policyTypes": ["Ingress", "Egress"]},
        "ServiceEntry": {"hosts": ["b.example.com"]},
    }
    patch = ("patch", kind, "cart", "--type=merge", "--patch")
    edit = json.dumps({"spec": edits[kind]})
    assert scope.sent(lambda: scope.kubectl(namespace, *patch, edit)) == {("/validate", "UPDATE", kind)}
    let_go = '{"metadata": {"finalizers": null}}'
    assert scope.sent(lambda: scope.kubectl(namespace, *patch, let_go)) == set()


@pytest.mark.parametrize("key", sorted({*INTERNAL_LOAD_BALANCERS, SOURCE_RANGES}))
def test_an_annotation_of_a_load_balancer_is_sent(scope: Scope, key: str) -> None:
    """It says who may come to a gateway: from within a network, from some addresses, or from anywhere."""
    namespace = scope.namespace("reject")
    balanced = {**SERVICE, "spec": {**SERVICE["spec"], "type": "LoadBalancer"}}  # type: ignore[dict-item]
    scope.sent(lambda: scope.apply(namespace, balanced))
    annotate = ("annotate", "service", "cart", f"{key}={INTERNAL_LOAD_BALANCERS.get(key, '192.0.2.0/24')}")
    assert scope.sent(lambda: scope.kubectl(namespace, *annotate)) == {("/validate", "UPDATE", "Service")}


ACTORS = {
    "the webhook": f"system:serviceaccount:{NAMESPACE}:{RELEASE}-webhook",
    "the controller": f"system:serviceaccount:{NAMESPACE}:{RELEASE}-controller",
}


@pytest.mark.parametrize("who", ACTORS)
def test_our_own_writes_are_not_sent(scope: Scope, who: str) -> None:
    """What we write never calls us again, and nobody else gets past us by a field manager of our name."""
    namespace = scope.namespace()
    ours = ("--as", ACTORS[who], "--as-group", "system:masters")
    assert scope.sent(lambda: scope.apply(namespace, POLICY, *ours)) == set()
    forged = ("--server-side", "--field-manager=istio-netpol", "--force-conflicts")
    other = {**POLICY, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    assert scope.sent(lambda: scope.apply(namespace, other, *forged)) == both("UPDATE", "NetworkPolicy")


def test_nodes_are_not_sent(scope: Scope) -> None:
    """A kubelet's own pods start without us."""
    namespace = scope.namespace()
    node = ("--as", "node-1", "--as-group", "system:nodes", "--as-group", "system:masters")
    assert scope.sent(lambda: scope.apply(namespace, POD, *node)) == set()


KUBERNETES_CONTROLLERS = (
    "system:kube-controller-manager",
    *(
        f"system:serviceaccount:kube-system:{name}-controller"
        for name in ("cronjob", "daemon-set", "deployment", "job", "replicaset", "replication", "statefulset")
    ),
)
ARGO_ROLLOUTS = "system:serviceaccount:argo-rollouts:argo-rollouts"
REPLICA_SET = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "cart"},
    "spec": DEPLOYMENT["spec"],
}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "cart"},
    "spec": {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}},
}
ADDED_LABEL = ("--type=merge", "--patch", '{"metadata": {"labels": {"tier": "web"}}}')


def owned(manifest: Mapping[str, Any], *, controller: bool = True) -> dict[str, Any]:
    """The object with an owner that is nowhere, as anybody can write it."""
    uid = "f0f0f0f0-0000-4000-8000-000000000000"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "forged", "uid": uid}
    references = [{**owner, "controller": controller}]
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": references}}


def acting_as(user: str) -> tuple[str, ...]:
    """kubectl's options by which an administrator is taken for that user, who may do everything."""
    return ("--as", user, "--as-group", "system:masters")


def named(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under another name."""
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


@pytest.mark.parametrize("mode", ["", "warn", "reject", "augment"])
def test_pods_that_controllers_make_are_sent_to_augment_only(scope: Scope, mode: str) -> None:
    """Whatever is answered in the other modes, they are admitted; so a node's failure costs no call."""
    namespace = scope.namespace(mode)
    replica_sets = acting_as("system:serviceaccount:kube-system:replicaset-controller")
    sent = scope.sent(lambda: scope.apply(namespace, owned(POD), *replica_sets))
    assert sent == ({("/mutate", "CREATE", "Pod")} if mode == "augment" else set())


def test_every_controller_of_kubernetes_that_makes_pods_is_known(scope: Scope) -> None:
    """With ServiceAccounts of their own, or all under one name."""
    namespace = scope.namespace("reject")
    for number, user in enumerate(KUBERNETES_CONTROLLERS):
        pod = named(owned(POD), f"cart-{number}")
        assert (
            scope.sent(lambda pod=pod, user=user: scope.apply(namespace, pod, *acting_as(user))) == set()
        ), (  # type: ignore[misc]
            user
        )


@pytest.mark.parametrize("manifest", [POD, REPLICA_SET, JOB], ids=lambda manifest: manifest["kind"])
def test_what_kubernetes_controllers_make_and_change_is_not_sent(
    scope: Scope, manifest: dict[str, Any]
) -> None:
    """ReplicaSets of a Deployment and Jobs of a CronJob are like pods, and so are their updates."""
    namespace = scope.namespace("reject")
    controller = acting_as(KUBERNETES_CONTROLLERS[0])
    assert scope.sent(lambda: scope.apply(namespace, owned(manifest), *controller)) == set()
    patch = ("patch", manifest["kind"].lower(), "cart", *ADDED_LABEL)
    assert scope.sent(lambda: scope.kubectl(namespace, *patch, *controller)) == set()
    by_person = (
        "patch",
        manifest["kind"].lower(),
        "cart",
        *ADDED_LABEL[:2],
        '{"metadata": {"labels": null}}',
    )
    sent = scope.sent(lambda: scope.kubectl(namespace, *by_person))
    assert sent == {("/validate", "UPDATE", manifest["kind"])}


@pytest.mark.parametrize("user", ["ann", ARGO_ROLLOUTS, "system:serviceaccount:shop:replicaset-controller"])
def test_a_forged_owner_takes_nobody_past_the_webhook(scope: Scope, user: str) -> None:
    """Anybody can write an ownerReference; only Kubernetes' own controllers are believed."""
    namespace = scope.namespace("reject")
    for manifest in map(owned, (POD, REPLICA_SET, JOB)):
        sent = scope.sent(lambda made=manifest: scope.apply(namespace, made, *acting_as(user)))  # type: ignore[misc]
        assert sent == {("/validate", "CREATE", manifest["kind"])}


@pytest.mark.parametrize("manifest", [POD, owned(POD, controller=False), owned(DEPLOYMENT), POLICY])
def test_controllers_are_asked_about_what_could_be_refused(scope: Scope, manifest: dict[str, Any]) -> None:
    """Without a controller that owns them pods are judged as anybody's, and other kinds always are."""
    namespace = scope.namespace("reject")
    sent = scope.sent(lambda: scope.apply(namespace, manifest, *acting_as(KUBERNETES_CONTROLLERS[0])))
    assert sent == {("/validate", "CREATE", manifest["kind"])}


def test_controllers_are_asked_about_pods_that_may_be_refused(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """The setting `denyControlledPods` has every pod reviewed."""
    require("helm")
    settings = {"denyControlledPods": True, "defaultMode": "reject"}
    values = {"fullnameOverride": "denying", "config": {"admission": settings}}
    with (
        Recorder(tmp_path) as recorder,
        registered(control_plane, configurations(recorder.url, recorder.ca_bundle, values)),
    ):
        scope = Scope(control_plane, recorder)
        namespaces = [scope.namespace(mode) for mode in ("warn", "reject")]
        until_called(control_plane, namespaces[0], lambda: bool(recorder.reviews))
        controller = acting_as(KUBERNETES_CONTROLLERS[0])
        for namespace in namespaces:
            sent = scope.sent(lambda at=namespace: scope.apply(at, owned(POD), *controller))  # type: ignore[misc]
            assert sent == {("/validate", "CREATE", "Pod")}


@pytest.mark.parametrize("account", ["namespace-controller", "generic-garbage-collector"])
def test_cleaning_up_is_not_sent(scope: Scope, account: str) -> None:
    """A namespace that is deleted empties itself whether or not we agree; a person's deletion is reviewed."""
    namespace = scope.namespace()
    scope.sent(lambda: scope.apply(namespace, POLICY))
    user = f"system:serviceaccount:kube-system:{account}"
    delete = ("delete", "networkpolicy", "cart", "--as", user, "--as-group", "system:masters")
    assert scope.sent(lambda: scope.kubectl(namespace, *delete)) == set()


@pytest.mark.parametrize("place", ["kube-system", NAMESPACE])
def test_what_a_cluster_comes_back_by_is_not_sent(scope: Scope, place: str) -> None:
    """kube-system and our own namespace never wait for us, whatever labels somebody puts on them."""
    kubectl = scope.plane.kubectl()
    scope.recorder.reviews.clear()
    kubectl("create", "namespace", place)  # another test of this cluster may have done so
    assert scope.recorder.reviews == []
    try:
        mode = ("label", "namespace", place, "istio-netpol.io/mode=reject")
        assert scope.sent(lambda: kubectl(*mode)) == set()
        assert scope.sent(lambda: scope.apply(place, DEPLOYMENT)) == set()
    finally:
        scope.kubectl(place, "delete", "deployment", "cart", "--ignore-not-found")
        kubectl("label", "namespace", place, "istio-netpol.io/mode-")


def test_exemptions_of_the_settings_hold(control_plane: ControlPlane, tmp_path: Path) -> None:
    """Exempt namespaces, users and groups cost no request; a floor has `off` asked about all the same."""
    require("helm")
    settings = {
        "defaultMode": "reject",
        "floor": "reject",
        "exemptUsers": ["o'brien"],
        "exemptGroups": ["break-glass"],
    }
    exempt = control_plane.namespace({"istio-netpol.io/mode": "reject"})
    values = {
        "fullnameOverride": "another",
        "config": {"admission": {**settings, "exemptNamespaces": [exempt]}},
    }
    with (
        Recorder(tmp_path) as recorder,
        registered(control_plane, configurations(recorder.url, recorder.ca_bundle, values)),
    ):
        scope = Scope(control_plane, recorder)
        off = scope.namespace("off")
        until_called(control_plane, off, lambda: bool(recorder.reviews))
        assert scope.sent(lambda: scope.apply(off, DEPLOYMENT)) == {("/validate", "CREATE", "Deployment")}
        assert scope.sent(lambda: scope.apply(exempt, DEPLOYMENT)) == set()
        user = ("--as", "o'brien", "--as-group", "system:masters")
        assert scope.sent(lambda: scope.apply(off, POLICY, *user)) == set()
        group = ("--as", "ann", "--as-group", "break-glass", "--as-group", "system:masters")
        assert scope.sent(lambda: scope.apply(off, SERVICE, *group)) == set()
