"""The settings file of a repository, found from where the input lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FILE_NAME = ".istio-netpol.yaml"


def settings_file_above(paths: Sequence[str]) -> Path | None:
    """The nearest settings file in the folder that the paths have in common, or above it. A link that leads
    nowhere is one, too: whoever reads it says so, and nobody is judged by other settings than he wrote.

    The search ends at the top of a repository (a folder with `.git`), at the user's home, and at the root.
    Standard input (`-`) lies in the current folder, as does no path at all.
    """
    folder = _common_folder(paths)
    home = _home()
    while True:
        found = folder / FILE_NAME
        # These functions answer no where a folder may not be searched, as those of Path do not.
        if os.path.isfile(found) or (os.path.islink(found) and not os.path.exists(found)):
            return found
        if os.path.exists(folder / ".git") or folder in (home, folder.parent):
            return None
        folder = folder.parent


def _common_folder(paths: Sequence[str]) -> Path:
    places = [os.path.realpath("." if path == "-" else path) for path in paths] or [os.path.realpath(".")]
    folders = [place if os.path.isdir(place) else os.path.dirname(place) for place in places]
    return Path(os.path.commonpath(folders))


def _home() -> Path | None:
    try:
        return Path(os.path.realpath(Path.home()))
    except RuntimeError:
        return None
