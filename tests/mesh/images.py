"""What stands for the container images that the mesh's pods name: programs of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.tools.programs import built

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = CHECKOUT / ".venv"
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
        "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'webhook'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    return Image(entrypoint, {str(CHECKOUT): CHECKOUT}, environment, user)


IMAGES: dict[str, Image] = {
    "coredns": Image(
        ("/usr/local/bin/coredns",), {"/usr/local/bin/coredns": built() / "coredns"}, user=65532
    ),
    "python": _python("python"),
    "istio-netpol": _python("python", "-m", "istio_netpol", user=65532),
}
"""By the last part of the image's name, without tag and digest."""


def image_of(name: str) -> Image | None:
    """What stands for an image: `registry.example/istio/proxyv2:1.30@sha256:…` is `proxyv2`."""
    return IMAGES.get(name.partition("@")[0].rpartition("/")[2].partition(":")[0])
