"""TLS for the webhook: one cached context, renewed when the files change."""

from __future__ import annotations

import os
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import structlog

from istio_netpol.certs.serving_pair import validity_of
from istio_netpol.errors import SettingsError

Stamp = tuple[tuple[int, int, int], ...]


class ServingCertificate:
    """A certificate and its key in files, and the context that serves them. Files that don't fit together
    keep the context that did.

    With `client_ca`, a client that brings a certificate must bring one that a CA of that file signed. One
    that brings none is served: who may do what without is decided request by request.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        """Raises SettingsError where the files can't be served."""
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._lock = threading.Lock()
        self._stamp = self._stamp_now()
        self._context, self._validity = self._load()
        self._problem = ""

    @property
    def validity(self) -> tuple[float, float]:
        """When the served certificate begins and ends, in Unix time."""
        return self._validity

    def problem(self) -> str:
        """Why the files as they are now are not served; empty where they are."""
        self.context()
        return self._problem

    def context(self) -> ssl.SSLContext:
        """The context for the next connection; reads the files again if they changed."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            with self._lock:
                if stamp != self._stamp:
                    self._renew(stamp)
        return self._context

    def _renew(self, stamp: Stamp) -> None:
        log = structlog.get_logger("certificate")
        try:
            self._context, self._validity = self._load()
        except SettingsError as error:
            self._problem = f"the new certificate can't be served, the old one still is: {error}"
            log.error("certificate not renewed", file=str(self._certificate), reason=str(error))
        else:
            self._problem = ""
            log.info("certificate renewed", file=str(self._certificate))
        self._stamp = stamp

    def _load(self) -> tuple[ssl.SSLContext, tuple[float, float]]:
        validity = validity_of(self._certificate, self._key, datetime.now(UTC))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A client could have a handshake made again and again (TLS 1.2), and tickets that no API server uses.
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        try:
            # With a password at hand openssl never asks the terminal for one.
            context.load_cert_chain(self._certificate, self._key, password="")
        except OSError as error:
            raise SettingsError(f"{self._certificate} and {self._key} can't be served: {error}") from None
        if self._client_ca:
            context.verify_mode = ssl.CERT_OPTIONAL
            try:
                context.load_verify_locations(self._client_ca)
            except OSError as error:
                reason = error.strerror or error
                raise SettingsError(f"{self._client_ca} holds no CA in PEM format: {reason}") from None
        return context, validity

    def _stamp_now(self) -> Stamp:
        """Follows links: Kubernetes renews a mounted Secret by swapping the link to its folder."""
        try:
            files = (self._certificate, self._key, self._client_ca)
            found = [os.stat(path) for path in files if path]
        except OSError:
            return ()
        return tuple((status.st_ino, status.st_size, status.st_ctime_ns) for status in found)
