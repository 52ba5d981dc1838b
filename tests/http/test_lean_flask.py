"""What is remembered of routes changes no answer, and does not grow with what clients ask for."""

from __future__ import annotations

from flask import jsonify
from flask.testing import FlaskClient

from istio_netpol.http.lean_flask import MOST_ROUTES, LeanFlask, LeanResponse


def client() -> FlaskClient:
    app = LeanFlask("test")

    @app.post("/<any(left, right):door>/<name>")
    def named(door: str, name: str) -> LeanResponse:
        return jsonify([door, name])  # type: ignore[return-value]

    @app.post("/plain")
    def plain() -> LeanResponse:
        return LeanResponse(b"plain")

    return app.test_client()


def test_each_path_gets_its_own_arguments() -> None:
    """Those that are new, and those that were asked for before others were."""
    asked = client()
    for _ in range(2):
        for number in range(3 * MOST_ROUTES):
            for door in ("left", "right"):
                assert asked.post(f"/{door}/{number}").json == [door, str(number)]
        assert asked.post("/plain").data == b"plain"


def test_another_method_of_a_known_path_is_refused() -> None:
    asked = client()
    assert asked.post("/plain").status_code == 200
    assert asked.get("/plain").status_code == 405
    assert asked.post("/plain/").status_code == 404
    assert asked.post("/plain").status_code == 200


def test_what_is_remembered_is_bounded() -> None:
    asked = client()
    for number in range(10 * MOST_ROUTES):
        asked.post(f"/left/{number}")
        asked.post(f"/nowhere/{number}")
    assert len(asked.application._known_routes) <= MOST_ROUTES  # type: ignore[attr-defined]
