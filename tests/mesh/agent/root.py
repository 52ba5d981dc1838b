"""The file system that a container sees: this machine's folders under a layer of its own, and its mounts.

A container's root is put together in a mount namespace of its own, which ends with it. Whatever a program
writes lands in the container's layer: nothing on the host is changed.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OWN = {"tmp": 0o1777, "run": 0o755, "var": 0o755}
"""Folders that every container has to itself, with their modes."""

LEFT_OUT = {"boot", "lost+found", "media", "mnt", "srv", "proc", "sys", "dev", "etc", *OWN}
"""Folders of the host that are no part of an image, or made anew."""

UNREADABLE = {"shadow", "gshadow", "shadow-", "gshadow-", "ssl/private"}


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the node at a path of the container."""

    source: Path
    target: str
    writable: bool


def copy_etc(target: Path) -> None:
    """Copies what programs look up in /etc, to be the lowest layer of each container's.

    The host's own may be an overlay already, and the kernel stacks no more than two.
    """

    def secret(folder: str, names: list[str]) -> set[str]:
        here = Path(folder).relative_to("/etc")
        return {name for name in names if str(here / name) in UNREADABLE or name == "netns"}

    shutil.copytree("/etc", target, symlinks=True, ignore=secret)


def set_up_commands(
    folder: Path, etc: Path, mounts: list[Mount], resolver: str, host: str, *, read_only: bool
) -> str:
    """Prepares a container's root in `folder`; the shell commands that mount it at `folder`/root, for a new
    mount and process namespace."""
    root, layers = folder / "root", folder / "layers"
    shutil.rmtree(folder, ignore_errors=True)
    root.mkdir(parents=True)
    lower = dict(_folders_of_the_host(root)) | {"etc": etc}
    for name in (*lower, *OWN, "proc", "sys", "dev"):
        (root / name).mkdir()
    _make_layers(layers, lower)
    (layers / "etc/resolv.conf").write_text(resolver)
    (layers / "etc/hosts").write_text(host)
    lines = list(_layer_commands(root, layers, lower, "ro" if read_only else "rw"))
    resolved = [Mount(mount.source, _without_links(mount.target), mount.writable) for mount in mounts]
    for mount in sorted(resolved, key=lambda mount: mount.target.count("/")):
        _make_place(mount, _layer_of(mount.target, resolved, root, layers), lower)
        mode = "rw" if mount.writable else "ro"
        lines.append(
            f"mount -o bind,{mode} {shlex.quote(str(mount.source))} {shlex.quote(f'{root}{mount.target}')}"
        )
    if read_only:
        lines.append(f"mount -o remount,bind,ro {shlex.quote(str(root))}")
    return "\n".join(lines)


def _make_layers(layers: Path, lower: Mapping[str, Path]) -> None:
    """Makes what a container writes to: folders of its own, and one over each that it shares."""
    for name, permissions in OWN.items():
        (layers / name).mkdir(parents=True)
        (layers / name).chmod(permissions)
    (layers / "var/run").symlink_to("/run")
    for name, path in lower.items():
        (layers / name).mkdir()
        (layers.parent / "work" / name).mkdir(parents=True)
        shutil.copystat(path, layers / name)


def _folders_of_the_host(root: Path) -> Iterator[tuple[str, Path]]:
    """Each folder of / that a container shares; links are made anew."""
    for entry in Path("/").iterdir():
        if entry.is_symlink():
            (root / entry.name).symlink_to(os.readlink(entry))
        elif entry.is_dir() and entry.name not in LEFT_OUT:
            yield entry.name, entry


def _layer_commands(root: Path, layers: Path, lower: Mapping[str, Path], mode: str) -> Iterator[str]:
    yield f"mount --bind {root} {root}"
    for name, path in lower.items():
        options = f"{mode},lowerdir={path},upperdir={layers / name},workdir={layers.parent / 'work' / name}"
        yield f"mount -t overlay -o {shlex.quote(options)} overlay {shlex.quote(str(root / name))}"
    for name in OWN:
        yield f"mount -o bind,{'rw' if name == 'run' else mode} {layers / name} {root / name}"
    yield f"mount -t proc proc {root / 'proc'}"
    yield f"mount -t sysfs sysfs {root / 'sys'}"
    yield f"mount --rbind /dev {root / 'dev'}"


def _layer_of(target: str, mounts: Iterable[Mount], root: Path, layers: Path) -> Path:
    """Where on the node a path of the container is: in a volume that is mounted above it, in the container's
    layer, or in its root."""
    above = [mount for mount in mounts if target.startswith(f"{mount.target}/")]
    if above:
        nearest = max(above, key=lambda mount: len(mount.target))
        return nearest.source / target.removeprefix(f"{nearest.target}/")
    first = target.split("/")[1]
    return (layers if (layers / first).is_dir() else root) / target[1:]


def _make_place(mount: Mount, place: Path, lower: Mapping[str, Path]) -> None:
    """Makes the file or folder that something is mounted over, where the container has none."""
    first, _, rest = mount.target[1:].partition("/")
    if place.exists() or (first in lower and (lower[first] / rest).exists()):
        return
    if mount.source.is_dir():
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def _without_links(target: str) -> str:
    """The path as it is resolved: `/var/run/secrets` is `/run/secrets`, `/bin/x` may be `/usr/bin/x`."""
    path = os.path.normpath(target)
    if path.startswith("/var/run/"):
        return path.removeprefix("/var")
    first, _, rest = path[1:].partition("/")
    if Path("/", first).is_symlink():
        return os.path.normpath(f"/{os.readlink(Path('/', first))}/{rest}")
    return path
