"""NetworkPolicies by kube-router, a plugin that people run."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tests.mesh.enforcement.cluster import Cluster
from tests.mesh.enforcement.protocol import Style

PROGRAM = "kube-router"
SYNC_SECONDS = 3.0
"""kube-router does not say what it has enforced: so long is waited for it after each change."""


class KubeRouter:
    """Runs kube-router, which watches the API server itself, beside this process."""

    def __init__(self, kubeconfig: Path, node: str, service_range: str) -> None:
        self._arguments = [
            "--run-router=false",
            "--run-service-proxy=false",
            "--run-firewall=true",
            f"--kubeconfig={kubeconfig}",
            f"--hostname-override={node}",
            "--iptables-sync-period=1s",
            "--health-port=0",
            "--metrics-port=0",
            f"--service-cluster-ip-range={service_range}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def enforce(self, cluster: Cluster, style: Style) -> None:
        """Starts it, unless it runs. Raises ValueError for the style that it does not have."""
        if style is not Style.REJECT:
            raise ValueError(f"kube-router refuses by REJECT only, not by {style}")
        if self._process is None:
            self._process = subprocess.Popen([_program(), *self._arguments])
        if self._process.poll() is not None:
            raise RuntimeError(f"kube-router ended with {self._process.returncode}")
        time.sleep(SYNC_SECONDS)

    def lift(self) -> None:
        """Ends it, and removes the rules that it leaves behind."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        subprocess.run([_program(), "--cleanup-config"], check=True)


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


def _program() -> str:
    found = shutil.which(PROGRAM)
    if found is None:
        raise RuntimeError("kube-router is not on the PATH")
    return found
