"""EnvoyFilters send proxies to the clusters that their patches name."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.outcomes import findings, first_flow, flows, injected, listening, service
from tests.values import deployment

from istio_netpol.istio.rules.envoy_filter import RULE
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.decode_extensions import LONGEST_PATH
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.istio_networking import EnvoyFilter

CLUSTER = "outbound|8081||limits.ops.svc.cluster.local"
OPS = (service("ops/limits", (8081, 6070)), deployment("ops/limits"))
SHOP = (injected("shop"), listening("shop/cart", 80), listening("shop/web", 80))
FIELD = "spec.configPatches[0].patch.value"


def patch(value: Any, context: str = "ANY", **more: Any) -> dict[str, Any]:
    change = {"operation": more.pop("operation", "INSERT_BEFORE"), "value": value}
    return {"applyTo": "HTTP_FILTER", "match": {"context": context}, "patch": change, **more}


def envoy_filter(*patches: dict[str, Any], namespace: str = "shop", **spec: Any) -> EnvoyFilter:
    """As it is written."""
    content = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "asks", "namespace": namespace},
        "spec": {"configPatches": list(patches), **spec},
    }
    (found,), problems = decode(RawObject(content, "filter.yaml", 1))
    assert problems == []
    assert isinstance(found, EnvoyFilter)
    return found


@pytest.mark.parametrize(
    "value",
    [
        {"typed_config": {"grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER}}}},
        {"typedConfig": {"httpService": {"serverUri": {"uri": "http://limits", "cluster": CLUSTER}}}},
        {"filters": [{"inlineCode": f'handle:httpCall("{CLUSTER}", {{}}, "", 500)'}]},
        {"cluster": "outbound_.8081_._.limits.ops.svc.cluster.local"},
        {"cluster": "outbound|8081||limits.ops.svc.cluster.local."},
    ],
)
def test_a_cluster_is_found_wherever_it_is_named(value: Any) -> None:
    """In either spelling, at any depth, in the code of a Lua filter; the pods' own port counts."""
    subject = envoy_filter(patch(value), workloadSelector={"labels": {"app": "cart"}})
    assert flows(RULE, subject, *SHOP, *OPS) == ["shop/cart -> ops/limits TCP 6070"]


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ({"cluster": "inbound|8080||"}, {}),
        ({"cluster": "PassthroughCluster"}, {}),
        ({"cluster": "outbound|eighty||limits.ops.svc.cluster.local"}, {}),
        ({"cluster": CLUSTER}, {"operation": "REMOVE"}),
        ({"socket_address": {"address": "203.0.113.7", "port_value": 80}}, {}),
        (None, {}),
        ("x", {}),
    ],
)
def test_what_connects_nowhere_needs_nothing(value: Any, more: dict[str, Any]) -> None:
    """Other clusters, what is taken away, an address that a listener binds."""
    subject = envoy_filter(patch(value, **more))
    assert (flows(RULE, subject, *SHOP, *OPS), findings(RULE, subject, *SHOP, *OPS)) == ([], [])


def test_contexts_choose_between_sidecars_and_gateways() -> None:
    """A patch for gateways changes no sidecar."""
    gateway = replace(deployment("shop/gate"), annotations={"inject.istio.io/templates": "gateway"})
    both = (*SHOP[:2], gateway, *OPS)
    sidecar, gate = "shop/cart -> ops/limits TCP 6070", "shop/gate -> ops/limits TCP 6070"
    expected = {"SIDECAR_INBOUND": [sidecar], "SIDECAR_OUTBOUND": [sidecar], "GATEWAY": [gate]}
    for context, lines in {**expected, "ANY": [sidecar, gate]}.items():
        assert flows(RULE, envoy_filter(patch(CLUSTER, context)), *both) == lines, context


def test_a_filter_changes_its_own_namespace_and_that_of_the_mesh_all() -> None:
    """A tenant's patches reach no other namespace; those of the root namespace reach all."""
    objects = (*SHOP[:2], injected("other"), listening("other/api", 80), *OPS)
    assert flows(RULE, envoy_filter(patch(CLUSTER), namespace="other"), *objects) == [
        "other/api -> ops/limits TCP 6070"
    ]
    wide = envoy_filter(patch(CLUSTER), namespace="istio-system")
    assert flows(RULE, wide, *objects) == [
        "other/api -> ops/limits TCP 6070",
        "shop/cart -> ops/limits TCP 6070",
    ]
    assert first_flow(RULE, wide, *objects).shared
    assert first_flow(RULE, wide, *objects).agreement.ingress == {"istio-system", "ops"}


def test_another_namespace_has_to_agree() -> None:
    """What a tenant patches into its own proxies opens nobody else's pods."""
    found = first_flow(RULE, envoy_filter(patch(CLUSTER)), *SHOP, *OPS)
    assert (found.agreement.egress, found.agreement.ingress) == ({"shop"}, None)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("envoy.filters.http.ext_authz", "ext-authz"),
        ("envoy.access_loggers.http_grpc", "tracing"),
        ("envoy.filters.http.ratelimit", "workload-to-workload"),
    ],
)
def test_the_extension_says_what_it_is_for(name: str, kind: str) -> None:
    """Lost logs are a warning, as those of a Telemetry are."""
    subject = envoy_filter(patch({"name": name, "typed_config": {"cluster": CLUSTER}}))
    assert first_flow(RULE, subject, *SHOP, *OPS).kind == kind


@pytest.mark.parametrize("port", [8443, "8443"])
def test_a_cluster_of_its_own_is_dialled_at_its_addresses(port: int | str) -> None:
    """A patch that adds a cluster says where its endpoints are."""
    address = {"socket_address": {"address": "203.0.113.7", "port_value": port}}
    subject = envoy_filter(patch({"load_assignment": {"endpoints": [address]}}, applyTo="CLUSTER"))
    assert flows(RULE, subject, *SHOP[:2]) == ["shop/cart -> 203.0.113.7/32 TCP 8443"]


@pytest.mark.parametrize(
    ("cluster", "sentence"),
    [
        (
            "outbound|80||gone.ops.svc.cluster.local",
            "no Service has the full name gone.ops.svc.cluster.local, and no ServiceEntry the host, so that "
            "Istio makes no such cluster; add it, or correct the name",
        ),
        (
            "outbound|8081||limits.ops",
            "no Service has the full name limits.ops, and no ServiceEntry the host, so that Istio makes no "
            "such cluster; add it, or correct the name",
        ),
        (
            "outbound|80||limits.ops.svc.cluster.local",
            "nothing answers for Service ops/limits on port 80",
        ),
        (
            "outbound|8081|v2|limits.ops.svc.cluster.local",
            "no DestinationRule defines subset v2 of Service ops/limits; create it, or correct the name",
        ),
    ],
)
def test_what_is_not_there_is_told_once(cluster: str, sentence: str) -> None:
    """However many proxies would connect."""
    told = f"unknown-destination warning: EnvoyFilter shop/asks: {FIELD}: {sentence}"
    assert findings(RULE, envoy_filter(patch(cluster)), *SHOP, *OPS) == [told]


@pytest.mark.parametrize("depth", [1, 150])
def test_a_long_key_above_many_texts_takes_no_more_than_the_object(depth: int) -> None:
    """Paths are for people: a key of a patch may be as long as an object, and stand above many values."""
    value: Any = [CLUSTER, *("x" * 10_000)]
    for _ in range(depth):
        value = {"k" * (200_000 // depth): value}
    tracemalloc.start()
    subject = envoy_filter(patch(value))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000
    (target,) = subject.targets
    assert target.host == "limits.ops.svc.cluster.local"
    assert len(target.field) <= LONGEST_PATH
    assert target.field.startswith(f"{FIELD}.kkk")
