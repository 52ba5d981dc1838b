"""Addresses for Services of type LoadBalancer, which a cluster gets from its cloud."""

from __future__ import annotations

from ipaddress import IPv4Address

from tests.mesh.node_api import Api, Manifest
from tests.mesh.topology import LOAD_BALANCERS


def give_load_balancers(api: Api) -> None:
    """Gives each Service of type LoadBalancer an address from outside the cluster, forever."""
    given: dict[str, str] = {}
    for change in api.follow("/api/v1/services"):
        services = change if isinstance(change, list) else [change[1]]
        for service in services:
            if service["spec"].get("type") == "LoadBalancer":
                _give(api, service, given)


def _give(api: Api, service: Manifest, given: dict[str, str]) -> None:
    """Writes the address to the Service, unless it has one or is gone."""
    metadata = service["metadata"]
    if service.get("status", {}).get("loadBalancer", {}).get("ingress") or "deletionTimestamp" in metadata:
        return
    address = given.setdefault(metadata["uid"], str(IPv4Address(LOAD_BALANCERS) + len(given)))
    ingress = [{"ip": address, "ipMode": "VIP"}]
    path = f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}/status"
    api.patch(path, {"status": {"loadBalancer": {"ingress": ingress}}})
    print(f"Service {metadata['namespace']}/{metadata['name']} has the address {address}", flush=True)
