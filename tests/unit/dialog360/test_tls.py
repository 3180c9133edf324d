"""Certificates: only one that a known authority signed for this very host gets to see the key."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wabawatch.domain.health import Report


def certificate(folder, *, address="127.0.0.1", days=1):
    """A certificate that signs itself, valid until so many days from now, and its key: two PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "private.pem"
    chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return chain, private


@pytest.fixture
def gateway(servers, tmp_path):
    """A server with TLS, and the file that makes its certificate known."""

    def gateway(**fields):
        chain, private = certificate(tmp_path, **fields)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, private)
        server = servers(wrap=lambda stream: context.wrap_socket(stream, server_side=True))
        server.url = server.url.replace("http:", "https:")
        return server, str(chain)

    return gateway


def test_a_certificate_that_is_known_is_accepted_and_the_connection_kept(world, gateway):
    server, ca_file = gateway()
    source = world.source(ca_file=ca_file, concurrency=2)
    for _ in range(2):
        outcomes = world.observe(world.targets(10, base_url=server.url), source)
        assert all(isinstance(outcome, Report) for outcome in outcomes.values())
    assert server.connections == 2


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        pytest.param({}, False, id="nobody-known-signed"),
        pytest.param({"address": "127.0.0.2"}, True, id="is-for-another-host"),
        pytest.param({"days": -1}, True, id="has-expired"),
    ],
)
def test_a_certificate_is_refused_that(world, gateway, fields, known):
    server, ca_file = gateway(**fields)
    settings = {"ca_file": ca_file} if known else {}
    outcome = world.observe(world.targets(base_url=server.url), **settings)["n0"]
    assert outcome.cause == "unreachable"
    assert "certificate" in outcome.detail
    assert not server.requests


def test_a_bundle_that_is_not_there_is_unreachable_and_not_unsafe(world, gateway):
    server, _ = gateway()
    outcome = world.observe(world.targets(base_url=server.url), ca_file="/nowhere/ca.pem")["n0"]
    assert outcome.cause == "unreachable"
    assert not server.requests
