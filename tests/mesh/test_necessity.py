"""Each kind of flow has a test that shows it to be needed, by symptoms that lead back to the kind."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
from tests.mesh import test_necessity_control_plane, test_necessity_workloads

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.table import SYMPTOMS

ROWS = {symptom.id: symptom for symptom in SYMPTOMS}


def proofs(module: ModuleType) -> Iterator[tuple[FlowKind, str]]:
    """The kinds that a module's tests are given to leave out, with the symptoms that they have to see."""
    for name, test in vars(module).items():
        for mark in getattr(test, "pytestmark", ()) if name.startswith("test_") else ():
            if mark.name == "parametrize" and {"kind", "symptoms"} <= set(mark.args[0]):
                for case in mark.args[1]:
                    values = dict(zip(mark.args[0], getattr(case, "values", case), strict=True))
                    yield from ((values["kind"], symptom) for symptom in values["symptoms"])


PROOFS = sorted({*proofs(test_necessity_control_plane), *proofs(test_necessity_workloads)})


def test_every_kind_that_a_mesh_without_ambient_mode_has_is_shown_to_be_needed() -> None:
    """A kind for which no symptom can be produced is not a requirement."""
    assert {kind for kind, _ in PROOFS} == set(FlowKind) - {FlowKind.HBONE}


@pytest.mark.parametrize(("kind", "symptom"), PROOFS)
def test_who_looks_the_symptom_up_is_told_of_the_kind(kind: FlowKind, symptom: str) -> None:
    assert kind in ROWS[symptom].flows
