"""A Flask endpoint that answers a constant, served as the webhook is: what the frame alone costs."""

from __future__ import annotations

import sys
from pathlib import Path

from flask import Flask, Response, request

from istio_netpol.admission.reviews import encode
from istio_netpol.http.limits import Limits
from istio_netpol.http.refusals import Refusals
from istio_netpol.http.serving import ServingEndpoint, WebhookServer
from istio_netpol.http.tls import ServingCertificate
from istio_netpol.runtime.listening import listen
from istio_netpol.runtime.logs import configure_logs

ANSWER = encode("constant", allowed=True)


def make_app() -> Flask:
    """Reads each body, looks at nothing."""
    app = Flask(__name__, static_folder=None)

    @app.post("/validate")
    def validate() -> Response:
        request.get_data(cache=False)
        return Response(ANSWER, mimetype="application/json")

    return app


def main(certificate: str, key: str) -> None:
    """Serves on a free port of loopback, which the log names."""
    configure_logs()
    serving = ServingCertificate(Path(certificate), Path(key))
    listener = listen("127.0.0.1", 0, "benchmark")
    WebhookServer(ServingEndpoint(listener, serving, Limits(), Refusals()), make_app).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
