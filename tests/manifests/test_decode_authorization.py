"""What is read of an AuthorizationPolicy."""

from __future__ import annotations

from typing import Any

import pytest

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.istio_security import AuthorizationRule, AuthorizationSource, PortMatch, RequestMatch


def decoded(rule: dict[str, Any]) -> tuple[list[Any], list[Problem]]:
    content = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "callers", "namespace": "shop"},
        "spec": {"rules": [rule]},
    }
    return decode(RawObject(content, "callers.yaml", 1))


def read(**rule: Any) -> AuthorizationRule:
    (policy,), problems = decoded(rule)
    assert problems == []
    (found,) = policy.rules
    assert isinstance(found, AuthorizationRule)
    return found


def test_source_has_its_lists_and_exclusions() -> None:
    """Each field of a source is kept."""
    lists = {
        "principals": ["p"],
        "namespaces": ["n"],
        "ipBlocks": ["192.0.2.1"],
        "serviceAccounts": ["a/b"],
        "requestPrincipals": ["r"],
        "remoteIpBlocks": ["192.0.2.2"],
        "notPrincipals": ["np"],
        "notNamespaces": ["nn"],
        "notIpBlocks": ["192.0.2.3"],
        "notServiceAccounts": ["na"],
    }
    (source,) = read(**{"from": [{"source": lists}]}).sources
    assert source == AuthorizationSource(
        ("p",),
        ("n",),
        ("192.0.2.1",),
        ("a/b",),
        ("r",),
        ("192.0.2.2",),
        ("np",),
        ("nn",),
        ("192.0.2.3",),
        ("na",),
    )


def test_every_operation_is_kept() -> None:
    """One that names no ports opens all of them, whatever the others name."""
    rule = read(
        to=[{"operation": {"ports": ["80", "80"]}}, {"operation": {"methods": ["GET"], "notPorts": ["81"]}}]
    )
    assert rule.operations == (PortMatch((80,)), PortMatch((), (81,), RequestMatch(methods=("GET",))))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"key": "source.namespace", "values": ["web"]}, AuthorizationSource(namespaces=("web",))),
        ({"key": "source.principal", "values": ["p"]}, AuthorizationSource(principals=("p",))),
        ({"key": "source.ip", "notValues": ["192.0.2.1"]}, AuthorizationSource(not_ip_blocks=("192.0.2.1",))),
    ],
)
def test_condition_on_the_peer_is_a_source(condition: dict[str, Any], expected: AuthorizationSource) -> None:
    """`when` says the same as `from` in other words."""
    assert read(when=[condition]).sources == (expected,)


def test_condition_narrows_every_source() -> None:
    """A source keeps its own list, and takes the condition's where it has none."""
    sources = [{"source": {"principals": ["p"]}}, {"source": {"namespaces": ["own"]}}]
    rule = read(**{"from": sources, "when": [{"key": "source.namespace", "values": ["web"]}]})
    assert rule.sources == (
        AuthorizationSource(principals=("p",), namespaces=("web",)),
        AuthorizationSource(namespaces=("own",)),
    )


def test_condition_on_the_port_is_kept() -> None:
    """Of others, on headers or claims, it is kept that they are asked."""
    rule = read(
        when=[
            {"key": "destination.port", "values": ["8080"]},
            {"key": "request.headers[x]", "values": ["y"]},
            {"key": "remote.ip", "notValues": ["192.0.2.1"]},
        ]
    )
    assert rule == AuthorizationRule((), (), (PortMatch((8080,)),), ("request.headers[x]", "remote.ip"))


def test_port_that_is_no_number_is_told() -> None:
    """Istio refuses it too."""
    values, problems = decoded({"to": [{"operation": {"ports": ["http"]}}]})
    assert values == []
    assert [problem.field for problem in problems] == ["spec.rules[0].to[0].operation.ports[0]"]
