"""Runs the node agent in the network and mount namespace of its node, until it is stopped."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.mesh.agent.following import Agent
from tests.mesh.node_api import Api


def main() -> None:
    """Reads the arguments and works."""
    parser = argparse.ArgumentParser(prog="python -m tests.mesh.agent", description=__doc__)
    parser.add_argument(
        "--kubeconfig", type=Path, required=True, help="how to reach the API server, as admin"
    )
    parser.add_argument("--node", required=True, help="the name of the node")
    parser.add_argument("--folder", type=Path, required=True, help="for logs and the pods' files")
    arguments = parser.parse_args()
    Agent(Api(arguments.kubeconfig), arguments.node, arguments.folder).run()


if __name__ == "__main__":
    main()
