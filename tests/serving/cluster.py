"""A folder of manifests that stands for a cluster: one file an object, written as `kubectl apply` would."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from istio_netpol.model.own_names import MODE_LABEL
from istio_netpol.sources.folder_store import GENERATED

Manifest = dict[str, Any]


def manifests(paths: Iterable[str | Path]) -> Iterator[Manifest]:
    """The objects in files and folders, in the order of their names."""
    for path in map(Path, paths):
        for file in [path] if path.is_file() else sorted(path.rglob("*.yaml")):
            for document in yaml.load_all(file.read_bytes(), yaml.CSafeLoader):
                yield from document.get("items", [document]) if document else ()


def described(manifest: Manifest) -> str:
    """`Kind/namespace/name`."""
    metadata = manifest["metadata"]
    return "/".join(filter(None, (manifest["kind"], metadata.get("namespace"), metadata["name"])))


class Cluster:
    """The folder; `mode` is what every namespace gets that is written into it."""

    def __init__(self, folder: Path, mode: str = "") -> None:
        self.folder = folder
        self.mode = mode
        self._namespaces: dict[str, Manifest] = {}

    def apply(self, *found: Manifest) -> None:
        """Stores objects, each file complete or absent; an object without a namespace of its own gets
        one."""
        for manifest in found:
            namespace = manifest["metadata"].get("namespace")
            if manifest["kind"] == "Namespace":
                self._namespaces[manifest["metadata"]["name"]] = manifest
            elif namespace and namespace not in self._namespaces:
                self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            self._write(manifest)

    def delete(self, manifest: Manifest) -> None:
        """Takes an object away."""
        self._file(manifest).unlink()

    def set_mode(self, mode: str) -> None:
        """Labels all namespaces anew."""
        self.mode = mode
        for manifest in self._namespaces.values():
            self._write(manifest)

    @property
    def generated(self) -> list[Path]:
        """The files that istio-netpol wrote."""
        return sorted((self.folder / GENERATED).glob("*.yaml"))

    def _with_mode(self, manifest: Manifest) -> Manifest:
        if not self.mode or manifest["kind"] != "Namespace":
            return manifest
        metadata = manifest["metadata"]
        labels = {**metadata.get("labels", {}), MODE_LABEL: self.mode}
        return {**manifest, "metadata": {**metadata, "labels": labels}}

    def _write(self, manifest: Manifest) -> None:
        file = self._file(manifest)
        half = file.with_name(f".{file.name}.tmp")
        content = yaml.dump(self._with_mode(manifest), Dumper=yaml.CSafeDumper, sort_keys=False)
        half.write_text(content, encoding="utf-8")
        os.replace(half, file)

    def _file(self, manifest: Manifest) -> Path:
        return self.folder / f"{described(manifest).replace('/', '.')}.yaml"
