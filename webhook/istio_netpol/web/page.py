"""The page of the map: its parts joined into one HTML text that fetches nothing it was not given.

A policy in the page itself lets run only the one script and the one style that are in it, by their hashes.
The data is a block that no browser executes or parses as markup.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

STYLES = ("colours", "layout", "matrix", "panel", "tables", "media")
SCRIPTS = (
    "elements",
    "model",
    "view_state",
    "search",
    "cells",
    "numbers",
    "axes",
    "paint",
    "matrix",
    "headers",
    "keys",
    "words",
    "panel",
    "panel_path",
    "panel_groups",
    "overview",
    "tables",
    "bar",
    "legend",
    "help",
    "print",
    "source",
    "start",
)
"""The files of the page in the order in which they are joined."""

_LOCKED = "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"


def page_of(document: Mapping[str, Any]) -> str:
    """The page with a document in it: one file, which needs no network."""
    summary = document["states"]["now"]["summary"]
    boot = f"{summary['denied']} of {summary['flows']} required flows are cut. Drawing the map…"
    return _page(f"{document['title']} · who can reach whom", boot, packed(document), live=False)


def live_page() -> str:
    """The page without a document: it asks the server that it came from, and again while it is open."""
    return _page("Who can reach whom", "Asking for the state of the cluster…", "", live=True)


def content_policy(*, live: bool) -> str:
    """The Content-Security-Policy of the page."""
    sources = f"script-src {_hash(_script())}; style-src {_hash(_style())}"
    connect = " connect-src 'self';" if live else ""
    return f"default-src 'none';{connect} {sources}; {_LOCKED}"


def packed(document: Mapping[str, Any]) -> str:
    """The document compressed, in letters that mean nothing in HTML."""
    return base64.b64encode(compressed(document)).decode()


def compressed(document: Mapping[str, Any]) -> bytes:
    """The document as compressed JSON; equal documents give equal bytes."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return gzip.compress(text.encode("utf-8", "backslashreplace"), 9, mtime=0)


def _page(title: str, boot: str, data: str, *, live: bool) -> str:
    values = {
        "TITLE": html.escape(title),
        "BOOT": html.escape(boot),
        "POLICY": content_policy(live=live),
        "STYLE": _style(),
        "SCRIPT": _script(),
        "DATA": data,
        "LIVE": ' data-live="true"' if live else "",
    }
    # In one pass: a value is never looked at for names of others.
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], _asset("page.html"))


@lru_cache(maxsize=1)
def _style() -> str:
    return "".join(_asset(f"{name}.css") for name in STYLES)


@lru_cache(maxsize=1)
def _script() -> str:
    joined = "".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{joined}}})();\n'


def _asset(name: str) -> str:
    return files("istio_netpol.web").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
