"""`istio-netpol certs`, and what may never be read in what this program says."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from tests.certs.webhook_cluster import KINDS, WebhookCluster
from tests.cluster.control_plane import ControlPlane

from istio_netpol.certs.rotation import Lifetimes
from istio_netpol.cli.main import program

SOURCE_ROOT = Path(__file__).parents[2] / "webhook"
DAY = timedelta(days=1)


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Iterator[WebhookCluster]:
    cluster = WebhookCluster(control_plane, namespace)
    cluster.configure(KINDS[0])
    yield cluster
    cluster.remove_configurations()


def run_certs(cluster: WebhookCluster, *options: str) -> subprocess.CompletedProcess[str]:
    place = cluster.place
    command = [sys.executable, "-m", "istio_netpol", "certs", "--namespace", place.namespace]
    command += ["--secret", place.secret, "--service", place.service]
    command += ["--webhook-configuration", place.configuration, *options]
    kubeconfig = str(cluster.control_plane.kubeconfig())
    environment = {**os.environ, "PYTHONPATH": str(SOURCE_ROOT), "KUBECONFIG": kubeconfig}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)


def test_the_command_says_what_it_made(cluster: WebhookCluster) -> None:
    """Object by object, with the reason; and which configuration is not there, as after a typing mistake."""
    done = run_certs(cluster)
    name = cluster.namespace
    assert done.returncode == 0, done.stderr
    assert [line.partition(", valid")[0] for line in done.stdout.splitlines()] == [
        f"ValidatingWebhookConfiguration {name}: secret paths",
        f"Secret {name}/certificate-ca: made a CA",
        f"ValidatingWebhookConfiguration {name}: caBundle of 2 webhooks, 1 CA trusted",
        f"Secret {name}/certificate: made a certificate for webhook.{name}.svc",
    ]
    assert done.stderr == (
        f"MutatingWebhookConfiguration {name} is not there; "
        "the controller writes its caBundle as soon as it is.\n"
    )
    cluster.assert_serves()


def test_the_command_has_nothing_to_do_twice(cluster: WebhookCluster) -> None:
    """Running it again and again is safe. (The second run writes down since when the CA is trusted.)"""
    assert run_certs(cluster).returncode == 0
    assert run_certs(cluster).returncode == 0
    before = [
        cluster.secret(name)["metadata"]["resourceVersion"] for name in ("certificate-ca", "certificate")
    ]
    assert run_certs(cluster).stdout == "Nothing had to be written.\n"
    after = [
        cluster.secret(name)["metadata"]["resourceVersion"] for name in ("certificate-ca", "certificate")
    ]
    assert after == before


def test_a_context_that_is_not_there_is_a_sentence(cluster: WebhookCluster) -> None:
    """Not a traceback."""
    done = run_certs(cluster, "--context", "gone")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "set KUBECONFIG, name a --context, or run in a pod" in done.stderr


def test_names_that_no_object_has_are_refused() -> None:
    """All at once, before any cluster is looked for."""
    options = ["--namespace", "Shop", "--secret", "../x", "--service", "a.b", "--webhook-configuration", "ok"]
    result = CliRunner().invoke(program, ["certs", *options])
    assert result.exit_code == 2
    assert result.stderr == (
        "'Shop' is not a valid name for a namespace; 'a.b' is not a valid name for a Service; "
        "'../x-ca' is not a valid name for a Secret: "
        "use lower case letters, digits and '-'\n"
    )


def material(cluster: WebhookCluster) -> set[str]:
    """Parts of the keys that are kept now, as text and as the API writes them."""
    found = set()
    for name in ("certificate-ca", "certificate"):
        pem = cluster.data(name)["tls.key"]
        # The first line of a key names its type and curve, which is no secret.
        found |= {line[-30:] for line in pem.decode().splitlines()[2:-1]}
        found.add(base64.b64encode(pem).decode()[120:160])
    return found


def test_no_key_is_ever_told(cluster: WebhookCluster, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a log line, of ours or of a library at its most talkative, not in an error, and not in what is
    printed: while everything is made, renewed, refused and healed."""
    caplog.set_level(logging.DEBUG)
    keys: set[str] = set()
    path = f"/api/v1/namespaces/{cluster.namespace}/secrets/certificate"
    with structlog.testing.capture_logs() as logged:
        for ahead in (0, 70, 1000):
            cluster.ahead = ahead * DAY
            cluster.reconciler().reconcile()
            keys |= material(cluster)
        cluster.put(path, lambda secret: secret.update(immutable=True))
        cluster.ahead = 2000 * DAY
        cluster.reconciler().reconcile()
        keys |= material(cluster)
        cluster.delete_secret("certificate")
        broken = WebhookCluster(cluster.control_plane, cluster.namespace, ahead=cluster.ahead)
        broken.reconciler(token="nobody").reconcile()
    printed = run_certs(cluster)
    keys |= material(cluster)
    told = "\n".join([*map(str, logged), caplog.text, printed.stdout, printed.stderr])
    assert len(keys) >= 12
    assert {key for key in keys if key in told} == set()
    events = [line["event"] for line in logged]
    assert events.count("certificates written") >= 7
    assert events.count("the certificates could not be reconciled; trying again") == 2


def test_trouble_that_stays_is_logged_once(control_plane: ControlPlane, namespace: str) -> None:
    """A configuration that is not there yet fills no log, and the waits between tries grow."""
    cluster = WebhookCluster(control_plane, namespace)
    reconciler = cluster.reconciler()
    with structlog.testing.capture_logs() as logged:
        for _ in range(4):
            reconciler.reconcile()
    missing = [
        line
        for line in logged
        if line[("event")]
        == "a webhook configuration is not there yet, and gets its caBundle as soon as it is"
    ]
    assert [line["what"].partition(" ")[0] for line in missing] == [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    ]
    stranger = cluster.reconciler(Lifetimes(), token="nobody")
    with structlog.testing.capture_logs() as logged:
        waits = [stranger.reconcile() for _ in range(6)]
    assert len(logged) == 1
    assert waits[-1] > waits[0]
    assert max(waits) <= 30.0
