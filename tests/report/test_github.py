"""GitHub annotations: one line each, whatever the message holds."""

from __future__ import annotations

from tests.report.results import CLIENTS_DENIED, GATEWAY_DENIED, SELECTS_NOTHING

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.report.github import github


def command(*findings: object) -> str:
    lines = github(Report(findings, Summary())).splitlines()  # type: ignore[arg-type]
    return lines[0]


def test_an_annotation_has_file_line_and_title() -> None:
    """And the percent sign of the message is escaped."""
    assert command(GATEWAY_DENIED).startswith(
        "::error file=manifests/my shop.yaml,line=12,title=gateway-to-workload%3A VirtualService shop/cart"
        "::VirtualService shop/cart: egress to Deployment shop/cart (TCP 8080) is denied by NetworkPolicy "
        "istio-system/default-deny; it is needed because 100%25 of its traffic goes there "
        "(istio-netpol rule gateway-to-workload)%0A%0AapiVersion: "
    )


def test_line_breaks_are_escaped() -> None:
    """A line break would end the command, and what follows could be a command of its own."""
    assert "is denied%0Aby" in command(CLIENTS_DENIED)


def test_an_object_without_a_file_has_no_place() -> None:
    """The annotation then belongs to the run."""
    assert command(SELECTS_NOTHING) == (
        "::notice title=policy-selects-nothing%3A NetworkPolicy shop/old"
        "::NetworkPolicy shop/old: selects no pod (istio-netpol rule policy-selects-nothing)"
    )


def test_standard_input_is_no_file() -> None:
    """GitHub would look for a file named <stdin>."""
    assert command(CLIENTS_DENIED).startswith("::error title=client-to-gateway%3A Deployment shop/cart::")
