"""Enforces the NetworkPolicies of a cluster on the node whose network namespace this program runs in.

    python -m tests.mesh.enforcement --kubeconfig FILE --control FILE [--by nftables|kube-router]

What is wanted stands in the control file, what has been done in `enforced.json` beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from tests.mesh import topology
from tests.mesh.enforcement.kube_router import KubeRouter
from tests.mesh.enforcement.nftables import Nftables
from tests.mesh.enforcement.protocol import Enforcement
from tests.mesh.enforcement.state_files import Enforced, Wanted, enforced_file, read_wanted, seen, write
from tests.mesh.enforcement.watching import Follower

POLL_SECONDS = 0.05
"""How soon a change of the control file is noticed."""

IMPLEMENTATIONS: dict[str, Callable[[Path], Enforcement]] = {
    "nftables": lambda _: Nftables(topology.POD_RANGE),
    "kube-router": lambda kubeconfig: KubeRouter(kubeconfig, topology.WORKER_NODE, topology.SERVICE_RANGE),
}


def main() -> None:
    arguments = _arguments()
    follower = Follower(arguments.kubeconfig)
    enforcement = IMPLEMENTATIONS[arguments.by](arguments.kubeconfig)
    done: Wanted | None = None
    while True:
        wanted = read_wanted(arguments.control)
        try:
            happened, differs = follower.take(POLL_SECONDS)
            if not follower.complete or not (happened or wanted != done):
                continue
            if differs or wanted != done:
                _obey(enforcement, follower, wanted, done)
                done = wanted
        except Exception as error:
            write(enforced_file(arguments.control), Enforced(wanted, failure=f"{error}"))
            raise
        write(enforced_file(arguments.control), _enforced(follower, wanted))


def _obey(enforcement: Enforcement, follower: Follower, wanted: Wanted, done: Wanted | None) -> None:
    started = time.monotonic()
    if wanted.on:
        cluster = follower.objects.cluster()
        enforcement.enforce(cluster, wanted.style)
        what = f"{len(cluster.policies)} policies for {len(cluster.pods)} pods by {wanted.style}"
        print(f"{what} in {time.monotonic() - started:.3f} s", flush=True)
    elif done is not None and done.on:
        enforcement.lift()
        print("everything passes", flush=True)


def _enforced(follower: Follower, wanted: Wanted) -> Enforced:
    cluster = follower.objects.cluster()
    versions: dict[str, dict[str, str]] = {"NetworkPolicy": {}, "Namespace": {}, "Pod": {}}
    for (kind, namespace, name), version in follower.versions.items():
        versions[kind][f"{namespace}/{name}"] = version
    return Enforced(
        wanted,
        {f"{pod.namespace}/{pod.name}": seen(address, pod.labels) for address, pod in cluster.pods.items()},
        versions["NetworkPolicy"],
        versions["Namespace"],
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mesh.enforcement", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--by", choices=sorted(IMPLEMENTATIONS), default="nftables")
    return parser.parse_args()


if __name__ == "__main__":
    main()
