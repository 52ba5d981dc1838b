"""Writes Events and reports: only what is new, and never more than a few at once."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from istio_netpol.controller.report_documents import REPORT_KINDS, Told, report, reported, told
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import Connection
from istio_netpol.kube.discovery import Resource, served
from istio_netpol.kube.policy_store import APPLY, CONFLICT
from istio_netpol.model.findings import Finding
from istio_netpol.model.own_names import FIELD_MANAGER, MANAGED_BY, OWNER
from istio_netpol.model.references import ObjectRef
from istio_netpol.turns import in_turns

EVENTS = Resource("events.k8s.io", "v1", "Event", "events", namespaced=True)
WRITES_A_ROUND = 50
QUIET_SECONDS = 60.0
"""How long there is between two Events of one object, whatever changes: the report has the newest."""

GONE = frozenset({403, 404})
"""A namespace that is deleted takes nothing more."""


@dataclass(frozen=True, slots=True)
class _Said:
    """The Event that was last written of an object, and when."""

    name: str
    at: float


class Publisher:
    """Remembers what it said. After a restart it says it again; the API server recognises an Event that is
    still there by its name."""

    def __init__(
        self,
        connection: Connection,
        reference: Callable[[ObjectRef], Mapping[str, Any] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._reference = reference
        self._clock = clock
        self._said: dict[tuple[str, ...], _Said] = {}
        self._reports: dict[str, Any] | None = None

    def publish(self, findings: Sequence[Finding]) -> bool:
        """Tells of findings; whether all was told. Raises ApiError."""
        by_namespace = reported(findings)
        news = [each for found in by_namespace.values() for each in told(found)]
        unsaid = [each for each in news if self._name_said(each) != each.name]
        # Thousands of objects of one tenant keep nobody else's from being told of.
        due = list(in_turns((each.ref.namespace, each) for each in unsaid if self._is_due(each)))
        for each in due[:WRITES_A_ROUND]:
            self._tell(each)
            self._said[each.ref.key] = _Said(each.name, self._clock())
        self._forget({each.ref.key for each in news})
        return self._write_reports(by_namespace) and len(unsaid) == len(due) <= WRITES_A_ROUND

    def _name_said(self, news: Told) -> str:
        said = self._said.get(news.ref.key)
        return said.name if said else ""

    def _is_due(self, news: Told) -> bool:
        said = self._said.get(news.ref.key)
        return said is None or self._clock() - said.at >= QUIET_SECONDS

    def _forget(self, current: Set[tuple[str, ...]]) -> None:
        """Objects of which there is nothing to tell any more, once they were quiet for long enough."""
        recently = self._clock() - QUIET_SECONDS
        self._said = {key: said for key, said in self._said.items() if key in current or said.at > recently}

    def _tell(self, news: Told) -> None:
        ref = news.ref
        regarding = {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name}
        regarding |= {"namespace": ref.namespace, **(self._reference(ref) or {})}
        event = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": news.name, "namespace": ref.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"istio-netpol.io/{OWNER}",
            "reportingInstance": socket.gethostname()[:128],
            "action": "Evaluated",
            "reason": news.reason,
            "type": "Warning",
            "regarding": regarding,
            "note": news.note,
        }
        try:
            self._connection.send("POST", EVENTS.path(ref.namespace), json.dumps(event).encode())
        except ApiError as error:
            if error.status != CONFLICT and error.status not in GONE:
                raise

    def _write_reports(self, by_namespace: Mapping[str, list[Finding]]) -> bool:
        kinds = {(each.group, each.kind): each for each in served(self._connection, REPORT_KINDS)}
        resource = next((kinds[each] for each in REPORT_KINDS if each in kinds), None)
        if resource is None:
            self._reports = None
            return True
        if self._reports is None:
            self._reports = dict.fromkeys(self._stored(resource))
        written = self._reports
        wanted = {name: report(resource, name, found) for name, found in by_namespace.items()}
        # A namespace whose last finding is gone keeps an empty report: it says that somebody looked.
        wanted |= {name: report(resource, name, []) for name in written.keys() - wanted.keys()}
        changed = [name for name in sorted(wanted) if written.get(name) != wanted[name]]
        for name in changed[:WRITES_A_ROUND]:
            self._write(resource, wanted[name], written)
        return len(changed) <= WRITES_A_ROUND

    def _write(self, resource: Resource, manifest: dict[str, Any], written: dict[str, Any]) -> None:
        namespace = manifest["metadata"]["namespace"]
        path = resource.path(namespace, manifest["metadata"]["name"])
        query = [("fieldManager", FIELD_MANAGER)]
        try:
            self._connection.send("PATCH", path, json.dumps(manifest).encode(), APPLY, query)
        except ApiError as error:
            if error.status not in GONE:
                raise
            written.pop(namespace, None)
        else:
            written[namespace] = manifest

    def _stored(self, resource: Resource) -> list[str]:
        query = [("labelSelector", f"{MANAGED_BY}={OWNER}"), ("fieldSelector", f"metadata.name={OWNER}")]
        items = msgspec.json.decode(self._connection.get(resource.path(), query))["items"]
        return [item["metadata"]["namespace"] for item in items]
