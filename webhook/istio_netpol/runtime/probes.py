"""What a kubelet asks of every long-running process: whether it lives, and whether it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

ALIVE = {"status": "ok"}
"""The JSON of `/healthz`."""


def readiness_answer(reasons: Sequence[str]) -> tuple[HTTPStatus, dict[str, object]]:
    """The status and JSON of `/readyz`, by what there is to say against a process being ready."""
    if reasons:
        return HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not ready", "reasons": list(reasons)}
    return HTTPStatus.OK, {"status": "ready", "reasons": []}
