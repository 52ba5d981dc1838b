"""What is read of webhook configurations, CustomResourceDefinitions and APIServices."""

from __future__ import annotations

from typing import Any

import pytest

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.load import load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents
from istio_netpol.manifests.trimming import trim
from istio_netpol.model.api_calls import ApiExtension
from istio_netpol.model.control_plane import RevisionTag

SERVICE = {"namespace": "ops", "name": "hook"}
CLIENT = "webhooks[0].clientConfig"
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def read(api_version: str, kind: str, **content: Any) -> tuple[list[Any], list[Problem]]:
    metadata = {"name": "it", "labels": content.pop("labels", {})}
    document = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
    return decode(RawObject(trim(document), "it.yaml", 1))


def webhook(kind: str = WEBHOOKS[0], version: str = "v1", **fields: Any) -> tuple[list[Any], list[Problem]]:
    entry = {"name": "hook.ops", "clientConfig": {"service": SERVICE, "caBundle": "Cg=="}, **fields}
    return read(f"admissionregistration.k8s.io/{version}", kind, webhooks=[entry])


@pytest.mark.parametrize("kind", WEBHOOKS)
@pytest.mark.parametrize(
    ("version", "fields", "dispensable"),
    [
        ("v1", {"failurePolicy": "Fail"}, False),
        ("v1", {"failurePolicy": "Ignore"}, True),
        ("v1", {}, False),
        ("v1", {"failurePolicy": None}, False),
        ("v1beta1", {}, True),
        ("v1beta1", {"failurePolicy": "Fail"}, False),
    ],
)
def test_a_webhook_says_whether_it_is_dispensable(
    kind: str, version: str, fields: dict[str, Any], dispensable: bool
) -> None:
    """By its failure policy, which each version of the API has a default for."""
    (found,), problems = webhook(kind, version, **fields)
    (call,) = found.calls
    assert (call.namespace, call.service, call.port, call.dispensable) == ("ops", "hook", 443, dispensable)
    assert (call.field, problems, found.ref.namespace) == ("webhooks[0].clientConfig.service", [], "")


def test_a_webhook_at_a_url_calls_no_service() -> None:
    """The API server reaches it without pods, and a configuration of nothing else says nothing."""
    assert webhook(clientConfig={"url": "https://hook.example.com/validate"}) == ([], [])
    assert webhook(clientConfig={}) == ([], [])


def test_a_revision_tag_is_a_webhook_too() -> None:
    """The tag's configuration says which istiod is meant, and has it called."""
    labels = {"istio.io/tag": "prod", "istio.io/rev": "canary"}
    entry = {"name": "prod.istio.io", "clientConfig": {"service": SERVICE}}
    found, _ = read("admissionregistration.k8s.io/v1", WEBHOOKS[1], labels=labels, webhooks=[entry])
    assert [type(value) for value in found] == [RevisionTag, ApiExtension]
    assert {value.ref.key for value in found} == {found[0].ref.key}


@pytest.mark.parametrize(
    ("version", "conversion", "field"),
    [
        ("v1", {"webhook": {"clientConfig": {"service": SERVICE}}}, "webhook.clientConfig"),
        ("v1beta1", {"webhookClientConfig": {"service": SERVICE}}, "webhookClientConfig"),
    ],
)
def test_a_converter_is_never_dispensable(version: str, conversion: dict[str, Any], field: str) -> None:
    """Without it stored objects can't be read in another version."""
    spec = {"conversion": {"strategy": "Webhook", **conversion}, "versions": [{"schema": {"x": 1}}]}
    (found,), problems = read(f"apiextensions.k8s.io/{version}", "CustomResourceDefinition", spec=spec)
    assert [(call.field, call.dispensable) for call in found.calls] == [
        (f"spec.conversion.{field}.service", False)
    ]
    assert problems == []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"conversion": {"strategy": "None"}},
        {"conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://example.com"}}}},
    ],
)
def test_a_definition_without_a_converter_says_nothing(spec: dict[str, Any]) -> None:
    """Most have none."""
    assert read("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec=spec) == ([], [])


def test_an_api_that_pods_serve_is_never_dispensable() -> None:
    """Its objects are gone without them; the API server's own APIs name no Service."""
    (found,), _ = read("apiregistration.k8s.io/v1", "APIService", spec={"service": {**SERVICE, "port": 6443}})
    (call,) = found.calls
    assert (call.port, call.field, call.dispensable) == (6443, "spec.service", False)
    assert read("apiregistration.k8s.io/v1", "APIService", spec={"group": "apps", "service": None}) == (
        [],
        [],
    )


@pytest.mark.parametrize(
    ("fields", "field", "cause"),
    [
        ({"failurePolicy": "Retry"}, "webhooks[0].failurePolicy", "is not a failure policy"),
        ({"clientConfig": {"service": {"name": "hook"}}}, f"{CLIENT}.service.namespace", "names no Service"),
        (
            {"clientConfig": {"service": {**SERVICE, "port": 70000}}},
            f"{CLIENT}.service.port",
            "is not a port number",
        ),
        ({"clientConfig": {"service": "hook"}}, f"{CLIENT}.service", "is a string, not a mapping"),
    ],
)
def test_mistakes_are_told_with_their_place(fields: dict[str, Any], field: str, cause: str) -> None:
    """The API server would refuse them."""
    found, problems = webhook(**fields)
    assert (found, (problems[0].field, problems[0].cause)) == ([], (field, cause))


@pytest.mark.parametrize(("kind", "problems"), [("APIService", 0), ("CustomResourceDefinition", 1)])
def test_the_core_api_s_own_name_ends_with_a_dot(kind: str, problems: int) -> None:
    """Every cluster has `v1.`; no other kind has such names."""
    text = f"{{apiVersion: x/v1, kind: {kind}, metadata: {{name: v1.}}, spec: {{version: v1}}}}"
    group = {"APIService": "apiregistration.k8s.io", "CustomResourceDefinition": "apiextensions.k8s.io"}[kind]
    loaded = load(read_documents(text.replace("x/v1", f"{group}/v1").encode(), "a.yaml"))
    assert len(loaded.problems) == problems
