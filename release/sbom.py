"""The software bill of materials: what `requirements.lock` pins, as CycloneDX 1.6 in JSON."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

OURS = "istio-netpol"
_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s\\]+)(?P<rest>(?:.*\n(?:[ #].*\n?)*))", re.MULTILINE
)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^    #(?: via|  ) +(\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pin:
    """A package of the lock, the hashes of its files, and which packages ask for it."""

    name: str
    version: str
    sha256: tuple[str, ...]
    needed_by: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def pins(lock: str) -> Iterator[Pin]:
    """The packages of a lock that pip-compile wrote, in its order."""
    for found in _PIN.finditer(lock):
        via = (re.split(r" \(", name)[0] for name in _VIA.findall(found["rest"]))
        hashes = tuple(sorted(_HASH.findall(found["rest"])))
        yield Pin(found["name"].lower().replace("_", "-"), found["version"], hashes, tuple(via))


def bill_of_materials(lock: str, version: str, epoch: int) -> dict[str, Any]:
    """The document, the same for the same lock, version and time."""
    components = list(pins(lock))
    own = f"pkg:pypi/{OURS}@{version}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{own} {epoch} {lock}')}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": OURS,
                "version": version,
                "purl": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [_component(pin) for pin in components],
        "dependencies": _dependencies(components, own),
    }


def _component(pin: Pin) -> dict[str, Any]:
    """A package. Its hashes are those of the files that pip accepts, of which it takes one."""
    hashes = [{"alg": "SHA-256", "content": digest} for digest in pin.sha256]
    return {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "hashes": hashes,
    }


def _dependencies(components: list[Pin], own: str) -> list[Mapping[str, Any]]:
    by_name = {pin.name: pin.purl for pin in components}
    needs: dict[str, set[str]] = defaultdict(set)
    for pin in components:
        for name in pin.needed_by:
            needs[own if name == OURS else by_name[name.lower()]].add(pin.purl)
    return [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in [own, *sorted(by_name.values())]]
