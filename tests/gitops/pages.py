"""The files that the pages on GitOps show, each a fenced block that begins with a comment: its path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files(page: str) -> dict[str, str]:
    """Path and content of each file of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = {path: content for _, path, content in BLOCK.findall(text)}
    assert len(re.findall(r"^```\w+$", text, re.MULTILINE)) == len(found), f"a block of {page} has no path"
    return found


def objects(page: str, path: str) -> list[Any]:
    """The documents of one YAML file of a page."""
    return list(yaml.safe_load_all(files(page)[path]))
