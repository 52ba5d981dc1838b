"""Differences: what decides stands first."""

from __future__ import annotations

import json

from tests.report.results import DIFFERENCE, SAME

from istio_netpol.report.difference import json_differences, text_difference


def test_the_figures_close_the_text() -> None:
    """Flows decide, connections inform."""
    assert text_difference(DIFFERENCE).splitlines()[-1] == (
        "1 required flow lost, 1 gained; 2 connections lost, 1 gained"
    )


def test_no_difference_is_only_figures() -> None:
    """Nothing else to say."""
    assert text_difference(SAME) == "0 required flows lost, 0 gained; 0 connections lost, 0 gained\n"


def test_a_gained_flow_is_not_told_as_denied() -> None:
    """Its finding is that of the old input."""
    (line,) = [printed for printed in text_difference(DIFFERENCE).splitlines() if "istiod-to-jwks" in printed]
    assert line == (
        "  istiod-to-jwks RequestAuthentication shop/jwt: Deployment istio-system/istiod to "
        "keys.example.com (192.0.2.7/32) (TCP 443)  [/srv/jwt.yaml:3]"
    )


def test_json_has_these_keys() -> None:
    """Flows are findings, connections are those of `list`."""
    document = json.loads(json_differences([("", DIFFERENCE)]))
    assert list(document) == ["apiVersion", "kind", "flowsLost", "flowsGained", "lost", "gained"]
    assert [flow["rule"] for flow in document["flowsLost"]] == ["gateway-to-workload"]
    assert document["gained"][0]["source"] == "0.0.0.0-9.255.255.255"
