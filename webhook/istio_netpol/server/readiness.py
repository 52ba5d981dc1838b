"""Whether requests can be answered well, and if not, why."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from istio_netpol.state.source import SourceState


class Readiness(Struct, frozen=True):
    """Asks the source, what is made of it, the certificate, and what proves reviews; each callable says what
    is wrong. `lag` is for how many seconds changes of the source wait. A source looks, and is taken in, far
    more often than every `stale_seconds`: older means that it can't."""

    state: Callable[[], SourceState]
    has_table: Callable[[], bool]
    table_problem: Callable[[], str]
    lag: Callable[[], float]
    certificate_problem: Callable[[], str]
    proof_problem: Callable[[], str]
    stale_seconds: float

    def reasons(self) -> list[str]:
        """Why the process is not ready; empty where it is."""
        state = self.state()
        reasons = list(state.problems)
        if not state.synced:
            reasons.append("the source was not read yet")
        elif not self.has_table():
            reasons.append("required flows are being worked out")
        elif state.age > self.stale_seconds:
            reasons.append(f"the source was last seen good {state.age:.0f} s ago")
        elif (lag := self.lag()) > self.stale_seconds:
            reasons.append(f"a change of the source has waited for {lag:.0f} s to be taken in")
        asked = (self.table_problem, self.certificate_problem, self.proof_problem)
        return [*reasons, *filter(None, (problem() for problem in asked))]


def validity(starts: float, ends: float, now: Callable[[], float] = time.time) -> str:
    """What is wrong with a certificate that is valid between two Unix times; empty where nothing is."""
    if now() < starts:
        return "the certificate is not valid yet"
    return "the certificate has expired" if now() >= ends else ""
