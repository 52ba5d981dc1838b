"""The API server calls the control plane's webhooks."""

from __future__ import annotations

import pytest
from tests.istio.builders import flows, istiod, istiod_service, labelled, told, view

from istio_netpol.istio.rules.webhook_from_apiserver import RULE
from istio_netpol.model.labels import Labels


def test_istiod_is_called_for_injection() -> None:
    """The API server reaches 15017, which is behind the Service's 443."""
    pods = istiod()
    expected = ["webhook-from-apiserver: the API server -> Deployment istio-system/istiod TCP 15017"]
    assert told(RULE, pods, view(pods)) == expected


def test_flow_says_why_it_is_needed() -> None:
    """Without it no pod is injected."""
    pods = istiod()
    (flow,) = flows(RULE, pods, view(pods))
    assert flow.reason == "the API server asks istiod to inject sidecars and to validate Istio's objects"
    assert flow.object == pods.ref


def test_service_decides_on_the_port() -> None:
    """What stands behind 443 of the istiod Service is the port on the wire."""
    pods = istiod()
    mesh = view(pods, istiod_service(webhook=9443))
    assert [flow.port for flow in flows(RULE, pods, mesh)] == [9443]


def test_kyma_api_gateway_operator_is_called() -> None:
    """Its conversion and validation webhooks listen on 9443."""
    pods = labelled("kyma-system/api-gateway", {"app.kubernetes.io/name": "api-gateway-operator"})
    (flow,) = flows(RULE, pods, view(pods))
    assert (str(flow.source), flow.port) == ("the API server", 9443)
    assert flow.reason == "the API server calls the webhooks of the Kyma API Gateway operator"


@pytest.mark.parametrize(
    "labels",
    [{"app": "web"}, {"k8s-app": "istio-cni-node"}, {"app.kubernetes.io/name": "istio-operator"}],
)
def test_others_have_no_webhooks(labels: Labels) -> None:
    """The CNI agent and the Istio operator are called by nobody."""
    pods = labelled("system/part", labels)
    assert flows(RULE, pods, view(pods)) == []
