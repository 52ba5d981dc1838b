"""The real API server calls the real webhook while its certificates are rotated."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.certs.mounted_secret import MountedSecret
from tests.certs.webhook_cluster import KINDS, WebhookCluster, clock
from tests.cluster.control_plane import ControlPlane
from tests.serving.process import READY, WebhookProcess

from istio_netpol.certs.issuing import Validity, certificate_pem, make_authority
from istio_netpol.certs.observed import certificates_in
from istio_netpol.certs.rotation import Lifetimes

# Renewed after 12, 20 and 24 seconds; what is served ends six seconds later, for machines that are busy.
LIFETIMES = Lifetimes(
    leaf=timedelta(seconds=18), authority=timedelta(seconds=30), settle=timedelta(seconds=4)
)
DELIVERED_AFTER = 1.0
"""How long this kubelet takes; less than the time to settle, as it must be."""

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n"
WITHIN = 60.0


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Iterator[WebhookCluster]:
    cluster = WebhookCluster(control_plane, namespace, names=("localhost",))
    yield cluster
    cluster.remove_configurations()


@pytest.fixture
def mount(cluster: WebhookCluster, tmp_path: Path) -> MountedSecret:
    """The Secret, made and mounted, before any webhook configuration is there."""
    cluster.look(LIFETIMES)
    mount = MountedSecret(tmp_path / "mount")
    mount.update(cluster.data("certificate"))
    return mount


@pytest.fixture
def webhook(mount: MountedSecret, tmp_path: Path) -> Iterator[WebhookProcess]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "shop.yaml").write_text(NAMESPACE)
    with WebhookProcess(folder, certificate=mount.options, ca=mount.folder / "ca.crt") as webhook:
        webhook.wait_for(READY)
        yield webhook


def configure(cluster: WebhookCluster, webhook: WebhookProcess, bundle: bytes = b"") -> None:
    """Both configurations, with the path that they call."""
    for kind, path in zip(KINDS, ("validate", "mutate"), strict=True):
        cluster.configure(kind, f"https://localhost:{webhook.url.port}/{path}", bundle)


def call(cluster: WebhookCluster) -> str:
    """Has the API server call all webhooks; what went wrong."""
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps?dryRun=All"
    answer = cluster.control_plane.api().request("POST", path, {"metadata": {"generateName": "call-"}})
    return "" if answer.status == 201 else str(answer.object.get("message"))


def serial_of_a_new_connection(cluster: WebhookCluster, webhook: WebhookProcess) -> str:
    """What a client gets that begins now and trusts what the first caBundle says; SSLError if it is not
    trusted."""
    bundle = cluster.bundles()[0].decode()
    context = ssl.create_default_context(cadata=bundle)
    with (
        socket.create_connection(("127.0.0.1", webhook.url.port or 0), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as stream,
    ):
        return str((stream.getpeercert() or {})["serialNumber"])


class Background:
    """Calls something again and again until the block ends; keeps what it returned."""

    def __init__(self, work: Callable[[], object], every: float) -> None:
        self.results: list[object] = []
        self._work = work
        self._every = every
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self.results.append(self._work())
            except (OSError, AssertionError) as error:
                self.results.append(error)


class Kubelet:
    """Delivers what the Secret holds, some time after it was written."""

    def __init__(self, cluster: WebhookCluster, mount: MountedSecret) -> None:
        self._cluster = cluster
        self._mount = mount
        self._pending: list[tuple[float, dict[str, bytes]]] = []

    def __call__(self) -> str:
        self._pending.append((time.monotonic(), self._cluster.data("certificate")))
        while self._pending and self._pending[0][0] + DELIVERED_AFTER <= time.monotonic():
            self._mount.update(self._pending.pop(0)[1])
        return ""


def test_no_call_fails_while_leaf_and_ca_are_rotated(
    cluster: WebhookCluster, mount: MountedSecret, webhook: WebhookProcess
) -> None:
    """From one CA to the next, and over three leaves: the API server, which keeps connections, and clients
    that make new ones never meet a certificate that they don't trust."""
    configure(cluster, webhook)
    cluster.look(LIFETIMES)
    cluster.control_plane.wait_until("the webhooks answer", lambda: call(cluster) == "")
    reconciler = cluster.reconciler(LIFETIMES)
    (old,) = certificates_in(cluster.bundles()[0])
    ends = time.monotonic() + WITHIN

    def is_over() -> bool:
        trusted = certificates_in(cluster.bundles()[0])
        return old not in trusted and len(trusted) == 1

    with (
        Background(reconciler.reconcile, 0.2) as looks,
        Background(Kubelet(cluster, mount), 0.1) as kubelet,
        Background(lambda: call(cluster), 0.02) as calls,
        Background(lambda: serial_of_a_new_connection(cluster, webhook), 0.05) as handshakes,
    ):
        while not is_over() and time.monotonic() < ends:
            time.sleep(0.2)
    assert is_over()
    assert len({result for result in handshakes.results if isinstance(result, str)}) >= 3
    assert len(calls.results) > 100
    assert [result for result in calls.results if result != ""] == []
    assert [result for result in handshakes.results if not isinstance(result, str)] == []
    assert [result for result in (*looks.results, *kubelet.results) if isinstance(result, Exception)] == []


def test_a_webhook_that_nobody_trusts_is_found_out(
    cluster: WebhookCluster, mount: MountedSecret, webhook: WebhookProcess
) -> None:
    """The API server does look at the caBundle: with a stranger's, calls fail until it is mended."""
    stranger = certificate_pem(make_authority(Validity.of(clock(), timedelta(days=1))).certificate)
    configure(cluster, webhook, stranger)
    cluster.control_plane.wait_until(
        "calls are refused", lambda: "certificate signed by unknown authority" in call(cluster)
    )
    cluster.look(LIFETIMES)
    cluster.control_plane.wait_until("the webhooks answer", lambda: call(cluster) == "")
