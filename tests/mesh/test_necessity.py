"""The table of what shows without a kind of connection is complete, and leads back to the kind."""

from __future__ import annotations

import pytest
from tests.mesh.necessity import SHOWN

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.table import SYMPTOMS

ROWS = {symptom.id: symptom for symptom in SYMPTOMS}


def test_every_kind_that_a_mesh_without_ambient_mode_has_is_shown_to_be_needed() -> None:
    """A kind for which no symptom can be produced is not a requirement."""
    assert set(SHOWN) == set(FlowKind) - {FlowKind.HBONE}


@pytest.mark.parametrize(("kind", "symptom"), [(kind, name) for kind, some in SHOWN.items() for name in some])
def test_who_looks_the_symptom_up_is_told_of_the_kind(kind: FlowKind, symptom: str) -> None:
    assert kind in ROWS[symptom].flows
