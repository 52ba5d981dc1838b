"""TLS without a socket: however records are cut, and those that no client has a reason to send."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from tests.http.serving import serving
from tests.waiting import wait_until

from istio_netpol.certs.self_signed import make_self_signed
from istio_netpol.http.limits import Limits
from istio_netpol.http.tls_channel import MOST_EMPTY, MOST_RECORDS, TlsChannel


class Client:
    """A client without a socket, and the channel that it talks to."""

    def __init__(self, folder: Path) -> None:
        files = make_self_signed(folder)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(files.certificate, files.key)
        self.channel = TlsChannel(server)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=files.ca)
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    def shake_hands(self, piece: int) -> None:
        """All of it, in pieces of so many bytes."""
        for _ in range(3):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            sent = self._outgoing.read()
            for at in range(0, len(sent), piece):
                assert self.channel.receive(sent[at : at + piece]) == b""
            self._incoming.write(self.channel.output())
        assert self.channel.is_open

    def records(self, *contents: bytes) -> bytes:
        """One record for each."""
        for content in contents:
            self.tls.write(content)
        return self._outgoing.read()


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_however_it_is_cut(tmp_path: Path, piece: int) -> None:
    """Handshake and data in single bytes are what they are at once."""
    client = Client(tmp_path)
    client.shake_hands(piece)
    sent = client.records(b"one", b"two" * 5000)
    received = b"".join(client.channel.receive(sent[at : at + piece]) for at in range(0, len(sent), piece))
    assert received == b"one" + b"two" * 5000
    client.channel.send(b"three")
    client._incoming.write(client.channel.output())
    assert client.tls.read() == b"three"


def test_small_records_are_read_in_turns(tmp_path: Path) -> None:
    """A thousand records in one segment do not take the loop for themselves."""
    client = Client(tmp_path)
    client.shake_hands(100_000)
    assert client.channel.receive(client.records(*[b"x"] * 1000)) == b"x" * MOST_RECORDS
    turns = 1
    while client.channel.has_more:
        client.channel.receive(b"")
        turns += 1
    assert turns == 1 + 1000 // MOST_RECORDS


def test_the_end(tmp_path: Path) -> None:
    """After a close_notify nothing more is looked at."""
    client = Client(tmp_path)
    client.shake_hands(100_000)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    assert client.channel.receive(client.records() + b"\x17\x03\x03\x00\x01x") == b""
    assert client.channel.is_ended
    assert not client.channel.has_more


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"a" * 100])
def test_what_is_not_tls_fails_at_once(tmp_path: Path, sent: bytes) -> None:
    """Without waiting for what its length would be."""
    with pytest.raises(ssl.SSLError):
        Client(tmp_path).channel.receive(sent)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_who_asks_for_new_keys_again_and_again_is_cut_off(tmp_path: Path) -> None:
    """Each costs a quarter of a millisecond, and thousands fit into what is read at once."""
    with serving(lambda _environ, _start: [], tmp_path, Limits()) as served:
        address = f"127.0.0.1:{served.port}"
        command = ["openssl", "s_client", "-connect", address, "-tls1_3"]
        client = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert client.stdin is not None
        ends = time.monotonic() + 60
        try:
            while served.count("tls") == 0 and client.poll() is None and time.monotonic() < ends:
                client.stdin.write(b"k\n")
                client.stdin.flush()
                time.sleep(0.05)
        except BrokenPipeError:
            pass
        finally:
            client.kill()
            client.communicate()
        wait_until(f"no more than {MOST_EMPTY} were taken", lambda: served.count("tls") == 1)
