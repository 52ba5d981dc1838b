"""Decodes EnvoyFilters and WasmPlugins: the destinations to which proxies and their agents connect for
them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from istio_netpol.manifests.decode_istio_security import selector_in, target_refs_in
from istio_netpol.manifests.decode_selectors import labels_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.istio_networking import EnvoyFilter, FilterPurpose, FilterTarget
from istio_netpol.model.istio_security import ModuleSource, WasmPlugin
from istio_netpol.model.references import ObjectRef

_CLUSTER = re.compile(r"\boutbound\|([0-9]{1,5})\|([A-Za-z0-9.-]{0,63})\|([A-Za-z0-9_.-]{1,253})")
_SRV_CLUSTER = re.compile(r"\boutbound_\.([0-9]{1,5})_\.([A-Za-z0-9.-]{0,63})_\.([A-Za-z0-9_.-]{1,253})")
_ANY = "ANY"
_MARKS = {"ext_authz": FilterPurpose.AUTHORIZATION, "access_logger": FilterPurpose.LOGS}
_LONGEST_NAME = 199
"""How long a text may be to be the name of an extension."""

LONGEST_PATH = 200
"""How many characters of a path within a patch are told: its keys may be as long as the object."""

DOCKER_HUB = ("index.docker.io", "auth.docker.io")
"""Where images without a registry come from, and who lets them be pulled (go-containerregistry 0.21,
`pkg/name/registry.go`)."""

_PORTS = {"http": 80, "https": 443}


def decode_envoy_filter(fields: Fields, ref: ObjectRef) -> Iterator[EnvoyFilter]:
    """An EnvoyFilter: the clusters that its patches name, anywhere, in the code of a Lua filter too."""
    spec = fields.mapping("spec")
    selector = spec.optional("workloadSelector")
    targets = (target for patch in spec.mappings("configPatches") for target in _targets(patch))
    yield EnvoyFilter(
        ref,
        None if selector is None else labels_of(selector, "labels"),
        target_refs_in(spec),
        tuple(dict.fromkeys(targets)),
    )


def _targets(patch: Fields) -> Iterator[FilterTarget]:
    """The destinations of one patch."""
    change = patch.mapping("patch")
    value = change.content.get("value")
    if change.text("operation") == "REMOVE" or value is None:
        return
    context = patch.mapping("match").text("context", _ANY)
    parts = list(_parts(value, change.path))
    texts = [part for part in parts if isinstance(part.value, str)]
    purpose = _purpose(part.value for part in texts)
    for part in texts:
        for pattern in (_CLUSTER, _SRV_CLUSTER):
            for port, subset, host in pattern.findall(part.value):
                yield FilterTarget(host.rstrip(".").lower(), int(port), subset, purpose, context, part.path)
    if patch.text("applyTo") == "CLUSTER":
        for part, address, number in _endpoints(parts):
            yield FilterTarget(address, number, "", purpose, context, part.path, is_address=True)


def destinations_in(text: str) -> str:
    """The part of a text in a patch, perhaps code, that says where it leads and what for."""
    marks = [mark for mark in _MARKS if mark in text and len(text) <= _LONGEST_NAME]
    names = [found.group() for pattern in (_CLUSTER, _SRV_CLUSTER) for found in pattern.finditer(text)]
    return "\n".join([*marks, *names])


class _PatchPart(NamedTuple):
    """A value within a patch, and where it stands: below a path, by a key or an index."""

    above: str
    step: str | int
    value: Any

    @property
    def path(self) -> str:
        """Where the value stands, cut where that is longer than anybody reads."""
        step = f"[{self.step}]" if isinstance(self.step, int) else f".{self.step[:LONGEST_PATH]}"
        path = self.above + step
        return path if len(path) <= LONGEST_PATH else f"{path[: LONGEST_PATH - 1]}…"


def _parts(value: Any, path: str) -> Iterator[_PatchPart]:
    """A patch's value and every one within, in the order in which they are written.

    Paths are written for mappings and lists only, since paths lead through nothing else. Otherwise a long key
    above many values would be copied for each of them.
    """
    left = [_PatchPart(path, "value", value)]
    while left:
        part = left.pop()
        yield part
        if isinstance(part.value, dict):
            here = part.path
            left += [_PatchPart(here, name, inner) for name, inner in reversed(part.value.items())]
        elif isinstance(part.value, list):
            here, last = part.path, len(part.value) - 1
            left += [_PatchPart(here, last - back, inner) for back, inner in enumerate(reversed(part.value))]


def _purpose(texts: Iterator[str]) -> FilterPurpose:
    """The purpose of a patch, by the Envoy extensions that it names."""
    joined = "\n".join(text for text in texts if len(text) <= _LONGEST_NAME)
    return next((purpose for mark, purpose in _MARKS.items() if mark in joined), FilterPurpose.OTHER)


def _endpoints(parts: Iterable[_PatchPart]) -> Iterator[tuple[_PatchPart, str, int]]:
    """The endpoints that a cluster brings along: where each is written, an address and a port."""
    for part in parts:
        if part.step in ("socket_address", "socketAddress") and isinstance(part.value, dict):
            address = part.value.get("address")
            number = part.value.get("port_value", part.value.get("portValue"))
            if isinstance(address, str) and re.fullmatch(r"[0-9]{1,5}", str(number)):
                yield part, address, int(str(number))


def decode_wasm_plugin(fields: Fields, ref: ObjectRef) -> Iterator[WasmPlugin]:
    """A WasmPlugin: where the agents of its proxies fetch the module."""
    spec = fields.mapping("spec")
    url = spec.text("url")
    yield WasmPlugin(
        ref=ref,
        url=url,
        selector=selector_in(spec),
        target_refs=target_refs_in(spec),
        sources=tuple(_sources(url)),
        is_open=spec.integer_or_text("failStrategy") in ("FAIL_OPEN", 1),
    )


def _sources(url: str) -> Iterator[ModuleSource]:
    """The hosts of a module's URL, which is an image's where it has no scheme."""
    if not url:
        return
    scheme, separator, rest = url.partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("oci", url)
    if scheme == "oci":
        # As in go-containerregistry, only a first part with a dot or a port is a registry.
        first, slash, _ = rest.partition("/")
        registry = first if slash and ("." in first or ":" in first) else "docker.io"
        if registry in ("docker.io", DOCKER_HUB[0]):
            yield from (ModuleSource(host, 443) for host in DOCKER_HUB)
            return
        scheme, rest = "https", registry
    if scheme not in _PORTS:
        return
    try:
        parts = urlsplit(f"//{rest}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return
    if host:
        yield ModuleSource(host.rstrip("."), port or _PORTS[scheme])
