"""Carries out a plan: each action on exactly the version of the object that the plan was made for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from istio_netpol.controller.owned import timestamp
from istio_netpol.controller.plan import Action, Apply, Delete, Mark
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import Connection
from istio_netpol.kube.discovery import Resource
from istio_netpol.kube.policy_store import APPLY, CONFLICT, NETWORK_POLICIES, NOT_FOUND
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.model.own_names import FIELD_MANAGER, UNNEEDED_SINCE
from istio_netpol.model.references import ObjectRef

MERGE = "application/merge-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Execution:
    """Writes policies; every method raises ApiError, with status 409 where somebody else was faster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._resources: dict[tuple[str, str], Resource] = {}

    def knows(self, resources: Iterable[Resource]) -> None:
        """Which kinds the API server serves, to look up owners."""
        self._resources = {(each.group, each.kind): each for each in resources}

    def carry_out(self, action: Action) -> None:
        """Does one thing."""
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
        """Those of all owners, or none where a kind of them is not served.

        An owner that is gone makes the plan old: Kubernetes collected its policies before its deletion was
        seen here, and what is written now without it would outlive it.
        """
        if not all((each.group, each.kind) in self._resources for each in owners):
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
        """An ownerReference with the uid that the owner has now: none without it, since one with a wrong uid
        gets the policy deleted."""
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
