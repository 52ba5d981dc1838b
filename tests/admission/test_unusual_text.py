"""What the API server lets pass is what an object says: no text in it keeps the object from being judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.admission.objects import (
    CONTROL_PLANE,
    Manifest,
    deny_all,
    deployment,
    namespace,
    pod,
    request_authentication,
)
from tests.admission.state import State

from istio_netpol.model.settings import AdmissionSettings, Settings

BASE = (*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop"), deny_all("istio-system"))
HOSTS = {"keys.example.com": "203.0.113.7"}


def with_variable(name: str) -> Manifest:
    """A Deployment whose container has a variable of that name, which may be any printable text."""
    made = deployment("shop/cart")
    made["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": name, "value": "1"}]
    return made


def with_issuer(name: str) -> Manifest:
    """A RequestAuthentication whose second issuer is called so, and has keys of its own."""
    made = request_authentication("shop/jwt", "https://keys.example.com/keys")
    made["spec"]["jwtRules"].append({"issuer": name, "jwks": "{}"})
    return made


@pytest.mark.parametrize("text", ["${NAME}", "{{ .Values.name }}"])
@pytest.mark.parametrize("make", [with_variable, with_issuer])
def test_what_looks_like_a_template_is_judged(make: Callable[[str], Manifest], text: str) -> None:
    """In a file somebody forgot to fill it in; whoever sends it to the API server means it."""
    refused = State(BASE, hosts=HOSTS).validate(make(text))
    assert not refused.allowed
    assert refused.message == State(BASE, hosts=HOSTS).validate(make("plain")).message.replace("plain", text)


def test_an_owner_that_can_not_exist_is_no_owner() -> None:
    """The API server takes any text for its name. Pods of nobody are refused like other bare ones."""
    owned = pod("shop/cart-x", {"app": "cart"}, ("ReplicaSet", "no such name"))
    for settings in (Settings(), Settings(admission=AdmissionSettings(deny_controlled_pods=True))):
        decision = State(BASE, settings).validate(owned)
        assert not decision.allowed
        assert "Pod shop/cart-x is refused" in decision.message
