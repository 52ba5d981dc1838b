"""Keeps the certificates of one webhook in the cluster: two Secrets, and the `caBundle` of two webhook
configurations."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import structlog
from msgspec import Struct

from istio_netpol.certs.observed import ObservedCertificates
from istio_netpol.certs.rotation import CertificatePlan, Rotation
from istio_netpol.certs.stored_secret import StoredSecret, read_secret, write_secret
from istio_netpol.certs.webhook_configurations import (
    KINDS,
    Configuration,
    read_configuration,
    write_bundle,
)
from istio_netpol.errors import ApiError, SettingsError
from istio_netpol.kube.backoff import Backoff
from istio_netpol.kube.connection import ApiConnection

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
BEGIN_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
LOOK_SECONDS = 10.0
"""How often everything is looked at. A caBundle that GitOps emptied stays empty for at most so long."""

SHORTEST_SECONDS = 0.5
"""The shortest time between two looks, even if something is due at once by the clock."""


class CertificatePlace(Struct, frozen=True):
    """Where the certificates are kept, and whose they are. The CA's key has a Secret of its own, which no
    webhook mounts."""

    namespace: str
    secret: str
    service: str
    configuration: str

    def __post_init__(self) -> None:
        """Raises SettingsError for names that no object can have."""
        labels = (("namespace", self.namespace), ("Service", self.service))
        names = (("Secret", self.authority_secret), ("webhook configuration", self.configuration))
        wrong = [(what, name) for what, name in labels if not LABEL.fullmatch(name)]
        wrong += [(what, name) for what, name in names if not SUBDOMAIN.fullmatch(name)]
        if wrong:
            told = "; ".join(f"{name!r} is not a valid name for a {what}" for what, name in wrong)
            raise SettingsError(f"{told}: use lower case letters, digits and '-'")

    @property
    def authority_secret(self) -> str:
        """The name of the Secret that holds the CA with its key."""
        return f"{self.secret}-ca"

    @property
    def names(self) -> tuple[str, ...]:
        """The Service's names as the API server and as people call it. Its full name is left out: not every
        caller knows the cluster's domain, and two that disagree would replace each other's certificate for
        ever."""
        short = f"{self.service}.{self.namespace}"
        return (f"{short}.svc", short)


class CertificateLook(Struct, frozen=True):
    """The result of a look: what was written, which configurations are not there, and when to look again."""

    written: tuple[str, ...]
    absent: tuple[str, ...]
    again_in: float


class _StoredCertificates(Struct, frozen=True):
    authority: StoredSecret
    serving: StoredSecret
    configurations: Sequence[Configuration]

    @property
    def found(self) -> ObservedCertificates:
        bundles = [bundle for configuration in self.configurations for bundle in configuration.bundles or ()]
        return ObservedCertificates(
            self.authority.data, self.serving.data, self.authority.trusted_since, bundles
        )


class CertificateReconciler:
    """Carries out what a `Rotation` plans, one look at a time. No decision depends on an earlier look, and
    each write is for the version that was read, so two that run at once do no harm."""

    name = "certificates"

    def __init__(
        self,
        connection: ApiConnection,
        place: CertificatePlace,
        rotation: Rotation | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection = connection
        self._place = place
        self._rotation = rotation or Rotation(place.names)
        self._clock = clock
        self._backoff = Backoff(time.monotonic)
        self._trouble: tuple[str, ...] = ()
        self._log = structlog.get_logger("certificates")

    def reconcile(self) -> float:
        """Looks once; returns the seconds until the next look. A failure is tried again, and is logged once
        for as long as it stays the same."""
        try:
            look = self.look(lambda sentence: self._log.info("certificates written", what=sentence))
        except ApiError as error:
            self._complain(
                "the certificates could not be reconciled; trying again", (str(error),), field="reason"
            )
            return self._backoff.next_wait()
        self._backoff.succeeded()
        self._complain(
            "a webhook configuration is not there yet, and gets its caBundle as soon as it is", look.absent
        )
        return look.again_in

    def look(self, tell: Callable[[str], None]) -> CertificateLook:
        """Reads everything, writes what has to be different, and tells each thing that was written.

        The order makes every moment in between a good one: the CA is kept before it is trusted, and trusted
        before anything that it signed is served. Raises ApiError, after which nothing further was written.
        """
        state, now = self._read(), self._clock()
        plan = self._rotation.plan(state.found, now)
        written = []
        for sentence in self._write(state, plan):
            tell(sentence)
            written.append(sentence)
        seconds = (plan.again_at - now).total_seconds()
        absent = tuple(
            str(configuration) for configuration in state.configurations if configuration.bundles is None
        )
        return CertificateLook(tuple(written), absent, min(LOOK_SECONDS, max(SHORTEST_SECONDS, seconds)))

    def _read(self) -> _StoredCertificates:
        place = self._place
        return _StoredCertificates(
            read_secret(self._connection, place.namespace, place.authority_secret),
            read_secret(self._connection, place.namespace, place.secret),
            [read_configuration(self._connection, kind, place.configuration) for kind in KINDS],
        )

    def _write(self, state: _StoredCertificates, plan: CertificatePlan) -> Iterator[str]:
        count = plan.bundle.count(BEGIN_CERTIFICATE)
        trust = f"{count} CA{'s' if count > 1 else ''} trusted"
        if not state.authority.holds(plan.authority, plan.trusted_since):
            write_secret(self._connection, state.authority, plan.authority, plan.trusted_since)
            yield f"{state.authority}: {plan.authority_reason or trust}"
        for configuration in state.configurations:
            if changed := write_bundle(self._connection, configuration, plan.bundle):
                yield f"{configuration}: caBundle of {changed} webhook{'s' if changed > 1 else ''}, {trust}"
        if not state.serving.holds(plan.serving):
            write_secret(self._connection, state.serving, plan.serving)
            yield f"{state.serving}: {plan.leaf_reason or trust}"

    def _complain(self, event: str, trouble: tuple[str, ...], field: str = "what") -> None:
        if trouble != self._trouble:
            for sentence in trouble:
                self._log.warning(event, **{field: sentence})
        self._trouble = trouble
