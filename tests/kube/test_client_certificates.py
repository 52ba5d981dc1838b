"""Mutual TLS: a real API server brings its client certificate, and nobody else is believed."""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import started
from tests.kube.client_certificates import ClientFiles, brings, make_authority_now, make_client
from tests.kube.conftest import native_control_plane, registered
from tests.kube.manifests import DENY_ALL, deployment
from tests.serving.process import READY, Reply, WebhookProcess
from tests.serving.reviews import review

from istio_netpol.admission.modes import MODE_LABEL

API_SERVER = "api-server-for-webhooks"
GHOST = review(deployment("ghost", "shop"))


@dataclass(frozen=True)
class Pair:
    """An API server, the webhook that it asks, and what it brings."""

    plane: ControlPlane
    webhook: WebhookProcess
    client: ClientFiles


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("mutual-tls")
    authority = make_authority_now()
    client = make_client(folder / "api-server", API_SERVER, authority)
    make_client(folder / "other-name", "somebody", authority)
    make_client(folder / "other-ca", API_SERVER, make_authority_now())
    (folder / "cluster").mkdir()
    with started(folder / "cluster", brings(client, folder)) as plane:
        applied = plane.kubectl().apply(*native_control_plane())
        assert applied.code == 0, applied.stderr
        environment = {"KUBECONFIG": str(plane.kubeconfig())}
        options = ("--client-ca", str(client.ca), "--client-name", API_SERVER)
        with WebhookProcess("cluster", *options, environment=environment) as webhook:
            webhook.wait_for(READY)
            with registered(plane, webhook):
                yield Pair(plane, webhook, client)


def ask(webhook: WebhookProcess, path: str, client: Path | None = None, body: bytes = GHOST) -> Reply:
    """A request, with the client certificate of a folder."""
    before = webhook.context
    webhook.context = ssl.create_default_context(cafile=webhook.ca)
    if client:
        webhook.context.load_cert_chain(client / "client.crt", client / "client.key")
    try:
        return webhook.request("POST" if body else "GET", path, body or None)
    finally:
        webhook.context = before


def test_the_api_servers_reviews_are_believed(pair: Pair) -> None:
    """Mutating and validating: the policies are there when the object is."""
    namespace = pair.plane.namespace({MODE_LABEL: "augment", "istio-injection": "enabled"})
    kubectl, here = pair.plane.kubectl(), ("--namespace", namespace)
    assert kubectl.apply(DENY_ALL, options=here).code == 0
    numbers = itertools.count()

    def is_augmented() -> bool:
        done = kubectl.apply(deployment(f"cart-{next(numbers)}", namespace), options=here)
        assert done.code == 0, done.stderr
        return "istio-netpol added NetworkPolicy" in done.stderr

    pair.plane.wait_until("the deny-all is seen, and the webhook is asked", is_augmented)
    assert 'istio_netpol_unproven_reviews_total{lacks="certificate"} 0.0' in pair.webhook.metrics()


def test_others_are_not(pair: Pair) -> None:
    """Without a certificate, or under another name, a review gets 403; a stranger's ends the handshake."""
    folder = pair.client.ca.parents[1]
    for client in (None, folder / "other-name"):
        for path in ("/mutate", "/validate"):
            reply = ask(pair.webhook, path, client)
            assert reply.status == 403
            assert "client certificate" in json.loads(reply.body)["error"]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(pair.webhook, "/mutate", folder / "other-ca")
    assert ask(pair.webhook, "/mutate", folder / "api-server").status == 200
    assert 'istio_netpol_unproven_reviews_total{lacks="certificate"} 4.0' in pair.webhook.metrics()


def test_probes_bring_no_certificate(pair: Pair) -> None:
    """Kubelet has none."""
    assert ask(pair.webhook, "/healthz", body=b"").status == 200
    assert ask(pair.webhook, "/readyz", body=b"").status == 200


def test_the_ca_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A certificate of the old one is refused from then on; a file that is none leaves the last good one."""
    old, new = (make_client(tmp_path / name, API_SERVER, make_authority_now()) for name in ("old", "new"))
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(old.ca.read_bytes())
    source = tmp_path / "source"
    source.mkdir()
    (source / "shop.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n")
    with WebhookProcess(source, "--client-ca", str(trusted)) as webhook:
        webhook.wait_for(READY)
        assert ask(webhook, "/mutate", tmp_path / "old").status == 200
        trusted.write_bytes(new.ca.read_bytes())
        assert ask(webhook, "/mutate", tmp_path / "new").status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(webhook, "/mutate", tmp_path / "old")
        trusted.write_text("garbage")
        assert ask(webhook, "/mutate", tmp_path / "new").status == 200
        assert "holds no CA" in webhook.request("GET", "/readyz").body.decode()
