"""Finds objects that are meant as NetworkPolicies, but that no API server takes as such."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from istio_netpol.errors import Problem
from istio_netpol.manifests.decode import reference_of
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.removed_apis import removal_of

VERSION, KIND = "networking.k8s.io/v1", "NetworkPolicy"
GROUP = "networking.k8s.io"

ALIKE = 0.85
"""From this share of common letters on, a kind is taken for a misspelt one; `IngressClass` has 0.32."""


def misspelt_policy(raw: RawObject, *, is_known: bool) -> Iterator[Problem]:
    """A problem where a kind is nearly NetworkPolicy, or a NetworkPolicy has a version that there never was.

    Kinds that are `is_known` are spelt as they should be. Vendors have kinds of that name in groups of their
    own, with a domain (`crd.projectcalico.org`); versions that were served once are another matter
    (`removed_apis`).
    """
    version, kind = str(raw.content.get("apiVersion")), str(raw.content.get("kind"))
    if is_known and kind != KIND:
        return
    group, _, _ = version.rpartition("/")
    if "." in group and group != GROUP:
        return
    if kind == KIND:
        if version != VERSION and removal_of(raw) is None:
            yield _problem(raw, "apiVersion", version, VERSION)
    elif SequenceMatcher(None, kind.lower(), KIND.lower()).ratio() >= ALIKE:
        yield _problem(raw, "kind", kind, KIND)


def _problem(raw: RawObject, field: str, value: str, meant: str) -> Problem:
    return Problem(
        raw.file,
        raw.line or None,
        str(reference_of(raw, "")).strip(),
        field,
        f'"{value}"',
        "is not served by any Kubernetes, so that the policy would not be there",
        f"write {meant}",
    )
