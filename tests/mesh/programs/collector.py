"""A collector of spans: OTLP over HTTP (`/v1/traces`) and Zipkin's JSON (`/api/v2/spans`).

It logs a line for each span, with the service that it is of. Of OTLP's protobuf messages it reads the few
fields that are named here (opentelemetry-proto 1.x, trace/v1/trace.proto and resource/v1/resource.proto).
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator, Sequence

from tests.mesh.programs.serving import Handler, HttpServer, serve, tell

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protobuf."""

RESOURCE_SPANS_SCOPES, SCOPE_SPANS, SPAN_NAME, SPAN_ATTRIBUTES = 2, 2, 5, 9
RESOURCE_SPANS_RESOURCE, RESOURCE_ATTRIBUTES = 1, 1
KEY, VALUE, STRING_VALUE = 1, 2, 1
"""Numbers of fields; the last three of an attribute."""


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protobuf message that have a length, with their numbers; numbers are left out.
    Raises ValueError or IndexError where it is not such a message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, position = _varint(message, position)
        elif kind in {FIXED64, FIXED32}:
            position += 8 if kind == FIXED64 else 4
        elif kind == BYTES:
            length, position = _varint(message, position)
            yield number, message[position : position + length]
            position += length
        else:
            raise ValueError(f"protobuf has no wire type {kind}")


def otlp_spans(message: bytes) -> Iterator[dict[str, str]]:
    """The service, name and URL of each span of an ExportTraceServiceRequest."""
    for _, of_resource in fields(message):
        parts = list(fields(of_resource))
        resources = [content for number, content in parts if number == RESOURCE_SPANS_RESOURCE]
        scopes = [content for number, content in parts if number == RESOURCE_SPANS_SCOPES]
        service = "".join(_attribute(part, RESOURCE_ATTRIBUTES, b"service.name") for part in resources)
        for scope in scopes:
            for number, span in fields(scope):
                if number == SCOPE_SPANS:
                    url = _attribute(span, SPAN_ATTRIBUTES, b"http.url")
                    yield {"service": service, "span": _text(span, SPAN_NAME), "url": url}


def zipkin_spans(document: bytes) -> Iterator[dict[str, str]]:
    """The service and name of each span of Zipkin's version 2."""
    for span in json.loads(document):
        yield {"service": span.get("localEndpoint", {}).get("serviceName", ""), "span": span.get("name", "")}


def _attribute(message: bytes, attributes: int, key: bytes) -> str:
    """The text of an attribute of a resource or span, which has its attributes in a field of that number."""
    pairs = [dict(fields(content)) for number, content in fields(message) if number == attributes]
    return "".join(_text(pair[VALUE], STRING_VALUE) for pair in pairs if pair[KEY] == key)


def _text(message: bytes, field: int) -> str:
    return dict(fields(message)).get(field, b"").decode()


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


READERS = {"/v1/traces": otlp_spans, "/api/v2/spans": zipkin_spans}


class Collector(Handler):
    def respond(self) -> None:
        body = self.body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        reader = READERS.get(self.path)
        if reader is None:
            self.answer(404)
            return
        for span in reader(body):
            tell(**span, path=self.path, client=self.client_address[0])
        self.answer(200 if self.path.startswith("/v1") else 202)


def main(arguments: Sequence[str] | None = None) -> None:
    """Collects until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=4318)
    serve([HttpServer(("", parser.parse_args(arguments).port), Collector)])


if __name__ == "__main__":
    main()
