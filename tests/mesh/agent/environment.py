"""The environment of a container: literal values, references to fields, resources, ConfigMaps and Secrets."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.mesh.topology import KUBERNETES_SERVICE

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

RESOURCES = {"cpu": "1", "memory": "2147483648", "ephemeral-storage": "10737418240"}
"""What every container is told about its requests and limits. One CPU keeps each Envoy to one worker."""

REFERENCE = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")
KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")

Read = Callable[[str, str], Mapping[str, Any] | None]
"""Finds the ConfigMap or Secret of a kind and a name in the pod's namespace."""


class NotConfiguredError(Exception):
    """The container names an object or a key that is not there."""


def environment(
    pod: Mapping[str, Any], container: Mapping[str, Any], image: Mapping[str, str], read: Read
) -> dict[str, str]:
    """All variables of a container; later ones may use earlier ones. Raises NotConfiguredError."""
    known = {
        "PATH": PATH,
        "HOME": "/",
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": KUBERNETES_SERVICE,
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_SERVICE_PORT_HTTPS": "443",
        "KUBERNETES_PORT": f"tcp://{KUBERNETES_SERVICE}:443",
        **image,
    }
    for source in container.get("envFrom", ()):
        known.update(_all_of(source, read))
    for variable in container.get("env", ()):
        value = _value(pod, variable, known, read)
        if value is not None:
            known[variable["name"]] = value
    return known


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replaces `$(NAME)` by its value where there is one; `$$` stands for a dollar sign."""

    def replacement(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else known.get(found[1], found[0])

    return REFERENCE.sub(replacement, text)


def field(pod: Mapping[str, Any], path: str) -> str:
    """A field of the pod as the downward API names it. Raises NotConfiguredError for an unknown one."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod["status"]
    if keyed := KEYED.fullmatch(path):
        return str(metadata.get(keyed[1], {}).get(keyed[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = metadata.get(path.partition(".")[2], {})
        return "\n".join(f'{key}="{_quoted(value)}"' for key, value in sorted(entries.items()))
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec["nodeName"],
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.podIP": status.get("podIP", ""),
        "status.podIPs": ",".join(entry["ip"] for entry in status.get("podIPs", ())),
        "status.hostIP": status.get("hostIP", ""),
        "status.hostIPs": status.get("hostIP", ""),
    }
    if path not in fields:
        raise NotConfiguredError(f"the downward API has no field {path}")
    return str(fields[path])


def data(kind: str, item: Mapping[str, Any]) -> dict[str, bytes]:
    """The entries of a ConfigMap or a Secret."""
    if kind == "secrets":
        return {key: base64.b64decode(value) for key, value in (item.get("data") or {}).items()}
    text = {key: value.encode() for key, value in (item.get("data") or {}).items()}
    return text | {key: base64.b64decode(value) for key, value in (item.get("binaryData") or {}).items()}


def resource(reference: Mapping[str, Any]) -> str:
    """What a container is told about its resources."""
    return RESOURCES[reference["resource"].rpartition(".")[2]]


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _all_of(source: Mapping[str, Any], read: Read) -> dict[str, str]:
    kind, reference = _reference(source, {"configMapRef": "configmaps", "secretRef": "secrets"})
    entries = _entries(kind, reference, read)
    return {source.get("prefix", "") + key: value.decode() for key, value in entries.items()}


def _value(
    pod: Mapping[str, Any], variable: Mapping[str, Any], known: Mapping[str, str], read: Read
) -> str | None:
    source = variable.get("valueFrom")
    if source is None:
        return expand(variable.get("value", ""), known)
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource(source["resourceFieldRef"])
    kind, reference = _reference(source, {"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"})
    value = _entries(kind, reference, read).get(reference["key"])
    if value is None:
        if reference.get("optional"):
            return None
        raise NotConfiguredError(f"couldn't find key {reference['key']} in {kind} {reference['name']}")
    return value.decode()


def _reference(source: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[str, Mapping[str, Any]]:
    for name, kind in kinds.items():
        if name in source:
            return kind, source[name]
    raise NotConfiguredError(f"the node agent does not know this source of a variable: {', '.join(source)}")


def _entries(kind: str, reference: Mapping[str, Any], read: Read) -> dict[str, bytes]:
    item = read(kind, reference["name"])
    if item is None:
        if reference.get("optional"):
            return {}
        raise NotConfiguredError(f'{kind.removesuffix("s")} "{reference["name"]}" not found')
    return data(kind, item)
