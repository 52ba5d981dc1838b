"""What a reader of the live map may see: nobody sees anything before the API server has said who they are.

A browser is asked for a password, which is a token of Kubernetes (`kubectl create token`); the name beside it
counts for nothing. A program, or a proxy that has signed its user in, sends the token as `Bearer`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import request

from istio_netpol.errors import ApiError
from istio_netpol.http.moderation import ModeratedLog
from istio_netpol.kube.user_rights import UserRights
from istio_netpol.model.json_values import JsonObject
from istio_netpol.server.metrics import MapResult
from istio_netpol.web.app import Refusal, Sight

LONGEST_TOKEN = 16 * 1024
TRIES_PER_SECOND, TRIES_AT_ONCE = 2.0, 20.0
"""How many unknown tokens of one address the API server is asked about."""

MOST_ADDRESSES = 1024

ASK_FOR = (
    "you may see no namespace: it takes the right to list networkpolicies.networking.k8s.io and pods in one, "
    "as the ClusterRole view has it"
)
NOT_READ = "the cluster is not read yet; ask again in a moment"


class Tries:
    """Lets each address try a token now and then. Every method may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether an address may try once more."""
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(address, (TRIES_AT_ONCE, now))
            left = min(TRIES_AT_ONCE, left + (now - since) * TRIES_PER_SECOND)
            self._left[address] = (max(0.0, left - 1), now)
            while len(self._left) > MOST_ADDRESSES:
                self._left.popitem(last=False)
            return left >= 1


class MapGuard:
    """Says of the request at hand what its reader may see; `namespaces` has the names of all there are."""

    def __init__(self, users: UserRights, namespaces: Callable[[], Sequence[str]]) -> None:
        self._users = users
        self._namespaces = namespaces
        self._tries = Tries()
        self._log = ModeratedLog("map")

    def __call__(self) -> Sight | Refusal:
        address = request.remote_addr or ""
        sight = self._sight(address)
        if isinstance(sight, Refusal):
            self._log.tell("map not shown", address, str(sight.status), reason=sight.sentence)
        return sight

    def _sight(self, address: str) -> Sight | Refusal:
        token = _token()
        if not token:
            return Refusal(401, "send a token of Kubernetes as password, or as bearer token")
        if not self._users.knows(token) and not self._tries.take(address):
            return Refusal(429, "too many tokens were tried; wait a second")
        try:
            return self._sight_of(token)
        except ApiError as error:
            # Whoever asks may be nobody: what is wrong is for the log.
            self._log.tell(
                "the API server could not be asked about a user of the map", address, "api", reason=str(error)
            )
            return Refusal(503, "the API server does not say what may be seen; ask again in a moment")

    def _sight_of(self, token: str) -> Sight | Refusal:
        user = self._users.of_token(token)
        if user is None:
            return Refusal(401, "the API server does not accept the token")
        if self._users.sees_whole_cluster(user):
            return Sight()
        names = self._namespaces()
        if not names:
            return Refusal(503, NOT_READ)
        seen = self._users.namespaces(user, names)
        return Sight(seen) if seen else Refusal(403, ASK_FOR)


def _token() -> str:
    """The token of the request, which is the bearer's, or the password; empty where there is none."""
    given = request.authorization
    if given is None:
        return ""
    token = {"bearer": given.token, "basic": given.password}.get(given.type) or ""
    return token if len(token) <= LONGEST_TOKEN and token.isascii() and token.isprintable() else ""


RESULTS = {
    "200": MapResult.ANSWERED,
    "304": MapResult.ANSWERED,
    "401": MapResult.UNAUTHENTICATED,
    "403": MapResult.FORBIDDEN,
    "429": MapResult.LIMITED,
}


def counted(application: Any, count: Callable[[MapResult], None]) -> Any:
    """The WSGI application, with each of its answers counted."""

    def serve(environ: JsonObject, start_response: Any) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            count(RESULTS.get(status[:3], MapResult.FAILED))
            return start_response(status, [*headers, ("Server", "istio-netpol")], *rest)

        answer: Iterable[bytes] = application(environ, start)
        return answer

    return serve
