"""TLS to an SMSC: nobody but the right one is told the password."""

import base64
import datetime
import hashlib
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from twisted.internet import reactor, ssl
from twisted.internet.task import deferLater

from edge.testing import FakeSMSC, accept_all
from tests.fault.edge import Edge, bound

pytestmark = [
    pytest.mark.integration,
    # Twisted gives pyOpenSSL its own kind of certificate, which that calls old.
    pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning"),
]

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def twisted(self) -> ssl.PrivateCertificate:
        found: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(self.key_pem + self.pem)
        return found


def identity(name: str, issuer: Identity | None = None, host: str | None = None) -> Identity:
    """A certificate, by an authority or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is not None:
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host) if host != HOST else x509.IPAddress(ipaddress.ip_address(host))]
        )
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    return Identity(signed, key)


AUTHORITY = identity("authority")
SMSC = identity("smsc", AUTHORITY, HOST)
NAMED = identity("smsc", AUTHORITY, "smsc.example.net")
SELF_SIGNED = identity("smsc", None, HOST)
CLIENT = identity("esme", AUTHORITY, "esme.example.net")


class Secured:
    """The reactor, but what listens on it speaks TLS."""

    def __init__(self, options: Any) -> None:
        self._options = options

    def listenTCP(self, port: int, factory: Any, interface: str) -> Any:
        return reactor.listenSSL(port, factory, self._options, interface=interface)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


def pins(of: Identity) -> dict[str, str]:
    """Every spelling of a pin."""
    key = of.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    spki = hashlib.sha256(key).digest()
    whole = of.certificate.fingerprint(hashes.SHA256())
    return {
        "key": spki.hex(),
        "certificate": whole.hex(":").upper(),
        "base64": f"sha256/{base64.b64encode(spki).decode()}",
    }


class Rig:
    """An SMSC with TLS, and a server that wants to bind to it. ``clients`` are the authorities of those whose
    certificates the SMSC asks for."""

    def __init__(self, folder: Path, of: Identity, *clients: Identity) -> None:
        self.folder = folder
        for name, content in (
            ("ca.pem", b"# ours\n" + AUTHORITY.pem + SELF_SIGNED.pem),
            ("client.pem", CLIENT.pem),
            ("client.key", CLIENT.key_pem),
        ):
            (folder / name).write_bytes(content)
        trusted = [ssl.Certificate.loadPEM(client.pem) for client in clients]
        self.smsc = FakeSMSC(Secured(of.twisted.options(*trusted)), accept_all)
        self.smsc.start()

    def edge(self, **settings: Any) -> Edge:
        return Edge(f"sqlite:///{self.folder / 'edge.db'}", {"up": self.smsc}, tls=True, **settings)

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    async def binds(self, **settings: Any) -> None:
        edge = self.edge(**settings)
        await bound(self.smsc)
        accepted = await edge.submit("over TLS")
        await edge.all_in([accepted], "sent")
        await edge.stop()
        await self.smsc.stop()

    async def does_not_bind(self, **settings: Any) -> None:
        """It tries, and tries again, and nobody hears a PDU."""
        edge = self.edge(**settings)
        deadline = time.monotonic() + 20
        while edge.service.bind_snapshots()[0].reconnects < 2:
            assert time.monotonic() < deadline
            await deferLater(reactor, 0.005)
        assert [link.received for link in self.smsc.links if link.received] == []
        await edge.stop()
        await self.smsc.stop()


@pytest_twisted.ensureDeferred
async def test_a_certificate_of_the_configured_authority_is_believed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, SMSC)
    await rig.binds(tls_ca_file=rig.ca)


@pytest_twisted.ensureDeferred
async def test_one_that_the_system_does_not_know_is_not(tmp_path: Path) -> None:
    await Rig(tmp_path, SMSC).does_not_bind()


@pytest_twisted.ensureDeferred
async def test_nor_one_for_another_name(tmp_path: Path) -> None:
    rig = Rig(tmp_path, NAMED)
    await rig.does_not_bind(tls_ca_file=rig.ca)


@pytest_twisted.ensureDeferred
async def test_unless_that_name_is_the_one_configured(tmp_path: Path) -> None:
    rig = Rig(tmp_path, NAMED)
    await rig.binds(tls_ca_file=rig.ca, tls_server_name="smsc.example.net")


@pytest.mark.parametrize("spelling", ["key", "certificate", "base64"])
@pytest_twisted.ensureDeferred
async def test_a_pin_that_fits(tmp_path: Path, spelling: str) -> None:
    rig = Rig(tmp_path, SMSC)
    await rig.binds(tls_ca_file=rig.ca, tls_pins=(pins(NAMED)["key"], pins(SMSC)[spelling]))


@pytest_twisted.ensureDeferred
async def test_a_pin_that_does_not_fit_outweighs_a_good_signature(tmp_path: Path) -> None:
    rig = Rig(tmp_path, SMSC)
    await rig.does_not_bind(tls_ca_file=rig.ca, tls_pins=tuple(pins(NAMED).values()))


@pytest_twisted.ensureDeferred
async def test_a_pin_does_not_replace_the_signature_where_that_is_wanted(tmp_path: Path) -> None:
    await Rig(tmp_path, SELF_SIGNED).does_not_bind(tls_pins=(pins(SELF_SIGNED)["key"],))


@pytest_twisted.ensureDeferred
async def test_a_pin_alone_may_decide(tmp_path: Path) -> None:
    await Rig(tmp_path, SELF_SIGNED).binds(tls_pins=(pins(SELF_SIGNED)["key"],), tls_verify=False)


@pytest_twisted.ensureDeferred
async def test_and_then_decides(tmp_path: Path) -> None:
    await Rig(tmp_path, SELF_SIGNED).does_not_bind(tls_pins=(pins(SMSC)["key"],), tls_verify=False)


@pytest.mark.parametrize("verify", [True, False])
@pytest_twisted.ensureDeferred
async def test_an_smsc_may_want_our_certificate(tmp_path: Path, verify: bool) -> None:
    rig = Rig(tmp_path, SMSC, AUTHORITY)
    await rig.binds(
        tls_ca_file=rig.ca,
        tls_pins=(pins(SMSC)["key"],),
        tls_verify=verify,
        tls_certificate_file=str(tmp_path / "client.pem"),
        tls_key_file=str(tmp_path / "client.key"),
    )
