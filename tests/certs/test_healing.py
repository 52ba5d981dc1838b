"""Certificates in a real cluster: whatever happens to them, the next look mends it."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.certs.webhook_cluster import KINDS, REGISTRATION, WebhookCluster, clock, configured
from tests.cluster.control_plane import ControlPlane

from istio_netpol.certs.issuing import Validity, certificate_pem, key_pem, make_authority, make_leaf
from istio_netpol.certs.observed import certificates_in
from istio_netpol.certs.rotation import Lifetimes
from istio_netpol.errors import ApiError

DAY = timedelta(days=1)
AUTHORITY, SERVING = "certificate-ca", "certificate"


@pytest.fixture
def empty(control_plane: ControlPlane, namespace: str) -> Iterator[WebhookCluster]:
    """Two configurations without a caBundle, and no Secrets."""
    with configured(control_plane, namespace) as cluster:
        yield cluster


@pytest.fixture
def cluster(empty: WebhookCluster) -> WebhookCluster:
    """All is as it should be."""
    empty.look()
    empty.look()
    assert empty.look() == []
    return empty


def test_everything_is_made_when_nothing_is_there(empty: WebhookCluster) -> None:
    """The first look is all that an installation needs; it says what it did, and a second one is idle."""
    told = empty.look()
    assert [sentence.partition(":")[0] for sentence in told] == [
        f"Secret {empty.namespace}/certificate-ca",
        f"ValidatingWebhookConfiguration {empty.namespace}",
        f"MutatingWebhookConfiguration {empty.namespace}",
        f"Secret {empty.namespace}/certificate",
    ]
    assert told[1].endswith(": caBundle of 2 webhooks, 1 CA trusted")
    empty.assert_serves()
    for name in (AUTHORITY, SERVING):
        secret = empty.secret(name)
        assert secret["type"] == "kubernetes.io/tls"
        assert sorted(secret["data"]) == ["ca.crt", "tls.crt", "tls.key"]
        assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "istio-netpol"
    assert empty.data(AUTHORITY)["tls.key"] not in empty.data(SERVING).values()


def test_only_the_bundle_of_a_configuration_is_touched(empty: WebhookCluster) -> None:
    """Argo CD and Flux see one difference a webhook, which they can be told to ignore."""

    def rest(manifest: dict[str, Any]) -> dict[str, Any]:
        kept = {key: manifest["metadata"][key] for key in ("name", "uid")}
        for webhook in manifest["webhooks"]:
            webhook["clientConfig"].pop("caBundle", None)
        return {"metadata": kept, "webhooks": manifest["webhooks"]}

    before = [rest(empty.configuration(kind)) for kind in KINDS]
    empty.look()
    after = [empty.configuration(kind) for kind in KINDS]
    for manifest in after:
        (ours,) = [
            entry for entry in manifest["metadata"]["managedFields"] if entry["manager"] == "istio-netpol"
        ]
        fields = ours["fieldsV1"]["f:webhooks"]
        assert [(name, sorted(owned["f:clientConfig"])) for name, owned in sorted(fields.items())] == [
            ('k:{"name":"one.istio-netpol.io"}', ["f:caBundle"]),
            ('k:{"name":"two.istio-netpol.io"}', ["f:caBundle"]),
        ]
    assert [rest(manifest) for manifest in after] == before


def test_an_expired_leaf_heals(cluster: WebhookCluster) -> None:
    """The controller was away for four months."""
    cluster.ahead = 120 * DAY
    told = cluster.look()
    assert len(told) == 1
    assert "made a certificate" in told[0]
    assert " only" in told[0]
    cluster.assert_serves()


def test_an_expired_ca_heals(cluster: WebhookCluster) -> None:
    """The controller was away for three years: the old CA is trusted no more."""
    (old,) = certificates_in(cluster.bundles()[0])
    cluster.ahead = 3 * 365 * DAY
    assert len(cluster.look()) == 4
    cluster.assert_serves()
    assert all(old not in certificates_in(bundle) for bundle in cluster.bundles())


@pytest.mark.parametrize(("made", "found"), [(9, 0), (-9, 0), (0, 9), (0, -9)])
def test_clocks_that_differ_by_minutes_are_tolerated(empty: WebhookCluster, made: int, found: int) -> None:
    """What a controller makes serves at once by a clock that differs by nine minutes, and a successor with
    that clock makes nothing anew."""
    empty.ahead = timedelta(minutes=made)
    assert len(empty.look()) == 4
    serving = empty.data(SERVING)["tls.crt"]
    empty.ahead = timedelta(minutes=found)
    empty.assert_serves()
    empty.look()
    empty.assert_serves()
    assert empty.look() == []
    assert empty.data(SERVING)["tls.crt"] == serving


@pytest.mark.parametrize("gone", [(AUTHORITY,), (SERVING,), (AUTHORITY, SERVING)], ids="+".join)
def test_deleted_secrets_heal(cluster: WebhookCluster, gone: tuple[str, ...]) -> None:
    """And pods that still serve the old certificate go on being trusted."""
    old = certificates_in(cluster.bundles()[0])
    for name in gone:
        cluster.delete_secret(name)
    cluster.look()
    cluster.assert_serves()
    assert set(old) <= set(certificates_in(cluster.bundles()[0]))
    cluster.look()
    assert cluster.look() == []


GARBAGE: dict[str, dict[str, bytes]] = {
    "empty": {"tls.crt": b"", "tls.key": b""},
    "nonsense": {"tls.crt": b"\xff\xfe", "tls.key": b"-----BEGIN PRIVATE KEY-----", "ca.crt": b"x"},
}


@pytest.mark.parametrize("name", [AUTHORITY, SERVING])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_garbled_secret_heals(cluster: WebhookCluster, name: str, garbage: str) -> None:
    """Whatever somebody wrote into it."""
    cluster.replace_data(name, GARBAGE[garbage])
    (told, *_) = cluster.look()
    assert "its Secret held no certificate with its key" in told
    cluster.assert_serves()
    cluster.look()
    assert cluster.look() == []


def test_an_opaque_secret_of_that_name_is_used_as_it_is(empty: WebhookCluster) -> None:
    """The type of a Secret can't be changed, and its other labels are somebody's."""
    manifest = {
        "metadata": {"name": SERVING, "labels": {"team": "mesh"}},
        "type": "Opaque",
        "data": {"note": base64.b64encode(b"made by hand").decode()},
    }
    empty.control_plane.create(f"/api/v1/namespaces/{empty.namespace}/secrets", manifest)
    empty.look()
    empty.assert_serves()
    assert empty.secret(SERVING)["type"] == "Opaque"
    assert empty.secret(SERVING)["metadata"]["labels"]["team"] == "mesh"


def test_a_leaf_of_another_ca_heals(cluster: WebhookCluster) -> None:
    """The two Secrets were restored from different backups: nobody would take what is served."""
    other = make_authority(Validity.of(clock(), DAY))
    leaf = make_leaf(other, cluster.place.names, Validity.of(clock(), DAY))
    (own,) = certificates_in(cluster.bundles()[0])
    data = {"tls.crt": certificate_pem(leaf.certificate), "tls.key": key_pem(leaf.key), "ca.crt": b""}
    cluster.replace_data(SERVING, data)
    (told,) = cluster.look()
    assert "no CA that is known stands for the old one under this name" in told
    cluster.assert_serves()
    assert certificates_in(cluster.bundles()[0]) == (own,)


@pytest.mark.parametrize("kind", KINDS)
def test_an_emptied_bundle_heals(cluster: WebhookCluster, kind: str) -> None:
    """GitOps replaced a configuration by what is in git, where no caBundle is."""
    before = cluster.bundles()

    def empty_it(manifest: dict[str, Any]) -> None:
        for webhook in manifest["webhooks"]:
            webhook["clientConfig"].pop("caBundle")

    cluster.put(f"{REGISTRATION}/{kind}/{cluster.namespace}", empty_it)
    assert cluster.bundles() != before
    cluster.look()
    assert cluster.bundles() == before


def test_a_missing_configuration_is_waited_for(control_plane: ControlPlane, namespace: str) -> None:
    """The Secrets are made without it, so that pods start; its caBundle is written when it comes."""
    cluster = WebhookCluster(control_plane, namespace)
    told: list[str] = []
    look = cluster.reconciler().look(told.append)
    assert look.absent == (
        f"ValidatingWebhookConfiguration {namespace}",
        f"MutatingWebhookConfiguration {namespace}",
    )
    assert look.again_in == 10.0
    assert len(told) == 2
    cluster.configure(KINDS[0])
    cluster.look()
    cluster.assert_serves()
    cluster.remove_configurations()


def test_what_cert_manager_keeps_is_left_alone(empty: WebhookCluster) -> None:
    """Two that renew one Secret would never end."""
    annotations = {"cert-manager.io/certificate-name": "webhook"}
    manifest = {"metadata": {"name": SERVING, "annotations": annotations}, "data": {}}
    empty.control_plane.create(f"/api/v1/namespaces/{empty.namespace}/secrets", manifest)
    with pytest.raises(ApiError, match=r"belongs to cert-manager's Certificate .*/webhook; name another"):
        empty.look()
    assert "data" not in empty.secret(SERVING)
    assert empty.bundles() == [b"", b"", b"", b""]


def test_an_immutable_secret_is_told_of(cluster: WebhookCluster) -> None:
    """It can't be written; the sentence says what a person has to do."""
    path = f"/api/v1/namespaces/{cluster.namespace}/secrets/{SERVING}"
    cluster.put(path, lambda secret: secret.update(immutable=True))
    cluster.ahead = 120 * DAY
    with pytest.raises(
        ApiError, match=r"/certificate can't be written: .* delete the Secret, and it is made"
    ):
        cluster.look()
    cluster.delete_secret(SERVING)
    cluster.look()
    cluster.assert_serves()


def test_nothing_is_served_before_its_ca_is_trusted(cluster: WebhookCluster) -> None:
    """A caBundle that can't be written leaves what works as it is."""
    token = cluster.control_plane.create(
        f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )["status"]["token"]
    grant(cluster, secrets=["get", "create", "update"], configurations=["get"])
    before = cluster.data(SERVING)
    cluster.delete_secret(AUTHORITY)
    cluster.ahead = 120 * DAY
    reconciler = cluster.reconciler(token=token)
    cluster.control_plane.wait_until("the rights hold", lambda: "caBundle" in trouble(reconciler.look))
    assert "can't be written" in trouble(reconciler.look)
    assert cluster.data(SERVING) == before
    cluster.look()
    cluster.assert_serves()


def trouble(look: Callable[[Callable[[str], None]], object]) -> str:
    try:
        look(lambda _: None)
    except ApiError as error:
        return str(error)
    return ""


def grant(cluster: WebhookCluster, secrets: list[str], configurations: list[str]) -> None:
    """The rights of docs/certificates.md, or fewer, for the namespace's default service account."""
    name, namespace, group = cluster.namespace, cluster.namespace, "rbac.authorization.k8s.io"
    base = f"/apis/{group}/v1"
    named = [name for name in secrets if name != "create"]
    role = {
        "metadata": {"name": "certificates"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [AUTHORITY, SERVING],
                "verbs": named,
            },
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        ],
    }
    everywhere = {
        "metadata": {"name": f"certificates-{name}"},
        "rules": [
            {
                "apiGroups": ["admissionregistration.k8s.io"],
                "resources": list(KINDS),
                "resourceNames": [name],
                "verbs": configurations,
            }
        ],
    }
    subjects = [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]

    def binding(kind: str, to: str) -> dict[str, Any]:
        role_ref = {"apiGroup": group, "kind": kind, "name": to}
        return {"metadata": {"name": to}, "roleRef": role_ref, "subjects": subjects}

    control_plane = cluster.control_plane
    control_plane.create(f"{base}/namespaces/{namespace}/roles", role)
    control_plane.create(
        f"{base}/namespaces/{namespace}/rolebindings", binding("Role", role["metadata"]["name"])
    )
    control_plane.create(f"{base}/clusterroles", everywhere)
    control_plane.create(
        f"{base}/clusterrolebindings", binding("ClusterRole", everywhere["metadata"]["name"])
    )


def test_the_rights_of_the_page_are_enough(empty: WebhookCluster) -> None:
    """get, create and update of two named Secrets, get and patch of two named configurations."""
    token = empty.control_plane.create(
        f"/api/v1/namespaces/{empty.namespace}/serviceaccounts/default/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )["status"]["token"]
    reconciler = empty.reconciler(token=token)
    assert "docs/certificates.md lists the rights" in trouble(reconciler.look)
    grant(empty, secrets=["get", "create", "update"], configurations=["get", "patch"])
    empty.control_plane.wait_until("the rights hold", lambda: trouble(reconciler.look) == "")
    empty.assert_serves()
    empty.ahead = 3 * 365 * DAY
    reconciler.look(lambda _: None)
    empty.assert_serves()


def test_many_at_once_end_in_one_state(empty: WebhookCluster) -> None:
    """Eight reconcilers start together, as if each led: whoever comes late is refused, and nothing flaps."""
    short = Lifetimes(settle=timedelta(seconds=1))
    start = threading.Barrier(8)

    def work() -> None:
        reconciler = empty.reconciler(short)
        start.wait()
        for _ in range(6):
            trouble(reconciler.look)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    empty.assert_serves()
    empty.control_plane.wait_until("all are content", lambda: empty.look(short) == [])
    empty.assert_serves()
    assert len(set(empty.bundles())) == 1
    assert len(certificates_in(empty.bundles()[0])) <= 2
