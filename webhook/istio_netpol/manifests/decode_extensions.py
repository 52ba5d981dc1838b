"""Decodes EnvoyFilters and WasmPlugins: where they have proxies and their agents connect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from istio_netpol.manifests.decode_security import selector_in, target_refs_in
from istio_netpol.manifests.decode_selectors import labels_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.extensions import EnvoyFilter, FilterPurpose, FilterTarget, ModuleSource, WasmPlugin
from istio_netpol.model.references import ObjectRef

_CLUSTER = re.compile(r"\boutbound\|([0-9]{1,5})\|([A-Za-z0-9.-]{0,63})\|([A-Za-z0-9_.-]{1,253})")
_SRV_CLUSTER = re.compile(r"\boutbound_\.([0-9]{1,5})_\.([A-Za-z0-9.-]{0,63})_\.([A-Za-z0-9_.-]{1,253})")
_ANY = "ANY"

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
    """Where one patch leads."""
    change = patch.mapping("patch")
    value = change.content.get("value")
    if change.text("operation") == "REMOVE" or value is None:
        return
    context = patch.mapping("match").text("context", _ANY)
    found = list(_strings(value, change.at("value")))
    purpose = _purpose(text for _, text in found)
    for path, text in found:
        for pattern in (_CLUSTER, _SRV_CLUSTER):
            for port, subset, host in pattern.findall(text):
                yield FilterTarget(host.rstrip(".").lower(), int(port), subset, purpose, context, path)
    if patch.text("applyTo") == "CLUSTER":
        for path, address, number in _endpoints(value, change.at("value")):
            yield FilterTarget(address, number, "", purpose, context, path, is_address=True)


def _strings(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text within a value, and its path."""
    if isinstance(value, str):
        yield path, value
    for part, inner in _parts(value, path):
        yield from _strings(inner, part)


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{path}.{name}", inner) for name, inner in value.items())
    elif isinstance(value, list):
        yield from ((f"{path}[{index}]", inner) for index, inner in enumerate(value))


def _purpose(texts: Iterator[str]) -> FilterPurpose:
    """What a patch is for, by the Envoy extensions that it names."""
    joined = "\n".join(text for text in texts if len(text) < 200)
    if "ext_authz" in joined:
        return FilterPurpose.AUTHORIZATION
    return FilterPurpose.LOGS if "access_logger" in joined else FilterPurpose.OTHER


def _endpoints(value: Any, path: str) -> Iterator[tuple[str, str, int]]:
    """The endpoints that a cluster brings along: a path, an address and a port each."""
    for part, inner in _parts(value, path):
        is_address = part.endswith((".socket_address", ".socketAddress")) and isinstance(inner, dict)
        if is_address:
            address, number = inner.get("address"), inner.get("port_value", inner.get("portValue"))
            if isinstance(address, str) and re.fullmatch(r"[0-9]{1,5}", str(number)):
                yield part, address, int(str(number))
        yield from _endpoints(inner, part)


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
        # As go-containerregistry has it: only a first part with a dot or a port is a registry.
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
