"""Decides when to make which certificate, and which CAs to trust meanwhile.

One CA signs: the newest. Its successor is trusted everywhere before it signs what is served, and it stays
trusted until what it signed is served nowhere:

    a new CA is made ─> it is in every caBundle ─(settle)─> it signs a new leaf ─(settle)─> the old CA goes
                        the old leaf serves on              kubelet delivers it

Everything is made anew at once only where the leaf that is there is of no use, so that nothing that works is
cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from msgspec import Struct

from istio_netpol.certs.issuing import KeyPair, Validity, certificate_pem, key_pem, make_authority, make_leaf
from istio_netpol.certs.observed import (
    AUTHORITIES,
    CERTIFICATE,
    KEY,
    ObservedCertificates,
    authorities_in,
    certificates_in,
    is_valid,
    issued_at,
    pair_in,
    verifies,
)

MOST_RETIRING = 7
"""How many old CAs stay beside the newest. Somebody who deletes a Secret again and again must not fill the
caBundle."""


class Lifetimes(Struct, frozen=True):
    """How long certificates and authorities last. Certificates are renewed when two thirds of their
    life are over."""

    leaf: timedelta = timedelta(days=90)
    authority: timedelta = timedelta(days=730)
    settle: timedelta = timedelta(hours=1)
    """How long every API server may take to see a caBundle, and every pod a Secret: kubelet looks once a
    minute, and may be cut off for a while."""


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """What the cluster should hold. Data with keys is kept out of what is printed."""

    authority: dict[str, bytes] = field(repr=False)
    serving: dict[str, bytes] = field(repr=False)
    trusted_since: str
    bundle: bytes
    authority_reason: str
    leaf_reason: str
    """What is made anew, and why; empty where nothing is made."""

    again_at: datetime
    """When the plan changes though nothing else does."""


class Rotation(Struct, frozen=True):
    """Plans the certificates of one Service; `names` are what its clients call it."""

    names: Sequence[str]
    lifetimes: Lifetimes = Lifetimes()

    def plan(self, found: ObservedCertificates, now: datetime) -> CertificatePlan:
        """The state to bring about. Nothing that was found is trusted unchecked. Once a plan is carried out
        the next plan is the same, until a CA settles or something falls due."""
        authority, authority_reason = self._authority(found, now)
        known = _known(found, now)
        since = _trusted_since(found, authority, is_new=bool(authority_reason), now=now)
        leaf, leaf_reason = self._leaf(found, authority, known, since, now)
        retiring = self._retiring(known, leaf, authority, now)
        bundle = b"".join(map(certificate_pem, (authority.certificate, *retiring)))
        again = [_renew_at(authority.certificate), _renew_at(leaf.certificate)]
        settling = (since or now, issued_at(leaf.certificate)) if retiring else ()
        again += [end for start in settling if (end := start + self.lifetimes.settle) > now]
        return CertificatePlan(
            authority=_data(authority, bundle),
            serving=_data(leaf, bundle),
            trusted_since=since.isoformat() if since else "",
            bundle=bundle,
            authority_reason=authority_reason,
            leaf_reason=leaf_reason,
            again_at=min(again),
        )

    def _authority(self, found: ObservedCertificates, now: datetime) -> tuple[KeyPair, str]:
        """The CA that signs, and why it is a new one; empty where it is not."""
        pair = pair_in(found.authority)
        if pair is None:
            reason = _absence(found.authority)
        elif not is_valid(pair.certificate, now):
            reason = f"the old one is valid {_span(pair.certificate)} only"
        elif not self._signs_well(pair, now):
            reason = "clients take nothing that the old one signs"
        elif _renew_at(pair.certificate) <= now:
            reason = f"the old one ends on {_time(pair.certificate.not_valid_after_utc)}"
        else:
            return pair, ""
        made = make_authority(Validity.of(now, self.lifetimes.authority))
        return made, f"made a CA, valid until {_time(made.certificate.not_valid_after_utc)}: {reason}"

    def _signs_well(self, authority: KeyPair, now: datetime) -> bool:
        """The CA is tried, not judged by its fields: one that does not verify would be made anew for ever."""
        try:
            probe = make_leaf(authority, self.names, Validity.of(now, timedelta(minutes=1)))
        except ValueError:
            return False
        return verifies(probe.certificate, [authority.certificate], self.names, now)

    def _leaf(
        self,
        found: ObservedCertificates,
        authority: KeyPair,
        known: Sequence[x509.Certificate],
        since: datetime | None,
        now: datetime,
    ) -> tuple[KeyPair, str]:
        """The certificate that the webhook serves, and why it is a new one; empty where it is not."""
        pair = pair_in(found.serving)
        reason = self._flaw(pair, authority, known, since, now) if pair else _absence(found.serving)
        if pair and not reason:
            return pair, ""
        made = make_leaf(authority, self.names, Validity.of(now, self.lifetimes.leaf))
        ends = _time(made.certificate.not_valid_after_utc)
        return made, f"made a certificate for {self.names[0]}, valid until {ends}: {reason}"

    def _flaw(
        self,
        pair: KeyPair,
        authority: KeyPair,
        known: Sequence[x509.Certificate],
        since: datetime | None,
        now: datetime,
    ) -> str:
        """Why a leaf has to be replaced now; empty where it can stay."""
        leaf = pair.certificate
        if not is_valid(leaf, now):
            return f"the old one is valid {_span(leaf)} only"
        if verifies(leaf, [authority.certificate], self.names, now):
            return f"the old one ends on {_time(leaf.not_valid_after_utc)}" if _renew_at(leaf) <= now else ""
        if not verifies(leaf, known, self.names, now):
            return "no CA that is known stands for the old one under this name"
        if since is None or now < since + self.lifetimes.settle:
            return ""
        return "the new CA is trusted everywhere by now"

    def _retiring(
        self, known: Sequence[x509.Certificate], leaf: KeyPair, authority: KeyPair, now: datetime
    ) -> list[x509.Certificate]:
        """The CAs beside the newest that may still have signed what some pod serves."""
        is_of_newest = verifies(leaf.certificate, [authority.certificate], self.names, now)
        if is_of_newest and now >= issued_at(leaf.certificate) + self.lifetimes.settle:
            return []
        others = [certificate for certificate in known if certificate != authority.certificate]
        # Where there are too many, the CA that the leaf needs is never left out.
        others.sort(key=lambda other: not verifies(leaf.certificate, [other], self.names, now))
        return others[:MOST_RETIRING]


def _known(found: ObservedCertificates, now: datetime) -> tuple[x509.Certificate, ...]:
    """Every CA that some part of the cluster trusts already. Where both Secrets are lost, a caBundle still
    tells whose certificate the pods go on serving."""
    kept = [(data or {}).get(AUTHORITIES, b"") for data in (found.authority, found.serving)]
    return authorities_in((*kept, *found.bundles), now)


def _trusted_since(
    found: ObservedCertificates, authority: KeyPair, *, is_new: bool, now: datetime
) -> datetime | None:
    """Since when every caBundle holds the CA that signs; nothing while one does not."""
    if any(authority.certificate not in certificates_in(bundle) for bundle in found.bundles):
        return None
    try:
        since = datetime.fromisoformat(found.trusted_since).astimezone(UTC)
    except (ValueError, OverflowError):
        return now
    return now if is_new or since > now else since


def _absence(data: object) -> str:
    return "there was none" if data is None else "its Secret held no certificate with its key"


def _renew_at(certificate: x509.Certificate) -> datetime:
    made = issued_at(certificate)
    return made + (certificate.not_valid_after_utc - made) * 2 / 3


def _data(pair: KeyPair, bundle: bytes) -> dict[str, bytes]:
    return {CERTIFICATE: certificate_pem(pair.certificate), KEY: key_pem(pair.key), AUTHORITIES: bundle}


def _span(certificate: x509.Certificate) -> str:
    return f"from {_time(certificate.not_valid_before_utc)} to {_time(certificate.not_valid_after_utc)}"


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
