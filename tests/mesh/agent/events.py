"""Events about pods, as the kubelet writes them: symptoms are read from these."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from tests.mesh.agent.status import now
from tests.mesh.node_api import Api
from tests.mesh.topology import WORKER_NODE

LONGEST = 1024
"""Characters of a message that the API server takes."""


class Events:
    """The events of one pod. An event that comes again is counted, not repeated."""

    def __init__(self, api: Api, pod: Mapping[str, Any]) -> None:
        self._api = api
        self._pod = pod["metadata"]
        self._numbers = itertools.count(1)
        self._known: dict[tuple[str, str, str], tuple[str, int]] = {}

    def write(self, reason: str, message: str, container: str = "", *, warning: bool = False) -> None:
        """Writes an event about the pod or one of its containers: `container` is a path like
        `containers{app}`. The log has it once, and what can't be written."""
        message = message[:LONGEST]
        key = (reason, message, container)
        if key not in self._known:
            print(f"{self._pod['namespace']}/{self._pod['name']} {container} {reason}: {message}", flush=True)
        base = f"/api/v1/namespaces/{self._pod['namespace']}/events"
        try:
            if key in self._known:
                name, count = self._known[key]
                self._known[key] = (name, count + 1)
                self._api.patch(f"{base}/{name}", {"count": count + 1, "lastTimestamp": now()})
                return
            event = self._event(reason, message, container, "Warning" if warning else "Normal")
            if self._api.request("POST", base, event).worked:
                self._known[key] = (event["metadata"]["name"], 1)
        except OSError as error:
            print(f"the event is not written: {error}", flush=True)

    def _event(self, reason: str, message: str, container: str, kind: str) -> dict[str, Any]:
        involved = {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": self._pod["namespace"],
            "name": self._pod["name"],
            "uid": self._pod["uid"],
        }
        if container:
            involved["fieldPath"] = f"spec.{container}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{self._pod['name'][:200]}.{self._pod['uid'][:8]}.{next(self._numbers)}",
                "namespace": self._pod["namespace"],
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": kind,
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "source": {"component": "kubelet", "host": WORKER_NODE},
            "reportingComponent": "kubelet",
            "reportingInstance": WORKER_NODE,
        }
