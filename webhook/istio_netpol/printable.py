"""Text that is safe to show: what a manifest says must not steer the terminal or the log that prints it, nor
hand on the credentials that somebody wrote into a URL."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""What is not seen in a text and changes how it is read: control characters, what turns the direction of
writing or has no width, halves of characters, and what ends a line or paragraph."""


def visible(text: str) -> str:
    """The text in one line, with what is not seen spelled out."""
    if text.isprintable():
        return text
    return "".join(
        repr(character)[1:-1] if unicodedata.category(character) in _UNSEEN else character
        for character in text
    )


_AFTER_SLASHES = re.compile(r"(?<=//)[^\s\"'<>]*@[^\s\"'<>]*")
_BARE = re.compile(r"(?<![^\s\"'<>=,;])[^\s\"'<>=,;:@/]+:(?!//)[^\s\"'<>@]*@")
_QUERY = re.compile(r"(//[^\s\"'<>?#]*)[?#][^\s\"'<>]*")
_END_OF_AUTHORITY = re.compile("[/?#]")
_PORT = re.compile(r"(:[0-9]{0,5})?")


def without_secrets(text: str) -> str:
    """The text without what stands before the `@` of a URL, with scheme or without, and without its query:
    `https://user:pass@host/x?token=y` becomes `https://host/x`. An `@` in the path of a URL that has none
    before it stays. Nothing of that says where packets go."""
    if "@" in text:
        text = _BARE.sub("", _AFTER_SLASHES.sub(_without_user, text))
    return _QUERY.sub(r"\1", text) if "//" in text and ("?" in text or "#" in text) else text


def _without_user(found: re.Match[str]) -> str:
    """What follows `//`, from its host on. Where a `/` or `?` may be part of a password, all before the last
    `@` goes."""
    authority = _END_OF_AUTHORITY.split(found[0], 1)[0]
    user, at, host = authority.rpartition("@")
    if at:
        return found[0].removeprefix(user + at)
    is_host = authority and _PORT.fullmatch(host.removeprefix(host.partition(":")[0]))
    return found[0] if is_host else found[0].rpartition("@")[2]
