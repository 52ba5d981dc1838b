"""A cluster as the webhook knows it, made of manifests, and what it decides on requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

import yaml
from tests.serving.reviews import review

from istio_netpol.admission.decision import Decision
from istio_netpol.admission.reconcile import missing_policies
from istio_netpol.admission.review import decide
from istio_netpol.admission.reviews import AdmissionRequest, parse
from istio_netpol.flows.table import FlowTable
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.resolution import Resolution, ResolutionStatus
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

Manifest = dict[str, Any]
NO_HOSTS: Mapping[str, str] = {}
DEFAULTS = Settings()


class Answers:
    """A resolver that knows a table of hosts."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = table

    def resolve(self, host: str, asker: str = "", seconds: float = 0.0) -> Resolution:
        if host not in self._table:
            return Resolution(host, (), ResolutionStatus.NOT_FOUND, reason=f"{host} does not exist")
        addresses = tuple(ip_address(text) for text in self._table[host].split())
        return Resolution(host, addresses, ResolutionStatus.RESOLVED, 60)


class State:
    """What is stored, and the answers to requests against it."""

    def __init__(
        self, stored: Iterable[Manifest], settings: Settings = DEFAULTS, hosts: Mapping[str, str] = NO_HOSTS
    ) -> None:
        self.stored = tuple(stored)
        self.settings = settings
        self.hosts = hosts
        self.resolver = Answers(hosts)
        self.table = FlowTable.of(
            Snapshot.of(value for manifest in self.stored for value in _decoded(manifest)), settings
        )

    def validate(self, new: Manifest | None, old: Manifest | None = None, **changes: Any) -> Decision:
        """The validating webhook's decision."""
        return decide(asked(new, old, **changes), self.table, self.resolver, mutating=False)

    def mutate(self, new: Manifest | None, old: Manifest | None = None, **changes: Any) -> Decision:
        """The mutating webhook's decision."""
        return decide(asked(new, old, **changes), self.table, self.resolver, mutating=True)

    def after(self, *put: Manifest, without: Iterable[Manifest] = ()) -> State:
        """The state once objects were stored, and others deleted."""
        gone = {identity(manifest) for manifest in without} | {identity(resource) for resource in put}
        kept = [manifest for manifest in self.stored if identity(manifest) not in gone]
        return State([*kept, *put], self.settings, self.hosts)

    def reconciled(self) -> list[Manifest]:
        """What is written for namespaces in mode augment, whoever asked last, as manifests."""
        return [encode_policy(policy) for policy in missing_policies(self.table, self.resolver)]


def asked(new: Manifest | None, old: Manifest | None = None, **changes: Any) -> AdmissionRequest:
    """The request that an API server would send."""
    request = parse(review(new, old, **changes))
    assert isinstance(request, AdmissionRequest), request
    return request


def identity(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return (manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def written(decision: Decision) -> list[Manifest]:
    """The policies that a decision stores, as manifests."""
    return [encode_policy(policy) for policy in decision.write]


def shown(decision: Decision) -> list[Manifest]:
    """The policies within a denial's message, as a shell would hand them to kubectl."""
    policies: list[Manifest] = []
    for rest in decision.message.split("<<'EOF'\n")[1:]:
        pasted, end, _ = rest.partition("\nEOF")
        assert end, decision.message
        policies += [document for document in yaml.safe_load_all(pasted) if document]
    return policies


def _decoded(manifest: Manifest) -> list[Any]:
    values, problems = decode(RawObject(manifest, "stored", 0))
    assert not problems, problems
    return values
