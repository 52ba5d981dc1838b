"""The five scenarios of the handbook ("NetworkPolicy scenarios", Kyma Istio module 1.26) with packets: what
is seen under a deny-all, what our program says of that, and what Istio does once it has done its work.

`tests/live/test_scenarios.py` has what kubectl prints meanwhile, on a cluster without nodes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from typing import Any

import pytest
from tests.mesh import handbook
from tests.mesh.calls import Calls
from tests.mesh.enforcement.protocol import Style
from tests.mesh.exposed import Exposed, gateway
from tests.mesh.istio import wait_until_injecting
from tests.mesh.mesh import Mesh
from tests.mesh.ours import Ours, installed
from tests.mesh.product import blamed, shown
from tests.mesh.remedies import ByAugmenting, ByGenerate, ByRefusing, Remedy, applied
from tests.mesh.tokens import Issuer

ROOT = "istio-system"
GATEWAY = "istio-ingressgateway"
KYMA = "kyma-system"
"""Whose Gateway all scenarios use: it needs that people reach the ingress gateway."""
NO_DNS = {"dns-refused"}
"""What a proxy misses first."""
REMEDIES: dict[str, Callable[[Mesh, Ours], Remedy]] = {
    "generate": ByGenerate,
    "augment": ByAugmenting,
    "reject": ByRefusing,
}


def by(*remedies: str) -> pytest.MarkDecorator:
    """With which remedies a scenario is played; a refusal mends nothing that is there already."""
    return pytest.mark.parametrize("remedy", remedies, indirect=True)


@pytest.fixture(scope="module")
def ours(mesh: Mesh) -> Iterator[Ours]:
    with installed(mesh) as ours:
        yield ours


@pytest.fixture
def remedy(request: pytest.FixtureRequest, mesh: Mesh, ours: Ours) -> Remedy:
    return REMEDIES[request.param](mesh, ours)


@pytest.fixture
def cut_off(mesh: Mesh, ours: Ours) -> Iterator[None]:
    """Istio under a deny-all that refuses at once, with nothing that opens anything."""
    mesh.enforcement.style = Style.REJECT
    with denied(mesh, ours):
        yield


@pytest.fixture(scope="module")
def under_deny_all(mesh: Mesh, ours: Ours) -> Iterator[None]:
    """Istio under a deny-all and mended, with Kyma's Gateway: what the other scenarios begin with."""
    with denied(mesh, ours), there(mesh, *gateway(mesh)):
        ByAugmenting(mesh, ours).mend(ROOT, KYMA)
        yield


@pytest.fixture(scope="module")
def all_exposed(mesh: Mesh) -> Iterator[dict[str, Exposed]]:
    """What was made for each remedy, which later tests use again."""
    made: dict[str, Exposed] = {}
    yield made
    mesh.remove_namespaces(*(exposed.namespace for exposed in made.values()))


@pytest.fixture
def exposed(mesh: Mesh, remedy: Remedy, under_deny_all: None, all_exposed: dict[str, Exposed]) -> Exposed:
    """httpbin at work, in a namespace of the remedy's mode; nothing routes to it."""
    mesh.enforcement.style = Style.REJECT
    exposed = all_exposed.setdefault(remedy.mode, Exposed(mesh, remedy.mode))
    remedy.apply(*exposed.workload)
    mesh.wait_until("httpbin is ready", lambda: mesh.ready(exposed.namespace, "httpbin"))
    return exposed


@by("generate", "augment")
def test_istio_is_installed(mesh: Mesh, remedy: Remedy, cut_off: None) -> None:
    """Scenario 1. Gateways get no configuration, and istiod no objects; once both do, pods are injected."""
    mesh.restart(ROOT, GATEWAY)
    told = await_symptom(mesh, NO_DNS, lambda: written(mesh, ROOT, GATEWAY))
    assert "dns" in blamed(mesh, ROOT, told)
    mesh.restart(ROOT, "istiod")
    told = await_symptom(mesh, {"istiod-waits-for-sync"}, lambda: written(mesh, ROOT, "istiod", "discovery"))
    assert "to-apiserver" in blamed(mesh, ROOT, told)
    assert not mesh.ready(ROOT, GATEWAY)
    assert not mesh.ready(ROOT, "istiod")
    remedy.mend(ROOT)
    for app in ("istiod", GATEWAY):
        mesh.wait_until(f"{app} is ready", partial(mesh.ready, ROOT, app))
    wait_until_injecting(mesh)


@by("generate")
def test_a_sidecar_is_injected(mesh: Mesh, remedy: Remedy, under_deny_all: None) -> None:
    """Scenario 2. The sidecar gets no configuration, so its pod is never ready. Where our webhook augments or
    refuses it is from the start: so `exposed` begins."""
    mesh.enforcement.style = Style.REJECT
    namespace = f"my-namespace-{remedy.mode}"
    objects = handbook.objects("sidecar-injection/before", {"my-namespace": namespace}, remedy.mode)
    with there(mesh, *objects):
        events = ("get", "events", "--namespace", namespace)
        told = await_symptom(mesh, {"proxy-probe"}, lambda: mesh.kubectl(*events).stdout)
        assert blamed(mesh, namespace, told) == {"proxy-to-istiod", "dns"}
        told = await_symptom(mesh, NO_DNS, lambda: written(mesh, namespace, "httpbin"))
        assert "dns" in blamed(mesh, namespace, told)
        assert not mesh.ready(namespace, "httpbin")
        remedy.mend(namespace)
        mesh.wait_until("httpbin is ready", lambda: mesh.ready(namespace, "httpbin"))


@by("generate", "augment")
def test_sidecars_call_each_other(mesh: Mesh, remedy: Remedy, under_deny_all: None) -> None:
    """Scenario 3, in both directions at once. The calls are declared once they are seen to fail."""
    mesh.enforcement.style = remedy.style
    calls = Calls(mesh, remedy.mode)
    with there(mesh, *calls.namespaces_alone):
        remedy.apply(*calls.undeclared)
        mesh.wait_until("both have their sidecars", calls.are_ready)
        symptom = {Style.DROP: "connect-no-answer", Style.REJECT: "connect-refused"}[remedy.style]
        # A proxy that has just become ready may not know yet where the other's pod is.
        mesh.wait_until(f"both see {symptom}", lambda: calls.all_show(symptom))
        answers = calls.made()
        assert {answer.status for answer in answers} == {503}
        assert blamed(mesh, calls.namespaces[0], answers[0].seen) == set()
        told = remedy.apply(*calls.declared)
        assert "workload-to-workload" in told
        mesh.wait_until("both answer", lambda: calls.statuses() == {200})


@by("generate")
def test_a_workload_is_exposed(mesh: Mesh, remedy: Remedy, exposed: Exposed) -> None:
    """Scenario 4. The gateway does not reach the workload: 504 where packets are dropped, 503 where they are
    refused."""
    with there(mesh, *exposed.route):
        for style, status in {Style.DROP: 504, Style.REJECT: 503}.items():
            mesh.enforcement.style = style
            mesh.settled()
            mesh.wait_until(f"the gateway says {status}", partial(exposed.answers, status))
            assert blamed(mesh, exposed.namespace, exposed.get().seen) == {"gateway-to-workload"}
        remedy.mend(exposed.namespace)
        mesh.wait_until("httpbin answers", partial(exposed.answers, 200))


@by("augment", "reject")
def test_a_route_is_reviewed(mesh: Mesh, remedy: Remedy, exposed: Exposed) -> None:
    """Scenario 4, once our webhook is asked about the VirtualService: the first request already succeeds."""
    told = remedy.apply(*exposed.route)
    assert "gateway-to-workload" in told
    with there(mesh, *exposed.route):
        mesh.wait_until("the gateway has the route", lambda: exposed.get().status != 404)
        assert exposed.get().status == 200


@by("generate")
def test_keys_are_missing(mesh: Mesh, ours: Ours, remedy: Remedy, exposed: Exposed) -> None:
    """Scenario 5. istiod does not get the keys, so valid tokens are refused. It gives up after some seconds,
    until configuration changes: so it is restarted, as the page of the rule says."""
    forget_keys(mesh)
    remedy.apply(*exposed.route)
    valid = mesh.outside.issuer.token(handbook.PRINCIPAL)
    with in_mode_warn(ours, ROOT), there(mesh, *exposed.route, *exposed.tokens):
        mesh.wait_until("a valid token is refused", lambda: exposed.get_with(valid).status == 401)
        assert "istiod-to-jwks" in blamed(mesh, ROOT, exposed.get_with(valid).seen)
        told = await_symptom(mesh, {"keys-not-fetched"}, lambda: written(mesh, ROOT, "istiod", "discovery"))
        assert "istiod-to-jwks" in blamed(mesh, ROOT, told)
        remedy.mend(exposed.namespace)
        mesh.restart(ROOT, "istiod")
        assert_istio_decides(mesh, exposed)


@by("augment", "reject")
def test_rules_about_tokens_are_reviewed(mesh: Mesh, remedy: Remedy, exposed: Exposed) -> None:
    """Scenario 5, once our webhook is asked about the RequestAuthentication: istiod gets the keys at once."""
    forget_keys(mesh)
    remedy.apply(*exposed.route)
    told = remedy.apply(*exposed.tokens)
    assert "istiod-to-jwks" in told
    with there(mesh, *exposed.route, *exposed.tokens):
        assert_istio_decides(mesh, exposed)


@contextlib.contextmanager
def in_mode_warn(ours: Ours, namespace: str) -> Iterator[None]:
    """Keeps our controller from opening anything for pods of a namespace as long as the block runs."""
    ours.set_mode(namespace, "warn")
    try:
        yield
    finally:
        ours.set_mode(namespace, "augment")


def forget_keys(mesh: Mesh) -> None:
    """Takes away what an earlier test had opened to the provider of keys: addresses stay open for a while."""
    keys = ("--selector", "istio-netpol.io/flow=istiod-to-jwks")
    mesh.kubectl("delete", "networkpolicies", "--namespace", ROOT, *keys)
    mesh.settled()


def assert_istio_decides(mesh: Mesh, exposed: Exposed) -> None:
    """Who has a valid token comes in; who has none, a forged one, or is somebody else is refused."""
    issuer, forger = mesh.outside.issuer, Issuer(handbook.TOKENS_OF)
    valid = issuer.token(handbook.PRINCIPAL)
    mesh.wait_until("a token is asked for", partial(exposed.answers, 403))
    mesh.wait_until("a valid token is enough", lambda: exposed.get_with(valid).status == 200)
    assert exposed.get().status == 403
    assert exposed.get_with(forger.token(handbook.PRINCIPAL)).status == 401
    assert exposed.get_with(issuer.token(handbook.PRINCIPAL, lasts=-3600)).status == 401
    assert exposed.get_with(issuer.token("somebody-else")).status == 403
    assert exposed.keys in {asked.get("path") for asked in mesh.outside.received("identity")}


def await_symptom(mesh: Mesh, symptoms: Set[str], seen: Callable[[], str]) -> str:
    """Waits until one of these rows of docs/symptoms.md is seen; the whole text."""
    mesh.wait_until(f"one of {sorted(symptoms)} is seen", lambda: bool(symptoms & shown(seen())))
    return seen()


def written(mesh: Mesh, namespace: str, app: str, container: str = "istio-proxy") -> str:
    """What a container has written, of a pod that may not be there yet."""
    pods = mesh.pods(namespace, f"app={app}")
    return "".join(mesh.log_of(namespace, pod["metadata"]["name"], container) for pod in pods)


@contextlib.contextmanager
def there(mesh: Mesh, *objects: Mapping[str, Any]) -> Iterator[None]:
    """Has objects applied for as long as the block runs. Namespaces among them, with what they hold, go
    soon after: no other test has any of their names."""
    homes = [manifest["metadata"]["name"] for manifest in objects if manifest["kind"] == "Namespace"]
    elsewhere = [
        manifest
        for manifest in objects
        if manifest["kind"] != "Namespace" and manifest["metadata"].get("namespace") not in homes
    ]
    applied(mesh, *objects)
    try:
        yield
    finally:
        mesh.remove_namespaces(*homes)
        mesh.delete(*elsewhere)


@contextlib.contextmanager
def denied(mesh: Mesh, ours: Ours) -> Iterator[None]:
    """Has Istio's namespace under a deny-all for as long as the block runs; then nothing isolates it."""
    mesh.deny_all(ROOT)
    mesh.settled()
    try:
        yield
    finally:
        ours.set_mode(ROOT, "off")
        mesh.kubectl("delete", "networkpolicies", "--all", "--wait=false", "--namespace", ROOT)
