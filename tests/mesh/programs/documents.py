"""Serves the files of a folder over TLS, as a provider of keys does.

`python -m tests.mesh.programs.documents FOLDER --certificate tls.crt --key tls.key`
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from pathlib import Path

from tests.mesh.programs.serving import Handler, HttpServer, serve, tell, with_tls


class Documents(Handler):
    """Answers a GET with the file of its path, which has to hold JSON; nothing outside the folder."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def respond(self) -> None:
        file = (self.folder / self.path.partition("?")[0].lstrip("/")).resolve()
        found = file.is_relative_to(self.folder.resolve()) and file.is_file()
        tell(path=self.path, found=found, client=self.client_address[0])
        if found:
            self.answer(200, json.loads(file.read_bytes()))
        else:
            self.answer(404, {"message": f"{self.path} is not a document here"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    options = parser.parse_args(arguments)
    server = HttpServer(("", options.port), functools.partial(Documents, options.folder))
    serve([with_tls(server, options.certificate, options.key)])


if __name__ == "__main__":
    main()
