"""Which kinds belong to no namespace. `tests/cluster/test_crds.py` asks a real API server of its own kinds,
of Istio's and of the Gateway API's."""

from __future__ import annotations

import pytest

from istio_netpol.doctor.policies import NOT_EVALUATED, TIERS
from istio_netpol.kube.resources import Resource
from istio_netpol.manifests.decode import CLUSTER_DECODERS, DECODERS, NAMESPACED_DECODERS, reference_of
from istio_netpol.manifests.raw_objects import RawObject


@pytest.mark.parametrize(
    "resource",
    [resource for resource in (*TIERS, *NOT_EVALUATED) if (resource.group, resource.kind) in DECODERS],
    ids=str,
)
def test_a_policy_is_decoded_in_the_scope_in_which_doctor_lists_it(resource: Resource) -> None:
    """Else policies of one name in two namespaces are one, or a policy of the cluster is in `default`."""
    assert ((resource.group, resource.kind) in NAMESPACED_DECODERS) is resource.namespaced


def test_a_kind_has_one_scope() -> None:
    """Either its objects are in a namespace or they are not."""
    assert not CLUSTER_DECODERS.keys() & NAMESPACED_DECODERS.keys()


@pytest.mark.parametrize(
    ("version", "kind", "namespace"),
    [
        ("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", ""),
        ("gateway.networking.k8s.io/v1", "GatewayClass", ""),
        ("example.com/v1", "Tier", "shop"),
        ("example.com/v1", "Node", "shop"),
    ],
)
def test_a_kind_is_known_with_its_group(version: str, kind: str, namespace: str) -> None:
    """A kind of somebody else's with the same name may be in a namespace."""
    content = {"apiVersion": version, "kind": kind, "metadata": {"name": "one", "namespace": "shop"}}
    assert reference_of(RawObject(content, "input.yaml", 1), "default").namespace == namespace
