"""Flask for programs: routes, views and error handlers, without what only people's browsers need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import NullSession, SecureCookieSessionInterface
from werkzeug.routing import MapAdapter

MOST_ROUTES = 16
"""That are remembered. A client can bring as many paths as it likes, each of some kilobytes."""


class _NoSessions(SecureCookieSessionInterface):
    """Every request has the same session, in which nothing can be kept."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """The session, for which no cookie is read."""
        return self._session


class LeanResponse(Response):
    """A response that is sent as it is: nothing is added for redirects and for statuses without a body, of
    which there are none, and nothing is to be closed. The server leaves out the body where HEAD asks."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers as a WSGI application."""
        start_response(self.status, self.headers.to_wsgi_list())
        return self.iter_encoded()


class _Routes(MapAdapter):
    """The routes, bound to the path of one request. The API server sends all reviews to one or two paths, of
    which the route is remembered: to find it took a third of the time that Flask takes for a request."""

    known: dict[tuple[str, str], Any]

    def match(self, *asked: Any, **how: Any) -> Any:
        """The route of this request with its arguments; `asked` and `how` as they are given within Flask."""
        if asked or how != {"return_rule": True}:
            return super().match(*asked, **how)
        request = (self.default_method, self.path_info)
        found = self.known.get(request)
        if found is None:
            found = super().match(return_rule=True)
            if len(self.known) >= MOST_ROUTES:
                self.known.clear()
            self.known[request] = found
        return found


class LeanFlask(Flask):
    """Leaves out what costs a request more than its view does: sessions, signals, functions before and after
    a request, and routing by host name. A path is served as it is written, without redirects, or not at
    all."""

    session_interface = _NoSessions()
    response_class = LeanResponse

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
        self.url_map.merge_slashes = False
        self.url_map.strict_slashes = True
        self._known_routes: dict[tuple[str, str], Any] = {}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Binds the routes to a path; to none outside of a request."""
        if request is None:
            return None
        routes = _Routes(self.url_map, "", "/", "", "https", request.path, request.method)
        routes.known = self._known_routes
        return routes

    def do_teardown_request(self, *_: object) -> None:
        """Does nothing, as no functions are called after a request."""

    def do_teardown_appcontext(self, *_: object) -> None:
        """Does nothing, for the same reason."""

    def full_dispatch_request(self) -> Response:
        """The response of the view, or of the error handler."""
        try:
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return self.make_response(answer)
