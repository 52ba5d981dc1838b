"""What an enforcement has to know: pods, namespaces and policies, as the project decodes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.workloads import Namespace, Workload

Key = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The objects of one moment. `pods` have the addresses of which none is a node's."""

    pods: Mapping[IPv4Address, Workload]
    namespaces: tuple[Namespace, ...]
    policies: tuple[NetworkPolicy, ...]


class Objects:
    """Follows a cluster object by object. A value stays the same one until something of it changes that a
    policy can see, so that whoever works on values works on what has changed alone."""

    def __init__(self) -> None:
        self._values: dict[Key, Any] = {}

    def store(self, manifest: Mapping[str, Any]) -> bool:
        """Takes an object in; whether that changes anything. Raises ValueError for what can't be decoded,
        since an API server has accepted it."""
        key, value = key_of(manifest), decoded(manifest)
        known = self._values.get(key)
        if _same(known, value):
            return False
        if value is None:
            del self._values[key]
        else:
            self._values[key] = value
        return True

    def forget(self, key: Key) -> bool:
        """Takes an object out; whether it was there."""
        return self._values.pop(key, None) is not None

    def keys(self, kind: str) -> set[Key]:
        return {key for key in self._values if key[0] == kind}

    def cluster(self) -> Cluster:
        pods = {
            address: pod
            for pod in self._of(Workload)
            if not pod.host_network
            for address in pod.addresses
            if isinstance(address, IPv4Address)
        }
        return Cluster(pods, tuple(self._of(Namespace)), tuple(self._of(NetworkPolicy)))

    def _of(self, of_type: type) -> Iterator[Any]:
        return (value for _, value in sorted(self._values.items()) if isinstance(value, of_type))


def cluster_of(manifests: Iterable[Mapping[str, Any]]) -> Cluster:
    """The cluster of objects that are all there."""
    objects = Objects()
    for manifest in manifests:
        objects.store(manifest)
    return objects.cluster()


def key_of(manifest: Mapping[str, Any]) -> Key:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def decoded(manifest: Mapping[str, Any]) -> Any:
    """The value of an object; None for a pod that has come to its end, and has no address any more."""
    values, problems = decode(RawObject(dict(manifest), "the API server", 0))
    if problems:
        raise ValueError("\n".join(map(str, problems)))
    value = values[0] if values else None
    if value is None or isinstance(value, (Workload, Namespace, NetworkPolicy)):
        return value
    raise ValueError(f"{'/'.join(key_of(manifest))} was decoded as {value!r}")


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and _visible(one) == _visible(other)


def _visible(value: Any) -> Any:
    """All of a value that a policy can see of it, and all that a policy says."""
    if isinstance(value, Workload):
        return value.ref.namespace, value.labels, value.ports, value.host_network, value.addresses
    if isinstance(value, NetworkPolicy):
        return value.pod_selector, value.policy_types, value.ingress, value.egress
    return None if value is None else value.labels
