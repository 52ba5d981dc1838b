"""NetworkPolicies by kube-router, a plugin that people run."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

from tests.mesh.enforcement.cluster import Cluster
from tests.mesh.enforcement.protocol import Style
from tests.mesh.sandbox import PROGRAMS
from tests.waiting import wait_until

PROGRAM = "kube-router"
SYNCHRONISES_WITHIN = 30.0
CHAIN = re.compile(r"^:(KUBE-(?:POD-FW|NWPLCY)-[A-Z2-7]{16}) ", re.MULTILINE)
"""Each synchronisation names its chains after its time: `podFirewallChainName` and `networkPolicyChainName`
in pkg/controllers/netpol of kube-router 2."""


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
        # It does not say what it has enforced. The second synchronisation to end has begun since.
        for _ in range(2 if cluster.pods else 0):
            wait_until(
                "kube-router has synchronised", partial(self._has_others, _chains()), SYNCHRONISES_WITHIN
            )

    def lift(self) -> None:
        """Ends it, and removes the rules that it leaves behind."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None
        subprocess.run([_program(), "--cleanup-config"], check=True)

    def _has_others(self, before: set[str]) -> bool:
        """Whether it has made chains since there were these."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"kube-router ended with {self._process.returncode}")
        return not _chains() <= before


def is_there() -> bool:
    """Whether the program that enforces, which has the PATH of the sandbox, finds it."""
    return shutil.which(PROGRAM, path=PROGRAMS) is not None


def _chains() -> set[str]:
    saved = subprocess.run(["iptables-save", "-t", "filter"], capture_output=True, text=True, check=True)
    return set(CHAIN.findall(saved.stdout))


def _program() -> str:
    found = shutil.which(PROGRAM, path=PROGRAMS)
    if found is None:
        raise RuntimeError(f"{PROGRAM} is not in {PROGRAMS}")
    return found
