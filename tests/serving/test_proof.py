"""Whom the webhook believes that a review comes from the API server."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from flask.testing import FlaskClient
from tests.admission.objects import CONTROL_PLANE, deny_all, deployment, namespace
from tests.admission.state import Answers, State
from tests.serving.reviews import review
from tests.serving.test_reviewer import Shelf

from istio_netpol.certs.review_paths import Door
from istio_netpol.certs.webhook_configurations import KINDS
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.objects import Stored
from istio_netpol.kube.reflector import Scope
from istio_netpol.model.own_names import REVIEW_PATHS
from istio_netpol.server.app import create_app
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.proof import ReviewProof, Unproven
from istio_netpol.server.readiness import Readiness
from istio_netpol.server.registered_paths import OVERLAP_SECONDS, QUIET_SECONDS, RegisteredPaths, Right
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.state.source import SourceState

NAME = "istio-netpol"
VALIDATING, MUTATING = KINDS
FIRST, SECOND = "1" * 64, "2" * 64
NAMED = {"subject": ((("commonName", "kube-apiserver"),),), "subjectAltName": (("DNS", "a.example"),)}


class Registered:
    """The paths that a webhook knows, as its watch would tell it of them, with a clock to turn."""

    def __init__(self) -> None:
        self.now = 0.0
        # Nothing is asked for before `start`.
        self.paths = RegisteredPaths(cast(ApiConnection, None), NAME, lambda: self.now)

    def register(
        self, kind: Any, clients: dict[str, str | None], following: dict[str, str] | None = None
    ) -> None:
        """Has the watch show a configuration; a path that is None is one of a URL."""
        note = json.dumps({"next": following, "announced": "2026-11-29T00:00:00+00:00"})
        webhooks = [
            {
                "name": name,
                "clientConfig": {"url": "https://elsewhere/validate"}
                if path is None
                else {"service": {"namespace": NAME, "name": "webhook", "path": path}},
            }
            for name, path in clients.items()
        ]
        metadata = {"name": NAME, "annotations": {REVIEW_PATHS: note} if following else {}}
        manifest = json.dumps({"metadata": metadata, "webhooks": webhooks}).encode()
        stored = Stored(("", NAME), "1", manifest)
        self.paths.changed(Scope(kind, name=NAME), stored, deleted=False)

    def registered(self, secret: str) -> None:
        """Has both configurations registered with this secret."""
        self.register(MUTATING, {"augment": f"/mutate/{secret}"})
        self.register(VALIDATING, {"opted-in": f"/validate/{secret}"})


def test_a_path_leads_where_it_was_registered_for() -> None:
    """And lets policies be written unless users may learn it."""
    registered = Registered()
    registered.registered(FIRST)
    find = registered.paths.find
    assert find(f"/mutate/{FIRST}") == Right(Door.MUTATE, may_write=True)
    assert find(f"/validate/{FIRST}") == Right(Door.VALIDATE, may_write=False)
    for path in (
        "/mutate",
        "/validate",
        "/",
        f"/mutate/{SECOND}",
        f"/mutate/{FIRST}/",
        f"/mutate/{FIRST[1:]}",
    ):
        assert find(path) is None
    assert find("/mutate/\udcff") is None


def test_plain_paths_count_while_they_are_registered() -> None:
    """During an upgrade, nobody sends anything else."""
    registered = Registered()
    registered.register(MUTATING, {"augment": "/mutate"})
    registered.register(VALIDATING, {"opted-in": "/validate", "others": ""})
    find = registered.paths.find
    assert find("/mutate") == Right(Door.MUTATE, may_write=True)
    assert find("/validate") == Right(Door.VALIDATE, may_write=True)
    assert find("/") == Right(Door.VALIDATE, may_write=True)
    registered.registered(FIRST)
    registered.now += OVERLAP_SECONDS
    assert [find(path) for path in ("/mutate", "/validate", "/")] == [None] * 3


def test_what_comes_next_counts_already_and_what_was_counts_for_a_while() -> None:
    """So that no review is lost between this replica's watch and that of an API server."""
    registered = Registered()
    find = registered.paths.find
    registered.register(MUTATING, {"augment": f"/mutate/{FIRST}"}, {"augment": f"/mutate/{SECOND}"})
    assert find(f"/mutate/{FIRST}") == find(f"/mutate/{SECOND}") == Right(Door.MUTATE, may_write=True)
    registered.register(MUTATING, {"augment": f"/mutate/{SECOND}"})
    registered.now += OVERLAP_SECONDS - 1
    assert find(f"/mutate/{FIRST}")
    registered.now += 1
    assert find(f"/mutate/{FIRST}") is None
    assert find(f"/mutate/{SECOND}")


def test_the_url_of_another_process_opens_nothing_here() -> None:
    """A webhook outside of the cluster has a path of its own."""
    registered = Registered()
    registered.register(VALIDATING, {"opted-in": None})
    assert registered.paths.find("/validate") is None


def test_a_webhook_that_can_not_tell_says_so() -> None:
    """Before the first answer, and when the watch was broken for long; what was known holds on."""
    registered = Registered()
    scope = Scope(MUTATING, name=NAME)
    assert "was not read yet" in registered.paths.problem()
    registered.paths.failed(Scope(VALIDATING, name=NAME), "forbidden")
    assert registered.paths.problem().endswith("can't be watched: forbidden")
    registered.registered(FIRST)
    registered.paths.heard(Scope(VALIDATING, name=NAME))
    assert registered.paths.problem() == ""
    registered.paths.failed(scope, "gone")
    registered.now += QUIET_SECONDS
    assert registered.paths.problem() == ""
    registered.now += 1
    assert registered.paths.problem().endswith("can't be watched: gone")
    assert registered.paths.find(f"/mutate/{FIRST}")


@pytest.mark.parametrize(
    ("names", "certificate", "proven"),
    [
        ((), None, False),
        ((), {}, False),
        ((), NAMED, True),
        (("kube-apiserver", "other"), NAMED, True),
        (("a.example",), NAMED, True),
        (("b.example",), NAMED, False),
    ],
)
def test_a_client_certificate_proves_by_its_name(
    names: tuple[str, ...], certificate: dict[str, Any] | None, proven: bool
) -> None:
    """TLS has verified who signed it."""
    right = ReviewProof(None, frozenset(names)).right("/mutate", certificate)
    assert right == (Right(Door.MUTATE, may_write=True) if proven else Unproven.CERTIFICATE)


def test_with_both_proofs_both_are_needed() -> None:
    """Then what users may learn is no proof by itself, and all doors may write."""
    registered = Registered()
    registered.registered(FIRST)
    proof = ReviewProof(registered.paths, frozenset())
    assert proof.right(f"/validate/{FIRST}", NAMED) == Right(Door.VALIDATE, may_write=True)
    assert proof.right("/validate", NAMED) is Unproven.PATH
    assert proof.right(f"/validate/{FIRST}", None) is Unproven.CERTIFICATE


class Entrance:
    """The application of a namespace in mode augment under a deny-all."""

    def __init__(self) -> None:
        state = State([*CONTROL_PLANE, namespace("shop", "augment"), deny_all("shop")])
        self.registered = Registered()
        self.registered.registered(FIRST)
        self.shelf = Shelf()
        reviewer = Reviewer(self.shelf, Answers({}), lambda: 0.0)
        reviewer.take(state.table)
        source = SourceState(state.table.snapshot, True, 0.0)
        self.metrics = Metrics(lambda: source, lambda: 0.0)
        right = Readiness(lambda: source, lambda: True, str, float, str, self.registered.paths.problem, 60)
        app = create_app(reviewer, right, self.metrics, ReviewProof(self.registered.paths))
        self.client: FlaskClient = app.test_client()

    def post(self, path: str) -> Any:
        return self.client.post(path, data=review(deployment("shop/cart")), content_type="application/json")


@pytest.fixture
def door() -> Entrance:
    return Entrance()


@pytest.mark.parametrize("path", ["/mutate", "/validate", "/", f"/mutate/{SECOND}", f"/validate/{SECOND}"])
def test_a_review_without_proof_is_not_judged(door: Entrance, path: str) -> None:
    """It gets 403 with a JSON object, is counted, and nothing is written; who looks after the pod may
    go on."""
    answer = door.post(path)
    assert answer.status_code == 403
    assert "review" in answer.json["error"]
    assert door.shelf.taken == []
    count = door.metrics.registry.get_sample_value("istio_netpol_unproven_reviews_total", {"lacks": "path"})
    assert count == 1
    assert door.client.get("/healthz").status_code == door.client.get("/readyz").status_code == 200


def test_no_answer_and_no_log_tells_a_path(
    door: Entrance, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what was tried nor what is right."""
    caplog.set_level("DEBUG")
    answers = [door.post(f"/mutate/{SECOND}"), door.post(f"/mutate/{FIRST}"), door.post(f"/x/{FIRST}")]
    answers.append(door.client.get(f"/mutate/{FIRST}"))
    assert [answer.status_code for answer in answers] == [403, 200, 404, 405]
    told = capsys.readouterr()
    everything = told.out + told.err + caplog.text + "".join(answer.text for answer in answers)
    assert FIRST not in everything
    assert SECOND not in everything


def test_what_users_may_learn_lets_nothing_be_written(door: Entrance) -> None:
    """A validating review judges; the mutating one writes what is missing."""
    judged = door.post(f"/validate/{FIRST}")
    assert judged.json["response"]["allowed"] is False
    assert door.shelf.taken == []
    assert door.post(f"/mutate/{FIRST}").json["response"]["allowed"] is True
    assert len(door.shelf.taken) == 2
    assert door.post(f"/validate/{FIRST}").json["response"]["allowed"] is True
