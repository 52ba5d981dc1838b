"""When certificates are made anew, and whom clients are told to trust meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from istio_netpol.certs.issuing import KeyPair, Validity, certificate_pem, key_pem, make_authority, make_leaf
from istio_netpol.certs.observed import (
    ObservedCertificates,
    authorities_in,
    certificates_in,
    issued_at,
    pair_in,
    verifies,
)
from istio_netpol.certs.rotation import MOST_RETIRING, CertificatePlan, Lifetimes, Rotation

NAMES = ("istio-netpol-webhook.istio-netpol.svc", "istio-netpol-webhook.istio-netpol")
NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SHORT = Lifetimes(leaf=9 * DAY, authority=30 * DAY, settle=HOUR)
ROTATION = Rotation(NAMES)


def carried_out(plan: CertificatePlan) -> ObservedCertificates:
    """The cluster once everything was written."""
    bundles = (plan.bundle, plan.bundle)
    return ObservedCertificates(plan.authority, plan.serving, plan.trusted_since, bundles)


def leaf_of(plan: CertificatePlan) -> x509.Certificate:
    return certificates_in(plan.serving["tls.crt"])[0]


def authority_of(plan: CertificatePlan) -> x509.Certificate:
    return certificates_in(plan.authority["tls.crt"])[0]


def made(plan: CertificatePlan) -> list[str]:
    """What is made anew."""
    reasons = {"CA": plan.authority_reason, "leaf": plan.leaf_reason}
    return [name for name, reason in reasons.items() if reason]


@cache
def settled(rotation: Rotation = ROTATION) -> tuple[ObservedCertificates, datetime]:
    """A cluster in which all is as it should be, and two hours after it was made."""
    first = rotation.plan(ObservedCertificates(bundles=(b"", b"")), NOW)
    second = rotation.plan(carried_out(first), NOW + MINUTE)
    third = rotation.plan(carried_out(second), NOW + 2 * HOUR)
    return carried_out(third), NOW + 2 * HOUR


def test_what_is_made_is_what_kubernetes_expects() -> None:
    """ECDSA P-256; a leaf of 90 days and a CA of two years, both valid for clocks ten minutes behind."""
    plan = ROTATION.plan(ObservedCertificates(), NOW)
    leaf, authority = leaf_of(plan), authority_of(plan)
    for certificate in (leaf, authority):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        assert certificate.not_valid_before_utc == NOW - 10 * MINUTE
    assert leaf.not_valid_after_utc == NOW + 90 * DAY
    assert authority.not_valid_after_utc == NOW + 730 * DAY
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == NAMES
    assert plan.bundle == plan.authority["ca.crt"] == plan.serving["ca.crt"] == certificate_pem(authority)


def test_nothing_changes_before_something_is_due() -> None:
    """Whoever looks every ten seconds writes nothing for two months."""
    found, now = settled()
    plan = ROTATION.plan(found, now)
    assert plan.again_at == NOW + 60 * DAY
    for later in (now, NOW + 60 * DAY - MINUTE):
        assert carried_out(ROTATION.plan(found, later)) == found


def test_a_leaf_is_renewed_by_the_same_ca_at_two_thirds_of_its_life() -> None:
    """A month before it expires; nobody needs to learn of a new CA."""
    found, _ = settled()
    plan = ROTATION.plan(found, NOW + 60 * DAY)
    assert made(plan) == ["leaf"]
    assert "the old one ends on 2027-02-23 09:00:00 UTC" in plan.leaf_reason
    assert plan.bundle == found.bundles[0]


def test_a_new_ca_is_trusted_before_it_signs_and_the_old_one_until_nothing_of_it_is_served() -> None:
    """The four steps of a rotation, each no earlier than it is safe."""
    rotation = Rotation(NAMES, SHORT)
    found, _ = settled(rotation)
    start = NOW + 20 * DAY
    # Its last leaf is a young one, so that the CA alone is due.
    found = carried_out(rotation.plan(found, start - DAY))
    old = certificates_in(found.bundles[0])[0]

    announced = rotation.plan(found, start)
    new = authority_of(announced)
    assert made(announced) == ["CA"]
    assert certificates_in(announced.bundle) == (new, old)
    assert announced.trusted_since == ""

    # Only what the API server holds counts: a caBundle that was not written starts no clock.
    unwritten = replace(carried_out(announced), bundles=found.bundles)
    assert made(rotation.plan(unwritten, start + 5 * HOUR)) == []

    seen = rotation.plan(carried_out(announced), start + 5 * HOUR)
    assert (made(seen), seen.again_at) == ([], start + 6 * HOUR)
    waiting = rotation.plan(carried_out(seen), start + 6 * HOUR - MINUTE)
    assert made(waiting) == []

    signed = rotation.plan(carried_out(waiting), start + 6 * HOUR)
    assert made(signed) == ["leaf"]
    assert verifies(leaf_of(signed), [new], NAMES, start + 6 * HOUR)
    assert (certificates_in(signed.bundle), signed.again_at) == ((new, old), start + 7 * HOUR)

    delivering = rotation.plan(carried_out(signed), start + 7 * HOUR - MINUTE)
    assert certificates_in(delivering.bundle) == (new, old)
    over = rotation.plan(carried_out(delivering), start + 7 * HOUR)
    assert (made(over), certificates_in(over.bundle)) == ([], (new,))


@dataclass
class Simulated:
    """A cluster whose API servers and pods may still use whatever they were told within the last hour."""

    rotation: Rotation
    found: ObservedCertificates
    leaves: list[tuple[datetime, x509.Certificate]]
    bundles: list[tuple[datetime, bytes]]
    authorities: set[bytes]

    def look(self, now: datetime) -> None:
        """Checks every combination that can be in use, then writes what is planned."""
        plan = self.rotation.plan(self.found, now)
        self.found = carried_out(plan)
        self.authorities.add(plan.authority["tls.crt"])
        self.leaves = self._in_use([*self.leaves, (now, leaf_of(plan))], now)
        self.bundles = self._in_use([*self.bundles, (now, plan.bundle)], now)
        served = {leaf for _, leaf in self.leaves}
        for leaf, bundle in product(served, {bundle for _, bundle in self.bundles}):
            for clock in (now - 9 * MINUTE, now, now + 9 * MINUTE):
                assert verifies(leaf, certificates_in(bundle), NAMES, clock)

    @staticmethod
    def _in_use(told: list[tuple[datetime, Any]], now: datetime) -> list[tuple[datetime, Any]]:
        """What was told within the last hour, and what was told last before it."""
        horizon = now - SHORT.settle
        before = [moment for moment in told if moment[0] <= horizon][-1:]
        return before + [moment for moment in told if moment[0] > horizon]


STEPS = st.lists(
    st.sampled_from([timedelta(seconds=10), 20 * MINUTE, 59 * MINUTE, HOUR, DAY, 2 * DAY]), max_size=40
)


@settings(max_examples=25)
@given(STEPS)
@example([*[2 * DAY] * 10, *[20 * MINUTE] * 8, *[2 * DAY] * 10, *[HOUR] * 4])
def test_no_handshake_fails_while_certificates_are_rotated(steps: list[timedelta]) -> None:
    """Whenever somebody looks, however long kubelet and the API servers take within the hour, and with
    clocks that differ by nine minutes."""
    rotation = Rotation(NAMES, SHORT)
    found, now = settled(rotation)
    known = certificates_in(found.bundles[0])
    leaf = certificates_in((found.serving or {})["tls.crt"])[0]
    cluster = Simulated(
        rotation, found, [(now, leaf)], [(now, found.bundles[0])], {certificate_pem(known[0])}
    )
    for step in steps:
        now += step
        cluster.look(now)
    if sum(steps, timedelta()) > 40 * DAY:
        assert len(cluster.authorities) > 1


@cache
def pieces() -> tuple[bytes, ...]:
    """What the keys of a Secret may hold: right, wrong in one way each, and nonsense."""
    authority = make_authority(Validity.of(NOW, 730 * DAY))
    other = make_authority(Validity.of(NOW - DAY, 730 * DAY))
    expired = make_authority(Validity.of(NOW - 30 * DAY, DAY))
    leaf = make_leaf(authority, NAMES, Validity.of(NOW, 90 * DAY))
    foreign = make_leaf(other, NAMES, Validity.of(NOW, 90 * DAY))
    elsewhere = make_leaf(authority, ("other.example",), Validity.of(NOW, 90 * DAY))
    pairs = (authority, other, expired, leaf, foreign, elsewhere)
    certificates = [certificate_pem(pair.certificate) for pair in pairs]
    keys = [key_pem(pair.key) for pair in pairs]
    curve = ec.generate_private_key(ec.SECP384R1())
    long = rsa.generate_private_key(65537, 2048)
    strange = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in (curve, long)]
    broken = [certificates[0][:200], keys[0][:100], b"", b"\xff\x00", certificates[0] * 200]
    return (*certificates, *keys, *strange, *broken, certificates[0] + certificates[1])


def data() -> st.SearchStrategy[Mapping[str, bytes] | None]:
    """The data of a Secret, or none."""
    piece = st.sampled_from(pieces()) | st.binary(max_size=40)
    return st.none() | st.dictionaries(st.sampled_from(["tls.crt", "tls.key", "ca.crt", "x"]), piece)


MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)) | st.sampled_from(
    [NOW, NOW + DAY]
)


@given(
    st.builds(
        ObservedCertificates,
        authority=data(),
        serving=data(),
        trusted_since=st.text(max_size=30) | MOMENTS.map(datetime.isoformat),
        bundles=st.lists(st.sampled_from(pieces()) | st.binary(max_size=40), max_size=3).map(tuple),
    ),
    MOMENTS,
)
def test_whatever_is_found_heals_at_once(found: ObservedCertificates, now: datetime) -> None:
    """Any two Secrets and any caBundle, at any time: what is written serves every client, and once it is
    written there is nothing more to make."""
    plan = ROTATION.plan(found, now)
    leaf, authority = pair_in(plan.serving), pair_in(plan.authority)
    assert isinstance(leaf, KeyPair)
    assert isinstance(authority, KeyPair)
    trusted = certificates_in(plan.bundle)
    assert trusted[0] == authority.certificate
    assert verifies(leaf.certificate, trusted, NAMES, now)
    assert len(trusted) <= 1 + MOST_RETIRING
    assert set(trusted[1:]) <= set(authorities_in(pieces(), now))
    again = ROTATION.plan(carried_out(plan), now)
    assert made(again) == []
    assert replace(carried_out(again), trusted_since="") == replace(carried_out(plan), trusted_since="")
    assert ROTATION.plan(carried_out(again), now) == again


@given(MOMENTS, MOMENTS)
def test_a_clock_that_jumps_leaves_a_certificate_that_serves(first: datetime, second: datetime) -> None:
    """To 1970 and back, or a century ahead."""
    made_then = carried_out(ROTATION.plan(ObservedCertificates(), first))
    plan = ROTATION.plan(made_then, second)
    assert verifies(leaf_of(plan), certificates_in(plan.bundle), NAMES, second)


def test_a_lost_ca_is_no_reason_to_stop_serving() -> None:
    """The CA's Secret was deleted: the leaf serves on until its successor can, and its CA stays trusted."""
    found, now = settled()
    plan = ROTATION.plan(replace(found, authority=None), now)
    assert made(plan) == ["CA"]
    assert plan.authority_reason.endswith(": there was none")
    assert plan.serving["tls.crt"] == (found.serving or {})["tls.crt"]
    assert certificates_in(plan.bundle)[1:] == certificates_in(found.bundles[0])


def test_pods_go_on_serving_while_both_secrets_are_made_anew() -> None:
    """Pods keep the files of a Secret that was deleted; only the caBundle still tells who signed them."""
    found, now = settled()
    lost = ObservedCertificates(bundles=found.bundles)
    plan = ROTATION.plan(lost, now)
    assert made(plan) == ["CA", "leaf"]
    old_leaf = certificates_in((found.serving or {})["tls.crt"])[0]
    assert verifies(old_leaf, certificates_in(plan.bundle), NAMES, now)
    later = ROTATION.plan(carried_out(ROTATION.plan(carried_out(plan), now)), now + HOUR)
    assert certificates_in(later.bundle) == (authority_of(plan),)


def test_an_emptied_bundle_gets_back_what_is_trusted() -> None:
    """GitOps re-applied one of the configurations without a caBundle."""
    found, now = settled()
    plan = ROTATION.plan(replace(found, bundles=(b"", found.bundles[0])), now)
    assert (plan.bundle, made(plan)) == (found.bundles[0], [])


def test_a_foreign_ca_does_not_stay() -> None:
    """A CA that somebody put into a caBundle goes with the next look, once nothing can depend on it."""
    found, now = settled()
    stranger = certificate_pem(make_authority(Validity.of(now, DAY)).certificate)
    plan = ROTATION.plan(replace(found, bundles=(found.bundles[0] + stranger, stranger)), now)
    assert plan.bundle == found.bundles[0]


def test_of_many_old_cas_the_needed_one_stays() -> None:
    """Whoever deletes the CA's Secret all the time fills no caBundle, and stops no webhook."""
    found, now = settled()
    for _ in range(12):
        now += MINUTE
        found = replace(carried_out(ROTATION.plan(found, now)), authority=None)
        leaf = certificates_in((found.serving or {})["tls.crt"])[0]
        trusted = certificates_in(found.bundles[0])
        assert len(trusted) <= 1 + MOST_RETIRING
        assert verifies(leaf, trusted, NAMES, now)


@pytest.mark.parametrize("name", ["not-before", "renamed"])
def test_a_leaf_that_serves_nobody_is_replaced(name: str) -> None:
    """One whose time has not come, as after a clock was set back, and one for a Service of another name."""
    found, now = settled()
    rotation = Rotation(("other.shop.svc",)) if name == "renamed" else ROTATION
    when = NOW - HOUR if name == "not-before" else now
    plan = rotation.plan(found, when)
    assert "leaf" in made(plan)
    assert verifies(leaf_of(plan), certificates_in(plan.bundle), rotation.names, when)


def test_a_ca_that_can_sign_nothing_is_replaced() -> None:
    """Somebody put a serving certificate with its key where the CA belongs: what it signs nobody takes."""
    found, now = settled()
    plan = ROTATION.plan(replace(found, authority=found.serving), now)
    assert plan.authority_reason.endswith(": clients take nothing that the old one signs")
    assert verifies(leaf_of(plan), certificates_in(plan.bundle), NAMES, now)


def test_keys_are_not_shown() -> None:
    """Neither by what was found nor by what is planned, however they are printed."""
    found, now = settled()
    printed = repr(found) + repr(ROTATION.plan(found, now)) + repr(pair_in(found.serving))
    assert "PRIVATE" not in printed


def test_a_leaf_never_outlives_its_ca() -> None:
    """A CA with ten days left signs for ten days."""
    authority = make_authority(Validity.of(NOW, 10 * DAY))
    leaf = make_leaf(authority, NAMES, Validity.of(NOW, 90 * DAY)).certificate
    assert leaf.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert issued_at(leaf) == NOW
