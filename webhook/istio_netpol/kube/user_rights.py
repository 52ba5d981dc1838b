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
MOST_USERS = 256
"""How many tokens are remembered; beyond that, the one that was unused the longest is forgotten."""

ASKING_SECONDS = 5.0
"""For how long the rights of one user are asked for at a time. What is not known then is not seen yet."""

AT_ONCE = 4
"""Requests to the API server at a time, for all users together."""

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

SEEN_WITH = (("networking.k8s.io", "networkpolicies"), ("", "pods"))
"""What somebody has to be allowed to list in a namespace to see it."""

WHOLE_CLUSTER = (*SEEN_WITH, ("", "namespaces"), ("policy.networking.k8s.io", "adminnetworkpolicies"))
"""What somebody has to be allowed to list in the cluster to see what belongs to no namespace, too."""


@dataclass(frozen=True, slots=True)
class TokenUser:
    """A user, as a TokenReview names them, with what was found out about their rights and until when that
    counts."""

    info: Mapping[str, Any]
    rights: dict[tuple[str, str, str], tuple[bool, float]] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        return str(self.info.get("username", ""))


class UserRights:
    """Asks the API server. Every method may be called from any thread and raises ApiError."""

    def __init__(self, connection: ApiConnection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._known: OrderedDict[bytes, tuple[TokenUser | None, float]] = OrderedDict()

    def knows(self, token: str) -> bool:
        """Whether the API server need not be asked about a token."""
        return self._remembered(_digest(token)) is not None

    def of_token(self, token: str) -> TokenUser | None:
        """The user of a token; None where the API server does not accept it."""
        digest = _digest(token)
        known = self._remembered(digest)
        if known is not None:
            return known[0]
        status = self._asked(TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", {"token": token})
        info = status.get("user")
        is_somebody = status.get("authenticated") is True and isinstance(info, dict) and info.get("username")
        user = TokenUser(info) if is_somebody and isinstance(info, dict) else None
        with self._lock:
            now = self._clock()
            # Somebody may make tokens without end: what none of them may be used for any more is not kept.
            for old in [key for key, (_, until) in self._known.items() if until <= now]:
                del self._known[old]
            self._known[digest] = (user, now + REMEMBERED_SECONDS)
            while len(self._known) > MOST_USERS:
                self._known.popitem(last=False)
        return user

    def sees_whole_cluster(self, user: TokenUser) -> bool:
        """Whether somebody may see all namespaces, and what belongs to none."""
        return all(self._may_list(user, "", group, resource) for group, resource in WHOLE_CLUSTER)

    def namespaces(self, user: TokenUser, names: Iterable[str]) -> frozenset[str]:
        """Those of the namespaces that somebody may see."""
        ends = self._clock() + ASKING_SECONDS
        if self._sees(user, ""):
            return frozenset(names)
        seen: set[str] = set()
        for name in names:
            if self._clock() > ends:
                break
            if self._sees(user, name):
                seen.add(name)
        return frozenset(seen)

    def _sees(self, user: TokenUser, namespace: str) -> bool:
        return all(self._may_list(user, namespace, group, resource) for group, resource in SEEN_WITH)

    def _may_list(self, user: TokenUser, namespace: str, group: str, resource: str) -> bool:
        """Whether somebody may list a resource in a namespace, in all where none is named."""
        right = (namespace, group, resource)
        allowed, until = user.rights.get(right, (False, 0.0))
        if until > self._clock():
            return allowed
        asked = {"verb": "list", "group": group, "resource": resource, "namespace": namespace}
        who = {"user": user.name, **{key: user.info.get(key) for key in ("uid", "groups", "extra")}}
        spec = {**{key: value for key, value in who.items() if value}, "resourceAttributes": asked}
        status = self._asked(ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec)
        allowed = status.get("allowed") is True and status.get("denied") is not True
        user.rights[right] = (allowed, self._clock() + REMEMBERED_SECONDS)
        return allowed

    def _asked(self, path: str, version: str, kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        body = json.dumps({"apiVersion": version, "kind": kind, "spec": spec}).encode()
        with self._turns:
            answer = json.loads(self._connection.send("POST", path, body))
        status = answer.get("status") if isinstance(answer, dict) else None
        return status if isinstance(status, dict) else {}

    def _remembered(self, digest: bytes) -> tuple[TokenUser | None, float] | None:
        with self._lock:
            known = self._known.get(digest)
            if known is None or known[1] <= self._clock():
                self._known.pop(digest, None)
                return None
            self._known.move_to_end(digest)
            return known


def _digest(token: str) -> bytes:
    """The hash that is remembered in place of a token."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
