"""Tells who answered and what was asked: HTTP, HTTPS, and TCP that sends back what it gets.

`python -m tests.mesh.programs.echo NAME --http 8080 --tcp 9000 --https 8443 --certificate FILE --key FILE`
"""

from __future__ import annotations

import argparse
import functools
import socketserver
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.mesh.programs.serving import Handler, HttpServer, serve, tell, with_tls


class Echo(Handler):
    """Answers every request with JSON: who answers, on which port and whom, and the request as it arrived.

    `/status/418` has that status; `?delay=0.5` waits so many seconds before the answer.
    """

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        super().__init__(*arguments)  # type: ignore[arg-type]

    def respond(self) -> None:
        self.body()
        place = urlsplit(self.path)
        port = self.server.server_address[1]
        headers = {name.lower(): value for name, value in self.headers.items()}
        facts = {"name": self.name, "port": port, "method": self.command, "path": self.path}
        facts["client"] = self.client_address[0]
        tell(**facts, host=headers.get("host", ""))
        time.sleep(float(parse_qs(place.query).get("delay", ["0"])[0]))
        first, _, status = place.path.strip("/").partition("/")
        self.answer(int(status) if first == "status" else 200, {**facts, "headers": headers})


class TcpEcho(socketserver.BaseRequestHandler):
    """Greets with the server's name in a line, and then sends everything back."""

    def __init__(self, name: str, *arguments: object) -> None:
        self.name = name
        super().__init__(*arguments)  # type: ignore[arg-type]

    def handle(self) -> None:
        tell(name=self.name, port=self.server.server_address[1], client=self.client_address[0])
        self.request.sendall(f"{self.name}\n".encode())
        while received := self.request.recv(65536):
            self.request.sendall(received)


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def servers(options: argparse.Namespace) -> Iterator[socketserver.BaseServer]:
    """One for each port that was asked for."""
    http = functools.partial(Echo, options.name)
    for port in options.http:
        yield HttpServer(("", port), http)
    for port in options.https:
        yield with_tls(HttpServer(("", port), http), options.certificate, options.key)
    for port in options.tcp:
        yield TcpServer(("", port), functools.partial(TcpEcho, options.name))


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    for protocol in ("http", "https", "tcp"):
        parser.add_argument(f"--{protocol}", type=int, action="append", default=[], metavar="PORT")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    serve(list(servers(parser.parse_args(arguments))))


if __name__ == "__main__":
    main()
