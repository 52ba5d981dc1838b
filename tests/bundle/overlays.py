"""The overlays of this repository, with the values filled in that a user has to set, and their proofs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.analysis.bundle import BundleReport, verify
from istio_netpol.bundle.overlays import environment_of, standard_control_plane
from istio_netpol.config.settings_file import load_settings
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.resolution import Resolution
from istio_netpol.model.settings import Settings

KUSTOMIZE = Path(__file__).parents[2] / "kustomize"
OVERLAYS = tuple(sorted(folder.name for folder in (KUSTOMIZE / "overlays").iterdir() if folder.is_dir()))
UNSET = "  # peers:\n  # - ipBlock:\n  #     cidr: 203.0.113.10/32\n"
SET = "  peers:\n  - ipBlock:\n      cidr: 203.0.113.10/32\n"


@dataclass(frozen=True, slots=True)
class Built:
    """An overlay's objects and the settings of its environment."""

    objects: tuple[Any, ...]
    settings: Settings

    def proof(self, control_plane: Sequence[Any], objects: Sequence[Any] | None = None) -> BundleReport:
        """The proof of the overlay, or of other objects in its environment."""
        bundle = self.objects if objects is None else objects
        return verify(bundle, control_plane, self.objects, self.settings, NoResolver())


class NoResolver:
    """A resolver for control planes, which name no hosts."""

    def resolve(self, host: str) -> Resolution:
        """Never asked."""
        raise AssertionError(f"a control plane asked for {host}")


def filled_tree(folder: Path) -> Path:
    """A copy of the bundle in which every value is set."""
    tree = folder / "kustomize"
    shutil.copytree(KUSTOMIZE, tree)
    for values in tree.glob("overlays/*/values.yaml"):
        values.write_text(values.read_text().replace(UNSET, SET))
    return tree


def kustomize_build(folder: Path) -> subprocess.CompletedProcess[str]:
    """`kustomize build`, whatever becomes of it."""
    require("kustomize")
    return subprocess.run(
        [str(located("kustomize")), "build", str(folder)], capture_output=True, text=True, check=False
    )


def objects_of(manifests: str | bytes) -> tuple[Any, ...]:
    """The decoded objects of manifests that hold no mistake."""
    data = manifests.encode() if isinstance(manifests, str) else manifests
    loaded = load(read_documents(data, "built.yaml"))
    assert not loaded.problems
    return loaded.objects


def built(folder: Path) -> Built:
    """An overlay of a filled tree, built."""
    result = kustomize_build(folder)
    assert result.returncode == 0, result.stderr
    environment = environment_of(folder)
    settings = load_settings(environment.read_text() if environment else None, str(environment))
    return Built(objects_of(result.stdout), settings)


def standard() -> tuple[Any, ...]:
    """The control plane that stands in where none is given."""
    return objects_of(standard_control_plane())
