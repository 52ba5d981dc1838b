"""The end of a pod: hooks, a polite signal, sidecars after the others, all within the grace period."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING

from tests.mesh.agent.container import Container

if TYPE_CHECKING:
    from tests.mesh.agent.pod import Pod

LOOKS_AGAIN = 0.05
KILLED_WITHIN = 10.0
TRIES = 20


def terminate(pod: Pod) -> None:
    """Ends the pod's containers, removes its network and files, and deletes the object, unless the API server
    never answers."""
    seconds = pod.pod["metadata"].get("deletionGracePeriodSeconds", 0)
    ends = time.monotonic() + (0.0 if pod.forgotten.is_set() else seconds)
    for state in pod.states:
        pod.stop_probes(state.name)
    main = [pod.runs[state.name] for state in pod.main if state.name in pod.runs]
    sidecars = [pod.runs[state.name] for state in reversed(pod.init) if state.name in pod.runs]
    hooks = [thread for run in (*main, *sidecars) if (thread := _call_hook(pod, run, ends))]
    _wait_for_hooks(pod, hooks, ends)
    for group in (main, *([sidecar] for sidecar in sidecars)):
        for run in group:
            if not run.wait(0):
                run.terminate()
        _wait(pod, group, ends)
    for run in (*main, *sidecars):
        run.kill()
    for run in (*main, *sidecars):
        if not run.wait(KILLED_WITHIN):
            print(f"{pod.name} {run.name} can't be killed", flush=True)
    _remove(pod)


def _call_hook(pod: Pod, run: Container, ends: float) -> threading.Thread | None:
    spec = next(state.spec for state in pod.states if state.name == run.name)
    hook = spec.get("lifecycle", {}).get("preStop")
    left = ends - time.monotonic()
    if not hook or left <= 0 or run.wait(0):
        return None
    thread = threading.Thread(target=run.hook, args=(hook, left), daemon=True)
    thread.start()
    return thread


def _wait_for_hooks(pod: Pod, hooks: list[threading.Thread], ends: float) -> None:
    while any(hook.is_alive() for hook in hooks) and _may_wait(pod, ends):
        hooks[0].join(LOOKS_AGAIN)


def _wait(pod: Pod, group: list[Container], ends: float) -> None:
    while not all(run.wait(0) for run in group) and _may_wait(pod, ends):
        next(run for run in group if not run.wait(0)).wait(LOOKS_AGAIN)


def _may_wait(pod: Pod, ends: float) -> bool:
    return time.monotonic() < ends and not pod.forgotten.is_set()


def _remove(pod: Pod) -> None:
    """Takes away what the pod had, on the node and then at the API server."""
    if pod.network is not None:
        pod.network.remove()
    shutil.rmtree(pod.node.folder / pod.pod["metadata"]["uid"], ignore_errors=True)
    for state in pod.states:
        if state.running:
            state.end(137)
    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.pod["metadata"]["uid"]}}
    for _ in range(TRIES):
        try:
            if pod.forgotten.is_set():
                return
            pod.write_status()
            if pod.node.api.request("DELETE", pod.path, options).status in (200, 404, 409):
                return
        except OSError as error:
            print(f"{pod.name} is not deleted yet: {error}", flush=True)
        pod.forgotten.wait(0.5)
