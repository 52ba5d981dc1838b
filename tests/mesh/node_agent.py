"""The program of `tests.mesh.agent` as a server of a sandbox."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cluster.server_process import ServerProcess
from tests.mesh.images import CHECKOUT, CHECKOUTS_PYTHON, where_images_are
from tests.mesh.sandbox import Sandbox
from tests.mesh.topology import WORKER_NODE


def node_agent(sandbox: Sandbox, kubeconfig: Path) -> ServerProcess:
    """The agent of the worker, not yet started; its pods' logs are in `logs` of the sandbox's folder."""
    options = ("--kubeconfig", kubeconfig, "--node", WORKER_NODE, "--folder", sandbox.folder)
    return sandbox.process(
        "agent",
        *(sys.executable, "-m", "tests.mesh.agent", *options),
        folder=CHECKOUT,
        environment={**CHECKOUTS_PYTHON, **where_images_are()},
    )
