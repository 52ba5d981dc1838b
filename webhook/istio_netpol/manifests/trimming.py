"""Leaves out the fields of an object that no rule reads, so that reading a dump of a cluster keeps only what
matters.

The table goes by path alone, because a manifest may name its kind last. A path is written with spaces
(annotation names contain dots and slashes); lists are passed through: `spec containers env` is the env of
each container.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from istio_netpol.model.own_names import PROVISIONAL_AT, UNNEEDED_SINCE

POD_SPECS = ("spec", "spec template spec", "spec jobTemplate spec template spec", "template spec")
_CONTAINER_PATHS = tuple(
    f"{spec} {group}"
    for spec in POD_SPECS
    for group in ("initContainers", "containers", "ephemeralContainers")
)
_CONTAINER_FIELDS = (
    "envFrom", "volumeMounts", "volumeDevices", "resources", "lifecycle", "command", "image",
    "imagePullPolicy", "securityContext", "terminationMessagePath", "terminationMessagePolicy",
)  # fmt: skip

SKIPPED = (
    "metadata managedFields",
    "metadata annotations kubectl.kubernetes.io/last-applied-configuration",
    f"metadata annotations {PROVISIONAL_AT}",
    f"metadata annotations {UNNEEDED_SINCE}",
    "stringData",
    "binaryData",
    # Certificates, schemas, and the rules by which webhooks are asked.
    "webhooks clientConfig caBundle",
    "webhooks rules",
    "webhooks matchConditions",
    "spec caBundle",
    "spec conversion webhook clientConfig caBundle",
    "spec conversion webhookClientConfig caBundle",
    "spec validation",
    "spec versions",
    *(f"{spec} volumes" for spec in POD_SPECS),
    *(f"{path} {field}" for path in _CONTAINER_PATHS for field in _CONTAINER_FIELDS),
)

# Of these mappings only the fields named are kept: mesh and injector settings, and addresses.
KEPT = {
    "data": frozenset({"mesh", "meshNetworks", "config", "values"}),
    "status": frozenset({"podIP", "podIPs", "hostIP", "phase", "loadBalancer", "addresses"}),
}

# Of these lists only the items whose name begins so are kept: istiod's own switches change who fetches JWKS,
# and containers are told what to dial for the API server.
KEPT_NAMES = {f"{path} env": ("PILOT_", "KUBERNETES_") for path in _CONTAINER_PATHS}


class Shape(NamedTuple):
    """The fields to leave out below one path. `kept` is None where every field counts that is not skipped."""

    skipped: set[str]
    kept: frozenset[str] | None
    name_prefixes: tuple[str, ...]
    fields: dict[str, Shape]


def _grow(root: Shape, path: list[str]) -> Shape:
    """The shape at `path` below `root`, made where it is missing."""
    shape = root
    for depth, field in enumerate(path, start=1):
        here = " ".join(path[:depth])
        shape = shape.fields.setdefault(field, Shape(set(), KEPT.get(here), KEPT_NAMES.get(here, ()), {}))
    return shape


def _object_shape() -> Shape:
    root = Shape(set(), None, (), {})
    for path in (*KEPT, *KEPT_NAMES):
        _grow(root, path.split(" "))
    for path in SKIPPED:
        *parents, field = path.split(" ")
        _grow(root, parents).skipped.add(field)
    return root


OBJECT = _object_shape()


def keep_named(items: list[Any], prefixes: tuple[str, ...]) -> list[Any]:
    """The items whose `name` begins with one of these, and those without a name, for a decoder to judge."""
    return [
        item
        for item in items
        if not (isinstance(item, dict) and isinstance(item.get("name"), str))
        or item["name"].startswith(prefixes)
    ]


def trim(value: Any, shape: Shape = OBJECT) -> Any:
    """`value` without what `shape` leaves out; changes mappings in place."""
    if isinstance(value, list):
        trimmed = [trim(item, shape) for item in value]
        return keep_named(trimmed, shape.name_prefixes) if shape.name_prefixes else trimmed
    if isinstance(value, dict):
        for field in list(value):
            if field in shape.skipped or (shape.kept is not None and field not in shape.kept):
                del value[field]
            elif field in shape.fields:
                value[field] = trim(value[field], shape.fields[field])
    return value
