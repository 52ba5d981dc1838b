"""What is found of one input: its report, and the policies that it lacks."""

from __future__ import annotations

from datetime import date

from istio_netpol.admission.counted import counted
from istio_netpol.analysis.check import check
from istio_netpol.analysis.generate import generate_ahead
from istio_netpol.analysis.readiness.deny_all import told_of_today
from istio_netpol.analysis.results import Report
from istio_netpol.cli.inputs import Input
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings
from istio_netpol.remedies.ahead import Ahead


def checked(
    given: Input,
    settings: Settings,
    hosts: Resolver,
    today: date,
    *,
    assume_deny_all: bool = False,
    proposals: bool = False,
) -> Report:
    """The report on one input, with all that is said of the input itself."""
    snapshot = given.judged(assume_deny_all=assume_deny_all)
    found = check(snapshot, settings, hosts, given.skipped, proposals=proposals, focus=given.focus)
    if assume_deny_all:
        found = told_of_today(found, given.snapshot, given.there or given.snapshot, settings)
    found = found.with_input(given.assumed, given.findings())
    return counted(found, snapshot, settings, today, given.focus)


def missing_policies(
    given: Input,
    settings: Settings,
    hosts: Resolver,
    *,
    assume_deny_all: bool = False,
    proposals: bool = False,
    per_namespace: bool = False,
) -> Ahead:
    """The policies that one input lacks, in an order in which none cuts what another allows."""
    snapshot = given.judged(assume_deny_all=assume_deny_all)
    today = given.there or given.snapshot
    return generate_ahead(snapshot, today, settings, hosts, per_namespace=per_namespace, proposals=proposals)
