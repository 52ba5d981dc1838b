"""The API server as the node's programs talk to it: objects over HTTPS, and watches that don't end.

With the standard library alone: they have to be there early, and the official client takes a second to load.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

MERGE = "application/merge-patch+json"
WATCH_SECONDS = 300
"""After which the API server ends a watch, so that one whose peer has gone is not waited for forever."""

AFTER_AN_ERROR = 0.5

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered: the status and the object, which is a Status when it refused."""

    status: int
    object: Manifest

    @property
    def worked(self) -> bool:
        return self.status < 300

    @property
    def message(self) -> str:
        return str(self.object.get("message", f"status {self.status}"))


class Api:
    """The API as the user of a kubeconfig; every thread keeps a connection of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        server = urlsplit(cluster["server"])
        self._address = (server.hostname or "", server.port or 443)
        self._tls = ssl.create_default_context(cadata=_authority(cluster))
        self._token = config["users"][0]["user"]["token"]
        self._threads = threading.local()

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content: str = "application/json"
    ) -> Answer:
        """Sends an object and reads one. Raises OSError while the API server is not there."""
        text = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content}
        connection: http.client.HTTPSConnection | None = getattr(self._threads, "connection", None)
        if connection is not None:
            try:
                return self._exchange(connection, method, path, text, headers)
            except (OSError, http.client.HTTPException):
                connection.close()  # it was idle for too long, or the API server has restarted
        self._threads.connection = connection = self._connection(30)
        try:
            return self._exchange(connection, method, path, text, headers)
        except http.client.HTTPException as error:
            raise OSError(f"the API server broke off: {error!r}") from error

    def patch(self, path: str, change: Mapping[str, Any]) -> Answer:
        """A JSON merge patch."""
        return self.request("PATCH", path, change, MERGE)

    def follow(self, path: str, selector: str = "") -> Iterator[list[Manifest] | tuple[str, Manifest]]:
        """Lists and watches forever: a list of all objects at first and after every gap, else one change.

        The next list tells what is gone; errors are waited out.
        """
        while True:
            try:
                answer = self.get(f"{path}?{urlencode({'fieldSelector': selector})}")
                if not answer.worked:
                    raise OSError(answer.message)
                yield answer.object["items"]
                yield from self._watch(path, selector, answer.object["metadata"]["resourceVersion"])
            except (OSError, ValueError, http.client.HTTPException) as error:
                print(f"reading {path} again: {error!r}", flush=True)
            time.sleep(AFTER_AN_ERROR)

    def _watch(self, path: str, selector: str, version: str) -> Iterator[tuple[str, Manifest]]:
        """Changes after a version, over one watch after another, until the API server has forgotten it."""
        while True:
            query = {
                "watch": "1",
                "fieldSelector": selector,
                "resourceVersion": version,
                "allowWatchBookmarks": "1",
                "timeoutSeconds": str(WATCH_SECONDS),
            }
            connection = self._connection(WATCH_SECONDS + 30)
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                connection.request("GET", f"{path}?{urlencode(query)}", None, headers)
                response = connection.getresponse()
                if response.status != http.HTTPStatus.OK:
                    raise OSError(f"the API server answered {response.status} {response.reason}")
                for line in response:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        return
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield event["type"], event["object"]
            finally:
                connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(*self._address, timeout=timeout, context=self._tls)

    @staticmethod
    def _exchange(
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        text = response.read()
        try:
            return Answer(response.status, json.loads(text))
        except ValueError:
            return Answer(response.status, {"message": text.decode(errors="replace")})


def _authority(cluster: Mapping[str, str]) -> str:
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Path(cluster["certificate-authority"]).read_text()
