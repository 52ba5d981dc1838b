"""Every read matters: where one is not noted, what follows a cluster misses a change, and the comparison with
what would be made anew tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.flows.clusters import cluster
from tests.flows.current import SCRAPING, Current

from istio_netpol.istio.mesh_routes import VIRTUAL_SERVICE_HOSTS
from istio_netpol.istio.view.backends import ENDPOINT_SLICES
from istio_netpol.istio.view.gateways import GATEWAY_ADDRESSES, GATEWAY_SELECTORS, TLS_MODES
from istio_netpol.istio.view.object_queries import SERVICE_ENTRY_LABELS, SERVICE_LABELS
from istio_netpol.istio.view.service_registry import NODE_PORTS, NODES, SERVICE_ADDRESSES, SERVICE_ENTRY_HOSTS
from istio_netpol.model.control_plane import InjectorConfig, MeshConfig
from istio_netpol.model.gateway_api import GatewayClass, KubernetesGateway, ListenerSet, ReferenceGrant
from istio_netpol.model.ingress import IngressClass
from istio_netpol.model.istio_networking import DestinationRule, Gateway, Sidecar, WorkloadEntry
from istio_netpol.model.istio_security import AuthorizationPolicy, Telemetry
from istio_netpol.model.labels import Selector
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import EndpointSlice, Service
from istio_netpol.state import reader
from istio_netpol.state.reads import (
    ADDRESSED,
    EXISTENCE,
    HELD,
    INDEXED,
    LABELLED,
    NAMESPACE,
    OBJECT,
    OBJECTS,
    PODS,
    Read,
)


@dataclass(frozen=True)
class Case:
    """A read that is forgotten, and the object of the cluster whose coming or going is missed for it, as
    `Kind namespace/name`."""

    name: str
    forgotten: Callable[[Read], bool]
    missed: str


def of(what: str, of: Any) -> Callable[[Read], bool]:
    """Reads of one sort."""
    return lambda read: read.what == what and read.of is of


CART = Selector.of({"app": "cart"})
SCRAPER = "Deployment monitoring/collector"

CASES = (
    Case("consent withdrawn", of(OBJECTS, AuthorizationPolicy), "AuthorizationPolicy shop/web-may"),
    Case(
        "a scraper",
        lambda read: read.what == PODS and read.namespace == "monitoring",
        "Deployment monitoring/collector",
    ),
    Case("an assumed gateway", lambda read: read.what == EXISTENCE, "Namespace edge-to-come"),
    Case("a WorkloadEntry", of(OBJECTS, WorkloadEntry), "WorkloadEntry client/partner-1"),
    Case("an east-west gateway", of(INDEXED, TLS_MODES), "Gateway istio-system/across"),
    Case("a Gateway for pods of others", of(INDEXED, GATEWAY_ADDRESSES), "Gateway edge/manual"),
    Case("a Gateway over pods that were there", of(INDEXED, GATEWAY_SELECTORS), "Gateway edge/own"),
    Case("an object by name", of(OBJECT, Gateway), "Gateway istio-system/public"),
    Case("a waypoint by name", of(OBJECT, KubernetesGateway), "Gateway edge/front"),
    Case("a class of gateways", of(OBJECT, GatewayClass), "GatewayClass corp"),
    Case("listeners that are added", of(OBJECT, ListenerSet), "ListenerSet shop/more"),
    Case("a class of Ingresses", of(OBJECT, IngressClass), "IngressClass istio"),
    Case("a Service by name", of(OBJECT, Service), "Service shop/cart"),
    Case(
        "pods behind a Service",
        lambda read: (read.what, read.subject) == (PODS, CART),
        "Deployment shop/cart",
    ),
    Case("endpoints", of(INDEXED, ENDPOINT_SLICES), "EndpointSlice client/keys-1"),
    Case("a Service that the API server calls", of(OBJECT, Service), "Service client/keys"),
    Case("the API server", of(OBJECTS, EndpointSlice), "EndpointSlice default/kubernetes"),
    Case("a host", of(INDEXED, SERVICE_ENTRY_HOSTS), "ServiceEntry client/partner"),
    Case("a route in the mesh", of(INDEXED, VIRTUAL_SERVICE_HOSTS), "VirtualService shop/cart"),
    Case("a waypoint that is chosen", of(INDEXED, SERVICE_LABELS), "Service shop/cart"),
    Case("a host that chooses one", of(INDEXED, SERVICE_ENTRY_LABELS), "ServiceEntry shop/outside"),
    Case("a namespace that chooses one", lambda read: read.what == LABELLED, "Namespace edge"),
    Case("a namespace's labels", lambda read: read.what == NAMESPACE, "Namespace guests"),
    Case("a subset", of(OBJECTS, DestinationRule), "DestinationRule shop/cart"),
    Case("a grant", of(OBJECTS, ReferenceGrant), "ReferenceGrant edge/shop-may"),
    Case(
        "pods of a patched proxy",
        lambda read: (read.what, read.namespace) == (PODS, "client"),
        "Deployment client/web",
    ),
    Case("a Sidecar", of(OBJECTS, Sidecar), "Sidecar client/default"),
    Case("spans", of(OBJECTS, Telemetry), "Telemetry shop/spans"),
    Case("mesh config", of(OBJECTS, MeshConfig), "ConfigMap istio-system/istio"),
    Case("a Service by its address", of(INDEXED, SERVICE_ADDRESSES), "Service dialling/vault"),
    Case("a Service by its node port", of(INDEXED, NODE_PORTS), "Service dialling/noded"),
    Case("a node", of(INDEXED, NODES), "Node worker"),
    Case("pods at an address", lambda read: read.what == ADDRESSED, "Pod dialling/alone"),
    Case("a Service by one of many addresses", of(HELD, SERVICE_ADDRESSES), "Service dialling/vault"),
    Case("a node by one of many addresses", of(HELD, NODES), "Node worker"),
    Case("pods at one of many addresses", of(HELD, PODS), "Pod dialling/alone"),
    Case("an injector", of(OBJECTS, InjectorConfig), "ConfigMap istio-system/istio-sidecar-injector"),
)


def come_and_go(named: str) -> None:
    """Follows the cluster while one object of it goes and comes back."""
    objects = {_name(value.ref): value for value in cluster("world")}
    current = Current(SCRAPING, objects.values())
    for change in (current.remove, current.put):
        change(objects[named])
        current.compare()


def _name(ref: ObjectRef) -> str:
    return f"{ref.kind} {ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind} {ref.name}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_forgotten_read_is_noticed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the read noted all is well; without it a change is missed."""
    come_and_go(case.missed)
    noting = reader.Reader._shared

    def forgetful(self: reader.Reader, noted: set[Read]) -> frozenset[Read]:
        return noting(self, {read for read in noted if not case.forgotten(read)})

    monkeypatch.setattr(reader.Reader, "_shared", forgetful)
    with pytest.raises(AssertionError):
        come_and_go(case.missed)
