"""The image, built by Debian's buildah on a base made by debootstrap, and run as its configuration says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "image"
BASE, IMAGE = "localhost/base:bookworm", "localhost/istio-netpol:test"
STORE = ("buildah", "--root", f"{FOLDER / 'storage'}", "--runroot", f"{FOLDER / 'run'}")
SUITE = "bookworm"
WAITS = (5.0, 20.0, 60.0)
"""Seconds between tries to reach Debian's mirror."""

PROGRAMS = ("buildah", "debootstrap", "chroot", "unshare", "mount")


def absent() -> str | None:
    """Why there can be no image here, with the remedy; None where there can."""
    if os.geteuid() != 0:
        return "building the image takes root, as debootstrap does: run pytest as root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{' and '.join(missing)} are not installed: run `make packages` as root" if missing else None


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Runs a program to its end; its output. Fails with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def buildah(*arguments: str | Path) -> str:
    """buildah with a store of its own, below `build/`."""
    return run(*STORE, *arguments)


def build() -> str:
    """Builds base and image, neither of them twice; the path where the image's root is mounted."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as beside:  # one waits for Debian's mirror, the other for a package index
        wheels = beside.submit(run, "make", "wheels")
        if BASE not in buildah("images", "--format", "{{.Name}}:{{.Tag}}"):
            _make_base()
        wheels.result()
    # Without a network: whatever the build needs is in its context.
    buildah(
        "build", "--network=none", "--pull=never", f"--build-arg=BASE={BASE}", f"--tag={IMAGE}", str(ROOT)
    )
    container = buildah("from", "--pull=never", IMAGE).strip()
    return buildah("mount", container).strip()


def _make_base() -> None:
    base = FOLDER / "base"
    for rest in WAITS:
        try:
            _bootstrap(base)
            break
        except AssertionError:  # mirrors have bad minutes
            time.sleep(rest)
    else:
        _bootstrap(base)
    container = buildah("from", "scratch").strip()
    buildah("add", container, base, "/")
    buildah("commit", "--rm", container, BASE)
    shutil.rmtree(base)


def _bootstrap(base: Path) -> None:
    """Debian's smallest system with Python, from the mirror that this machine's apt uses; what was fetched
    before a failure is not fetched again."""
    shutil.rmtree(base, ignore_errors=True)
    packages = FOLDER / "packages"
    packages.mkdir(exist_ok=True)
    targets = run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages")
    mirrors = [line.split()[1] for line in targets.splitlines() if line.split()[0] == SUITE]
    options = ("--variant=minbase", "--include=python3", f"--cache-dir={packages}")
    # Nothing of it is to outlive a crash, so dpkg need not wait for the disk after each file.
    run("env", "DPKG_FORCE=unsafe-io", "debootstrap", *options, SUITE, base, *mirrors[:1])


def remove() -> None:
    """Unmounts and forgets the containers and the image; the base stays for the next run."""
    buildah("rm", "--all")
    buildah("rmi", "--force", IMAGE)


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: where its root is mounted, and what its configuration says."""

    root: Path
    config: Mapping[str, Any]

    @classmethod
    def inspected(cls, root: str) -> Image:
        """The image that was built."""
        found = json.loads(buildah("inspect", "--type=image", IMAGE))
        return cls(Path(root), found["OCIv1"]["config"])

    def start(
        self, arguments: Sequence[str], binds: Mapping[Path, str], entrypoint: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Starts the image's entry point, or another program of it, as its user, on a root that can't be
        written, as a container runtime does; `binds` are host folders, read-only, by their place in it.

        The program gets the signals that are sent to the process.
        """
        for place in binds.values():
            (self.root / place.lstrip("/")).mkdir(exist_ok=True)
        command = [*(entrypoint or self.config["Entrypoint"]), *arguments]
        return subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--propagation=private",
                "sh",
                "-euc",
                self._script(binds),
                "sh",
                *command,
            ],
            env=dict(variable.split("=", 1) for variable in self.config["Env"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _script(self, binds: Mapping[Path, str]) -> str:
        mounts = [f"mount --bind '{source}' '{self.root}{place}'" for source, place in binds.items()]
        return "\n".join(
            [
                f"mount --rbind '{self.root}' '{self.root}'",
                f"cd '{self.root}'",
                *mounts,
                *(f"mount -o remount,ro,bind '{self.root}{place}'" for place in binds.values()),
                f"mount -o remount,ro,bind '{self.root}'",
                f"mount -t tmpfs -o mode=1777 tmpfs '{self.root}/dev/shm'",
                f"exec chroot --userspec='{self.config['User']}' --groups= '{self.root}' \"$@\"",
            ]
        )
