"""A node on which pods run as far as the API shows: kube-scheduler picks it, kwok stands for its kubelet."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import KWOK, module_folder
from tests.cluster.server_process import ServerProcess, free_port
from tests.tools.programs import located

STAGES = ("node/fast/*.yaml", "node/heartbeat/*.yaml", "pod/fast/*.yaml")
"""How node and pods become ready and stay so, as kwok's module has it."""

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "node", "labels": {"kubernetes.io/hostname": "node"}},
    "status": {"allocatable": {"cpu": "32", "memory": "64Gi", "pods": "110"}},
}


class SimulatedNode:
    """One node, its scheduler and its kubelet."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        kubeconfig = f"--kubeconfig={plane.kubeconfig()}"
        scheduler: list[str | Path] = [Path(str(located("kube-scheduler"))), kubeconfig]
        scheduler += ["--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={free_port()}"]
        kubelet: list[str | Path] = [Path(str(located("kwok"))), kubeconfig, "--manage-all-nodes"]
        stages = module_folder(KWOK) / "kustomize" / "stage"
        files = sorted(file for pattern in STAGES for file in stages.glob(pattern))
        kubelet += [f"--config={file}" for file in files if file.name != "kustomization.yaml"]
        kubelet += [f"--config={Path(__file__).with_name('pod-fails.yaml')}"]
        kubelet += [f"--server-address=127.0.0.1:{free_port()}"]
        self.processes = (ServerProcess(folder, scheduler), ServerProcess(folder, kubelet))

    def start(self) -> None:
        """Registers the node and starts both."""
        self._plane.create("/api/v1/nodes", NODE)
        for process in self.processes:
            process.start()

    def stop(self) -> None:
        """Ends both."""
        for process in self.processes:
            process.stop()
