"""Configurations of Istio under a deny-all everywhere: each fails without policies, and with those that are
generated it works, by the way that its objects describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from tests.mesh import mall
from tests.mesh.necessity import Policies, mesh_config
from tests.mesh.traffic import Answer

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

pytestmark = pytest.mark.xdist_group("mesh")

OF_THE_MESH_ITSELF = (
    "dns",
    "proxy-to-istiod",
    "gateway-to-istiod",
    "to-apiserver",
    "webhook-from-apiserver",
    "client-to-gateway",
)
"""What pods need to be ready and people to reach the gateway; with these alone every way on is still shut."""

CONFIGURATIONS = {
    "a headless Service on its pods' own port": (mall.headless, 503, {"headless"}),
    "a headless Service on another port behind a gateway": (mall.shelf, 503, {"shelf"}),
    "a targetPort that is another number in each pod": (mall.named, 503, {"named-1", "named-2"}),
    "a ServiceEntry with an address and a targetPort": (mall.static, 503, {"api"}),
    "an egress gateway": (mall.by_egress_gateway, 503, {"api"}),
    "an authorizer that a gateway asks": (mall.guarded_shelf, 403, {"shelf"}),
}
"""By what each is: a request, its status without policies, and the names of those who answer it with them."""

Ask = Callable[["Mesh"], Answer]
each_configuration = pytest.mark.parametrize(
    ("ask", "without", "answering"), CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys()
)


@pytest.fixture(scope="module")
def ready(mesh: Mesh) -> Iterator[Policies]:
    """The mall, whose pods are ready and reach nobody."""
    policies = Policies(mesh, ("istio-system", mall.MALL))
    with mesh_config(mesh, extensionProviders=mall.PROVIDERS):
        mesh.apply(mall.namespace())
        mesh.apply(*mall.manifests(), mall.of_the_gateway())
        policies.deny()
        policies.allow(*OF_THE_MESH_ITSELF)
        try:
            for app in mall.APPS:
                mesh.wait_until(f"{app} is ready", lambda of=app: mesh.ready(mall.MALL, of), 120)
            yield policies
        finally:
            policies.remove()
            mesh.delete(mall.of_the_gateway())
            mesh.remove_namespaces(mall.MALL)


@pytest.fixture(scope="module")
def allowed(ready: Policies) -> Policies:
    """The mall with everything that `istio-netpol generate` prints for it."""
    ready.allow()
    return ready


@each_configuration
def test_fails_without_its_policies(
    mesh: Mesh, ready: Policies, ask: Ask, without: int, answering: set[str]
) -> None:
    assert ask(mesh).status == without


@each_configuration
def test_works_with_generated_policies(
    mesh: Mesh, allowed: Policies, ask: Ask, without: int, answering: set[str]
) -> None:
    seen: set[str] = set()

    def answer_all() -> bool:
        answer = ask(mesh)
        seen.update({answer.json["name"]} if answer.status == 200 else set())
        return seen == answering

    mesh.wait_until(f"{answering} answer", answer_all)


def test_the_egress_gateway_is_on_the_way(mesh: Mesh, allowed: Policies) -> None:
    """Nothing translates addresses on the way out, so the API sees who connected."""
    address = mesh.run(mall.MALL, "egress", "hostname", "--all-ip-addresses").stdout.split()[0]
    assert mall.by_egress_gateway(mesh).json["client"] == address


def test_spans_reach_a_zipkin_collector(mesh: Mesh, allowed: Policies) -> None:
    mall.named(mesh)
    mesh.wait_until("spans arrive", lambda: {"client.mall"} <= {each["service"] for each in mall.spans(mesh)})
