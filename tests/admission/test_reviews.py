"""AdmissionReviews as bytes: what is read, what is refused, what goes back."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
import tests.strategies  # noqa: F401 (loads the profile of laws)
from hypothesis import given
from hypothesis import strategies as st
from tests.admission.objects import CONTROL_PLANE, deny_all, deployment, namespace, pod
from tests.admission.state import State
from tests.serving.reviews import envelope, review

from istio_netpol.admission.review import decide
from istio_netpol.admission.reviews import MAX_DEPTH, AdmissionRequest, BadRequest, StatusCause, encode, parse

DEPLOYMENT = deployment("shop/cart")
REQUEST = {
    "uid": "1",
    "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
    "operation": "CREATE",
}
STATE = State([*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop"), DEPLOYMENT])


def nested(depth: int) -> Any:
    found: Any = 1
    for level in range(depth):
        found = {"a": found} if level % 2 else [found]
    return found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not valid JSON: "),
        (b"{", "the body is not valid JSON: "),
        (b"kind: AdmissionReview", "the body is not valid JSON: "),
        (b"[]", "the body is not an AdmissionReview: "),
        (b"null", "the body is not an AdmissionReview: "),
        (b"{}", "the body is not an AdmissionReview: its kind is ''"),
        (b'{"kind": 7}', "the body is not an AdmissionReview: "),
        (b'{"kind": "\xff\xfe"}', "the body is not valid UTF-8"),
        (b'{"kind": "\\ud800"}', "the body is not valid JSON: "),
        (envelope(REQUEST, kind="Pod"), "the body is not an AdmissionReview: its kind is 'Pod'"),
        (
            envelope(REQUEST, apiVersion="admission.k8s.io/v1beta1"),
            "apiVersion 'admission.k8s.io/v1beta1' is not served, only admission.k8s.io/v1",
        ),
        (envelope(None), "the AdmissionReview has no request"),
        (envelope({**REQUEST, "uid": ""}), "the AdmissionReview has no request.uid"),
        (
            envelope({"kind": REQUEST["kind"]}),
            "the body is not an AdmissionReview: Object missing required field `uid`",
        ),
        (envelope({**REQUEST, "uid": 7}), "the body is not an AdmissionReview: Expected `str`, got `int`"),
        (envelope({**REQUEST, "object": []}), "the body is not an AdmissionReview: Expected `object | null`"),
        (
            envelope({**REQUEST, "oldObject": "x"}),
            "the body is not an AdmissionReview: Expected `object | null`",
        ),
        (
            envelope({**REQUEST, "userInfo": {"groups": "all"}}),
            "the body is not an AdmissionReview: Expected `array",
        ),
        (
            envelope({**REQUEST, "dryRun": "yes"}),
            "the body is not an AdmissionReview: Expected `bool | null`",
        ),
        (
            envelope({**REQUEST, "object": {"a": nested(MAX_DEPTH)}}),
            f"the object is nested deeper than {MAX_DEPTH} levels",
        ),
        (
            envelope({**REQUEST, "object": {"a": nested(MAX_DEPTH), "b": "{}[]" * 500, "c": [{}] * 500}}),
            f"the object is nested deeper than {MAX_DEPTH} levels",
        ),
        (
            envelope({**REQUEST, "oldObject": {"a": nested(MAX_DEPTH)}}),
            f"the object is nested deeper than {MAX_DEPTH} levels",
        ),
    ],
)
def test_body_that_is_no_review_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    """The sentence says what is wrong, for whoever reads the API server's log."""
    answer = parse(body)
    assert isinstance(answer, BadRequest)
    assert answer.status == 400
    assert answer.reason.startswith(reason)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"request":' * 200_000, b'{"x":' * 200_000 + b"1"])
def test_endless_nesting_is_refused(body: bytes) -> None:
    """The parser's own depth is bounded, whatever the body nests."""
    answer = parse(body)
    assert isinstance(answer, BadRequest)
    assert answer.status == 400


def test_reason_quotes_no_more_than_a_little_of_the_body() -> None:
    """A log line stays a line."""
    for changes in ({"kind": "x" * 10_000}, {"apiVersion": "x" * 10_000}):
        answer = parse(envelope(REQUEST, **changes))
        assert isinstance(answer, BadRequest)
        assert len(answer.reason) < 200


def test_object_of_just_the_greatest_depth_is_read() -> None:
    """The limit is far above what any manifest nests, and it is inclusive."""
    assert isinstance(parse(envelope({**REQUEST, "object": {"a": nested(MAX_DEPTH - 1)}})), AdmissionRequest)


@pytest.mark.parametrize(
    "changes",
    [
        {"userInfo": {"username": "u", "groups": None, "extra": {"a": ["b"]}}},
        {"object": None, "oldObject": None, "dryRun": None},
        {"options": {"deep": [[[[]]]]}, "requestSubResource": "", "unheardOf": 7},
    ],
)
def test_what_is_absent_null_or_unheard_of_is_no_error(changes: dict[str, Any]) -> None:
    """API servers leave fields out, and newer ones add some."""
    assert isinstance(parse(envelope({**REQUEST, **changes})), AdmissionRequest)


def test_request_says_what_it_is_about() -> None:
    """Namespaced objects are `Kind namespace/name`, others `Kind name`."""
    request = parse(review(DEPLOYMENT))
    assert isinstance(request, AdmissionRequest)
    assert request.described == "Deployment shop/cart"
    of_namespace = parse(review(namespace("shop")))
    assert isinstance(of_namespace, AdmissionRequest)
    assert of_namespace.described == "Namespace shop"


@pytest.mark.parametrize("metadata", [None, [], {"generateName": 7}, {}])
def test_request_without_any_name_is_described_too(metadata: Any) -> None:
    """Whatever stands where the name should be, a log line says something."""
    request = parse(envelope({**REQUEST, "namespace": "shop", "object": {"metadata": metadata}}))
    assert isinstance(request, AdmissionRequest)
    assert request.described == "Deployment shop/*"


def test_answer_repeats_the_uid() -> None:
    """The API server takes no other answer."""
    answer = json.loads(encode("the-uid", True))
    assert answer == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "the-uid", "allowed": True},
    }


def test_denial_is_a_status_that_programs_can_read() -> None:
    """Code 403, reason Forbidden, the text for people and the causes for programs."""
    causes = (StatusCause("dns", "no DNS"), StatusCause("impact", "cut", "spec.hosts"))
    response = json.loads(encode("1", False, "no", causes, ("careful",)))["response"]
    assert response["allowed"] is False
    assert response["warnings"] == ["careful"]
    assert (response["status"]["code"], response["status"]["reason"]) == (403, "Forbidden")
    assert response["status"]["message"] == "no"
    assert response["status"]["details"]["causes"] == [
        {"reason": "dns", "message": "no DNS"},
        {"reason": "impact", "message": "cut", "field": "spec.hosts"},
    ]


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 2**31, 2**64, 10**40, 1.5]),
    st.sampled_from(["", "x", "a/b/c", "\n", "é", "x" * 300]),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"a": {"b": [1]}}),
).map(deepcopy)
SAMPLES = (DEPLOYMENT, pod("shop/x"), deny_all("shop"), namespace("shop", "reject"), *CONTROL_PLANE[3:])


def _paths(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    return [path, *(found for key, value in pairs for found in _paths(value, (*path, key)))]


@given(st.data())
def test_object_with_junk_in_it_gets_an_answer(data: st.DataObject) -> None:
    """Wrong types anywhere are for the API server to refuse: the webhook answers, and goes on."""
    sample = data.draw(st.sampled_from(SAMPLES))
    broken = json.loads(json.dumps(sample))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from([path for path in _paths(broken) if path]))
        target = broken
        for key in parents:
            target = target[key]
        target[last] = data.draw(junk)
    kind = json.loads(review(sample))["request"]["kind"]
    about = {"uid": "1", "kind": kind, "namespace": "shop", "name": "x", "userInfo": {"username": "u"}}
    objects = data.draw(
        st.sampled_from([{"object": broken}, {"oldObject": broken}, {"object": sample, "oldObject": broken}])
    )
    operation = data.draw(st.sampled_from(["CREATE", "UPDATE", "DELETE", "CONNECT", ""]))
    request = parse(envelope({**about, **objects, "operation": operation}))
    if isinstance(request, BadRequest):
        assert not isinstance(broken, dict)
        return
    for mutating in (True, False):
        decision = decide(request, STATE.table, STATE.resolver, mutating=mutating)
        json.loads(
            encode(request.uid, decision.allowed, decision.message, decision.causes, decision.warnings)
        )


@given(
    st.binary(max_size=200)
    | st.recursive(
        junk,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode())
)
def test_anything_at_all_gets_an_answer(body: bytes) -> None:
    """No body raises."""
    assert isinstance(parse(body), BadRequest)
