"""The files that a release is built from: those that git tracks, and nothing that lies beside them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class NotReleasableError(Exception):
    """The work tree is not what a release can be built from; the message says what to do."""


def commit_time(root: Path) -> int:
    """Seconds since 1970: `SOURCE_DATE_EPOCH`, else the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return int(_git(root, "log", "-1", "--format=%ct"))
    if not given.isdigit():
        raise NotReleasableError(
            f"SOURCE_DATE_EPOCH is {given!r}, and has to be a number of seconds since 1970."
        )
    return int(given)


def require_clean(root: Path) -> None:
    """Refuses changes that no commit has: nobody could build the same release again."""
    if changed := _git(root, "status", "--porcelain", "--untracked-files=no").splitlines():
        listed = "\n".join(f"  {line}" for line in changed[:10])
        raise NotReleasableError(
            f"Some files differ from the last commit. Commit or stash them first:\n{listed}"
        )


def export(root: Path, tree: Path) -> None:
    """Copies the tracked files of the work tree into a new folder, with one mode for all."""
    shutil.rmtree(tree, ignore_errors=True)
    for name in _git(root, "ls-files", "-z").split("\0"):
        source, target = root / name, tree / name
        if name and source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.readlink(source))
        elif name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def name_homepage(tree: Path, url: str) -> None:
    """Says in the metadata of the package and of the chart where the project is. Unless somebody gives
    the address, it is in neither: one that leads nowhere is worse than none."""
    pyproject, chart = tree / "pyproject.toml", tree / "charts" / "istio-netpol" / "Chart.yaml"
    with pyproject.open("a", encoding="utf-8") as file:
        file.write(f'\n[project.urls]\nHomepage = "{url}"\n')
    with chart.open("a", encoding="utf-8") as file:
        file.write(f'home: "{url}"\n')


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607 - whichever git the maintainer has
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        why = str(getattr(error, "stderr", "") or error).strip()
        raise NotReleasableError(f"A release is built from a clone, with git: {why}") from None
    return done.stdout.rstrip("\n")
