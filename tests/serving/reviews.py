"""AdmissionReviews as an API server sends them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Manifest = Mapping[str, Any]


def review(
    new: Manifest | None,
    old: Manifest | None = None,
    *,
    uid: str = "705ab4f5-6393-11e8-b7cc-42010a800002",
    dry_run: bool = False,
    user: str = "developer",
    **changes: Any,
) -> bytes:
    """A review of a manifest: CREATE without `old`, DELETE without `new`, else UPDATE."""
    subject = new or old
    assert subject is not None
    operation = "CREATE" if old is None else "DELETE" if new is None else "UPDATE"
    group, _, version = subject["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": subject["kind"]}
    plural = {"NetworkPolicy": "networkpolicies"}.get(subject["kind"], f"{subject['kind'].lower()}s")
    metadata = subject["metadata"]
    home = metadata["name"] if subject["kind"] == "Namespace" else metadata.get("namespace", "default")
    request = {
        "uid": uid,
        "kind": kind,
        "resource": {"group": group, "version": version, "resource": plural},
        "requestKind": kind,
        "name": metadata["name"],
        "namespace": home,
        "operation": operation,
        "userInfo": {"username": user, "groups": ["system:authenticated"]},
        "object": new,
        "oldObject": old,
        "dryRun": dry_run,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": f"{operation.capitalize()}Options"},
        **changes,
    }
    return envelope(request)


def envelope(request: Mapping[str, Any] | None, **changes: Any) -> bytes:
    """An AdmissionReview around a request."""
    whole = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request, **changes}
    return json.dumps(whole).encode()
