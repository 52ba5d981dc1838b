"""Bundle, chart and `argocd/` as an OCI artifact: the archive of an image layout, which `oras` copies.

One layer, since Argo CD takes no more, of a media type that both Argo CD and Flux read.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from release.archives import normalise

FOLDERS = ("argocd", "charts", "kustomize")
CONFIG = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = b"{}"


def build_artifact(tree: Path, into: Path, epoch: int, version: str) -> Path:
    """Writes istio-netpol-VERSION-bundle.tar into a folder; the same bytes from the same tree."""
    packed = into / "layer.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        for folder in FOLDERS:
            archive.add(tree / folder, folder)
    normalise(packed, epoch)
    layer = packed.read_bytes()
    packed.unlink()
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.istio-netpol.bundle.v1",
            "config": _descriptor(CONFIG, EMPTY),
            "layers": [_descriptor(LAYER, layer)],
            "annotations": {"org.opencontainers.image.version": version},
        }
    )
    tagged = {
        **_descriptor(MANIFEST, manifest),
        "annotations": {"org.opencontainers.image.ref.name": version},
    }
    index = _json({"schemaVersion": 2, "manifests": [tagged]})
    archive_file = into / f"istio-netpol-{version}-bundle.tar"
    with tarfile.open(archive_file, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in _members(index, [EMPTY, layer, manifest]):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), epoch, 0o644
            archive.addfile(member, io.BytesIO(content))
    return archive_file


def _members(index: bytes, blobs: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of an OCI image layout."""
    yield from sorted((f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob) for blob in blobs)
    yield "index.json", index
    yield "oci-layout", _json({"imageLayoutVersion": "1.0.0"})


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
