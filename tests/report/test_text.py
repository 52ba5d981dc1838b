"""The text for people."""

from __future__ import annotations

from msgspec.structs import replace
from tests.report.results import (
    GATEWAY_DENIED,
    JWT,
    KEYS_DENIED,
    NOTHING,
    REPORT,
    SELECTS_NOTHING,
    TO_KEYS,
    TO_KEYS_FOR_PAY,
    to_keys,
)

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.report.remedies import distinct_policies
from istio_netpol.report.text import closing_line, text


def test_the_figures_close_the_text() -> None:
    """The last line is the one to quote."""
    assert text(REPORT).splitlines()[-1] == (
        "3 errors, 1 warning, 1 info in 34 objects, 120 flows checked, 3 denied (2 connections of 1 pair), "
        "1 could not be judged; 2 objects of kinds that no rule reads"
    )


def test_a_clean_check_says_what_was_checked() -> None:
    """Silence would not tell whether anything was looked at."""
    assert text(NOTHING) == "No findings in 1 object, 3 flows checked\n"


def test_a_single_thing_is_singular() -> None:
    """Nobody reads "1 objects" without stumbling."""
    assert closing_line(Report((SELECTS_NOTHING,), Summary(1, 1))) == "1 info in 1 object, 1 flow checked"


def test_a_message_does_not_repeat_its_heading() -> None:
    """The object stands above its findings."""
    lines = text(Report((GATEWAY_DENIED,), Summary())).splitlines()
    assert lines[:5] == [
        "VirtualService shop/cart  manifests/my shop.yaml:12",
        "  error gateway-to-workload at spec.http[0].route[0]",
        "    Deployment istio-system/istio-ingressgateway -> Deployment shop/cart, TCP 8080",
        "    egress to Deployment shop/cart is denied by NetworkPolicy istio-system/default-deny; "
        "it is needed because 100% of its traffic goes there",
        "    allowed by adding: istio-system/gateway-to-workload-istio-ingressgateway-1a2b3c4d",
    ]


def test_ports_of_one_connection_stand_in_one_line() -> None:
    """DNS over TCP and over UDP is one thing to read, and to mend."""
    flow = GATEWAY_DENIED.flow
    assert flow is not None
    message = GATEWAY_DENIED.message.replace("TCP 8080", "TCP 9090")
    again = replace(GATEWAY_DENIED, flow=replace(flow, port=9090), message=message)
    lines = text(Report((GATEWAY_DENIED, again), Summary())).splitlines()
    assert lines[2].endswith(" -> Deployment shop/cart, TCP 8080, TCP 9090")
    assert sum(line.startswith("  error ") for line in lines) == 1
    assert lines[-1].startswith("2 errors")


def test_what_is_denied_by_other_policies_stands_apart() -> None:
    """One of them may be mended without the other."""
    message = GATEWAY_DENIED.message.replace("default-deny", "another")
    lines = text(Report((GATEWAY_DENIED, replace(GATEWAY_DENIED, message=message)), Summary())).splitlines()
    assert sum(line.startswith("  error ") for line in lines) == 2


def test_every_policy_is_shown() -> None:
    """Whoever asks for all gets all."""
    (policy,) = GATEWAY_DENIED.remedy
    policies = tuple(replace(policy, ref=replace(policy.ref, name=f"p{number}")) for number in range(7))
    lines = text(Report((replace(GATEWAY_DENIED, remedy=policies),), Summary())).splitlines()
    assert [line for line in lines if line.startswith("  name: p")] == [f"  name: p{n}" for n in range(7)]


def test_a_policy_that_two_findings_propose_is_shown_once() -> None:
    """With both of those who need it."""
    findings = (KEYS_DENIED, to_keys(JWT, TO_KEYS_FOR_PAY, "192.0.2.7"))
    (policy,) = distinct_policies(findings)
    assert policy.name == TO_KEYS.name
    assert policy.annotations["istio-netpol.io/required-by"] == (
        "RequestAuthentication/pay/jwt, RequestAuthentication/shop/jwt"
    )
    assert text(Report(findings, Summary())).count(f"name: {TO_KEYS.name}\n") == 1


def test_control_characters_do_not_reach_a_terminal() -> None:
    """A manifest must not retitle the window of whoever checks it."""
    assert "\x1b" not in text(REPORT)
    assert "\x07" not in text(REPORT)
