"""An answer comes while the API server still waits for it, however much there is to judge."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from benchmarks.decisions import ReadOnlyStore
from benchmarks.one_object import HEAVY, neighbours
from benchmarks.reviews import create

from istio_netpol.admission.decision import Decision
from istio_netpol.cli.settings import Offline
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.settings import AdmissionSettings, LimitSettings, MeshSettings, Mode, Settings
from istio_netpol.server.app import waited_for
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.state.snapshot import Snapshot

ROUTES = next(heavy for heavy in HEAVY if heavy.name == "VirtualService with 10,000 routes")


def _reviewer(mode: Mode, clock: Callable[[], float]) -> Reviewer:
    settings = Settings(
        admission=AdmissionSettings(default_mode=mode),
        limits=LimitSettings(review_seconds=8),
        mesh=MeshSettings(gateway_namespace="istio-system"),
    )
    text = "---\n".join(f"{document}\n" for document in neighbours(str(mode))).encode()
    reviewer = Reviewer(ReadOnlyStore(), Offline(), clock)
    reviewer.take(FlowTable.of(Snapshot.of(load(read_documents(text, "x.yaml")).objects), settings))
    return reviewer


def _ticking(seconds: float) -> Callable[[], float]:
    """A clock on which so much time passes each time that somebody looks."""
    ticks = count()
    return lambda: next(ticks) * seconds


def _decision(
    mode: Mode, per_look: float, *, mutating: bool = False, seconds: float | None = None
) -> Decision:
    reviewer = _reviewer(mode, _ticking(per_look))
    answer = reviewer.review(create(ROUTES.manifest()), mutating=mutating, seconds=seconds)
    assert answer.decision is not None
    return answer.decision


@pytest.mark.parametrize("mode", [Mode.REJECT, Mode.AUGMENT])
def test_an_object_that_takes_too_long_is_refused(mode: Mode) -> None:
    """The sentence says why and what to do; nothing is written for it."""
    decision = _decision(mode, 1.0)
    assert not decision.allowed
    assert decision.message.startswith("VirtualService tenant/heavy: asks for too much to be judged in time;")
    assert [cause.rule for cause in decision.causes] == ["not-judged"]
    assert _decision(mode, 1.0, mutating=True).write == ()


def test_mode_warn_admits_it() -> None:
    """With the same sentence."""
    decision = _decision(Mode.WARN, 1.0)
    assert decision.allowed
    assert any("asks for too much to be judged in time" in warning for warning in decision.warnings)


def test_an_object_in_time_is_judged() -> None:
    """The deadline counts seconds, not work."""
    decision = _decision(Mode.REJECT, 0.001)
    assert not decision.allowed
    assert "policies deny" in decision.message


def test_the_api_server_says_how_long_it_waits() -> None:
    """An answer is under way half a second before that, whatever the settings allow."""
    assert "policies deny" in _decision(Mode.REJECT, 0.01).message
    assert "in time" in _decision(Mode.REJECT, 0.01, seconds=1).message


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("10s", 10.0),
        ("30s", 30.0),
        ("", None),
        ("0s", None),
        ("1m0s", None),
        ("\u00b2s", None),
        ("9999s", None),
    ],
)
def test_the_parameter_of_the_url_is_read(timeout: str, seconds: float | None) -> None:
    """client-go adds it to the URL of every request that has a timeout."""
    assert waited_for(timeout) == seconds
