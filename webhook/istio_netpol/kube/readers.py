"""Who asks, and what they may see, in the API server's words: TokenReview and SubjectAccessReview.

What it said is remembered for half a minute, so that a page that is open does not ask for every look, and a
right that is taken away ends soon. An answer that does not come is not remembered, and lets nobody in.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from istio_netpol.kube.connection import ApiConnection

REMEMBERED_SECONDS = 30.0
MOST_READERS = 256
"""How many tokens are remembered; beyond that, the one that was unused the longest is forgotten."""

ASKING_SECONDS = 5.0
"""For how long the rights of one reader are asked for at a time. What is not known then is not seen yet."""

AT_ONCE = 4
"""Requests to the API server at a time, of all readers together."""

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

SEEN_WITH = (("networking.k8s.io", "networkpolicies"), ("", "pods"))
"""What somebody has to be allowed to list in a namespace to see it."""

WHOLE_CLUSTER = (*SEEN_WITH, ("", "namespaces"), ("policy.networking.k8s.io", "adminnetworkpolicies"))
"""What somebody has to be allowed to list in the cluster to see what belongs to no namespace, too."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A user, as a TokenReview names them, with what was found out about their rights and until when that
    counts."""

    user: Mapping[str, Any]
    rights: dict[tuple[str, str, str], tuple[bool, float]] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        return str(self.user.get("username", ""))


class Readers:
    """Asks the API server. Every method may be called from any thread and raises ApiError."""

    def __init__(self, connection: ApiConnection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._known: OrderedDict[bytes, tuple[Reader | None, float]] = OrderedDict()

    def knows(self, token: str) -> bool:
        """Whether the API server need not be asked about a token."""
        return self._remembered(_digest(token)) is not None

    def of_token(self, token: str) -> Reader | None:
        """Who brings a token; None where the API server does not accept it."""
        digest = _digest(token)
        known = self._remembered(digest)
        if known is not None:
            return known[0]
        status = self._asked(TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", {"token": token})
        user = status.get("user")
        is_somebody = status.get("authenticated") is True and isinstance(user, dict) and user.get("username")
        reader = Reader(user) if is_somebody and isinstance(user, dict) else None
        with self._lock:
            now = self._clock()
            # Somebody may make tokens without end: what none of them may be used for any more is not kept.
            for old in [key for key, (_, until) in self._known.items() if until <= now]:
                del self._known[old]
            self._known[digest] = (reader, now + REMEMBERED_SECONDS)
            while len(self._known) > MOST_READERS:
                self._known.popitem(last=False)
        return reader

    def sees_whole_cluster(self, reader: Reader) -> bool:
        """Whether somebody may see all namespaces, and what belongs to none."""
        return all(self._may_list(reader, "", group, resource) for group, resource in WHOLE_CLUSTER)

    def namespaces(self, reader: Reader, names: Iterable[str]) -> frozenset[str]:
        """Those of the namespaces that somebody may see."""
        ends = self._clock() + ASKING_SECONDS
        if self._sees(reader, ""):
            return frozenset(names)
        seen: set[str] = set()
        for name in names:
            if self._clock() > ends:
                break
            if self._sees(reader, name):
                seen.add(name)
        return frozenset(seen)

    def _sees(self, reader: Reader, namespace: str) -> bool:
        return all(self._may_list(reader, namespace, group, resource) for group, resource in SEEN_WITH)

    def _may_list(self, reader: Reader, namespace: str, group: str, resource: str) -> bool:
        """Whether somebody may list a resource in a namespace, in all where none is named."""
        right = (namespace, group, resource)
        allowed, until = reader.rights.get(right, (False, 0.0))
        if until > self._clock():
            return allowed
        asked = {"verb": "list", "group": group, "resource": resource, "namespace": namespace}
        who = {"user": reader.name, **{key: reader.user.get(key) for key in ("uid", "groups", "extra")}}
        spec = {**{key: value for key, value in who.items() if value}, "resourceAttributes": asked}
        status = self._asked(ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
        allowed = status.get("allowed") is True and status.get("denied") is not True
        reader.rights[right] = (allowed, self._clock() + REMEMBERED_SECONDS)
        return allowed

    def _asked(self, path: str, version: str, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        body = json.dumps({"apiVersion": version, "kind": kind, "spec": spec}).encode()
        with self._turns:
            answer = json.loads(self._connection.send("POST", path, body))
        status = answer.get("status") if isinstance(answer, dict) else None
        return status if isinstance(status, dict) else {}

    def _remembered(self, digest: bytes) -> tuple[Reader | None, float] | None:
        with self._lock:
            known = self._known.get(digest)
            if known is None or known[1] <= self._clock():
                self._known.pop(digest, None)
                return None
            self._known.move_to_end(digest)
            return known


def _digest(token: str) -> bytes:
    """What is remembered in a token's place."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
