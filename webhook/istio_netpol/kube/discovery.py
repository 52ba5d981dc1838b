"""Which of the kinds that rules read an API server serves, and where."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.resources import Resource
from istio_netpol.model.references import GroupKind

AGGREGATED = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
"""One answer for all groups (Kubernetes 1.27 and later)."""


class _ResponseKind(msgspec.Struct, frozen=True):
    kind: str = ""


class _DiscoveredResource(msgspec.Struct, frozen=True, rename="camel"):
    resource: str
    scope: str = ""
    verbs: list[str] = []
    response_kind: _ResponseKind | None = None


class _Version(msgspec.Struct, frozen=True):
    version: str
    resources: list[_DiscoveredResource] = []


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""


class _Group(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()
    versions: list[_Version] = []


class _DiscoveredGroups(msgspec.Struct, frozen=True):
    kind: str = ""
    items: list[_Group] = []


_DECODER = msgspec.json.Decoder(_DiscoveredGroups)


def served(connection: ApiConnection, wanted: Collection[GroupKind]) -> tuple[Resource, ...]:
    """The wanted kinds that can be watched, each at the first version that has it. Raises ApiError.

    A kind that is absent, because its CRD is not installed, is left out.
    """
    found: dict[GroupKind, Resource] = {}
    for path in ("/api", "/apis"):
        groups = _DECODER.decode(connection.get(path, accept=AGGREGATED))
        if groups.kind != "APIGroupDiscoveryList":
            raise ApiError(
                0, "the API server has no aggregated discovery; Kubernetes 1.27 or later is needed"
            )
        for resource in _resources(groups):
            found.setdefault((resource.group, resource.kind), resource)
    return tuple(found[group_kind] for group_kind in sorted(wanted) if group_kind in found)


def _resources(groups: _DiscoveredGroups) -> Iterator[Resource]:
    for group in groups.items:
        for version in group.versions:
            for resource in version.resources:
                if resource.response_kind is not None and {"list", "watch"} <= set(resource.verbs):
                    yield Resource(
                        group.metadata.name,
                        version.version,
                        resource.response_kind.kind,
                        resource.resource,
                        resource.scope == "Namespaced",
                    )
