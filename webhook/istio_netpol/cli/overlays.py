"""From the folder of an overlay to all that its proof needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from istio_netpol.bundle.overlays import (
    bases_of,
    dns_addresses,
    environment_of,
    require_effective_patches,
    required_kustomization,
    usual_control_plane,
)
from istio_netpol.cli.inputs import ReadOptions, read_loaded, read_objects
from istio_netpol.cli.settings import read_settings
from istio_netpol.manifests.load import RemovedApi
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.settings import Settings


class OverlayInput(Struct, frozen=True):
    """Decoded objects: the overlay's, its bases', and the control plane's, which the user named or which is
    the usual one."""

    bundle: tuple[ClusterObject, ...]
    base: tuple[ClusterObject, ...]
    control_plane: tuple[ClusterObject, ...]
    settings: Settings
    names_control_plane: bool = False
    outdated: tuple[RemovedApi, ...] = ()
    """What of the overlay no API server takes."""


def read_overlay(
    folder: str,
    control_plane: Sequence[str],
    config: str | None,
    reading: ReadOptions,
    *,
    fetch: bool = False,
) -> OverlayInput:
    """Builds the overlay and its bases, offline unless these may be fetched. Raises a NetpolError that names
    the file and the cause."""
    path = Path(folder)
    required_kustomization(path)
    environment = environment_of(path)
    reading = replace(reading, kustomize=replace(reading.kustomize, offline=not fetch))
    loaded = read_loaded([folder], reading)
    built = loaded.objects
    file = config or (str(environment) if environment else None)
    settings = read_settings(file, dns_addresses=dns_addresses(path))
    bases = [str(base) for base in bases_of(path)]
    base = read_objects(bases, reading) if bases else ()
    require_effective_patches(path, (value for value in (*base, *built) if isinstance(value, NetworkPolicy)))
    return OverlayInput(
        bundle=built,
        base=base,
        control_plane=read_objects(control_plane, reading) if control_plane else usual_control_plane(built),
        settings=settings,
        names_control_plane=bool(control_plane),
        outdated=loaded.outdated,
    )
