"""Scalars as kubectl reads them.

kubectl turns YAML into JSON with sigs.k8s.io/yaml, whose go-yaml v2 resolves plain scalars by YAML 1.1,
without sexagesimal numbers, and hands timestamps on as text (goyaml.v2/resolve.go; `0o` is go-yaml v3's and
ParseInt's).
"""

from __future__ import annotations

import base64
import math
import re
from typing import Any, Final

_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NUMBER_STARTS = frozenset("+-.0123456789")
_BASES = {"x": 16, "b": 2, "o": 8}
# Longer than any number that means something, shorter than what Python refuses to convert.
_LONGEST_NUMBER = 1000
# JSON as Go writes it has no exponent below this, so an integral float reaches the API server as an integer.
_PLAIN_FLOAT_BOUND = 1e21
_MEMO_SIZE = 50_000

TAG_PREFIX = "tag:yaml.org,2002:"
MERGE = "<<"


class BadTagError(ValueError):
    """A tag that is unknown or that the value doesn't fit; the text says which."""


def resolve(text: str) -> Any:
    """The value of a plain (unquoted) scalar: None, bool, int, float or str."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS or len(text) > _LONGEST_NUMBER:
        return text
    digits = text.replace("_", "") if text[0] != "." else text
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        if math.isinf(number):
            return text
        return int(number) if number.is_integer() and abs(number) < _PLAIN_FLOAT_BOUND else number
    return text


def _integer(digits: str) -> int:
    magnitude = digits.lstrip("+-")
    sign = -1 if digits[0] == "-" else 1
    if magnitude[0] != "0" or magnitude == "0":
        return sign * int(magnitude)
    base = _BASES.get(magnitude[1].lower())
    return sign * (int(magnitude, 8) if base is None else int(magnitude[2:], base))


def resolve_tagged(tag: str, text: str) -> Any:
    """The value of a scalar with an explicit tag. Tags that go-yaml does not know make a string of any text,
    as `!` and `!!str` do (`resolvableTag` in resolve.go)."""
    name = tag.removeprefix(TAG_PREFIX)
    types = {"bool": bool, "int": int, "float": (int, float), "null": type(None)}
    if name == "binary" and name != tag:
        return _decoded(text)
    if name == tag or name not in types:
        return text
    value = resolve(text)
    if not isinstance(value, types[name]) or (name != "bool" and isinstance(value, bool)):  # type: ignore[arg-type]
        raise BadTagError(f"is not what its tag {shown(tag)} says")
    return value


def _decoded(text: str) -> str:
    try:
        return base64.b64decode("".join(text.splitlines()), validate=True).decode(errors="replace")
    except ValueError:
        raise BadTagError("is not base64, as its tag !!binary says") from None


def shown(tag: str) -> str:
    """A tag as people write it: `!!str`."""
    return "!!" + tag.removeprefix(TAG_PREFIX) if tag.startswith(TAG_PREFIX) else tag


class PlainMemo(dict[str, Any]):
    """Plain scalars seen so far and their values: a dump repeats most, and equal texts become one string.

    What JSON can't carry (.inf, .nan) becomes null and is noted in `unusable`; texts with a question mark are
    noted each time, as they may not stand everywhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unusable: list[str] = []
        self.has_question_mark = False

    def __missing__(self, text: str) -> Any:
        value = resolve(text)
        if "?" in text:
            self.has_question_mark = True
            return value
        if isinstance(value, float) and not math.isfinite(value):
            self.unusable.append(text)
            return None
        if len(self) >= _MEMO_SIZE:
            self.clear()
        self[text] = value
        return value


class KeyMemo(dict[str, "str | None"]):
    """Plain mapping keys seen so far, as the strings that JSON has; None for null and for the merge key.

    sigs.k8s.io/yaml writes `on: x` as `"true": x` and `8080: x` as `"8080": x`, and refuses a null key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.has_question_mark = False

    def __missing__(self, text: str) -> str | None:
        key = None if text == MERGE else key_text(resolve(text))
        if "?" in text:
            self.has_question_mark = True
            return key
        if len(self) >= _MEMO_SIZE:
            self.clear()
        self[text] = key
        return key


def key_text(value: Any) -> str | None:
    """A scalar as a JSON key; None for null."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        special = {math.inf: ".inf", -math.inf: "-.inf"}
        return ".nan" if math.isnan(value) else special.get(value, f"{value:g}")
    return None if value is None else str(value)
