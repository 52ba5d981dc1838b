"""One line for each review that somebody has to know of: what was denied, warned about, or written."""

from __future__ import annotations

import structlog

from istio_netpol.admission.scope import namespace_of
from istio_netpol.server.reviewer import ReviewResponse

Log = structlog.stdlib.BoundLogger


def log_answer(log: Log, webhook: str, answer: ReviewResponse, seconds: float) -> None:
    """Logs a decision; what is admitted without a word leaves no line. The fields are in `docs/logs.md`."""
    decision, reviewed = answer.decision, answer.request
    if decision is None or reviewed is None:
        return
    if decision.allowed and not decision.warnings and not answer.stored:
        return
    log.info(
        "admitted" if decision.allowed else "denied",
        webhook=webhook,
        uid=reviewed.uid,
        object=reviewed.described,
        object_uid=reviewed.object_uid,
        namespace=namespace_of(reviewed),
        operation=reviewed.operation,
        dry_run=bool(reviewed.dry_run),
        user=reviewed.user_info.username,
        decision="allowed" if decision.allowed else "denied",
        rules=list(decision.rules),
        warnings=len(decision.warnings),
        seconds=round(seconds, 4),
        written=[result.policy.key for result in answer.stored if result.written],
        refused=[f"{result.policy.key}: {result.refused}" for result in answer.stored if not result.written],
    )
