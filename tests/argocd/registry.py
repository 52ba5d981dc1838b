"""A registry that holds one OCI image layout, as far as those who pull ask."""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Registry:
    """Serves the layout in an archive under any name, over HTTP."""

    def __init__(self, archive: Path) -> None:
        with tarfile.open(archive) as layout:
            files = {name: _content(layout, name) for name in layout.getnames()}
        blobs = {
            f"sha256:{name.rpartition('/')[2]}": content
            for name, content in files.items()
            if name.startswith("blobs/")
        }
        (tagged,) = json.loads(files["index.json"])["manifests"]
        self.tag = tagged["annotations"]["org.opencontainers.image.ref.name"]
        handler = type("Handler", (_Handler,), {"blobs": blobs, "tagged": tagged, "tag": self.tag})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    blobs: dict[str, bytes]
    tagged: dict[str, Any]
    tag: str

    def do_GET(self) -> None:
        """`/v2/NAME/{manifests,blobs}/REFERENCE` and `/v2/NAME/tags/list`, as the specification has them."""
        *_, kind, reference = self.path.partition("?")[0].split("/")
        if kind == "tags":
            self._answer(json.dumps({"name": "bundle", "tags": [self.tag]}).encode(), "application/json")
            return
        digest = self.tagged["digest"] if reference == self.tag else reference
        content = self.blobs.get(digest, b"{}" if self.path == "/v2/" else b"")
        media_type = self.tagged["mediaType"] if kind == "manifests" else "application/octet-stream"
        self._answer(content, media_type)

    def do_HEAD(self) -> None:
        """The same without content."""
        self.do_GET()

    def _answer(self, content: bytes, media_type: str) -> None:
        self.send_response(200 if content else 404)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    return b"" if file is None else file.read()
