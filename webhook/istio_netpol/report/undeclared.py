"""The workloads of which nothing says what they need, a line for each namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from istio_netpol.analysis.results import Undeclared
from istio_netpol.report.places import plural

TITLE = "Nothing says what these workloads need beyond istiod and DNS, so ask their owners:"
MOST_NAMES = 8
"""Names on a line; the JSON has all."""

MOST_LINES = 60


def lines_of(undeclared: Sequence[Undeclared]) -> Iterator[str]:
    """`shop: Deployment db, Job migrate`; those for which somebody wrote a policy have a line of their
    own."""
    groups = [
        (namespace, has_policies, list(members))
        for (namespace, has_policies), members in groupby(
            sorted(undeclared, key=lambda workload: (workload.ref.namespace, bool(workload.policies))),
            key=lambda workload: (workload.ref.namespace, bool(workload.policies)),
        )
    ]
    for namespace, has_policies, members in groups[:MOST_LINES]:
        whose = f"{namespace}, with policies of their own" if has_policies else namespace
        yield f"{whose}: {_names(members)}"
    left = sum(len(members) for _, _, members in groups[MOST_LINES:])
    if left:
        yield f"and {left} more, which -f json lists"


def summary_of(undeclared: Sequence[Undeclared], listed_by: str = "-f text and -f json list") -> str:
    """All of it in one sentence, for documents that have no place for it, with what has one."""
    namespaces = len({workload.ref.namespace for workload in undeclared})
    workloads, where = plural(len(undeclared), "workload"), plural(namespaces, "namespace")
    needs = "needs" if len(undeclared) == 1 else "need"
    return (
        f"nothing says what {workloads} in {where} {needs} beyond istiod and DNS, so ask their owners; "
        f"{listed_by} them"
    )


def _names(members: Sequence[Undeclared]) -> str:
    names = [f"{workload.ref.kind} {workload.ref.name}" for workload in members[:MOST_NAMES]]
    more = len(members) - len(names)
    return ", ".join([*names, f"and {more} more"] if more else names)
