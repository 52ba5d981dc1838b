"""A plan as files in a new folder that the user named: its text, and the policy of each step by number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from istio_netpol.analysis.readiness.rollout import RolloutStep
from istio_netpol.errors import Problem
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.printable import visible

WAITING = "after-answers"
"""The folder of the steps that wait for answers: `kubectl apply -f DIR` does not look into it."""

PLAN = "00-plan.md"


def plan_problems(folder: Path) -> Iterator[Problem]:
    """Why the plan can't be written to the folder: beside another plan, nobody could tell their steps
    apart."""
    try:
        if folder.exists() and any(folder.iterdir()):
            yield Problem.of(str(folder), "is not empty", "name a new folder with -o")
    except OSError as error:
        yield Problem.of(str(folder), f"can't be read: {error.strerror}")


def write_plan(steps: Sequence[RolloutStep], plan: str, folder: Path) -> None:
    """Writes `plan` and a file for each step. Raises OSError."""
    waiting = folder / WAITING
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLAN).write_text(plan, encoding="utf-8")
    digits = max(2, len(str(len(steps))))
    for step in steps:
        place = waiting if step.waits else folder
        place.mkdir(exist_ok=True)
        (place / _file_name(step, digits)).write_text(_content(step), encoding="utf-8")


def _file_name(step: RolloutStep, digits: int) -> str:
    action = "deny" if step.is_denial else "allow"
    return f"{step.number:0{digits}}-{action}-{step.policy.namespace}--{step.policy.name}.yaml"


def _content(step: RolloutStep) -> str:
    return "".join(f"# {visible(line)}\n" for line in _remarks(step)) + to_yaml([step.policy])


def _remarks(step: RolloutStep) -> Iterator[str]:
    if step.is_safe and not step.waits:
        yield f"step {step.number}: cuts nothing, once all steps before it are applied"
        return
    yield f"step {step.number}: apply it once the questions below and in the steps before it are answered"
    for flow in step.cuts:
        yield (
            f"cuts {flow.source} -> {flow.destination}, {flow.protocol} {flow.port}, which is needed because "
            f"{flow.reason}"
        )
    for ask in step.asks:
        sides = " and ".join(direction.lower() for direction in ask.directions)
        yield f"denies {sides} of {ask.workload}, of which nothing says what it needs: ask its owners"
