"""Generated policies as files in a folder that the user named, one a policy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.cluster_objects import ClusterObject
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.quota import is_generated
from istio_netpol.sources.folder_store import FolderStore
from istio_netpol.state.snapshot import Snapshot


def write_files(policies: Sequence[NetworkPolicy], folder: Path) -> tuple[int, list[str]]:
    """How many files are in place, `namespace--name.yaml` each, and why others are not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        return 0, [f"{error.filename or folder} is not a folder; name another one with -o"]
    except OSError as error:
        cause = error.strerror or error
        return 0, [f"{error.filename or folder} can't be made: {cause}; name another folder with -o"]
    store = FolderStore(folder, subfolder="", restores=True)
    refused = [result.refused for result in store.write(policies) if result.refused]
    return len(policies) - len(refused), refused


def left_behind(policies: Sequence[NetworkPolicy], folder: Path, snapshot: Snapshot) -> Iterator[Path]:
    """Files that istio-netpol wrote into the folder and that are not among those written now.

    Policies that the input holds count: where they were read, they are in force, and nothing is missing.
    """
    current = {policy.key for policy in policies} | {present.key for present in snapshot.every(NetworkPolicy)}
    if not os.path.isdir(folder):
        return
    for file in sorted(folder.glob("*--*.yaml")):
        try:
            objects = load(read_documents(file.read_bytes(), str(file))).objects
        except OSError:
            continue
        if len(objects) == 1 and _is_left(objects[0], current):
            yield file


def _is_left(found: ClusterObject, current: set[str]) -> bool:
    return isinstance(found, NetworkPolicy) and is_generated(found) and found.key not in current
