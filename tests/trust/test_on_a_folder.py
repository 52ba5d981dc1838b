"""The first case of each kind against the webhook as a process, over HTTPS, which serves a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import yaml
from tests.serving.cluster import Cluster, manifests
from tests.serving.process import READY, WebhookProcess
from tests.serving.reviews import review
from tests.trust.case_files import Case, Manifest, cases, world
from tests.trust.doors import Aftermath, is_readable, settings_of

A_MOMENT = 0.1
"""Longer than it takes to work out which policies are missing in what was read."""


class ServedFolder:
    """A webhook and its folder, which is laid out anew for each case."""

    def __init__(self, webhook: WebhookProcess, cluster: Cluster) -> None:
        self._webhook = webhook
        self._cluster = cluster

    def attempt(self, case: Case) -> Aftermath:
        """Lays out the world, and sends what the case writes in turn; what is admitted is stored."""
        for file in self._cluster.folder.rglob("*.yaml"):
            file.unlink()
        self._cluster.apply(*world(), *case.there)
        self._rest()
        start = self._webhook.mark
        stored = [manifest for manifest in case.writes if self._is_admitted(manifest)]
        self._rest()
        objects = (*world(), *case.there, *stored)
        logged = json.dumps(self._webhook.logged[start:])
        return Aftermath(objects, self._written(), settings_of(case), logged)

    def _is_admitted(self, manifest: Manifest) -> bool:
        body = review(manifest)
        admitted = all(self._webhook.review(door, body)["allowed"] for door in ("mutate", "validate"))
        if admitted and is_readable(manifest):
            self._cluster.apply(manifest)
        return admitted

    def _written(self) -> tuple[Manifest, ...]:
        return tuple(
            document for file in self._cluster.generated for document in yaml.safe_load_all(file.read_text())
        )

    def _rest(self) -> None:
        """Until the webhook has read all that is in the folder, and adds nothing more."""
        ends = time.monotonic() + 120
        while not self._is_at_rest() or not self._is_at_rest(after=A_MOMENT):
            assert time.monotonic() < ends, self._webhook.logged[-5:]
            time.sleep(A_MOMENT)

    def _is_at_rest(self, after: float = 0.0) -> bool:
        time.sleep(after)
        last = self._webhook.logged[-1]
        return last["event"] == READY and last["objects"] == len(list(manifests([self._cluster.folder])))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFolder]:
    cluster = Cluster(tmp_path_factory.mktemp("served"))
    cluster.apply(*world())
    with WebhookProcess(cluster.folder) as webhook:
        webhook.wait_for(READY)
        yield ServedFolder(webhook, cluster)


def first_of_each_file() -> list[Case]:
    found: dict[str, Case] = {}
    for case in cases():
        if case.live:
            found.setdefault(case.name.partition("-")[0], case)
    return list(found.values())


@pytest.mark.xdist_group("served-folder")
@pytest.mark.parametrize("case", first_of_each_file(), ids=lambda case: case.name)
def test_reviews_over_https_open_nothing_that_is_not_the_tenants_own(
    served: ServedFolder, case: Case
) -> None:
    """Both webhooks and the watch that follows them open what the case says, and no more."""
    assert served.attempt(case).mistakes(case) == [], case.tries
