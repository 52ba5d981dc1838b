"""Finds text that some program should have filled in before anybody applies it, and says which program."""

from __future__ import annotations

import re

_TEMPLATE = re.compile(r"\{\{.*?(?:\}\}|$)", re.MULTILINE)
_ON_A_LINE_OF_ITS_OWN = re.compile(r"^[ \t]*(?:- )?(\{\{.*|\$\{.*)", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{[A-Za-z_][^}\n]*\}?")

HELM = "this looks like a Helm template; render it first: helm template CHART | istio-netpol … -"
ENVSUBST = "this looks like a variable for envsubst; fill it in first: envsubst < FILE | istio-netpol … -"


def placeholder_in(text: str) -> str | None:
    """The remedy for text with a `{{ template }}` or a `${VARIABLE}` in it; None for any other text."""
    if "{{" in text and _TEMPLATE.search(text):
        return HELM
    return ENVSUBST if "${" in text and _VARIABLE.search(text) else None


def placeholder_line_in(document: str) -> str | None:
    """The same for a document that can't be parsed: only a placeholder where a line should begin is a reason,
    as a text may have braces."""
    found = _ON_A_LINE_OF_ITS_OWN.search(document)
    return placeholder_in(found[1]) if found else None
