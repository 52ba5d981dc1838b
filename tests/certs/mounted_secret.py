"""A folder that holds a Secret as kubelet mounts it: files are links, and an update swaps one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path


class MountedSecret:
    """`tls.crt` is a link into `..data`, which is a link to a folder of its own for each update."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._updates = count(1)
        self._data: Mapping[str, bytes] = {}
        folder.mkdir(parents=True)

    def update(self, data: Mapping[str, bytes]) -> bool:
        """Puts the data in place, all files at once; whether that changed anything."""
        if data == self._data:
            return False
        version = f"..version_{next(self._updates)}"
        (self.folder / version).mkdir()
        for name, content in data.items():
            (self.folder / version / name).write_bytes(content)
        (self.folder / "..data_tmp").symlink_to(version)
        os.replace(self.folder / "..data_tmp", self.folder / "..data")
        for name in data:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        self._data = dict(data)
        return True

    @property
    def options(self) -> tuple[str, ...]:
        """What `serve` is told."""
        return ("--cert", str(self.folder / "tls.crt"), "--key", str(self.folder / "tls.key"))
