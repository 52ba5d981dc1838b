"""What a Service says of who calls it."""

from __future__ import annotations

from typing import Any

import pytest

from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service


def decoded(spec: dict[str, Any], **annotations: str) -> tuple[Service, list[str]]:
    content = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "front", "namespace": "edge", "annotations": annotations},
        "spec": {"ports": [{"port": 80}], **spec},
    }
    found, problems = decode(RawObject(content, "front.yaml", 1), "default")
    return next(iter(found), Service(ObjectRef("v1", "Service", "edge", "front"))), [
        str(problem) for problem in problems
    ]


def test_a_load_balancer_names_its_clients() -> None:
    """The API server takes spaces around CIDRs."""
    spec = {"loadBalancerSourceRanges": [" 192.0.2.0/24 ", "2001:db8::/32"], "externalTrafficPolicy": "Local"}
    found, problems = decoded(spec)
    assert (found.source_ranges, problems) == (("192.0.2.0/24", "2001:db8::/32"), [])
    assert found.keeps_client_addresses


def test_a_range_that_is_none_is_a_mistake() -> None:
    """It names the field and the value."""
    _, (problem,) = decoded({"loadBalancerSourceRanges": ["everybody"]})
    assert "spec.loadBalancerSourceRanges" in problem
    assert "is not a CIDR" in problem


def test_the_annotation_before_the_field_counts_too() -> None:
    """A list with commas."""
    ranges = {"service.beta.kubernetes.io/load-balancer-source-ranges": "192.0.2.0/24, 198.51.100.0/24"}
    assert decoded({}, **ranges)[0].source_ranges == ("192.0.2.0/24", "198.51.100.0/24")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("networking.gke.io/load-balancer-type", "Internal", True),
        ("service.beta.kubernetes.io/azure-load-balancer-internal", "true", True),
        ("service.beta.kubernetes.io/aws-load-balancer-scheme", "internet-facing", False),
    ],
)
def test_annotations_of_clouds_make_it_internal(key: str, value: str, expected: bool) -> None:
    """Each cloud has its own."""
    assert decoded({"type": "LoadBalancer"}, **{key: value})[0].is_internal == expected
