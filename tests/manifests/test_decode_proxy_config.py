"""What is read of a pod's own ProxyConfig."""

from __future__ import annotations

import pytest

from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("tracing:\n  zipkin:\n    address: zipkin.observe:9411\n", "zipkin.observe:9411"),
        ("{tracing: {open_census_agent: {address: 'oc:55678'}}}", "oc:55678"),
        ('{"tracing": {"datadog": {"address": "$(HOST_IP):8126"}}}', "$(HOST_IP):8126"),
        ("tracing: {lightstep: {address: 'a:1', access_token: x}}", "a:1"),
        ("tracing: {sampling: 10}", ""),
        ("discoveryAddress: istiod:15012", ""),
        ("tracing: {zipkin: {address: 5}}", ""),
        ("tracing: [", ""),
        ("[tracing]", ""),
        ("", ""),
    ],
)
def test_a_tracing_address_is_read_from_the_annotation(written: str, address: str) -> None:
    """Of whatever backend; what can't be read counts as absent, and no object is lost for it."""
    template = {"metadata": {"annotations": {"proxy.istio.io/config": written}}, "spec": {"containers": []}}
    content = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cart", "namespace": "shop"},
        "spec": {"template": template},
    }
    (found,), problems = decode(RawObject(content, "cart.yaml", 1))
    assert (found.tracing_address, problems) == (address, [])
