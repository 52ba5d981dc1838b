"""Pods of a ReplicaSet whose Deployment has another template by now: a rollout under way, or stuck."""

from __future__ import annotations

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    Manifest,
    deny_all,
    deployment,
    manifest,
    namespace,
    owned_by,
    pod,
    pod_template,
    policy,
)
from tests.admission.state import State
from tests.admission.test_cleared import Watched

from istio_netpol.model.settings import AdmissionSettings, Settings

REFUSING = Settings(admission=AdmissionSettings(deny_controlled_pods=True))


def labels(version: str) -> dict[str, str]:
    return {"app": "cart", "version": version, "pod-template-hash": f"v{version}"}


def replica_set(version: str) -> Manifest:
    spec = {"selector": {"matchLabels": labels(version)}, "template": pod_template(labels(version))}
    return manifest(
        "ReplicaSet", f"shop/cart-v{version}", spec, ownerReferences=[owned_by("Deployment", "cart")]
    )


def running(version: str, name: str) -> Manifest:
    return pod(f"shop/cart-v{version}-{name}", labels(version), ("ReplicaSet", f"cart-v{version}"))


def opened(version: str) -> Manifest:
    """What lets pods of one version reach whom they like."""
    spec = {
        "podSelector": {"matchLabels": {"version": version}},
        "policyTypes": ["Egress"],
        "egress": [{}],
    }
    return policy(f"shop/open-{version}", spec)


def shop(mode: str, *more: Manifest, settings: Settings | None = None) -> State:
    """A Deployment of version 2, of which pods of version 1 are left."""
    cart = deployment("shop/cart", labels={"app": "cart", "version": "2"})
    versions = ("1", "2")
    made = [*map(replica_set, versions), *(running(version, "m") for version in versions)]
    base = [*CONTROL_PLANE, namespace("shop", mode), deny_all("shop"), cart, *made, *more]
    return State(base, settings or Settings())


@pytest.mark.parametrize("name", ["a", "z"])
@pytest.mark.parametrize("version", ["1", "2"])
def test_each_pod_gets_what_its_own_version_lacks(version: str, name: str) -> None:
    """Before it starts, whether its name comes before or after those of the pods that are there."""
    written = shop("augment").mutate(running(version, name)).write
    assert {dict(network_policy.pod_selector.match_labels)["version"] for network_policy in written} == {
        version
    }
    assert {network_policy.labels["istio-netpol.io/flow"] for network_policy in written} == {
        "dns",
        "proxy-to-istiod",
    }


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_pod_is_refused_for_what_its_own_version_lacks(name: str) -> None:
    """Where administrators want no pod without its mesh; those of the other version are none of its."""
    state = shop("reject", opened("2"), settings=REFUSING)
    assert not state.validate(running("1", name)).allowed
    assert state.validate(running("2", name)).allowed


def test_what_is_remembered_of_a_pod_holds_for_one_of_another_name() -> None:
    cluster = Watched(shop("reject", opened("2"), settings=REFUSING))
    for name in ("z", "a", "y"):
        assert not cluster.ask(running("1", name)).allowed
        assert cluster.ask(running("2", name)).allowed
