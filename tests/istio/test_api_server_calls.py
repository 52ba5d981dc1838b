"""The API server calls webhooks, converters and APIs by their Service."""

from __future__ import annotations

import pytest
from tests.istio.outcomes import findings, first_flow, flows, listening, ref, service, udp
from tests.values import deployment

from istio_netpol.istio.rules.api_server_calls import RULE
from istio_netpol.model.api_calls import ApiExtension, ApiServerCall
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import EndpointAddress, EndpointPort, EndpointSlice, ServicePort
from istio_netpol.model.workloads import ContainerPort

FIELD = "webhooks[0].clientConfig.service"


def call(key: str, port: int = 443, *, dispensable: bool = False) -> ApiServerCall:
    """A call of the Service `namespace/name`."""
    where, _, name = key.partition("/")
    return ApiServerCall(where, name, port, "it is asked", FIELD, dispensable)


def extension(*calls: ApiServerCall) -> ApiExtension:
    kind = "ValidatingWebhookConfiguration"
    return ApiExtension(ObjectRef("admissionregistration.k8s.io/v1", kind, "", "rules"), calls)


def test_the_port_is_the_one_behind_the_service() -> None:
    """By number, and by the name of a container port."""
    subject = extension(call("ops/hook"))
    by_name = service("ops/hook", (443, "https"))
    pods = deployment("ops/hook", ContainerPort(9443, "https"))
    assert flows(RULE, subject, by_name, pods) == ["any -> ops/hook TCP 9443"]
    assert flows(RULE, subject, service("ops/hook", (443, 8443)), pods) == ["any -> ops/hook TCP 8443"]


def test_a_port_of_its_own_is_asked_for() -> None:
    """443 is only what a reference says that says nothing."""
    subject = extension(call("ops/hook", 9443))
    assert flows(RULE, subject, service("ops/hook", (443, 8443), 9443), deployment("ops/hook")) == [
        "any -> ops/hook TCP 9443"
    ]


def test_the_object_and_the_service_agree_for_the_pods_of_its_namespace() -> None:
    """An administrator says that they are called, the Service's namespace who they are; what has no namespace
    has no mode, so that the pods' own decides whether policies are written."""
    found = first_flow(RULE, extension(call("ops/hook")), service("ops/hook", 443), deployment("ops/hook"))
    assert (found.agreement.ingress, found.field, found.reason) == ({"ops"}, FIELD, "it is asked")


def test_a_service_that_is_another_name_opens_no_pods_of_others() -> None:
    """Whoever may write the Service can't have a victim's pods opened by it."""
    alias = service(
        "mine/hook", selector={}, type="ExternalName", external_name="db.theirs.svc.cluster.local"
    )
    objects = (alias, service("theirs/db", 443), deployment("theirs/db"))
    subject = extension(call("mine/hook"))
    assert flows(RULE, subject, *objects) == ["any -> theirs/db TCP 443"]
    assert first_flow(RULE, subject, *objects).agreement.ingress is None


def test_what_is_no_pod_needs_no_policy() -> None:
    """Policies don't keep the API server from hosts and addresses outside."""
    outside = service("ops/hook", selector={}, type="ExternalName", external_name="hook.example.com")
    assert (
        flows(RULE, extension(call("ops/hook")), outside),
        findings(RULE, extension(call("ops/hook")), outside),
    ) == ([], [])


def test_the_api_servers_own_service_is_itself() -> None:
    """What it serves by itself it reaches without a network."""
    subject = extension(call("default/kubernetes"))
    assert (flows(RULE, subject), findings(RULE, subject)) == ([], [])


def test_a_headless_service_leads_to_its_pods() -> None:
    """An API server that goes by endpoints calls them."""
    headless = service("ops/hook", (443, 8443), cluster_ips=("None",))
    assert flows(RULE, extension(call("ops/hook")), headless, deployment("ops/hook")) == [
        "any -> ops/hook TCP 8443"
    ]


def test_endpoints_that_somebody_keeps_lead_to_their_pods() -> None:
    """A Service without a selector has what its EndpointSlices list, ports by name."""
    listed = EndpointSlice(
        ref("EndpointSlice", "ops/hook-1"),
        "hook",
        (EndpointAddress((), "hook"),),
        (EndpointPort(9443, "https"), EndpointPort(8080, "metrics")),
    )
    kept = service("ops/hook", ServicePort(443, 443, "https"), selector={})
    found = flows(
        RULE,
        extension(call("ops/hook")),
        kept,
        listed,
        listening("ops/hook", 9443, ref=ref("Pod", "ops/hook")),
    )
    assert found == ["any -> ops/hook TCP 9443"]


def test_one_refusal_counts_more_than_any_indifference() -> None:
    """Of two webhooks behind one Service the one that fails closed decides what a lost answer costs."""
    indifferent, refusing = call("ops/hook", dispensable=True), call("ops/hook")
    objects = (service("ops/hook", 443), deployment("ops/hook"))
    assert first_flow(RULE, extension(indifferent), *objects).dispensable
    assert not first_flow(RULE, extension(indifferent, refusing), *objects).dispensable


HOOK = "Service ops/hook"
NO_PORT = f"{HOOK} has no TCP port 443, which the API server calls; its ports:"
UNDECLARED = (
    f"no container of Deployment ops/hook declares the target port 'https' of {HOOK}; "
    "name the container port, or use its number"
)


@pytest.mark.parametrize(
    ("objects", "sentence"),
    [
        ((), f"there is no {HOOK}, which the API server calls; add it, or correct the name"),
        ((service("ops/hook", 8443),), f"{NO_PORT} 8443"),
        ((service("ops/hook", udp(443, 443)),), f"{NO_PORT} none"),
        (
            (service("ops/hook", 443),),
            f"{HOOK} selects no pods of the input; add its workload, or correct the selector",
        ),
        (
            (service("ops/hook", 443, selector={}),),
            f"{HOOK} has no selector, and the input holds no endpoints for it; add them",
        ),
        ((service("ops/hook", (443, "https")), deployment("ops/hook")), UNDECLARED),
    ],
)
def test_what_is_not_there_is_told(objects: tuple[object, ...], sentence: str) -> None:
    """It may come later, so it is a warning."""
    told = f"unknown-destination warning: ValidatingWebhookConfiguration rules: {FIELD}: {sentence}"
    subject = extension(call("ops/hook"))
    assert (flows(RULE, subject, *objects), findings(RULE, subject, *objects)) == ([], [told])
