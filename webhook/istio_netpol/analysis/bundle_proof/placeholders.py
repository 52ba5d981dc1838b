"""Addresses that stand in a base until the component `values` sets those of the API server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from istio_netpol.model.addresses import AddressSet
from istio_netpol.model.findings import Finding, Issue, Severity
from istio_netpol.model.policies import NetworkPolicy

NOBODY_CIDR = "192.0.2.0/24"
NOBODY = AddressSet.of(NOBODY_CIDR)


def unset(policies: Iterable[NetworkPolicy]) -> Iterator[Finding]:
    """An error for each rule that still names such addresses."""
    for policy in policies:
        for index, rule in enumerate(policy.egress):
            if rule.addresses and rule.addresses & NOBODY == rule.addresses:
                place = f"spec.egress[{index}].to"
                message = (
                    f"{policy.ref}: {place} names {NOBODY_CIDR}, where nobody is (RFC 5737): the address was "
                    "never set; list the component `values` last, and set the address in values.yaml"
                )
                yield Finding(Issue.UNKNOWN_DESTINATION, Severity.ERROR, policy.ref, message, field=place)
