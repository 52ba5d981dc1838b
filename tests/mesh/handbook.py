"""The objects of the handbook's scenarios, as `tests/scenarios` has them, for a mesh that runs.

What differs is what the mesh gives other names: the namespaces, and who issues tokens. The images `nginx` and
`go-httpbin` are the mesh's own echo, on the ports that the originals listen on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.mesh import outside

FOLDER = Path(__file__).parents[1] / "scenarios"
ORDER = ("Namespace", "NetworkPolicy", "ServiceAccount", "Service")
"""Whoever types the handbook has the namespace first, then its deny-all, and all else afterwards."""

ISSUER = "testing@secure.istio.io"
KEYS = "https://raw.githubusercontent.com/istio/istio/release-1.28/security/tools/jwt/samples/jwks.json"

TOKENS_OF = f"https://{outside.IDENTITY}"
"""Who issues tokens here."""
PRINCIPAL = "tester"
"""Whose token may come in; in the handbook it is the issuer's own."""

DOMAIN = "my-cluster-domain.com"
"""What the Gateway `kyma-system/kyma-gateway` of the handbook takes requests for."""

HERE = {KEYS: outside.KEYS, f"{ISSUER}/{ISSUER}": f"{TOKENS_OF}/{PRINCIPAL}", ISSUER: TOKENS_OF}


def objects(path: str, names: Mapping[str, str], mode: str) -> list[dict[str, Any]]:
    """Those of a file, or of all files in a folder of `tests/scenarios`, in the order in which one types
    them; `names` has other names for the handbook's, and `mode` is what their namespaces ask for."""
    place = FOLDER / path
    files = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
    text = "\n---\n".join(file.read_text() for file in files)
    for handbook, here in {**HERE, **names}.items():
        text = text.replace(handbook, here)
    found = [found for found in yaml.load_all(text, yaml.CSafeLoader) if found]
    for namespace in found:
        if namespace["kind"] == "Namespace":
            namespace["metadata"]["labels"]["istio-netpol.io/mode"] = mode
    return sorted(found, key=_rank)


def _rank(found: Mapping[str, Any]) -> int:
    kind = found["kind"]
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
