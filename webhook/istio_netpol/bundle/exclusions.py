"""Patterns of files and folders that are left out, written as in .gitignore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

IGNORE_FILE = ".istio-netpolignore"
"""The file of patterns that a folder may have: one a line, `#` begins a comment."""

_TOKEN = re.compile(r"\*\*/|/\*\*$|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)
_MEANING = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class Exclusions:
    """Patterns for the paths below one folder.

    `*` and `?` stand for anything but a slash, `**` for any number of folders. A pattern without a slash is
    a name at any depth, one with a slash begins at the folder, one that ends in a slash is for folders only,
    and `!` takes an earlier exclusion back; the last pattern that matches decides.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules = [_rule(pattern) for pattern in patterns if pattern.strip("!/ ")]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path is left out; it is relative to the folder and has slashes between its parts."""
        excluded = False
        for expression, for_folders_only, wanted in self._rules:
            if (is_folder or not for_folders_only) and expression.fullmatch(path):
                excluded = wanted
        return excluded


class RootedExclusions:
    """The same for one folder, by the paths of files as they are found, wherever that is."""

    def __init__(self, folder: Path, patterns: Iterable[str] = ()) -> None:
        self._folder = os.path.realpath(folder)
        self._exclusions = Exclusions(patterns)

    def excludes(self, path: Path, *, is_folder: bool) -> bool:
        """Whether a file or folder is left out: never where it lies elsewhere."""
        if not self._exclusions:
            return False
        place = os.path.relpath(os.path.realpath(path.parent) + os.sep + path.name, self._folder)
        inside = place.split(os.sep)[0] != os.pardir
        return inside and self._exclusions.excludes(place.replace(os.sep, "/"), is_folder=is_folder)


def patterns_of(folder: Path) -> list[str]:
    """The patterns of a folder's own ignore file; none where it has no such file. Raises OSError."""
    try:
        text = (folder / IGNORE_FILE).read_text(encoding="utf-8-sig", errors="replace")
    except FileNotFoundError:
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _rule(pattern: str) -> tuple[re.Pattern[str], bool, bool]:
    """The expression of a pattern, whether it is for folders only, and whether it excludes."""
    wanted = not pattern.startswith("!")
    text = pattern if wanted else pattern[1:]
    for_folders_only = text.endswith("/")
    text = text.rstrip("/").removeprefix("./")
    beginning = "" if "/" in text else "(?:.*/)?"
    meaning = _expression(_TOKEN.findall(text.lstrip("/")))
    return re.compile(beginning + meaning, re.DOTALL), for_folders_only, wanted


def _expression(pieces: Sequence[str]) -> str:
    """The regular expression of a pattern. The text between two stars of one name is sought once, from the
    left: any later place would leave less for the second star, and trying them all takes for ever."""
    found, since_star = "", None  # what was sought since the last star of this name, if there is one
    for piece in pieces:
        meaning = _meaning(piece)
        if piece == "*":
            found += "" if since_star is None else f"(?>[^/]*?{since_star})"
            since_star = ""
        elif since_star is None or "/" in piece:
            found += meaning if since_star is None else f"[^/]*{since_star}{meaning}"
            since_star = None
        elif piece == "**":
            found, since_star = f"{found}[^/]*{since_star}{meaning}", None
        else:
            since_star += meaning
    return found if since_star is None else f"{found}[^/]*{since_star}"


def _meaning(token: str) -> str:
    if token in _MEANING:
        return _MEANING[token]
    if len(token) > 1 and token.startswith("["):
        inside = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        members = "^/" + inside[1:] if inside.startswith("!") else inside
        try:
            re.compile(f"[{members}]")
        except re.error:
            return re.escape(token)
        return f"[{members}]"
    return re.escape(token)
