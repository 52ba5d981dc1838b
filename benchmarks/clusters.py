"""Snapshots of synthetic clusters."""

from __future__ import annotations

from io import BytesIO

from benchmarks.synthetic import Size, documents
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.snapshot import Snapshot


def snapshot_of(size: Size) -> Snapshot:
    """The cluster of that size, read as a folder would be."""
    text = "---\n".join(documents(size)).encode()
    loaded = load(read_documents(BytesIO(text), "cluster.yaml"))
    if loaded.problems:
        raise SystemExit("\n".join(str(problem) for problem in loaded.problems))
    return Snapshot.of(loaded.objects)
