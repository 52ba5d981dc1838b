"""The ways by which a case gets into a cluster, and the policies that the product then has written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner, Result
from tests.admission.state import Answers
from tests.dns.server import NameServer, Zone
from tests.serving.cluster import Cluster
from tests.serving.desk import leave_it
from tests.serving.reviews import review
from tests.trust.case_files import Case, Manifest, world
from tests.trust.openings import Allowed, Opening, excess, missing, opened

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.cli.main import program
from istio_netpol.cli.program import UNUSABLE
from istio_netpol.config.settings_file import load_settings
from istio_netpol.manifests.decode import decode
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.model.settings import Settings
from istio_netpol.server.folder_watch import Watch
from istio_netpol.server.metrics import Metrics
from istio_netpol.server.reviewer import Reviewer
from istio_netpol.sources.folder_source import FolderSource
from istio_netpol.sources.folder_store import GENERATED, FolderStore
from istio_netpol.state.snapshot import Snapshot

STANDING = tuple(
    map(
        Allowed.of,
        (
            "any -> istio-system/istiod: TCP 15012, TCP 15017",
            "any -> kube-system/coredns: TCP 53, UDP 53",
            "any -> istio-system/istio-ingressgateway: TCP 8080",
            "any -> istio-ingress/shared-istio: TCP 80",
            "istio-system/istiod -> 10.0.0.2/32: TCP 6443",
            "team-a/* -> 10.0.0.2/32: TCP 6443",
        ),
    )
)
"""What the control plane of the world is there for, whoever asks, and no case may add to it: configuration,
injection, DNS, the two shared gateways, and the API server, which any workload may say that it calls."""

SECRET = "s3cret"
"""The password of every URL that has one."""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is stored in the end, and what of it the product wrote; `said` is what it told whom."""

    objects: tuple[Manifest, ...]
    written: tuple[Manifest, ...]
    settings: Settings
    said: str = ""

    def openings(self) -> list[Opening]:
        """What the written policies open in the whole cluster."""
        without = Snapshot.of(decoded(self.objects))
        return opened(without, without.with_changes(put=list(decoded(self.written))), self.settings)

    def mistakes(self, case: Case, *standing: Allowed) -> list[str]:
        """What they open beyond what the case allows, what it needs and they don't open, and what is told
        that nobody may read."""
        openings = self.openings()
        before, secret, _ = self.said.partition(SECRET)
        said = [f"told: {before[-200:]}{secret}"] if secret else []
        over = excess(openings, [*case.allowed, *STANDING, *standing])
        return [*over, *(f"closed: {line}" for line in missing(openings, case.needs)), *said]


def is_readable(manifest: Manifest) -> bool:
    """Whether an object has no field that can't be read."""
    return not decode(RawObject(manifest, "case", 0))[1]


def decoded(manifests: Iterable[Manifest]) -> Iterator[Any]:
    """The values of the objects that can be read; a tenant may write others."""
    for manifest in manifests:
        values, problems = decode(RawObject(manifest, "case", 0))
        if not problems:
            yield from values


def by_generate(case: Case, folder: Path) -> Aftermath:
    """`istio-netpol generate` over the cluster with everything that the case writes; what makes the input
    unusable as a whole is corrected, as its user would: left out."""
    objects = [*world(), *case.there, *case.writes]
    done = _generated(case, folder / "as-written", objects)
    said = done.output
    if done.exit_code == UNUSABLE:
        objects = [resource for resource in objects if is_readable(resource)]
        done = _generated(case, folder / "corrected", objects)
        said += done.output
    assert done.exit_code == 0, done.output
    assert "did not expect" not in said, said
    written = tuple(document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document)
    return Aftermath(tuple(objects), written, settings_of(case), said)


def _generated(case: Case, folder: Path, objects: Iterable[Manifest]) -> Result:
    """How `generate` ends, asked about objects in a folder."""
    manifests, config = folder / "cluster", folder / "settings.yaml"
    manifests.mkdir(parents=True)
    Cluster(manifests).apply(*objects)
    with NameServer(Zone(case.records)) as names:
        config.write_text(case.settings_file({"servers": [f"127.0.0.1:{names.address[1]}"]}))
        arguments = ["generate", str(manifests), "--config", str(config)]
        return CliRunner().invoke(program, arguments, prog_name="istio-netpol", catch_exceptions=False)


def settings_of(case: Case) -> Settings:
    """The settings of a case."""
    return load_settings(case.settings_file(), "settings.yaml")


class Desk:
    """The webhook over a folder, without its HTTP: reviews, its store of policies and its watch."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.cluster = Cluster(folder)
        self.cluster.apply(*world(), *case.there)
        self.settings = settings_of(case)
        names = Answers(case.hosts)
        self._source = FolderSource(folder, Kustomize())
        self._reviewer = Reviewer(FolderStore(folder), names)
        metrics = Metrics(self._source.state, lambda: 0.0)
        self._watch = Watch(self._source, self._reviewer, names, self.settings, metrics, leave_it)
        self.said: list[str] = []
        self._watch.look()

    def submit(self, manifest: Manifest) -> bool:
        """Asks `/mutate`, then `/validate`, and stores what is admitted; whether it was."""
        body = review(manifest)
        responses = [self._answer(body, mutating=is_mutating) for is_mutating in (True, False)]
        is_admitted = all(response["allowed"] for response in responses)
        if is_admitted and is_readable(manifest):  # a cluster's watch passes over what it can't read
            self.cluster.apply(manifest)
        self.look()
        return is_admitted

    def look(self) -> None:
        """Takes in what changed, twice: what is added then is read, too."""
        for _ in range(4):
            self._watch.look()
        assert not self._watch.failure, self._watch.failure

    def written(self) -> tuple[Manifest, ...]:
        """The generated policies."""
        files = sorted((self.cluster.folder / GENERATED).glob("*.yaml"))
        return tuple(
            document for file in files for document in yaml.load_all(file.read_text(), yaml.CSafeLoader)
        )

    def _answer(self, body: bytes, *, mutating: bool) -> dict[str, Any]:
        answer = self._reviewer.review(body, mutating=mutating)
        assert answer.status == 200, answer.reason
        self.said.append(answer.body.decode())
        response = json.loads(answer.body)["response"]
        assert isinstance(response, dict)
        return response


def by_reviews(case: Case, folder: Path) -> Aftermath:
    """`/mutate` and `/validate` of each object in turn; what is admitted is stored, and the watch adds what
    it finds missing."""
    desk = Desk(folder, case)
    desk.look()
    stored = [write for write in case.writes if desk.submit(write)]
    objects = (*world(), *case.there, *stored)
    return Aftermath(objects, desk.written(), desk.settings, "\n".join(desk.said))
