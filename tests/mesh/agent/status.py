"""What a pod's status says: pure functions from what its containers do to the object that the API stores."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.mesh.topology import WORKER


def now() -> str:
    """The time as objects have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass(slots=True)
class ContainerState:
    """What a container does at present, and what it did before."""

    spec: Mapping[str, Any]
    init: bool = False
    waiting: tuple[str, str] = ("PodInitializing", "")
    started_at: str = ""
    ended: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    restarts: int = 0
    hooked: bool = False
    started: bool = False
    ready: bool = False

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def sidecar(self) -> bool:
        """Whether it is an init container that goes on running beside the others."""
        return self.init and self.spec.get("restartPolicy") == "Always"

    @property
    def running(self) -> bool:
        return bool(self.started_at) and self.ended is None

    @property
    def succeeded(self) -> bool:
        return self.ended is not None and self.ended["exitCode"] == 0

    @property
    def passed(self) -> bool:
        """Whether the container after it may start: an init container has to end well, a sidecar to start."""
        return self.started if self.sidecar else self.succeeded

    def begin(self) -> None:
        """It runs, for the first time or again."""
        self.last, self.ended = self.ended or self.last, None
        self.started_at = now()
        self.hooked = self.started = self.ready = False

    def end(self, code: int) -> None:
        """It ended with an exit code."""
        reason = "Completed" if code == 0 else "Error"
        times = {"startedAt": self.started_at or now(), "finishedAt": now()}
        self.ended = {"exitCode": code, "reason": reason, **times}
        self.waiting = ("", "")
        self.hooked = self.started = self.ready = False
        if self.init and not self.sidecar:
            self.ready = code == 0

    def wait(self, reason: str, message: str = "") -> None:
        """It does not run, and why."""
        self.waiting = (reason, message)

    def status(self) -> dict[str, Any]:
        """Its entry in the pod's status."""
        entry: dict[str, Any] = {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": self.spec["image"],
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self._state(),
        }
        if self.last:
            entry["lastState"] = {"terminated": self.last}
        if self.started_at:
            entry["containerID"] = f"agent://{self.name}-{self.restarts}"
        return entry

    def _state(self) -> dict[str, Any]:
        if self.running:
            return {"running": {"startedAt": self.started_at}}
        if self.ended and not self.waiting[0]:
            return {"terminated": self.ended}
        reason, message = self.waiting
        return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def phase(pod: Mapping[str, Any], init: Iterable[ContainerState], main: list[ContainerState]) -> str:
    """The pod's phase, by what its restartPolicy makes of containers that ended."""
    policy = pod["spec"].get("restartPolicy", "Always")
    regular = [state for state in init if not state.sidecar]
    if policy == "Never" and any(state.ended and not state.succeeded for state in regular):
        return "Failed"
    if not all(state.started_at for state in main):
        return "Pending"
    if policy != "Always" and all(state.ended for state in main):
        if all(state.succeeded for state in main):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    return "Running"


def pod_status(
    pod: Mapping[str, Any], address: str, init: list[ContainerState], main: list[ContainerState]
) -> dict[str, Any]:
    """The status of a pod; conditions that are others' business stay."""
    current = phase(pod, init, main)
    initialized = all(state.passed for state in init) or any(state.started_at for state in main)
    sidecars = [state for state in init if state.sidecar]
    unready = [state.name for state in (*sidecars, *main) if not state.ready]
    finished = current in ("Succeeded", "Failed")
    why = _why(unready, finished=current == "Succeeded")
    conditions = {
        "PodReadyToStartContainers": (bool(address) and not finished, ("", "")),
        "Initialized": (initialized, _incomplete(init)),
        "Ready": (not unready and not finished, why),
        "ContainersReady": (not unready and not finished, why),
    }
    status: dict[str, Any] = {
        "phase": current,
        "hostIP": WORKER,
        "hostIPs": [{"ip": WORKER}],
        "startTime": pod["status"].get("startTime", now()),
        "conditions": _conditions(pod, conditions),
        "containerStatuses": [state.status() for state in main],
    }
    if init:
        status["initContainerStatuses"] = [state.status() for state in init]
    if address:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    return status


def _why(unready: list[str], *, finished: bool) -> tuple[str, str]:
    if finished:
        return "PodCompleted", ""
    return "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"


def _incomplete(init: list[ContainerState]) -> tuple[str, str]:
    names = [state.name for state in init if not state.passed]
    return "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(names)}]"


def _conditions(
    pod: Mapping[str, Any], present: Mapping[str, tuple[bool, tuple[str, str]]]
) -> list[dict[str, Any]]:
    known = {condition["type"]: condition for condition in pod["status"].get("conditions", ())}
    for name, (holds, (reason, message)) in present.items():
        condition: dict[str, Any] = {"type": name, "status": "True" if holds else "False"}
        if not holds and reason:
            condition |= {"reason": reason} | ({"message": message} if message else {})
        before = known.get(name, {})
        same = before.get("status") == condition["status"]
        condition["lastTransitionTime"] = before["lastTransitionTime"] if same else now()
        known[name] = condition
    return [known[name] for name in sorted(known)]
