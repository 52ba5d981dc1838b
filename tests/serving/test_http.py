"""What comes back over HTTPS for reviews, and for whatever else is sent."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.serving.cluster import Manifest
from tests.serving.process import Reply, WebhookProcess, read_reply
from tests.serving.reviews import envelope, review

LIMIT = 8 * 1024 * 1024


def error_of(reply: Reply) -> str:
    """The sentence of an error, which is JSON like everything else."""
    assert reply.headers["content-type"] == "application/json"
    told = reply.json
    assert told["code"] == reply.status
    assert "Traceback" not in told["error"]
    return str(told["error"])


def test_denial_is_an_answer(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A denial is HTTP 200 with code 403, a message for people and causes for programs, under the request's
    uid."""
    reply = webhook.request("POST", "/validate?timeout=10s", review(httpbin, uid="one-of-many"))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert (reply.json["apiVersion"], reply.json["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = reply.json["response"]
    assert (response["uid"], response["allowed"]) == ("one-of-many", False)
    status = response["status"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"].startswith("Deployment my-namespace/httpbin is refused")
    assert [cause["reason"] for cause in status["details"]["causes"]] == ["dns", "dns", "proxy-to-istiod"]


def test_mutation_in_mode_reject_changes_nothing(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """The mutating webhook admits without a patch: refusing is the other one's work."""
    assert webhook.review("mutate", review(httpbin)) == {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "allowed": True,
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/validate", 405),
        ("OPTIONS", "/validate", 405),
        ("POST", "/healthz", 405),
        ("GET", "/metrics", 404),
        ("POST", "/validate/", 404),
        ("GET", "/", 404),
    ],
)
def test_other_paths_and_methods(webhook: WebhookProcess, method: str, path: str, status: int) -> None:
    """What is not served is answered with a JSON error, and metrics are not on this port."""
    reply = webhook.request(method, path, b"{}" if method == "POST" else None)
    assert reply.status == status
    error_of(reply)
    assert (status == 405) == ("allow" in reply.headers)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid"),
        (b"[]", "not an AdmissionReview"),
        (b"{}", "not an AdmissionReview"),
        (envelope(None), "no request"),
        (envelope({"kind": {}}), "uid"),
        (envelope({"uid": ""}), "uid"),
        (envelope({"uid": "u"}, kind="Pod"), "'Pod'"),
        (envelope({"uid": "u"}, apiVersion="admission.k8s.io/v1beta1"), "v1beta1"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (envelope({"uid": "u", "object": "text"}), "$.request.object"),
        (
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","object":'
            + b'{"a":' * 300
            + b"1"
            + b"}" * 302,
            "nested deeper than 200 levels",
        ),
    ],
)
def test_what_is_no_review_gets_400(webhook: WebhookProcess, body: bytes, told: str) -> None:
    """A body that is not an AdmissionReview gets a JSON error that says what is wrong with it."""
    reply = webhook.request("POST", "/validate", body)
    assert reply.status == 400
    assert told in error_of(reply)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/yaml", "multipart/form-data"])
def test_other_content_types_get_415(webhook: WebhookProcess, httpbin: Manifest, content_type: str) -> None:
    """Only application/json is read, whatever the body holds."""
    reply = webhook.request("POST", "/validate", review(httpbin), content_type)
    assert reply.status == 415
    assert "application/json" in error_of(reply)


def test_content_type_may_have_parameters(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A charset after the content type makes no difference."""
    reply = webhook.request("POST", "/validate", review(httpbin), "application/json; charset=utf-8")
    assert reply.status == 200


def test_encoded_bodies_get_415(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A compressed body is refused by name instead of as broken JSON."""
    connection = webhook.connect()
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    connection.request("POST", "/validate", review(httpbin), headers)
    reply = read_reply(connection)
    connection.close()
    assert reply.status == 415
    assert "gzip" in error_of(reply)


def test_large_bodies_are_refused_unread(webhook: WebhookProcess) -> None:
    """The answer to a body over the limit comes before the body."""
    connection = webhook.connect()
    connection.putrequest("POST", "/validate")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(LIMIT + 1))
    connection.endheaders()
    reply = read_reply(connection)
    connection.close()
    assert reply.status == 413
    assert "admission.maxRequestBytes" in error_of(reply)


def test_chunked_bodies(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """A review may come in chunks; chunks that add up to more than the limit are refused."""

    def send(chunks: Iterator[bytes]) -> Reply:
        connection = webhook.connect()
        headers = {"Content-Type": "application/json"}
        # It may be refused before all was sent; the answer is there nevertheless.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/validate", chunks, headers, encode_chunked=True)
        reply = read_reply(connection)
        connection.close()
        return reply

    whole = review(httpbin)
    reply = send(iter([whole[:100], whole[100:]]))
    assert reply.status == 200
    assert reply.json["response"]["allowed"] is False
    assert send(b" " * 65536 for _ in range(LIMIT // 65536 + 1)).status == 413


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(150)) + b"\r\n", 431),
        (b"POST /validate HTTP/1.1\r\nTransfer-Encoding: unheard-of\r\n\r\n", 501),
        (b"POST /validate HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (
            b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
    ],
    ids=["bytes", "version", "line", "header", "headers", "coding", "two-lengths", "chunk"],
)
def test_what_is_no_http_gets_a_json_error(webhook: WebhookProcess, sent: bytes, status: int) -> None:
    """Even what can't be parsed as HTTP is answered with a status and a JSON error."""
    with webhook.open_socket() as stream:
        stream.sendall(sent)
        response = http.client.HTTPResponse(stream)
        response.begin()
        body = json.loads(response.read())
    assert response.status == body["code"] == status


def test_errors_leave_no_tracebacks(webhook: WebhookProcess) -> None:
    """After everything that clients sent wrong in this module, the log has no error of the server's."""
    assert [line for line in webhook.logged if "exception" in line or "Traceback" in str(line)] == []


def test_kept_connections_in_parallel(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """Eight clients, each with one connection for all of its reviews, get each their own answers."""

    def talk(client: int) -> list[Any]:
        connection = webhook.connect()
        found = []
        for number in range(25):
            body = review(httpbin, uid=f"{client}-{number}")
            connection.request("POST", "/validate", body, {"Content-Type": "application/json"})
            sock = connection.sock
            found.append(read_reply(connection).json["response"]["uid"])
            assert connection.sock is sock, "the connection was not kept"
        connection.close()
        return found

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(talk, range(8)))
    assert answers == [[f"{client}-{number}" for number in range(25)] for client in range(8)]


def test_health_and_metrics(webhook: WebhookProcess, httpbin: Manifest) -> None:
    """The process says that it lives and is ready, and counts what it did."""
    webhook.review("validate", review(httpbin))
    assert webhook.request("GET", "/healthz").json == {"status": "ok"}
    assert webhook.request("GET", "/readyz").json == {"status": "ready", "reasons": []}
    page = webhook.metrics()
    assert 'istio_netpol_reviews_total{result="denied",webhook="validate"}' in page
    assert 'istio_netpol_findings_total{rule="proxy-to-istiod"}' in page
    assert "istio_netpol_certificate_expiry_timestamp_seconds" in page
