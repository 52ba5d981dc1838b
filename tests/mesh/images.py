"""What stands for the container images that the mesh's pods name: programs of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from tests.cluster.crds import ISTIO_PROGRAMS, module_folder
from tests.mesh.sandbox import PROGRAMS
from tests.tools.programs import built

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = CHECKOUT / ".venv"
CHECKOUTS_PYTHON = {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'webhook'}", "PYTHONDONTWRITEBYTECODE": "1"}
"""The environment in which an interpreter finds this checkout, and leaves it as it is."""

BOOTSTRAP_VARIABLE = "MESH_ENVOY_BOOTSTRAP"
"""Names the template of Envoy's bootstrap, which is in the module of Istio's programs."""


@dataclass(frozen=True, slots=True)
class Image:
    """The command of an image, and the files it adds to this machine's own: their path in the container, and
    where they are here. `user` is whose the processes are where the pod does not say."""

    entrypoint: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user: int = 0


def _python(*entrypoint: str, user: int = 0) -> Image:
    """This checkout with its interpreter and what is installed for it."""
    environment = {
        "PATH": f"{ENVIRONMENT / 'bin'}:{PROGRAMS}",
        **CHECKOUTS_PYTHON,
        "PYTHONUNBUFFERED": "1",
    }
    return Image(entrypoint, {str(CHECKOUT): CHECKOUT}, environment, user)


def _istio(program: str, files: Mapping[str, Path] | None = None) -> Image:
    """One of Istio's programs, as its image has it."""
    path = f"/usr/local/bin/{program}"
    return Image((path,), {path: built() / program, **(files or {})}, user=1337)


@cache
def _proxy() -> Image:
    """The agent with a plain Envoy and the template of its bootstrap (`pilot/docker/Dockerfile.proxyv2` of
    istio/istio)."""
    envoy = Path(str(resources.files("envoy"))) / "_bin" / "envoy"
    template = Path(os.environ[BOOTSTRAP_VARIABLE])
    files = {"/usr/local/bin/envoy": envoy, "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": template}
    return _istio("pilot-agent", files)


def where_images_are() -> dict[str, str]:
    """The environment in which images are found; asks Go, which the node agent has not."""
    folder = module_folder(ISTIO_PROGRAMS)
    return {BOOTSTRAP_VARIABLE: str(folder / "tools" / "packaging" / "common" / "envoy_bootstrap.json")}


IMAGES: dict[str, Image] = {
    "coredns": Image(
        ("/usr/local/bin/coredns",), {"/usr/local/bin/coredns": built() / "coredns"}, user=65532
    ),
    "pilot": _istio("pilot-discovery"),
    "python": _python("python"),
    "istio-netpol": _python("python", "-m", "istio_netpol", user=65532),
    # Servers of other people's manifests: the mesh's own echo, where the originals listen.
    "nginx": _python("python", "-m", "tests.mesh.programs.echo", "nginx", "--http", "80"),
    "go-httpbin": _python("python", "-m", "tests.mesh.programs.echo", "httpbin", "--http", "8080"),
}
"""By the last part of the image's name, without tag and digest."""


def image_of(name: str) -> Image | None:
    """What stands for an image: `registry.example/istio/proxyv2:1.30@sha256:…` is `proxyv2`."""
    last = name.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return _proxy() if last == "proxyv2" else IMAGES.get(last)
