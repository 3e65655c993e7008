"""TLS: a stranger's certificate is refused before anything is said, and the deadline holds inside TLS too."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from metaads.graph.errors import Kind
from metaads.graph.transport import Transport
from tests.metaads.graph.wire import TOKEN, Wire, http, wire


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(26)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2120, 1, 1, tzinfo=dt.UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


class TLSWire(Wire):
    """The loopback server, speaking TLS."""

    def __init__(self, script: Callable[[socket.socket, threading.Event], None], certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        super().__init__(script)

    @property
    def address(self) -> str:
        return super().address.replace("http://", "https://")

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            secure = self._context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            return
        super()._serve(secure)


def answering(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(http('{"success": true}'))


@pytest.mark.fault("F50")
def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(certificate: Path) -> None:
    server = TLSWire(answering, certificate)
    try:
        answer = Transport(server.address).request("POST", "20", token=TOKEN, data={"status": "PAUSED"})
    finally:
        server.close()
    assert (answer.kind, answer.rule, answer.sent) == (Kind.TRANSIENT, "tls_refused", False)
    assert server.requests == []


@pytest.mark.fault("F50")
def test_whoever_the_name_leads_to_needs_the_certificate_of_that_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a changed DNS answer comes to: a server whose certificate is good, and another name's."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = TLSWire(answering, certificate)
    try:
        elsewhere = server.address.replace("127.0.0.1", "localhost")
        answer = Transport(elsewhere).request("POST", "20", token=TOKEN, data={"status": "PAUSED"})
    finally:
        server.close()
    assert (answer.kind, answer.rule, answer.sent) == (Kind.TRANSIENT, "tls_refused", False)
    assert server.requests == []


def test_a_certificate_that_is_trusted_is_accepted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = TLSWire(answering, certificate)
    try:
        answer = Transport(server.address).request("POST", "20", token=TOKEN, data={"status": "PAUSED"})
    finally:
        server.close()
    assert answer.ok
    assert len(server.requests) == 1


@pytest.mark.fault("F51")
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_drip_inside_tls_is_cut_at_the_deadline(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    def drip(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(start or b"H")
        for _ in range(2000):
            connection.sendall(b"x")
            if stop.wait(0.01):
                return

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = TLSWire(drip, certificate)
    try:
        answer = Transport(server.address, total_deadline=0.4).request("GET", "me", token=TOKEN)
    finally:
        server.close()
    assert (answer.kind, answer.rule) == (Kind.UNKNOWN, "deadline_passed")


def test_a_server_that_never_finishes_the_handshake_is_given_up_on() -> None:
    with wire(b"") as server:
        address = server.address.replace("http://", "https://")
        answer = Transport(address, connect_timeout=0.2).request("POST", "20", token=TOKEN, data={"a": 1})
    assert (answer.kind, answer.sent) == (Kind.TRANSIENT, False)
