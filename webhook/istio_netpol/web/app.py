"""The live map over HTTP: the page, and the document that it asks for while it is open.

Who asks is not known here. A guard says of each request what its reader may see: everything, some namespaces,
or why not even that.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response, jsonify, request
from msgspec import Struct
from werkzeug.exceptions import HTTPException

from istio_netpol.web.live import Published, SentDocument
from istio_netpol.web.page import content_policy, live_page
from istio_netpol.web.parts import Parts

JSON = "application/json"


class Refusal(Struct, frozen=True):
    """Why a request gets no map: an HTTP status and a sentence."""

    status: int
    sentence: str


class Sight(Struct, frozen=True):
    """What a reader may see: these namespaces, or everything where that is None."""

    namespaces: frozenset[str] | None = None


Guard = Callable[[], Sight | Refusal]
"""Asked once for each request, within its context."""


def map_app(newest: Callable[[], Published | None], guard: Guard) -> Flask:
    """The application; `newest` has the map of the whole cluster, None while there is none."""
    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    page, parts = live_page(), Parts()

    @app.get("/")
    def index() -> Response:
        sight = guard()
        return _refused(sight) if isinstance(sight, Refusal) else Response(page, mimetype="text/html")

    @app.get("/map.json")
    def document() -> Response:
        sight = guard()
        if isinstance(sight, Refusal):
            return _refused(sight)
        # Nothing is worked out for somebody who gets nothing.
        published = newest()
        if published is None:
            return _refused(Refusal(503, "the cluster is not read yet; ask again in a moment"))
        if sight.namespaces is None:
            return _document(published.sent)
        return _document(parts.of(published, sight.namespaces))

    app.after_request(_guarded)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _document(sent: SentDocument) -> Response:
    """The document compressed, as browsers take it, or that it is the one that the reader has."""
    if request.if_none_match.contains(sent.tag.strip('"')):
        response = Response(status=304)
    else:
        response = Response(sent.content, mimetype=JSON)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["ETag"] = sent.tag
    return response


def _guarded(response: Response) -> Response:
    """No other site shows, reads or keeps what is sent."""
    response.headers.update(
        {
            "Content-Security-Policy": f"{content_policy(live=True)}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
    )
    return response


def _refused(refusal: Refusal) -> Response:
    response = jsonify(error=refusal.sentence, code=refusal.status)
    response.status_code = refusal.status
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="istio-netpol map", charset="UTF-8"'
    return response


def _http_error(error: HTTPException) -> Response:
    return _refused(Refusal(error.code or 500, str(error.description or error.name)))
