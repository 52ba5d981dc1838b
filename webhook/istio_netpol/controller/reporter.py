"""Tells of findings in the cluster, as Events and reports: only what is new, a few at once, and only once the
policies are at rest, since what is mended at once is not news."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.controller.metrics import ControllerMetrics
from istio_netpol.controller.report_documents import REPORT_KINDS, ObjectSummary, report, reported, summaries
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.discovery import served
from istio_netpol.kube.policy_store import APPLY, CONFLICT
from istio_netpol.kube.resources import EVENTS, Resource
from istio_netpol.model.findings import Finding
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import FIELD_MANAGER, MANAGED_BY, OWNER
from istio_netpol.model.references import ObjectRef
from istio_netpol.runtime.guarded import Guarded
from istio_netpol.turns import in_turns

WRITES_A_ROUND = 50
QUIET_SECONDS = 60.0
"""How long there is between two Events of one object, whatever changes: the report has the newest
findings."""

TELL_SECONDS = 10.0
"""How long there is between two rounds of Events and reports."""

OVERDUE_SECONDS = 30.0
"""After so long without rest, findings are told though policies are being written. Otherwise somebody whose
objects change all the time would keep everybody's findings from being told."""

GONE = frozenset({403, 404})
"""The answers for a namespace that is deleted: it takes nothing more."""


class Reporter:
    """Decides when findings are published."""

    def __init__(
        self,
        publisher: Publisher,
        evaluation: Evaluation,
        metrics: ControllerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._evaluation = evaluation
        self._metrics = metrics
        self._clock = clock
        self._next = clock()
        self._is_told = False
        self._waits_since: float | None = None
        self._guarded = Guarded(
            "tell", "the findings could not be published; trying again", metrics.errored, clock
        )
        self._log = structlog.get_logger("controller")

    @property
    def due_in(self) -> float:
        """In how many seconds there is something to publish; infinite where all is published."""
        return float("inf") if self._is_told else self._next - self._clock()

    @property
    def is_overdue(self) -> bool:
        """Whether findings have waited too long for the policies to come to rest."""
        return self._waits_since is not None and self._clock() - self._waits_since > OVERDUE_SECONDS

    def wait(self) -> None:
        """Notes that the policies are about to change."""
        self._is_told = False
        if self._waits_since is None:
            self._waits_since = self._clock()

    def tell(self) -> None:
        """Publishes what is new, or notes that it has to wait. A failure is logged, and tried again."""
        self._is_told = False
        if self._clock() < self._next:
            return
        self._waits_since = None
        self._next = self._clock() + TELL_SECONDS
        with self._guarded:
            try:
                self._is_told = self._publisher.publish(self._evaluation.findings())
            except ApiError as error:
                self._metrics.failures.inc()
                self._log.warning(
                    "the findings could not be published; trying again",
                    reason=str(error),
                    status=error.status,
                )


class _LastEvent(Struct, frozen=True):
    """The Event that was last written for an object, and when."""

    name: str
    at: float


class Publisher:
    """Writes Events and reports, and remembers which. After a restart it writes all of them again; the API
    server recognises an Event that is still there by its name."""

    def __init__(
        self,
        connection: ApiConnection,
        reference: Callable[[ObjectRef], Mapping[str, Any] | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._reference = reference
        self._clock = clock
        self._events: dict[tuple[str, ...], _LastEvent] = {}
        self._reports: JsonObject | None = None

    def publish(self, findings: Sequence[Finding]) -> bool:
        """Publishes findings; returns whether all were published. Raises ApiError."""
        by_namespace = reported(findings)
        current = [summary for found in by_namespace.values() for summary in summaries(found)]
        untold = [summary for summary in current if self._last_name(summary) != summary.event_name]
        # Thousands of objects of one tenant keep nobody else's from being told of.
        due = list(in_turns((summary.ref.namespace, summary) for summary in untold if self._is_due(summary)))
        for summary in due[:WRITES_A_ROUND]:
            self._write_event(summary)
            self._events[summary.ref.key] = _LastEvent(summary.event_name, self._clock())
        self._forget({summary.ref.key for summary in current})
        return self._write_reports(by_namespace) and len(untold) == len(due) <= WRITES_A_ROUND

    def _last_name(self, summary: ObjectSummary) -> str:
        last = self._events.get(summary.ref.key)
        return last.name if last else ""

    def _is_due(self, summary: ObjectSummary) -> bool:
        last = self._events.get(summary.ref.key)
        return last is None or self._clock() - last.at >= QUIET_SECONDS

    def _forget(self, current: Set[tuple[str, ...]]) -> None:
        """Forgets objects of which there is nothing to tell any more, once they were quiet for long
        enough."""
        recently = self._clock() - QUIET_SECONDS
        self._events = {
            key: event for key, event in self._events.items() if key in current or event.at > recently
        }

    def _write_event(self, summary: ObjectSummary) -> None:
        ref = summary.ref
        regarding = {"apiVersion": ref.api_version, "kind": ref.kind, "name": ref.name}
        regarding |= {"namespace": ref.namespace, **(self._reference(ref) or {})}
        event = {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": summary.event_name, "namespace": ref.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"istio-netpol.io/{OWNER}",
            "reportingInstance": socket.gethostname()[:128],
            "action": "Evaluated",
            "reason": summary.reason,
            "type": "Warning",
            "regarding": regarding,
            "note": summary.note,
        }
        try:
            self._connection.send("POST", EVENTS.path(ref.namespace), json.dumps(event).encode())
        except ApiError as error:
            if error.status != CONFLICT and error.status not in GONE:
                raise

    def _write_reports(self, by_namespace: Mapping[str, list[Finding]]) -> bool:
        kinds = {
            (resource.group, resource.kind): resource for resource in served(self._connection, REPORT_KINDS)
        }
        resource = next((kinds[kind] for kind in REPORT_KINDS if kind in kinds), None)
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
            self._write_report(resource, wanted[name], written)
        return len(changed) <= WRITES_A_ROUND

    def _write_report(self, resource: Resource, manifest: JsonObject, written: JsonObject) -> None:
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
        """The namespaces that have a report of ours."""
        query = [("labelSelector", f"{MANAGED_BY}={OWNER}"), ("fieldSelector", f"metadata.name={OWNER}")]
        items = msgspec.json.decode(self._connection.get(resource.path(), query))["items"]
        return [item["metadata"]["namespace"] for item in items]
