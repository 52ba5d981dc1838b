"""AdmissionReviews as an API server would send them, against the synthetic cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from benchmarks import synthetic as text
from istio_netpol.model.own_names import CALLS

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of request: from the number of a namespace to what is there before and after."""

    name: str
    change: Callable[[int], tuple[Manifest | None, Manifest | None]]
    weight: int = 1
    """How often it comes in the mix."""

    def review(self, number: int, namespaces: int) -> bytes:
        """The request number so and so of this kind; consecutive ones are far apart."""
        old, new = self.change(number * 7 % namespaces)
        return _review(f"{self.name}-{number}", old, new)


def _read(template: str, **values: object) -> Manifest:
    found = yaml.load(template.format(**values), yaml.CSafeLoader)
    assert isinstance(found, dict)
    return found


def _policy(index: int, name: str, spec: str) -> Manifest:
    return _read(text.POLICY_HEAD, ns=_ns(index), policy=name) | yaml.load(spec, yaml.CSafeLoader)


def _ns(index: int) -> str:
    return f"app-{index:04}"


def _deployment(index: int, name: str = "svc-9", **annotations: str) -> Manifest:
    found = _read(text.DEPLOYMENT, ns=_ns(index), name=name, tier="back")
    found["spec"]["template"]["metadata"]["annotations"] = dict(annotations)
    return found


def _scaled(index: int) -> Manifest:
    found = _deployment(index, "svc-1")
    found["spec"]["replicas"] = 9
    return found


def _relabelled(index: int) -> Manifest:
    found = _deployment(index, "svc-1")
    found["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    return found


def _pod(index: int) -> Manifest:
    values = {"name": "svc-1", "tier": "back", "hash": "0123456789", "pod": "new", "node": 1}
    found = _read(text.POD, ns=_ns(index), ip="10.200.0.1", **values)
    del found["status"], found["spec"]["nodeName"]
    return found


def _service(index: int, port: int) -> Manifest:
    found = _read(text.SERVICE, ns=_ns(index), name="svc-0")
    found["spec"]["ports"][0]["targetPort"] = port
    return found


def _namespace(index: int, team: int) -> Manifest:
    found = _read(text.NAMESPACE, ns=_ns(index), team=team)
    found["metadata"]["labels"]["kubernetes.io/metadata.name"] = _ns(index)
    return found


def _virtual_service(index: int) -> Manifest:
    return _read(text.VIRTUAL_SERVICE, ns=_ns(index), name="svc-1")


def _request_authentication(index: int) -> Manifest:
    return _read(text.REQUEST_AUTHENTICATION, ns=_ns(index), name="svc-1", number=index)


def _allow_istiod(index: int) -> Manifest:
    return _policy(index, "allow-istiod", text.ALLOW_ISTIOD.format(port=text.istiod_port(index)))


KINDS = (
    Kind("Deployment create", lambda at: (None, _deployment(at)), weight=4),
    Kind("Deployment create, calls", lambda at: (None, _deployment(at, **{CALLS: "svc-1:80"}))),
    Kind("Deployment scaled", lambda at: (_deployment(at, "svc-1"), _scaled(at)), weight=12),
    Kind("Deployment relabelled", lambda at: (_deployment(at, "svc-1"), _relabelled(at))),
    Kind("Pod create", lambda at: (None, _pod(at)), weight=16),
    Kind("VirtualService create", lambda at: (None, _virtual_service(at))),
    Kind("RequestAuthentication create", lambda at: (None, _request_authentication(at))),
    Kind("NetworkPolicy deny-all create", lambda at: (None, _policy(at, "stricter", text.DENY_ALL))),
    Kind("NetworkPolicy allow create", lambda at: (None, _policy(at, "again", text.ALLOW_DNS))),
    Kind("NetworkPolicy allow delete", lambda at: (_allow_istiod(at), None)),
    Kind("Service port change", lambda at: (_service(at, 8080), _service(at, 9090))),
    Kind("Namespace label change", lambda at: (_namespace(at, at % 50), _namespace(at, 51))),
)


def mix(namespaces: int) -> Iterator[bytes]:
    """Requests without end, each kind as often as its weight says."""
    turn = [kind for kind in KINDS for _ in range(kind.weight)]
    number = 0
    while True:
        for kind in turn:
            yield kind.review(number, namespaces)
            number += 1


def create(manifest: Manifest) -> bytes:
    """The request that stores a new object."""
    return _review("create", None, manifest)


def _review(uid: str, old: Manifest | None, new: Manifest | None) -> bytes:
    shown = new or old
    assert shown is not None
    kind, metadata = shown["kind"], shown["metadata"]
    group, _, version = str(shown["apiVersion"]).rpartition("/")
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") and kind != "Gateway" else f"{kind.lower()}s"
    request = {
        "uid": uid,
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": plural},
        "name": metadata["name"],
        "namespace": metadata.get("namespace", metadata["name"]),
        "operation": "CREATE" if old is None else "DELETE" if new is None else "UPDATE",
        "userInfo": {"username": "developer", "groups": ["system:authenticated"]},
        "object": new,
        "oldObject": old,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(review).encode()
