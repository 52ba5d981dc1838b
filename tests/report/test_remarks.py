"""The list of workloads whose owners have to be asked stays readable."""

from __future__ import annotations

from istio_netpol.analysis.results import Undeclared
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.remarks import MOST_LINES, MOST_NAMES, undeclared_lines, undeclared_summary


def workloads(namespace: str, count: int, *policies: str) -> list[Undeclared]:
    refs = (ObjectRef("apps/v1", "Deployment", namespace, f"w{number:02}") for number in range(count))
    return [Undeclared(ref, policies) for ref in refs]


def test_a_namespace_is_a_line() -> None:
    """Those for which somebody wrote policies stand apart; many are counted."""
    found = [*workloads("shop", 1), *workloads("shop", 1, "shop/allow"), *workloads("bank", MOST_NAMES + 2)]
    named = ", ".join(f"Deployment w{number:02}" for number in range(MOST_NAMES))
    assert list(undeclared_lines(found)) == [
        f"bank: {named}, and 2 more",
        "shop: Deployment w00",
        "shop, with policies of their own: Deployment w00",
    ]


def test_many_namespaces_are_counted() -> None:
    """A cluster of hundreds fills no terminal."""
    found = [workload for number in range(MOST_LINES + 2) for workload in workloads(f"n{number:03}", 3)]
    lines = list(undeclared_lines(found))
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "and 6 more, which -f json lists"


def test_one_sentence_for_documents_without_a_place_for_it() -> None:
    """Grammar of one and of several."""
    assert undeclared_summary(workloads("shop", 1)).startswith(
        "nothing says what 1 workload in 1 namespace needs "
    )
    assert undeclared_summary([*workloads("shop", 2), *workloads("bank", 1)]).startswith(
        "nothing says what 3 workloads in 2 namespaces need "
    )
