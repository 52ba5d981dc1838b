"""Pods and controllers as classes of pods that no rule or policy can tell apart."""

from msgspec.structs import replace
from tests.values import address, deployment, policy

from istio_netpol.model.labels import Selector
from istio_netpol.model.own_names import CALLS
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import ContainerPort, Owner, Workload
from istio_netpol.state.snapshot import Snapshot

HTTP = ContainerPort(8080, "http")


def pod(name, owner=None, *, ports=(HTTP,), at=(), nodes=(), **labels):
    labels = {key.replace("_", "-"): value for key, value in labels.items()} or {"app": "cart"}
    return Workload(
        ObjectRef("v1", "Pod", "shop", name),
        labels,
        ports=ports,
        owner=owner,
        addresses=tuple(address(written) for written in at),
        node_addresses=tuple(address(written) for written in nodes),
    )


def replica_set(name, owner=None, **labels):
    ref = ObjectRef("apps/v1", "ReplicaSet", "shop", name)
    labels = {key.replace("_", "-"): value for key, value in labels.items()}
    return Workload(ref, {"app": "cart", **labels}, ports=(HTTP,), owner=owner)


CART = replace(deployment("shop/cart", HTTP), selector=Selector.of({"app": "cart"}))
BY_CART = Owner("apps/v1", "Deployment", "cart")
BY_SET = Owner("apps/v1", "ReplicaSet", "cart-5f4")


def classes_of(*objects):
    return Snapshot.of(objects).workloads("shop")


def classes(*objects):
    """What the namespace consists of: the names of its classes."""
    return [pods.peer_name.removeprefix("shop/") for pods in classes_of(*objects)]


def only(*objects):
    (found,) = classes_of(*objects)
    return found


def test_a_controllers_template_is_a_class_before_any_pod_runs():
    """Manifests in a folder have templates only."""
    assert only(CART) is CART


def test_a_bare_pod_is_a_class():
    """It goes by its own name."""
    assert classes(pod("debug")) == ["Pod/debug"]


def test_pods_of_a_deployment_are_its_class():
    """Through the ReplicaSet between them, which is no class of its own."""
    running = only(
        CART,
        replica_set("cart-5f4", BY_CART, pod_template_hash="5f4"),
        pod("cart-5f4-b", BY_SET, at=["10.0.0.2"], app="cart", pod_template_hash="5f4"),
        pod("cart-5f4-a", BY_SET, at=["10.0.0.10", "fd00::1"], app="cart", pod_template_hash="5f4"),
    )
    assert running.ref == CART.ref
    assert running.labels == {"app": "cart"}
    assert running.selector == CART.selector
    assert [str(found) for found in running.addresses] == ["10.0.0.2", "10.0.0.10", "fd00::1"]


def test_addresses_of_nodes_are_gathered_once_each():
    """Pods of a class may share nodes."""
    running = only(
        pod("a", BY_CART, nodes=["192.168.0.2"]),
        pod("b", BY_CART, nodes=["192.168.0.1", "192.168.0.2"]),
    )
    assert [str(found) for found in running.node_addresses] == ["192.168.0.1", "192.168.0.2"]


def test_a_deployment_that_was_not_read_is_known_by_the_template_hash():
    """Its ReplicaSet is called after it, followed by the hash that its pods carry."""
    running = only(pod("cart-5f4-a", BY_SET, app="cart", pod_template_hash="5f4"))
    assert running.ref == ObjectRef("apps/v1", "Deployment", "shop", "cart")


def test_a_rollout_that_was_not_read_is_known_by_its_hash_label():
    """Argo Rollouts has a label of its own."""
    running = only(pod("cart-5f4-a", BY_SET, app="cart", rollouts_pod_template_hash="5f4"))
    assert running.ref == ObjectRef("argoproj.io/v1alpha1", "Rollout", "shop", "cart")


def test_an_unread_replica_set_without_hash_is_the_class():
    """Nothing says that something stands behind it."""
    assert classes(pod("a", BY_SET)) == ["ReplicaSet/cart-5f4"]


def test_other_unread_controllers_are_the_class():
    """A StatefulSet's pods have its name."""
    owner = Owner("apps/v1", "StatefulSet", "db")
    assert classes(pod("db-0", owner), pod("db-1", owner)) == ["StatefulSet/db"]


def test_a_lone_replica_set_is_a_class():
    """Nobody owns it."""
    assert classes(replica_set("cart-5f4")) == ["ReplicaSet/cart-5f4"]


def test_a_replica_set_stands_for_its_unread_deployment():
    """The name is the one that a person would edit."""
    assert classes(replica_set("cart-5f4", BY_CART)) == ["Deployment/cart"]


def test_pods_with_different_labels_are_classes_of_their_own():
    """The one that carries the template's labels and ports has the controller's name."""
    found = classes(CART, pod("a", BY_CART, app="cart", debug="on"), pod("b", BY_CART, app="other"))
    assert found == ["Deployment/cart", "Pod/b"]


def test_pods_with_different_ports_are_classes_of_their_own():
    """A port name may mean another number on each."""
    found = classes(pod("a", BY_CART), pod("b", BY_CART, ports=()), pod("c", BY_CART))
    assert found == ["Deployment/cart", "Pod/b"]


def test_a_template_that_no_pod_carries_yet_is_a_class_beside_the_old_pods():
    """During a rollout both versions have to work."""
    found = Snapshot.of([CART, pod("a", BY_CART, app="old")]).workloads("shop")
    assert [(pods.peer_name, dict(pods.labels)) for pods in found] == [
        ("shop/Deployment/cart", {"app": "cart"}),
        ("shop/Pod/a", {"app": "old"}),
    ]


def test_pods_that_are_not_like_their_template_belong_to_its_controller():
    """They started before it changed, and keep what was said of it by name."""
    old = pod("cart-5f4-x", BY_SET, app="cart", version="v1")
    new = replace(CART, labels={"app": "cart", "version": "v2"})
    template, former = Snapshot.of([new, replica_set("cart-5f4", BY_CART), old]).workloads("shop")
    assert (template.ref, former.ref.name, former.owner) == (CART.ref, "cart-5f4-x", BY_CART)


def test_injected_pods_are_the_class_of_their_template():
    """A sidecar adds labels and ports to what the template says."""
    injected = pod(
        "a", BY_CART, ports=(HTTP, ContainerPort(15090, "http-envoy-prom")), app="cart", mesh="yes"
    )
    running = only(CART, injected)
    assert running.ref == CART.ref
    assert len(running.ports) == 2


def test_instance_labels_do_not_tell_pods_apart():
    """Ordinals, hashes and revisions differ between pods that policies treat alike."""
    owner = Owner("apps/v1", "StatefulSet", "db")
    pods = [
        replace(pod(f"db-{n}", owner), labels={"app": "db", "apps.kubernetes.io/pod-index": str(n)})
        for n in "01"
    ]
    assert only(*pods).labels == {"app": "db"}


def test_instance_labels_tell_pods_apart_where_a_policy_names_them():
    """A podSelector on the ordinal makes each pod a class, in every namespace."""
    owner = Owner("apps/v1", "StatefulSet", "db")
    pods = [
        replace(pod(f"db-{n}", owner), labels={"app": "db", "apps.kubernetes.io/pod-index": str(n)})
        for n in "01"
    ]
    first = policy("elsewhere/first", selects={"apps.kubernetes.io/pod-index": "0"}, ingress=[])
    assert classes(*pods, first) == ["Pod/db-1", "StatefulSet/db"]


def test_instance_labels_tell_pods_apart_where_a_service_names_them():
    """A Service for one ordinal needs a class to resolve to."""
    owner = Owner("apps/v1", "StatefulSet", "db")
    key = "statefulset.kubernetes.io/pod-name"
    pods = [replace(pod(f"db-{n}", owner), labels={"app": "db", key: f"db-{n}"}) for n in "01"]
    service = Service(ObjectRef("v1", "Service", "shop", "first"), selector={key: "db-0"})
    assert classes(*pods, service) == ["Pod/db-1", "StatefulSet/db"]


def test_a_job_of_an_unread_cron_job_has_the_cron_jobs_name():
    """Job and pods are the CronJob's class."""
    job = Workload(
        ObjectRef("batch/v1", "Job", "shop", "backup-1"),
        {"app": "b"},
        owner=Owner("batch/v1", "CronJob", "backup"),
    )
    running = pod("backup-1-x", Owner("batch/v1", "Job", "backup-1"), ports=(), app="b")
    assert classes(job, running) == ["CronJob/backup"]


def test_needs_declared_on_the_controller_hold_for_its_pods():
    """So do those of the pods' own annotations, and of pods that do not carry what the template says these
    alone."""
    declared = replace(CART, calls="ledger", called_by="front")
    assert (only(declared, pod("a", BY_CART)).calls, only(declared, pod("a", BY_CART)).called_by) == (
        "ledger",
        "front",
    )
    own = replace(pod("a", BY_CART), calls="other", called_by="nobody")
    assert (only(declared, own).calls, only(declared, own).called_by) == ("ledger, other", "front, nobody")
    template, old = (replace(pods, annotations={CALLS: pods.calls}) for pods in (declared, own))
    found = {pods.ref.kind: pods.calls for pods in classes_of(template, old)}
    assert found == {"Deployment": "ledger", "Pod": "other"}


def test_owners_that_own_each_other_end_somewhere():
    """A loop of ownerReferences is nonsense, but no reason to hang."""
    one = replica_set("one", Owner("apps/v1", "ReplicaSet", "two"))
    two = replica_set("two", Owner("apps/v1", "ReplicaSet", "one"))
    assert classes(one, two) == ["ReplicaSet/one", "ReplicaSet/two"]


def test_whatever_rules_read_of_a_pod_tells_it_apart():
    """Every field does, but where a class has what all its pods have; one that is new does too."""
    of_single_pods = {"ref", "owner", "selector", "exists", "addresses", "node_addresses"}
    of_single_pods |= {"api_servers", "injected_api_servers"}
    others = {
        "labels": {"app": "other"},
        "annotations": {"istio.io/rev": "canary"},
        "switches": {"PILOT_JWT_PUB_KEY_REFRESH_INTERVAL": "1m"},
        "ports": (),
        "host_network": True,
        "service_account": "other",
        "has_proxy": True,
        "calls": "ledger",
        "called_by": "front",
        "tracing_address": "zipkin:9411",
        "probe_ports": (8080,),
        "node_local_addresses": (address("169.254.20.10"),),
    }
    assert {*others, *of_single_pods} == {*Workload.__struct_fields__}
    first = pod("cart-a", BY_CART, app="cart")
    for name, value in others.items():
        other = replace(pod("cart-b", BY_CART, app="cart"), **{name: value})
        found = classes_of(CART, first, other)
        assert sorted((getattr(pods, name) == value, pods.ref.kind) for pods in found) == [
            (False, "Deployment"),
            (True, "Pod"),
        ], name


def test_a_template_that_says_what_no_pod_does_is_a_class_of_its_own():
    """What a rollout will bring is judged before the first of its pods runs."""
    running = pod("cart-a", BY_CART, app="cart")
    for change in (
        {"annotations": {CALLS: "ledger"}, "calls": "ledger"},
        {"annotations": {"sidecar.istio.io/inject": "true"}},
        {"service_account": "other"},
        {"host_network": True},
        {"has_proxy": True},
        {"probe_ports": (9090,)},
        {"switches": {"PILOT_JWT_ENABLE_REMOTE_JWKS": "true"}},
    ):
        found = classes_of(replace(CART, **change), running)
        assert sorted(pods.ref.kind for pods in found) == ["Deployment", "Pod"], change


def test_what_the_injector_changes_makes_no_class():
    """It adds a proxy, writes its mark and its own revision, and has the kubelet probe the proxy."""
    template = replace(CART, annotations={"istio.io/rev": "prod"}, probe_ports=(8080,))
    injected = replace(
        pod("cart-a", BY_CART, app="cart"),
        annotations={"istio.io/rev": "1-28", "sidecar.istio.io/status": ""},
        has_proxy=True,
        probe_ports=(15020, 15021),
    )
    assert classes(template, injected) == ["Deployment/cart"]
