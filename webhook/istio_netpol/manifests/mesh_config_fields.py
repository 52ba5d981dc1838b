"""Reads fields of the mesh config and of the ProxyConfig, within it or in a pod's own annotation, as
protobuf's JSON mapping does.

A number may be quoted, a string may not be bare; names are those of the proto file (`extension_providers`) or
in camel case; what is unknown is passed over, and null is absent.

Source: protobuf.dev/programming-guides/json, "Representation of each type".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from istio_netpol.errors import Problem
from istio_netpol.manifests.fields import Fields
from istio_netpol.manifests.yaml_documents import read_text
from istio_netpol.model.control_plane import PROXY_CONFIG_ANNOTATION

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?")
_LONGEST_NUMBER = 64
_LARGEST = 2**32 - 1


class ProtobufFields(Fields):
    """A message. Where a field has both of its names, the one in camel case counts."""

    __slots__ = ()

    def __init__(
        self, content: Mapping[str, Any], path: str, origin: tuple[str, int, str], problems: list[Problem]
    ) -> None:
        names = sorted(content, key=lambda name: "_" not in str(name))
        named = {json_name(str(name)): content[name] for name in names}
        super().__init__(named, path, origin, problems)

    def integer(self, name: str, default: int = 0) -> int:
        """A uint32: a whole number, however it is written (`9000`, `"9000"`, `9e3`, `9000.0`)."""
        value = self.content.get(name)
        if value is None:
            return default
        number = _number(value)
        if number is None:
            self.problem(self.at(name), value, "is not a number", "write its digits")
        elif number != number.to_integral_value():
            self.problem(self.at(name), value, "is not a whole number")
        elif not 0 <= number <= _LARGEST:
            self.problem(self.at(name), value, f"is not from 0 to {_LARGEST}")
        else:
            return int(number)
        return default


def json_name(name: str) -> str:
    """A field's name in camel case: that of the proto file without its underscores."""
    return re.sub(r"_+(.?)", lambda found: found[1].upper(), name)


def _number(value: object) -> Decimal | None:
    """The number that a JSON number or a string spells; white space and plus signs spell none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value)
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return Decimal(text)


_TRACERS = ("zipkin", "lightstep", "datadog", "openCensusAgent")


def tracing_address(proxy_config: ProtobufFields) -> str:
    """`tracing.<backend>.address`, `host:port`; empty where none is named."""
    tracing = proxy_config.mapping("tracing")
    addresses = (tracing.mapping(name).text("address") for name in _TRACERS)
    return next(filter(None, addresses), "")


def annotated_tracing_address(metadata: Fields, annotations: dict[str, str]) -> str:
    """The same of a pod's annotation, which is YAML; empty where that can't be read, since the injector then
    refuses the pod."""
    text = annotations.get(PROXY_CONFIG_ANNOTATION, "")
    if "tracing" not in text:
        return ""
    content, problems = read_text(text)
    if problems or not isinstance(content, dict):
        return ""
    return tracing_address(metadata.apart(ProtobufFields, content, metadata.at("annotations"), []))
