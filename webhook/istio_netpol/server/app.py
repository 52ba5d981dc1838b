"""The HTTP face of the webhook: paths, limits and errors. What is decided lies behind `Reviewer`."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import structlog
from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_options_header

from istio_netpol.certs.review_paths import Door
from istio_netpol.http.lean_flask import LeanFlask, LeanResponse
from istio_netpol.http.moderation import ModeratedLog
from istio_netpol.http.wsgi import CLIENT_CERTIFICATE, GIVE_WAY
from istio_netpol.runtime.probes import ALIVE, readiness_answer
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.proof import REASONS, ReviewProof, Unproven
from istio_netpol.server.readiness import Readiness
from istio_netpol.server.review_log import Log, log_answer
from istio_netpol.server.reviewer import Reviewer, ReviewResponse

JSON = "application/json"
ANYBODY = ReviewProof()
"""No proof is demanded: for a listener that only this machine reaches."""


def waited_for(timeout: str) -> float | None:
    """How many seconds the API server waits, as it says in the parameter `timeout` of the webhook's URL, a Go
    duration of whole seconds, 30 at most (`Request.URL` in client-go's rest/request.go); None where nobody
    says."""
    found = re.fullmatch(r"([1-9][0-9]?)s", timeout, re.ASCII)
    return float(found[1]) if found else None


def create_app(
    reviewer: Reviewer, readiness: Readiness, metrics: Metrics, proof: ReviewProof = ANYBODY
) -> Flask:
    """The application; it refuses reviews without `proof`. How large a body is, the server watches."""
    app = LeanFlask(__name__)
    log: Log = structlog.get_logger("review")
    moderated = ModeratedLog("review")

    def review(webhook: str) -> Response:
        # What else Flask's request offers is worked out in many steps, which cost as much as a decision.
        environment = request.environ
        right = proof.right(request.path, environment.get(CLIENT_CERTIFICATE))
        if isinstance(right, Unproven):
            metrics.unproven(right)
            moderated.tell("a review without proof was refused", _client(), right)
            return _error(403, f"nothing proves that the API server sent this review: {REASONS[right]}")
        if (mimetype := _mimetype(environment.get("CONTENT_TYPE", ""))) != JSON:
            return _error(415, f"the content type is {mimetype or 'missing'}; send {JSON}")
        if coding := environment.get("HTTP_CONTENT_ENCODING", ""):
            return _error(415, f"the content encoding is {coding}; send the JSON as it is")
        started = time.perf_counter()
        answer = reviewer.review(
            _body(environment),
            mutating=right.door is Door.MUTATE,
            may_write=right.may_write,
            seconds=_seconds(environment.get("QUERY_STRING", "")),
            give_way=environment.get(GIVE_WAY, _nobody_waits),
        )
        seconds = time.perf_counter() - started
        metrics.reviewed(webhook, answer, seconds)
        if answer.decision is None:
            moderated.tell(
                "a request was not a review", _client(), webhook, status=answer.status, reason=answer.reason
            )
        log_answer(log, webhook, answer, seconds)
        return LeanResponse(answer.body, answer.status, mimetype=JSON) if answer.body else _refusal(answer)

    @app.post("/validate")
    def validate() -> Response:
        return review(Door.VALIDATE)

    @app.post("/mutate")
    def mutate() -> Response:
        return review(Door.MUTATE)

    if proof.paths is not None:
        # The second is what the API server calls while no path is registered.
        @app.post(f"/<any({', '.join(Door)}):door>/<secret>")
        @app.post("/", defaults={"door": Door.VALIDATE, "secret": ""})
        def registered(door: str, secret: str) -> Response:
            return review(door)

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify(ALIVE)

    @app.get("/readyz")
    def readyz() -> Response:
        status, content = readiness_answer(readiness.reasons())
        response = jsonify(content)
        response.status_code = status
        return response

    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, lambda error: _unexpected(log, error))
    return app


def _body(environment: Mapping[str, Any]) -> bytes:
    """The body of the request at hand. Where the server says that its stream ends with it, nothing else is
    asked about its length."""
    if environment.get("wsgi.input_terminated"):
        body: bytes = environment["wsgi.input"].read()
        return body
    return request.get_data(cache=False)


@lru_cache(maxsize=16)
def _seconds(query: str) -> float | None:
    """What `waited_for` finds in the query of a review; the API server always sends the same."""
    return waited_for(parse_qs(query).get("timeout", [""])[0])


@lru_cache(maxsize=16)
def _mimetype(content_type: str) -> str:
    """The content type without its parameters."""
    return parse_options_header(content_type)[0].lower()


def _client() -> str:
    return request.remote_addr or ""


def _nobody_waits() -> None:
    """Where no loop stands behind a request."""


def _refusal(answer: ReviewResponse) -> Response:
    return _error(answer.status, answer.reason)


def _http_error(error: HTTPException) -> Response:
    response = _error(error.code or 500, str(error.description or error.name))
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def _unexpected(log: Log, error: Exception) -> Response:
    log.exception("unexpected error", exc_info=error)
    return _error(500, "an error inside istio-netpol; its log has the details")


def _error(status: int, sentence: str) -> Response:
    response = jsonify(error=sentence, code=status)
    response.status_code = status
    return response
