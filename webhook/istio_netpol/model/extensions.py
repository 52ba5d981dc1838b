"""Extensions of the proxies themselves: EnvoyFilters and WasmPlugins, as far as they open connections."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.mesh import TargetRef
from istio_netpol.model.references import ObjectRef


class FilterPurpose(StrEnum):
    """What a patched proxy connects for."""

    AUTHORIZATION = "authorization"
    LOGS = "logs"
    OTHER = "other"


class FilterTarget(Struct, frozen=True):
    """Where a patch sends proxies: `host` and `port` of a cluster that Istio makes, or, where `is_address`,
    of an endpoint that the patch brings along. `context` is the patch's, `field` its place below the
    object."""

    host: str
    port: int
    subset: str
    purpose: FilterPurpose
    context: str
    field: str
    is_address: bool = False


class EnvoyFilter(Struct, frozen=True, eq=False):
    """`selector` is None for one that holds for its namespace, or from the root namespace for the mesh."""

    ref: ObjectRef
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    targets: tuple[FilterTarget, ...] = ()


class ModuleSource(Struct, frozen=True):
    """A host and port from which a Wasm module is fetched."""

    host: str
    port: int


class WasmPlugin(Struct, frozen=True, eq=False):
    """`sources` are empty where the module is a file of the proxy's image, or the URL can't be read.
    `is_open` says that requests pass while the module is missing."""

    ref: ObjectRef
    url: str
    selector: Mapping[str, str] | None = None
    target_refs: tuple[TargetRef, ...] = ()
    sources: tuple[ModuleSource, ...] = ()
    is_open: bool = False
