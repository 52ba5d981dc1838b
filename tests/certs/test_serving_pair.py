"""A certificate and its key are checked before they are served."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.certs.issuing import NOW, encrypted, issue

from istio_netpol.certs.self_signed import make_self_signed
from istio_netpol.certs.serving_pair import validity_of
from istio_netpol.errors import SettingsError


def refusal(certificate: Path, key: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        validity_of(certificate, key, NOW)
    return str(caught.value)


def test_validity_is_that_of_the_certificate(tmp_path: Path) -> None:
    """The dates of the certificate come back in Unix time, also where it is not valid yet."""
    starts, ends = NOW + timedelta(days=1), NOW + timedelta(days=2)
    assert validity_of(*issue(tmp_path, starts, ends), NOW) == (starts.timestamp(), ends.timestamp())


def test_expired(tmp_path: Path) -> None:
    """A certificate is good until the second in which it ends, and the refusal says when that was."""
    pair = issue(tmp_path, NOW - timedelta(days=1), NOW)
    validity_of(*pair, NOW - timedelta(seconds=1))
    assert refusal(*pair) == f"{pair[0]} has expired on {NOW:%Y-%m-%d at %H:%M} UTC; renew it"


def test_key_of_another_certificate(tmp_path: Path) -> None:
    """A key that belongs to another certificate is told from a broken one."""
    one, other = make_self_signed(tmp_path / "one"), make_self_signed(tmp_path / "other")
    assert refusal(one.certificate, other.key).startswith(f"{other.key} is not the key of {one.certificate}")


def test_encrypted_key(tmp_path: Path) -> None:
    """A key with a password is refused instead of asking for it."""
    pair = encrypted(tmp_path)
    assert refusal(*pair) == f"{pair[1]} is encrypted; give a key without a password"


def test_files_of_another_kind(tmp_path: Path) -> None:
    """Files that hold something else, or are swapped or missing, are named with what they lack."""
    files = make_self_signed(tmp_path)
    text = tmp_path / "text"
    text.write_text("neither")
    assert refusal(text, files.key) == f"{text} holds no certificate in PEM format"
    assert refusal(files.key, files.certificate) == f"{files.key} holds no certificate in PEM format"
    assert refusal(files.certificate, text) == f"{text} holds no private key in PEM format"
    missing = tmp_path / "missing"
    assert refusal(files.certificate, missing) == f"{missing} can't be read: No such file or directory"
    assert refusal(tmp_path, files.key) == f"{tmp_path} can't be read: Is a directory"
