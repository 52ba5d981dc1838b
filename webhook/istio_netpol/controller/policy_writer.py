"""Writes what was planned: each action on exactly the version of the object that the plan was made for, no
faster than allowed and not for long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from istio_netpol.controller.metrics import ControllerMetrics
from istio_netpol.controller.owned import timestamp
from istio_netpol.controller.plan import Apply, Delete, Mark, PlannedWrite
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.policy_store import APPLY, CONFLICT, NOT_FOUND
from istio_netpol.kube.resources import NETWORK_POLICIES, Resource
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.own_names import FIELD_MANAGER, UNNEEDED_SINCE
from istio_netpol.model.references import ObjectRef

MERGE = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

WRITE_SECONDS = 5.0
"""After so long a round of writes ends, and the cluster is looked at again: what is deleted has to be seen
without a need just before."""

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""How long a write is left alone that failed once, and one that fails each time. A write that a tenant's own
ResourceQuota refuses must not make one round follow another."""

DONE = {"apply": "applied", "mark": "marked", "delete": "deleted"}


class ActionWriter:
    """Writes policies. Every method raises ApiError, with status 409 where somebody else was faster."""

    def __init__(self, connection: ApiConnection) -> None:
        self._connection = connection
        self._resources: dict[tuple[str, str], Resource] = {}

    def knows(self, resources: Iterable[Resource]) -> None:
        """Remembers which kinds the API server serves, to look up owners."""
        self._resources = {(resource.group, resource.kind): resource for resource in resources}

    def carry_out(self, action: PlannedWrite) -> None:
        """Carries out one action."""
        match action:
            case Apply():
                self._apply(action)
            case Mark():
                self._mark(action)
            case Delete():
                self._delete(action)

    def _apply(self, action: Apply) -> None:
        manifest = encode_policy(action.policy)
        references = self._references(action.owners)
        if references:
            manifest["metadata"]["ownerReferences"] = references
        query = [("fieldManager", FIELD_MANAGER)]
        if action.present is not None:
            # What we applied before is ours to restore. A new policy forces nothing: it is not ours yet.
            manifest["metadata"]["resourceVersion"] = action.present.version
            query.append(("force", "true"))
        path = NETWORK_POLICIES.path(action.policy.namespace, action.policy.name)
        self._connection.send("PATCH", path, json.dumps(manifest).encode(), APPLY, query)

    def _references(self, owners: Sequence[ObjectRef]) -> list[Mapping[str, Any]]:
        """The ownerReferences of all owners, or none where the API server does not serve the kind of one.

        An owner that is gone makes the plan old: Kubernetes collected its policies before its deletion was
        seen here, and what is written now without it would outlive it.
        """
        if not all((owner.group, owner.kind) in self._resources for owner in owners):
            return []
        references = []
        for owner in owners:
            reference = self.reference(owner)
            if reference is None:
                raise ApiError(CONFLICT, f"{owner} is gone: what needs a policy is looked at anew")
            references.append(reference)
        return references

    def _mark(self, action: Mark) -> None:
        value = None if action.since is None else timestamp(action.since)
        patch = {"metadata": {"uid": action.present.uid, "annotations": {UNNEEDED_SINCE: value}}}
        path = NETWORK_POLICIES.path(*action.present.key)
        query = [("fieldManager", FIELD_MANAGER)]
        self._connection.send("PATCH", path, json.dumps(patch).encode(), MERGE, query)

    def _delete(self, action: Delete) -> None:
        here = action.present
        options = {"preconditions": {"uid": here.uid, "resourceVersion": here.version}}
        try:
            path = NETWORK_POLICIES.path(*here.key)
            self._connection.send("DELETE", path, json.dumps(options).encode())
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    def reference(self, owner: ObjectRef) -> Mapping[str, Any] | None:
        """An ownerReference with the uid that the owner has now; None where the owner is gone. Kubernetes
        would delete a policy whose reference has a wrong uid."""
        resource = self._resources.get((owner.group, owner.kind))
        if resource is None:
            return None
        try:
            body = self._connection.get(resource.path(owner.namespace, owner.name), accept=METADATA_ONLY)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None
        uid = msgspec.json.decode(body)["metadata"]["uid"]
        return {"apiVersion": resource.api_version, "kind": owner.kind, "name": owner.name, "uid": uid}


class WriteRound(Struct):
    """The result of a round of writes: whether all that were due were tried, how many succeeded, and in how
    many seconds the first of those that failed is due again."""

    is_complete: bool = True
    written: int = 0
    again_in: float = float("inf")


class _Failed(Struct):
    """A write that failed: until when it is left alone, and for how many seconds the last time."""

    until: float
    seconds: float


class PacedWriter:
    """The writes of the leader's rounds, a few a second. For one thread."""

    def __init__(
        self,
        writer: ActionWriter,
        per_second: int,
        metrics: ControllerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._pause = 1 / per_second
        self._metrics = metrics
        self._clock = clock
        self._failed: dict[object, _Failed] = {}
        self._log = structlog.get_logger("controller")

    def carry_out(self, actions: Sequence[PlannedWrite], stopped: Event) -> WriteRound:
        """Tries the actions that are due. Raises ApiError where the API server can't be reached, or the lease
        was lost."""
        ends = self._clock() + WRITE_SECONDS
        outcome = WriteRound()
        names = {_name(action) for action in actions}
        self._failed = {name: failed for name, failed in self._failed.items() if name in names}
        for action in actions:
            failed = self._failed.get(_name(action))
            if failed is None or failed.until <= self._clock():
                if stopped.is_set() or self._clock() > ends:
                    outcome.is_complete = False
                    return outcome
                failed = self._tried(action, failed)
                outcome.written += failed is None
                stopped.wait(self._pause)
            if failed is not None:
                outcome.again_in = min(outcome.again_in, max(failed.until - self._clock(), 0.0))
        return outcome

    def _tried(self, action: PlannedWrite, before: _Failed | None) -> _Failed | None:
        """Tries a write; returns what to remember of it where it failed."""
        if self._try(action):
            self._failed.pop(_name(action), None)
            return None
        seconds = FIRST_SECONDS if before is None else min(2 * before.seconds, LONGEST_SECONDS)
        self._failed[_name(action)] = failed = _Failed(self._clock() + seconds, seconds)
        return failed

    def _try(self, action: PlannedWrite) -> bool:
        kind = type(action).__name__.lower()
        log = self._log.bind(object=str(action.target.ref), object_uid=_uid(action))
        try:
            self._writer.carry_out(action)
        except ApiError as error:
            if error.status == 0:
                raise
            self._metrics.failures.inc()
            level = log.info if error.status == CONFLICT else log.warning
            level(f"policy not {DONE[kind]}, and tried again", reason=str(error), status=error.status)
            return False
        except MemoryError:
            raise
        except Exception:  # a failure of one policy must not stop the others
            self._metrics.failures.inc()
            log.exception(f"policy not {DONE[kind]}, and tried again")
            return False
        self._metrics.actions.labels(kind).inc()
        log.info(f"policy {DONE[kind]}")
        return True


def _uid(action: PlannedWrite) -> str:
    """The uid of a policy that is there already; empty for a new one."""
    return action.present.uid if action.present else ""


def _name(action: PlannedWrite) -> object:
    """A key that tells writes apart from round to round."""
    return (type(action), action.target.namespace, action.target.name)
