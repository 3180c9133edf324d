"""Deliveries over TLS: whom they trust, and how they go through a proxy."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.contract.notifiers.notifications import STORIES
from tests.contract.notifiers.server import Server, http
from wabawatch.errors import DeliveryError

ANYTHING = STORIES["opened"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with the key and the certificate of hooks.example.test, which is signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def tls(certificate, monkeypatch):
    """A port of TLS; every name leads to it."""
    ask = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *given, **named: ask("127.0.0.1", *given, **named))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, context), daemon=True).start()
        yield listener.getsockname()[1]


def serve(listener, context):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                read_request(wrapped)
                wrapped.sendall(http(200, b"ok"))
        except OSError:
            connection.close()


def read_request(connection):
    """Read head and body: a connection that is closed with something unread is reset, and the answer with it."""
    received = receive(connection)
    while b"\r\n\r\n" not in received:
        received += receive(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split()[1])
    while len(body) < length:
        body += receive(connection)


def receive(connection):
    if not (chunk := connection.recv(65536)):
        raise ConnectionError
    return chunk


@pytest.fixture
def hook(bench):
    def build(url):
        one = bench("webhook", patience=5.0)
        one.secrets.values["HOOK"] = url
        return one

    return build


def test_a_certificate_that_nobody_vouches_for_is_refused(hook, tls):
    with pytest.raises(DeliveryError, match="certificate") as caught:
        hook(f"https://hooks.example.test:{tls}/").deliver(ANYTHING)
    assert caught.value.kind == "passing"


def test_a_certificate_of_the_environments_bundle_is_trusted(hook, tls, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    hook(f"https://hooks.example.test:{tls}/").deliver(ANYTHING)


def test_a_certificate_of_another_name_is_refused(hook, tls, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with pytest.raises(DeliveryError, match="certificate"):
        hook(f"https://other.example.test:{tls}/").deliver(ANYTHING)


def test_what_is_elsewhere_is_reached_through_the_proxy_of_the_environment(hook, monkeypatch):
    proxy = Server([http(403)])
    monkeypatch.setenv("https_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DeliveryError) as caught:
        hook("https://hooks.example.test/hidden").deliver(ANYTHING)
    proxy.close()
    assert [request.path for request in proxy.requests] == ["hooks.example.test:443"]
    assert "hidden" not in str(caught.value)
