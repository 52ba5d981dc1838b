"""The admission webhooks that pods depend on: istio-netpol's own, and Istio's.

Certificates are taken from `caBundle` and from a handshake with the Service, never from a Secret.
"""

from __future__ import annotations

import socket
import ssl
from base64 import b64decode
from binascii import Error as NotBase64Error
from collections.abc import Callable, Iterator
from datetime import datetime

from cryptography import x509
from msgspec import Struct

from istio_netpol.certs.observed import certificates_in
from istio_netpol.certs.webhook_configurations import KINDS
from istio_netpol.doctor.survey import Manifest, NotSeenError, Survey, dig, listed, name_of, not_seen
from istio_netpol.kube.resources import ENDPOINT_SLICES, SERVICES
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings

TOPIC = "Webhooks"
OWN, ISTIO = ".istio-netpol.io", ".istio.io"
"""How the names of the webhooks end, as the charts have them."""

NOT_CONTROLLED = "not-made-by-a-controller"
"""The match condition by which the chart leaves out what is admitted whatever is missing."""

SOON_DAYS = 14
HANDSHAKE_SECONDS = 2.0

Handshake = Callable[[str, int, str, bytes], "x509.Certificate | str"]
"""Asks an address and port for the certificate of a name that an authority vouches for; a sentence where it
can't be had from here."""


class _CalledService(Struct, frozen=True):
    """A Service that is called, and by which authority it is known."""

    namespace: str
    name: str
    port: int
    bundle: str


def webhooks(survey: Survey, settings: Settings, now: datetime, handshake: Handshake) -> Iterator[Diagnosis]:
    """Each configuration that is ours or Istio's: what happens when nobody answers, and whether somebody
    does."""
    is_installed = False
    for resource in KINDS:
        for configuration in survey.all(resource):
            registered = [
                webhook for webhook in listed(configuration.get("webhooks")) if _is_relevant(webhook)
            ]
            if not registered:
                continue
            own = [webhook for webhook in registered if _name(webhook).endswith(OWN)]
            is_installed = is_installed or bool(own)
            title = f"{resource.kind} {name_of(configuration)}"
            yield from _of_configuration(survey, title, registered, now, handshake)
            if settings.admission.deny_controlled_pods and any(map(_leaves_controlled_out, own)):
                yield Diagnosis(
                    TOPIC,
                    title,
                    "pods of controllers are not sent, so that admission.denyControlledPods refuses none",
                    Health.WRONG,
                    "render the chart with config.admission.denyControlledPods: true; the webhook's settings "
                    "alone do not change what is registered",
                )
    if not is_installed:
        yield Diagnosis(
            TOPIC,
            "configurations of istio-netpol",
            "none",
            Health.NOTE,
            "objects are not judged when they are applied; the chart istio-netpol registers the webhook",
        )


def _is_relevant(webhook: Manifest) -> bool:
    return _name(webhook).endswith((OWN, ISTIO))


def _name(webhook: Manifest) -> str:
    return str(dig(webhook, "name") or "")


def _leaves_controlled_out(webhook: Manifest) -> bool:
    conditions = listed(webhook.get("matchConditions"))
    return any(dig(condition, "name") == NOT_CONTROLLED for condition in conditions)


def _of_configuration(
    survey: Survey, title: str, registered: list[Manifest], now: datetime, handshake: Handshake
) -> Iterator[Diagnosis]:
    policies = sorted({str(dig(webhook, "failurePolicy") or "Fail") for webhook in registered})
    effect = "objects are refused" if "Fail" in policies else "objects pass unjudged"
    yield Diagnosis(TOPIC, title, f"failurePolicy {' and '.join(policies)}: while nobody answers, {effect}")
    for called in dict.fromkeys(map(_called, registered)):
        if called is None:
            yield Diagnosis(
                TOPIC,
                title,
                "is called by URL",
                Health.NOTE,
                "look at what answers there; no Service is named",
            )
            continue
        yield from _bundle(title, called, now)
        try:
            yield from _service(survey, title, called, now, handshake)
        except NotSeenError as error:
            service = f"{title}, Service {called.namespace}/{called.name}"
            yield not_seen(TOPIC, service, error)


def _called(webhook: Manifest) -> _CalledService | None:
    client = dig(webhook, "clientConfig")
    service = dig(client, "service")
    if service is None:
        return None
    return _CalledService(
        str(dig(service, "namespace")),
        str(dig(service, "name")),
        int(dig(service, "port") or 443),
        str(dig(client, "caBundle") or ""),
    )


def _bundle(title: str, called: _CalledService, now: datetime) -> Iterator[Diagnosis]:
    looked_at = f"{title}, caBundle"
    certificates = certificates_in(_pem(called))
    if not certificates:
        yield Diagnosis(
            TOPIC,
            looked_at,
            "holds no certificate, so that the API server trusts nobody who answers"
            if called.bundle
            else "is empty",
            Health.WRONG,
            "let who keeps it write it: the controller, cert-manager or istiod",
        )
        return
    yield _lifetime(
        looked_at, max(certificates, key=lambda certificate: certificate.not_valid_after_utc), now
    )


def _pem(called: _CalledService) -> bytes:
    try:
        return b64decode(called.bundle)
    except (NotBase64Error, ValueError):
        return b""


def _lifetime(looked_at: str, certificate: x509.Certificate, now: datetime) -> Diagnosis:
    """Of the certificate that lasts longest: days are counted down, and what has passed is an outage."""
    days = (certificate.not_valid_after_utc - now).days
    if now < certificate.not_valid_before_utc:
        starts = f"{certificate.not_valid_before_utc:%Y-%m-%d}"
        return Diagnosis(
            TOPIC, looked_at, f"is not valid before {starts}", Health.WRONG, "compare the clocks"
        )
    if certificate.not_valid_after_utc <= now:
        return Diagnosis(
            TOPIC, looked_at, f"expired {-days} days ago", Health.WRONG, "renew it: `istio-netpol certs`"
        )
    text = f"{days} days left"
    if days < SOON_DAYS:
        return Diagnosis(
            TOPIC,
            looked_at,
            text,
            Health.WRONG,
            "find out why it was not renewed: the log of who keeps it says it",
        )
    return Diagnosis(TOPIC, looked_at, text)


def _service(
    survey: Survey, title: str, called: _CalledService, now: datetime, handshake: Handshake
) -> Iterator[Diagnosis]:
    looked_at = f"{title}, Service {called.namespace}/{called.name}"
    service = survey.named(SERVICES, called.name, called.namespace)
    if service is None:
        yield Diagnosis(
            TOPIC,
            looked_at,
            "is not there",
            Health.WRONG,
            "install what it belongs to, or delete the configuration",
        )
        return
    ports = [dig(port, "port") for port in listed(dig(service, "spec", "ports"))]
    if called.port not in ports:
        yield Diagnosis(
            TOPIC, looked_at, f"has no port {called.port}", Health.WRONG, "correct one of the two"
        )
        return
    slices = survey.all(ENDPOINT_SLICES, called.namespace, f"kubernetes.io/service-name={called.name}")
    ready = [
        address
        for endpoint_slice in slices
        for endpoint in listed(endpoint_slice.get("endpoints"))
        if dig(endpoint, "conditions", "ready") is not False
        for address in listed(dig(endpoint, "addresses"))
    ]
    if not ready:
        yield Diagnosis(TOPIC, looked_at, "no endpoint is ready", Health.WRONG, "look at its pods")
        return
    yield Diagnosis(TOPIC, looked_at, f"{len(ready)} ready")
    yield _served(looked_at, service, called, now, handshake)


def _served(
    looked_at: str, service: Manifest, called: _CalledService, now: datetime, handshake: Handshake
) -> Diagnosis:
    """The certificate that is served, where it can be had from here."""
    name = f"{called.name}.{called.namespace}.svc"
    found = handshake(str(dig(service, "spec", "clusterIP") or ""), called.port, name, _pem(called))
    looked_at = f"{looked_at}, certificate"
    if isinstance(found, x509.Certificate):
        return _lifetime(looked_at, found, now)
    if found.startswith(_REFUSED):
        return Diagnosis(
            TOPIC,
            looked_at,
            found,
            Health.WRONG,
            "the API server refuses it, too: renew certificate or caBundle",
        )
    return Diagnosis(
        TOPIC, looked_at, f"not looked at: {found}", Health.NOTE, "run doctor in a pod to see what is served"
    )


_REFUSED = "is not one that caBundle vouches for"


def shake_hands(address: str, port: int, name: str, bundle: bytes) -> x509.Certificate | str:
    """The certificate that is served at an address, as the API server would check it."""
    if not address or address == "None":
        return "the Service has no address of its own"
    try:
        context = ssl.create_default_context(cadata=bundle.decode("ascii"))
    except (ssl.SSLError, ValueError):
        return "caBundle can't be used"
    try:
        with (
            socket.create_connection((address, port), HANDSHAKE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            der = secured.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError as error:
        return f"{_REFUSED}: {error.verify_message}"
    except OSError as error:
        return f"{address}:{port} can't be reached from here ({error.strerror or error})"
    return x509.load_der_x509_certificate(der) if der else "no certificate was served"
