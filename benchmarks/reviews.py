"""AdmissionReviews as an API server would send them, against the synthetic cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from benchmarks.synthetic import DEPLOYMENT, VIRTUAL_SERVICE


def reviews(count: int, namespaces: int) -> Iterator[bytes]:
    """New Deployments and VirtualServices in turn, spread over the namespaces."""
    for number in range(count):
        ns = f"app-{number * 7 % namespaces:04}"
        if number % 2:
            text, kind, plural = (
                VIRTUAL_SERVICE.format(ns=ns, name="svc-1"),
                "VirtualService",
                "virtualservices",
            )
            group, version = "networking.istio.io", "v1"
        else:
            text, kind, plural = (
                DEPLOYMENT.format(ns=ns, name=f"new-{number}", tier="back"),
                "Deployment",
                "deployments",
            )
            group, version = "apps", "v1"
        yield _review(str(number), yaml.load(text, yaml.CSafeLoader), group, version, kind, plural)


def _review(uid: str, content: dict[str, object], group: str, version: str, kind: str, plural: str) -> bytes:
    metadata = content["metadata"]
    assert isinstance(metadata, dict)
    request = {
        "uid": uid,
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": plural},
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "operation": "CREATE",
        "userInfo": {"username": "developer", "groups": ["system:authenticated"]},
        "object": content,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(review).encode()
