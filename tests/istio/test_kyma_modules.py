"""Kyma's modules need each other, the API server, DNS and whoever is outside; their own policies count."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.istio.builders import ingress_gateway, labelled, told, view

from istio_netpol.istio.rules import dns, kyma_modules, to_apiserver, webhook_from_apiserver
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS

RULES = (to_apiserver.RULE, dns.RULE, webhook_from_apiserver.RULE, kyma_modules.RULE)
BACKEND = "eventing.kyma-project.io/backend"


def running(name: str, namespace: str = "kyma-system", **more: str) -> Workload:
    """The pods of a workload of the table."""
    (known,) = (known_workload for known_workload in KYMA_WORKLOADS if known_workload.name == name)
    return labelled(f"{namespace}/{name}", {**known.labels, **more})


def needs(name: str, *others: Workload, namespace: str = "kyma-system", **more: str) -> list[str]:
    """What the rules say of a workload beside others, without its own name, addresses aside."""
    workload = running(name, namespace, **more)
    mesh = view(workload, *others)
    lines = [line for rule in RULES for line in told(rule, workload, mesh)]
    return [line.replace(f"Deployment {namespace}/", "").replace("Deployment ", "") for line in lines]


def calls(name: str, *others: Workload, **more: str) -> list[str]:
    """The same without the API server and DNS."""
    found = needs(name, *others, **more)
    return [line for line in found if not line.startswith(("dns", "to-apiserver"))]


def test_eventing_reaches_nats_and_is_reached_by_publishers() -> None:
    """By the ports of the pods, not of their Services."""
    assert calls("eventing-publisher-proxy", running("eventing-nats")) == [
        "workload-to-workload: eventing-publisher-proxy -> eventing-nats TCP 4222",
        "workload-to-workload: pods of any namespace -> eventing-publisher-proxy TCP 8080",
    ]
    assert calls("eventing-nats") == ["workload-to-workload: eventing-nats -> eventing-nats TCP 6222"]


def test_event_mesh_is_called_with_that_backend_alone() -> None:
    """Which one there is stands on the pods of the publisher proxy."""
    expected = "workload-to-external: eventing-manager -> SAP Event Mesh TCP 443"
    assert expected in calls(
        "eventing-manager", running("eventing-publisher-proxy", **{BACKEND: "EventMesh"})
    )
    assert expected not in calls("eventing-manager", running("eventing-publisher-proxy", **{BACKEND: "NATS"}))


def test_warden_answers_the_api_server_and_asks_the_notary() -> None:
    """It brings no policies of its own."""
    found = [line.partition(":")[0] for line in needs("warden-admission")]
    assert found == ["to-apiserver", "dns", "dns", "webhook-from-apiserver", "workload-to-external"]


def test_the_ingress_gateway_reaches_what_is_behind_it() -> None:
    """Oathkeeper and the validator listen for nobody else."""
    gateway = ingress_gateway()
    assert "gateway-to-workload: istio-system/istio-ingressgateway -> oathkeeper TCP 4455" in calls(
        "oathkeeper", gateway
    )
    validator = "central-application-connectivity-validator"
    assert calls(validator, gateway) == [
        f"gateway-to-workload: istio-system/istio-ingressgateway -> {validator} TCP 8080"
    ]


@pytest.mark.parametrize(
    "name",
    ["telemetry-manager", "serverless-ctrl-mngr", "skr-webhook", "kim-snatch-controller-manager"],
)
def test_what_brings_its_own_policies_needs_nobody_else_s(name: str) -> None:
    """Those are judged where they are; nothing is asked for twice."""
    assert needs(name) == []


def test_gaps_of_own_policies_are_needed_and_nothing_beside_them() -> None:
    """KEDA's webhook is shut by its own policy; rt-bootstrapper has no DNS, btp-manager no policies yet."""
    assert needs("keda-admission-webhooks") == [
        "webhook-from-apiserver: the API server -> keda-admission-webhooks TCP 9443"
    ]
    (bootstrapper,) = {line.partition(":")[0] for line in needs("rt-bootstrapper-controller-manager")}
    assert bootstrapper == "dns"
    kinds = {line.partition(":")[0] for line in needs("btp-manager-controller-manager")}
    assert kinds == {"dns", "to-apiserver"}


@pytest.mark.parametrize(
    "name", ["warden-admission", "eventing-manager", "connectivity-proxy", "nats-manager"]
)
def test_a_tenant_s_workload_with_the_same_labels_needs_nothing(name: str) -> None:
    """Only Kyma writes in kyma-system; elsewhere `app: warden` may be anything."""
    assert needs(name, namespace="shop") == []


def test_pods_in_the_host_s_network_have_no_policies() -> None:
    """Nothing is asked for them."""
    workload = replace(running("warden-admission"), host_network=True)
    assert told(kyma_modules.RULE, workload, view(workload)) == []
