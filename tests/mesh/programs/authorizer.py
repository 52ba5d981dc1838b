"""An external authorizer over HTTP: it permits what brings the header `x-permit: yes`.

Envoy sends it the request's method and path. 200 permits; with any other status Envoy answers its client.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tests.mesh.programs.serving import Handler, HttpServer, serve, tell


class Authorizer(Handler):
    def respond(self) -> None:
        self.body()
        permitted = self.headers.get("x-permit") == "yes"
        tell(path=self.path, permitted=permitted, client=self.client_address[0])
        if permitted:
            self.answer(200, headers=[("x-permitted-by", "authorizer")])
        else:
            self.answer(403, {"message": "the authorizer refuses what lacks x-permit: yes"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    serve([HttpServer(("", parser.parse_args(arguments).port), Authorizer)])


if __name__ == "__main__":
    main()
