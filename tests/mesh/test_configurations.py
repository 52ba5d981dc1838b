"""Configurations of Istio, with deny-alls in istio-system and in their namespace: each fails without
policies, and with those that are generated it works, by the way that its objects describe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from tests.mesh import mall
from tests.mesh.necessity import Policies, mesh_config, shown
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
    "a headless Service on its pods' own port": (mall.headless, "connect-refused", {"headless"}),
    "a headless Service on another port behind a gateway": (mall.shelf, "connect-refused", {"shelf"}),
    "a targetPort that is another number in each pod": (
        mall.named,
        "connect-refused",
        {"named-1", "named-2"},
    ),
    "a ServiceEntry with an address and a targetPort": (mall.static, "connect-refused", {"api"}),
    "an egress gateway": (mall.by_egress_gateway, "connect-refused", {"api"}),
    "an authorizer that a gateway asks": (mall.guarded_shelf, "authorizer-not-reached", {"shelf"}),
}
"""By what each is: a request, what shows without policies, and the names of those who answer it with them."""

Ask = Callable[["Mesh"], Answer]
each_configuration = pytest.mark.parametrize(
    ("ask", "symptom", "answering"), CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys()
)


@pytest.fixture(scope="module")
def ready(mesh: Mesh) -> Iterator[Policies]:
    """The mall, whose pods are ready and reach nobody."""
    with mesh_config(mesh, extensionProviders=mall.PROVIDERS, accessLogFile="/dev/stdout"):
        try:
            mesh.apply(mall.namespace())
            mesh.apply(*mall.manifests(), mall.of_the_gateway())
            with Policies(mesh, ("istio-system", mall.MALL)) as policies:
                policies.deny()
                policies.allow(*OF_THE_MESH_ITSELF)
                mesh.wait_until_ready(mall.MALL, *mall.APPS)
                yield policies
        finally:
            mesh.delete(mall.of_the_gateway())
            mesh.remove_namespaces(mall.MALL)


@pytest.fixture(scope="module")
def before(mesh: Mesh, ready: Policies) -> dict[Ask, str]:
    """What people saw of each configuration before its policies came; of an authorizer, what the gateway's
    log says."""
    seen = {ask: ask(mesh).seen for ask, _, _ in CONFIGURATIONS.values()}
    mesh.wait_until("the gateway's log tells", lambda: _refusals(mesh))
    return seen | {mall.guarded_shelf: _refusals(mesh)}


def _refusals(mesh: Mesh) -> str:
    """The lines of the gateway's access log on requests that it could not ask the authorizer about."""
    lines = mesh.logs(*mall.INGRESS).splitlines()
    return "\n".join(line for line in lines if mall.SHELF in line and "ext_authz_error" in line)


@pytest.fixture(scope="module")
def allowed(ready: Policies, before: dict[Ask, str]) -> Policies:
    """The mall with everything that `istio-netpol generate` prints for it, once all was tried without."""
    ready.allow()
    return ready


@each_configuration
def test_works_with_generated_policies_and_fails_without(
    mesh: Mesh, before: dict[Ask, str], allowed: Policies, ask: Ask, symptom: str, answering: set[str]
) -> None:
    assert shown(before[ask]) == {symptom}
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
    mesh.wait_until("spans arrive", lambda: {"client.mall"} <= {span["service"] for span in mall.spans(mesh)})
