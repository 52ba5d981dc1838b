"""What stands in an overlay's folder besides its policies: its environment, and its bases."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from istio_netpol.bundle.kustomize import kustomization_of
from istio_netpol.errors import ToolError

ENVIRONMENT_FILE = "environment.yaml"
"""Settings that hold where the overlay is applied."""


def environment_of(folder: Path) -> Path | None:
    """The overlay's own settings file, if it has one."""
    file = folder / ENVIRONMENT_FILE
    return file if file.is_file() else None


def required_kustomization(folder: Path) -> Path:
    """The folder's kustomization. Raises ToolError where it is no folder that kustomize builds."""
    if not folder.is_dir():
        raise ToolError(f"{folder}: is no folder; name an overlay, a folder with a kustomization.yaml")
    found = kustomization_of(folder)
    if found is None:
        raise ToolError(f"{folder}: has no kustomization.yaml; name an overlay")
    return found


def bases_of(folder: Path) -> tuple[Path, ...]:
    """The local folders among the overlay's resources: what its components and patches work on."""
    file = required_kustomization(folder)
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return ()  # kustomize, which reads it as well, says what is wrong
    resources = content.get("resources") if isinstance(content, dict) else None
    named = [folder / each for each in resources or () if isinstance(each, str)]
    return tuple(each for each in named if each.is_dir())


def standard_control_plane() -> bytes:
    """The manifests that stand for a control plane where none is given."""
    return files("istio_netpol.bundle").joinpath("control_plane.yaml").read_bytes()
