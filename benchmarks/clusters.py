"""Snapshots of synthetic clusters."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from benchmarks.synthetic import SEED, Size, documents
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.state.snapshot import Snapshot


def snapshot_of(size: Size, seed: int = SEED) -> Snapshot:
    """The cluster of that size, read as a folder would be."""
    return read(documents(size, seed))


def read(manifests: Iterable[str]) -> Snapshot:
    """The snapshot of these YAML documents; ends the program where they are no good input."""
    text = "---\n".join(manifests).encode()
    loaded = load(read_documents(BytesIO(text), "cluster.yaml"))
    if loaded.problems:
        raise SystemExit("\n".join(str(problem) for problem in loaded.problems))
    return Snapshot.of(loaded.objects)
