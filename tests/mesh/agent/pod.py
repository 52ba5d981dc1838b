"""One pod from its binding to its end: a thread that starts its containers in order and writes its status."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial

from tests.mesh.agent.container import Container
from tests.mesh.agent.environment import NotConfiguredError
from tests.mesh.agent.events import Events
from tests.mesh.agent.launch import Launch, Node
from tests.mesh.agent.network import Network, make_network
from tests.mesh.agent.probes import KINDS, Probe
from tests.mesh.agent.status import ContainerState, phase, pod_status
from tests.mesh.agent.termination import terminate
from tests.mesh.agent.volumes import NotMountedError, Volumes
from tests.mesh.images import Image, image_of
from tests.mesh.node_api import Manifest

TRIES_AGAIN = 0.3
"""Seconds between attempts to set a pod up, as what it lacks is usually about to come."""

FIRST_BACK_OFF = 0.5
LONGEST_BACK_OFF = 8.0
"""Seconds before a container that ended is started again, doubled each time. The kubelet's are 10 to 300:
tests want to see soon that a remedy works."""

STEADY_AFTER = 30.0
"""Seconds of running after which a container's next end counts as its first."""

HOOK_SECONDS = 120.0


class Pod:
    """Follows one Pod object until its containers have ended and the object is deleted.

    Everything happens in the pod's own thread, which others give work to by `post`.
    """

    def __init__(self, node: Node, pod: Manifest, after: Pod | None) -> None:
        self.node = node
        self.pod = pod
        self.over = threading.Event()
        self.forgotten = threading.Event()
        self.events = Events(node.api, pod)
        self.network: Network | None = None
        self.runs: dict[str, Container] = {}
        self.init = [ContainerState(spec, init=True) for spec in pod["spec"].get("initContainers", ())]
        self.main = [ContainerState(spec) for spec in pod["spec"]["containers"]]
        if not self.init:
            for state in self.main:
                state.wait("ContainerCreating")
        self.volumes = Volumes(node.api, node.folder / pod["metadata"]["uid"] / "volumes")
        self._after = after
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._probes: dict[str, list[Probe]] = {}
        self._due: dict[str, float] = {}
        self._back_off: dict[str, float] = {}
        self._ready_to_start = False
        self._lacks = ""
        self._written: Manifest = {}
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self.name = name

    def start(self) -> None:
        """Begins to run the pod."""
        self._thread.start()

    def update(self, pod: Manifest) -> None:
        """Takes a newer version of the object; one that is being deleted is terminated."""
        self.post(partial(self._take, pod))

    def forget(self) -> None:
        """The object is gone: what still runs is killed."""
        self.forgotten.set()
        self.post(lambda: None)

    def refresh(self) -> None:
        """Objects that its volumes show have changed."""
        self.post(self._refresh)

    def post(self, work: Callable[[], None]) -> None:
        """Gives the pod's thread something to do."""
        self._work.put(work)

    @property
    def states(self) -> list[ContainerState]:
        return [*self.init, *self.main]

    @property
    def deleted(self) -> bool:
        """Whether it has to end, or is gone already."""
        return self.forgotten.is_set() or "deletionTimestamp" in self.pod["metadata"]

    def write_status(self) -> None:
        """Tells the API server how the pod is, if that has changed."""
        address = self.network.address if self.network else ""
        status = pod_status(self.pod, address, self.init, self.main)
        self.pod["status"] |= status
        if status == self._written or self.forgotten.is_set():
            return
        answer = self.node.api.patch(f"{self.path}/status", {"status": status})
        if answer.worked:
            self._written = status
        elif answer.status != 404:
            raise OSError(f"the status of {self.name} is not written: {answer.message}")

    @property
    def path(self) -> str:
        metadata = self.pod["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def stop_probes(self, name: str) -> None:
        """Asks a container no more."""
        for probe in self._probes.pop(name, ()):
            probe.stop()

    def _live(self) -> None:
        print(f"{self.name} is bound to this node", flush=True)
        if self._after is not None:
            self._after.over.wait()
            self._after = None
        wait = 0.0
        while not self.deleted:
            try:
                self._take_work(wait)
                if not self.deleted:
                    self._sync()
                    self.write_status()
                wait = self._seconds_to_wait()
            except Exception as error:
                print(f"{self.name} is tried again: {error!r}", flush=True)
                wait = TRIES_AGAIN
        try:
            terminate(self)
        finally:
            self.over.set()  # whoever comes after it under its name waits for this
            print(f"{self.name} is over", flush=True)

    def _take_work(self, wait: float) -> None:
        """Does what was asked, after waiting for it at most that long."""
        try:
            self._work.get(timeout=wait)() if wait else None
            while True:
                self._work.get_nowait()()
        except queue.Empty:
            pass

    def _seconds_to_wait(self) -> float:
        if not self._ready_to_start:
            return TRIES_AGAIN
        now = time.monotonic()
        return max(0.01, min([60.0, *(due - now for due in self._due.values())]))

    def _take(self, pod: Manifest) -> None:
        before = self.pod["metadata"]
        status = self.pod["status"]
        self.pod = pod
        self.pod["status"] = pod.get("status", {}) | status
        changed = any(before.get(key) != pod["metadata"].get(key) for key in ("labels", "annotations"))
        if changed:
            self._refresh()

    def _refresh(self) -> None:
        if not self._ready_to_start:
            return
        try:
            self.volumes.refresh(self.pod)
        except NotMountedError as error:
            print(f"{self.name} keeps its old files: {error}", flush=True)

    def _sync(self) -> None:
        """Does what is next: the first step that can't be taken yet ends it."""
        if not self._ready_to_start and not self._set_up():
            return
        if phase(self.pod, self.init, self.main) in ("Succeeded", "Failed"):
            for state in self.init:
                if state.running:
                    self.runs[state.name].kill()
            return
        for state in self.init:
            if state.sidecar or not (state.succeeded or self._main_has_begun()):
                self._keep_running(state)
            if not state.passed and not self._main_has_begun():
                return
        for state in self.main:
            self._keep_running(state)
            if state.running and not state.hooked:
                return

    def _main_has_begun(self) -> bool:
        return any(state.started_at for state in self.main)

    def _set_up(self) -> bool:
        """Makes network and volumes; whether all is there."""
        if self.network is None:
            self.network = make_network(self.pod, self.node.addresses)
            self.write_status()
        try:
            self.volumes.set_up(self.pod)
        except NotMountedError as error:
            if str(error) != self._lacks:
                self.events.write("FailedMount", str(error), warning=True)
            self._lacks = str(error)
            return False
        self._ready_to_start = True
        return True

    def _keep_running(self, state: ContainerState) -> None:
        """Starts a container that does not run, unless its policy or its back-off forbids."""
        if state.running or self._due.get(state.name, 0.0) > time.monotonic():
            return
        self._due.pop(state.name, None)
        if self._rests(state):
            return
        image = image_of(state.spec["image"])
        if image is None:
            message = f'Failed to pull image "{state.spec["image"]}": tests/mesh/images.py has no such image'
            self._hold(state, "ErrImagePull", message)
            return
        try:
            self._run(state, image)
        except (NotConfiguredError, ValueError) as error:
            self._hold(state, "CreateContainerConfigError", str(error))

    def _hold(self, state: ContainerState, reason: str, message: str) -> None:
        if state.waiting[0] != reason:
            self.events.write("Failed", f"Error: {message}", _path(state), warning=True)
        state.wait(reason, message)
        self._due[state.name] = time.monotonic() + 1.0

    def _run(self, state: ContainerState, image: Image) -> None:
        assert self.network is not None
        launch = Launch(self.node, self.pod, self.network, self.volumes)
        run = launch.container(
            state.spec, image, lambda run, code: self.post(partial(self._ended, run, state, code))
        )
        if state.started_at:
            state.restarts += 1
        state.begin()
        self.runs[state.name] = run
        self.events.write("Started", f"Started container {state.name}", _path(state))
        self._after_start(state, run)

    def _after_start(self, state: ContainerState, run: Container) -> None:
        """What follows when a container runs: its postStart hook, then its probes."""
        hook = state.spec.get("lifecycle", {}).get("postStart")
        if not hook:
            self._begin_probes(state, run)
            return

        def call() -> None:
            code, output = run.hook(hook, HOOK_SECONDS)
            if code:
                self.events.write(
                    "FailedPostStartHook", f"PostStartHook failed: {output}", _path(state), warning=True
                )
                run.kill()
            else:
                self.post(lambda: self._begin_probes(state, run))

        threading.Thread(target=call, daemon=True).start()

    def _begin_probes(self, state: ContainerState, run: Container) -> None:
        if self.runs.get(state.name) is not run or not state.running:
            return
        state.hooked = True
        if "startupProbe" in state.spec:
            self._probe("startup", state, run)
        else:
            self._is_started(state, run)

    def _is_started(self, state: ContainerState, run: Container) -> None:
        state.started = True
        if "readinessProbe" not in state.spec and (state.sidecar or not state.init):
            state.ready = True
        for kind in ("readiness", "liveness"):
            if KINDS[kind] in state.spec:
                self._probe(kind, state, run)

    def _probe(self, kind: str, state: ContainerState, run: Container) -> None:
        assert self.network is not None

        def failed(kind: str, problem: str) -> None:
            message = f"{kind.capitalize()} probe failed: {problem}"
            self.events.write("Unhealthy", message, _path(state), warning=True)

        def changed(kind: str, holds: bool) -> None:
            self.post(lambda: self._judged(state, run, kind, holds))

        probe = Probe(kind, state.spec, run, self.network.address, changed, failed)
        self._probes.setdefault(state.name, []).append(probe)
        probe.start()

    def _judged(self, state: ContainerState, run: Container, kind: str, holds: bool) -> None:
        """A probe's threshold is reached."""
        if self.runs.get(state.name) is not run or not state.running:
            return
        if kind == "readiness":
            state.ready = holds
        elif holds and kind == "startup":
            self._is_started(state, run)
        elif not holds:
            message = f"Container {state.name} failed {kind} probe, will be restarted"
            self.events.write("Killing", message, _path(state))
            self.stop_probes(state.name)
            run.terminate()

    def _ended(self, run: Container, state: ContainerState, code: int) -> None:
        if self.runs.get(state.name) is not run:
            return
        self.stop_probes(state.name)
        lived = time.monotonic() - run.began
        state.end(code)
        print(f"{self.name} {state.name} ended with {code} after {lived:.1f} s", flush=True)
        if not self._rests(state):
            self._back_off_from(state, lived)

    def _rests(self, state: ContainerState) -> bool:
        """Whether it has ended for good."""
        if not state.ended or state.sidecar:
            return False
        policy = self.pod["spec"].get("restartPolicy", "Always")
        return policy == "Never" or (state.succeeded and (state.init or policy == "OnFailure"))

    def _back_off_from(self, state: ContainerState, lived: float) -> None:
        """Has a container that ended wait before it is started again, longer each time."""
        before = self._back_off.get(state.name, 0.0) if lived < STEADY_AFTER else 0.0
        delay = min(LONGEST_BACK_OFF, before * 2 or FIRST_BACK_OFF)
        self._back_off[state.name] = delay
        self._due[state.name] = time.monotonic() + delay
        name, namespace = self.pod["metadata"]["name"], self.pod["metadata"]["namespace"]
        message = f"back-off {delay:g}s restarting failed container={state.name} pod={name}_{namespace}"
        state.wait("CrashLoopBackOff", message)
        if before:
            message = f"Back-off restarting failed container {state.name} in pod {name}_{namespace}"
            self.events.write("BackOff", message, _path(state), warning=True)


def _path(state: ContainerState) -> str:
    return f"{'initContainers' if state.init else 'containers'}{{{state.name}}}"
