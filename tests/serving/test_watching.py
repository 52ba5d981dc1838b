"""The process follows its folder, says what is wrong with it, and goes on whatever happens to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.cluster import Cluster, Manifest, manifests
from tests.serving.process import READY, WebhookProcess
from tests.serving.reviews import review

from istio_netpol.sources.folder_store import GENERATED

SCENARIOS = Path(__file__).parents[1] / "scenarios"
BROKEN = "the source is broken; the last good state is kept"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    cluster = Cluster(tmp_path_factory.mktemp("watched"), "augment")
    cluster.apply(*manifests([SCENARIOS / "_control_plane"]))
    cluster.apply(*manifests([SCENARIOS / "sidecar-injection" / "before" / "namespace.yaml"]))
    return cluster


@pytest.fixture(scope="module")
def webhook(cluster: Cluster) -> Iterator[WebhookProcess]:
    with WebhookProcess(cluster.folder) as webhook:
        webhook.wait_for(READY)
        yield webhook


def reasons(webhook: WebhookProcess) -> list[str]:
    """Why the process is not ready; the status must agree."""
    reply = webhook.request("GET", "/readyz")
    found: list[str] = reply.json["reasons"]
    assert (reply.status, reply.json["status"]) == ((503, "not ready") if found else (200, "ready"))
    return found


def test_broken_file(webhook: WebhookProcess, cluster: Cluster, httpbin: Manifest) -> None:
    """A broken file is logged and told by /readyz with its place; reviews go by the last good state, until
    it is mended."""
    mark = webhook.mark
    file = cluster.folder / "broken.yaml"
    file.write_text("kind: [\n")
    told = webhook.wait_for(BROKEN, mark)
    assert told["problem"].startswith(f"{file}:")
    assert reasons(webhook) == [told["problem"]]
    (told_first, *_) = webhook.review("mutate", review(httpbin, dry_run=True))["warnings"]
    assert told_first.startswith("dry run: istio-netpol would add NetworkPolicy my-namespace/")
    assert "istio_netpol_source_problems 1.0" in webhook.metrics()
    mark = webhook.mark
    file.unlink()
    webhook.wait_for(READY, mark)
    assert reasons(webhook) == []


def test_folder_goes_away(webhook: WebhookProcess, cluster: Cluster, httpbin: Manifest) -> None:
    """While the folder is gone, reviews are answered by what was read, nothing is written, and /readyz says
    so; when it is back, all is well."""
    mark = webhook.mark
    away = cluster.folder.with_name("away")
    cluster.folder.rename(away)
    webhook.wait_for(BROKEN, mark)
    assert reasons(webhook) == [f"{cluster.folder}: can't be read: No such file or directory"]
    warnings = webhook.review("mutate", review(httpbin))["warnings"]
    assert all("could not add" in warning and "No such file" in warning for warning in warnings)
    assert not webhook.review("validate", review(httpbin))["allowed"]
    assert not cluster.folder.exists()
    mark = webhook.mark
    away.rename(cluster.folder)
    webhook.wait_for(READY, mark)
    assert reasons(webhook) == []


def test_what_is_no_manifest(webhook: WebhookProcess, cluster: Cluster) -> None:
    """FIFOs, sockets and links in circles stop nothing: the next change is read."""
    mark = webhook.mark
    os.mkfifo(cluster.folder / "fifo.yaml")
    (cluster.folder / "circle").symlink_to(cluster.folder)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "after-the-fifo"}})
    webhook.wait_for(READY, mark)
    assert reasons(webhook) == []


def test_policies_that_can_not_be_written(
    webhook: WebhookProcess, cluster: Cluster, httpbin: Manifest
) -> None:
    """Where a file stands in place of the folder for generated policies, mode augment says what it could not
    write and why, the object is refused, and the process goes on."""
    generated = cluster.folder / GENERATED
    generated.write_text("mine")
    warnings = webhook.review("mutate", review(httpbin))["warnings"]
    assert len(warnings) == 2
    assert all(
        warning.startswith("istio-netpol could not add NetworkPolicy my-namespace/") for warning in warnings
    )
    refused = webhook.review("validate", review(httpbin))
    assert not refused["allowed"]
    assert "kubectl apply" in refused["status"]["message"]
    assert 'istio_netpol_policies_total{result="refused"}' in webhook.metrics()
    assert generated.read_text() == "mine"
    generated.unlink()
    assert all("added" in warning for warning in webhook.review("mutate", review(httpbin))["warnings"])
    assert webhook.review("validate", review(httpbin))["allowed"]


def test_deleted_policies_come_back(
    webhook: WebhookProcess, cluster: Cluster, httpbin: Manifest, tmp_path: Path
) -> None:
    """A generated policy that somebody deletes while its workload needs it is written again."""
    mark = webhook.mark
    cluster.apply(httpbin)
    webhook.review("mutate", review(httpbin))
    webhook.wait_for(READY, mark)
    written = {file.name for file in cluster.generated}
    assert written
    mark = webhook.mark
    (cluster.folder / GENERATED).rename(tmp_path / GENERATED)
    webhook.wait_for("policy added", mark)
    assert {file.name for file in cluster.generated} == written
