"""Makes a dump of a cluster: the objects without secrets, and what the dump says of itself.

An object keeps what decoders read of it, and nothing else that may be a secret: no variables of containers,
arguments, headers or keys. A law of the tests holds that decoding it gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import yaml

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode_extensions import destinations_in
from istio_netpol.manifests.decode_workloads import is_kept
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.trimming import POD_SPECS, trim
from istio_netpol.model.assumptions import NotSeen
from istio_netpol.model.json_values import JsonObject

API_VERSION, KIND = "istio-netpol.io/v1", "ClusterDump"

HEADER = "apiVersion: v1\nkind: List\nitems:\n"
"""What a dump begins with; its items follow, as `item_text` writes them."""

_OF_ONE_WRITE = ("resourceVersion", "generation", "selfLink")
_HEADERS = frozenset({"headers", "withoutHeaders", "queryParams", "corsPolicy", "fault", "directResponse"})
_OF_MODULES = frozenset({"pluginConfig", "vmConfig", "imagePullSecret", "verificationKey"})
_OF_ADDRESSES = ("address", "port_value", "portValue")
_LOCAL_ADDRESS = "localip"


def dumped(content: JsonObject) -> JsonObject:
    """The object without the fields that nobody reads; changes it in place."""
    trim(content)
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        for field in _OF_ONE_WRITE:
            metadata.pop(field, None)
    for path in POD_SPECS:
        above = _at(content, path.split(" ")[:-1])
        spec = above.get("spec")
        if isinstance(spec, dict) and isinstance(spec.get("containers"), list):
            for owner in (content, above):
                _reduce_annotations(owner)
            _reduce_pod(spec)
    if isinstance(content.get("spec"), dict):
        for kind, reduce in _REDUCED.items():
            if content.get("kind") == kind:
                reduce(content["spec"])
    return content


def item_text(content: Mapping[str, Any]) -> str:
    """An item of the dump's List."""
    text: str = yaml.dump([content], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text


def note_of(unseen: Iterable[NotSeen]) -> JsonObject:
    """The item that says what the dump does not have."""
    entries = [{"resource": kind.resource, "seenIn": list(kind.seen_in)} for kind in sorted(unseen)]
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "cluster"}, "notSeen": entries}


def is_note(raw: RawObject) -> bool:
    """Whether an object is what a dump says of itself."""
    return (raw.content.get("apiVersion"), raw.content.get("kind")) == (API_VERSION, KIND)


def unseen_of(raw: RawObject) -> tuple[list[NotSeen], list[Problem]]:
    """What a dump says that it does not have, and problems with how it says so."""
    entries = raw.content.get("notSeen", [])
    found = [_entry(entry) for entry in entries] if isinstance(entries, list) else [None]
    if None in found:
        cause, remedy = "is not what istio-netpol dump writes", "make the dump again"
        return [], [Problem(raw.file, raw.line or None, KIND, "notSeen", None, cause, remedy)]
    return [kind for kind in found if kind], []


def _entry(entry: object) -> NotSeen | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("resource"), str):
        return None
    places = entry.get("seenIn", [])
    if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
        return None
    return NotSeen(entry["resource"], tuple(places))


def _at(content: JsonObject, path: Iterable[str]) -> JsonObject:
    found: Any = content
    for field in path:
        found = found.get(field) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _reduce_annotations(owner: JsonObject) -> None:
    metadata = owner.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
        annotations = metadata["annotations"]
        metadata["annotations"] = {name: value for name, value in annotations.items() if is_kept(str(name))}


def _reduce_pod(spec: JsonObject) -> None:
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            if isinstance(container, dict):
                _reduce_container(container)


def _reduce_container(container: JsonObject) -> None:
    if isinstance(container.get("args"), list):
        container["args"] = list(_local_addresses(container["args"]))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        handlers = container.get(probe)
        if isinstance(handlers, dict):
            handlers.pop("exec", None)
            if isinstance(handlers.get("httpGet"), dict):
                handlers["httpGet"].pop("httpHeaders", None)


def _local_addresses(arguments: Iterable[object]) -> Iterator[object]:
    """Keeps of a container's arguments only the one that says where node-local-dns answers."""
    is_value = False
    for argument in arguments:
        name, has_value, _ = str(argument).partition("=")
        is_wanted = name.lstrip("-") == _LOCAL_ADDRESS
        if is_wanted or is_value:
            yield argument
        is_value = is_wanted and not has_value


def _without(fields: frozenset[str]) -> Callable[[Any], None]:
    def reduce(value: Any) -> None:
        if isinstance(value, dict):
            for field in fields & value.keys():
                del value[field]
            for inner in value.values():
                reduce(inner)
        elif isinstance(value, list):
            for inner in value:
                reduce(inner)

    return reduce


def _reduce_filters(spec: JsonObject) -> None:
    """Keeps of the patches of an EnvoyFilter, code among them, only what names a destination."""
    for patch in spec.get("configPatches") or ():
        change = patch.get("patch") if isinstance(patch, dict) else None
        if isinstance(change, dict) and "value" in change:
            change["value"] = _destinations(change["value"])


def _destinations(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: inner if name in _OF_ADDRESSES else _destinations(inner) for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_destinations(inner) for inner in value]
    return destinations_in(value) if isinstance(value, str) else value


def _reduce_conditions(spec: JsonObject) -> None:
    """Keeps of conditions on headers and claims of requests only what they are on."""
    for rule in spec.get("rules") or ():
        for condition in (rule.get("when") or ()) if isinstance(rule, dict) else ():
            if isinstance(condition, dict) and str(condition.get("key")).startswith("request."):
                condition.pop("values", None)
                condition.pop("notValues", None)


_ROUTES = ("VirtualService", "HTTPRoute", "GRPCRoute")
_MODIFIERS = frozenset({"requestHeaderModifier", "responseHeaderModifier"})
_REDUCED: Mapping[str, Callable[[Any], None]] = {
    **dict.fromkeys(_ROUTES, _without(_HEADERS | _MODIFIERS)),
    "WasmPlugin": _without(_OF_MODULES),
    "EnvoyFilter": _reduce_filters,
    "AuthorizationPolicy": _reduce_conditions,
    "Telemetry": _without(frozenset({"customTags"})),
}
"""What else is left out of a kind's `spec`."""


class _Dumper(yaml.CSafeDumper):
    """Writes every value where it stands: `*id001` is for machines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
