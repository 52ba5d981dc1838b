"""A finding stays the same finding while what does not matter changes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.report.results import GATEWAY_DENIED, JWT, KEYS_DENIED, REPORT, SELECTS_NOTHING, TO_KEYS, to_keys

from istio_netpol.analysis.results import Report, Summary
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.report.identity import fingerprints, identity

GENERATED = "dns-cart-9eb151f7-1c0d4a52-88e3f6a0-5b7c2d91"


def of_policy(name: str, **changes: object) -> Finding:
    return replace(SELECTS_NOTHING, object=replace(SELECTS_NOTHING.object, name=name), **changes)  # type: ignore[arg-type]


def test_places_in_files_do_not_matter() -> None:
    """A file is moved, and lines are inserted above."""
    moved = replace(GATEWAY_DENIED, object=replace(GATEWAY_DENIED.object, file="other/place.yaml", line=99))
    assert identity(moved) == identity(GATEWAY_DENIED)


def test_the_order_of_rules_does_not_matter() -> None:
    """A route or rule is inserted above."""
    assert identity(replace(GATEWAY_DENIED, field="spec.http[7].route[1]")) == identity(GATEWAY_DENIED)
    one, other = (of_policy("old", field=f"spec.ingress[{index}].from[0]") for index in (0, 4))
    assert identity(one) == identity(other)


def test_names_of_generated_policies_do_not_matter() -> None:
    """They change with what a policy does."""
    later = GENERATED.replace("9eb151f7", "00000000")
    assert identity(of_policy(GENERATED)) == identity(of_policy(later))
    assert identity(of_policy(GENERATED)) != identity(
        of_policy("dns-web-9eb151f7-1c0d4a52-88e3f6a0-5b7c2d91")
    )


@pytest.mark.parametrize(
    ("kind", "before", "after", "same"),
    [
        ("Pod", "cart-6d4cf56db6-x7k2p", "cart-7c9d8b5f4-b4zqw", True),
        ("Pod", "agent-x7k2p", "agent-b4zqw", True),
        ("Pod", "db-0", "db-1", False),
        ("Pod", "front-page", "front-panel", False),
        ("ReplicaSet", "cart-6d4cf56db6", "cart-7c9d8b5f4", True),
        ("Deployment", "cart-6d4cf56db6", "cart-7c9d8b5f4", False),
    ],
)
def test_random_names_of_pods_do_not_matter(kind: str, before: str, after: str, same: bool) -> None:
    """Each rollout gives them others; what somebody chose stays."""
    old, new = (
        replace(SELECTS_NOTHING, object=replace(SELECTS_NOTHING.object, kind=kind, name=name))
        for name in (before, after)
    )
    assert (identity(old) == identity(new)) is same


def test_addresses_of_a_host_do_not_matter() -> None:
    """They rotate."""
    assert identity(to_keys(JWT, TO_KEYS, "198.51.100.9")) == identity(KEYS_DENIED)


def test_versions_of_the_api_do_not_matter() -> None:
    """v1beta1 becomes v1."""
    older = replace(GATEWAY_DENIED.object, api_version="networking.istio.io/v1beta1")
    assert identity(replace(GATEWAY_DENIED, object=older)) == identity(GATEWAY_DENIED)


def test_what_matters_makes_another_finding() -> None:
    """Object, rule, ends and port; and what a rule opens that is too wide."""
    flow = GATEWAY_DENIED.flow
    assert flow is not None
    others = [
        replace(GATEWAY_DENIED, object=replace(GATEWAY_DENIED.object, name="web")),
        replace(GATEWAY_DENIED, object=replace(GATEWAY_DENIED.object, namespace="pay")),
        replace(GATEWAY_DENIED, rule=Issue.CONSENT_MISSING),
        replace(GATEWAY_DENIED, flow=replace(flow, port=9090)),
        replace(GATEWAY_DENIED, flow=replace(flow, source=flow.destination)),
    ]
    assert len({identity(other) for other in (*others, GATEWAY_DENIED)}) == len(others) + 1


def test_a_wider_rule_is_another_finding() -> None:
    """Whoever knows of one open port has not agreed to all; who may be asked about it changes daily."""
    ref = SELECTS_NOTHING.object

    def opens(what: str, advice: str) -> Finding:
        message = f"{ref}: spec.egress[2] {what}; {advice}"
        return Finding(Issue.BROAD_POLICY, Severity.WARNING, ref, message, field="spec.egress[2]")

    one = opens("names ports (TCP 443) but no peers, so it opens them to every address", "ask cart")
    assert identity(one) == identity(replace(one, message=one.message.replace("ask cart", "ask cart and db")))
    assert identity(one) != identity(opens("opens every port to every peer", "ask cart"))


def test_severities_do_not_matter() -> None:
    """They are a setting."""
    assert identity(replace(GATEWAY_DENIED, severity=Severity.INFO)) == identity(GATEWAY_DENIED)


def test_fingerprints_of_a_report_are_unique() -> None:
    """Though two of its findings be alike."""
    doubled = Report((*REPORT.findings, *REPORT.findings), Summary())
    assert len(set(fingerprints(doubled))) == 2 * len(REPORT.findings)
