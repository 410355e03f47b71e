"""TLS towards an SMSC or another server: whom to believe, and how to show who we are.

A certificate is checked against the system's authorities or those of a file, for the name that the
configuration has, not for what DNS made of it (RFC 5922 §7.1). Pins are checked within the handshake, so
nothing, least of all the password, goes to somebody with another key. A pin
alone may decide (``tls_verify = false``): many SMSCs have certificates that nobody signed.
"""

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import SSL, crypto
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from zope.interface import implementer

from edge.config_types import TLSKeys

PEM_END = b"-----END CERTIFICATE-----"
MAX_NAMES = 200


def client_options(config: TLSKeys) -> IOpenSSLClientConnectionCreator:
    """The TLS side of an upstream or a trunk. Raises OSError or OpenSSL's error for bad files."""
    name = config.tls_server_name or config.host
    pins = frozenset(map(pin_octets, config.tls_pins))
    own = _own_certificate(config)
    if not config.tls_verify:
        return _Pinned(_unverified(name, own), pins, trusting=True)
    trust = (
        trustRootFromCertificates(_authorities(config.tls_ca_file)) if config.tls_ca_file else platformTrust()
    )
    creator = optionsForClientTLS(name, trustRoot=trust, clientCertificate=own)
    return _Pinned(creator, pins, trusting=False) if pins else creator


def files_digest(config: TLSKeys) -> bytes:
    """What the certificate files of an upstream hold: another value when one of them was renewed. Raises
    OSError."""
    names = (config.tls_ca_file, config.tls_certificate_file, config.tls_key_file)
    digest = hashlib.sha256()
    for name in names:
        content = Path(name).read_bytes() if name else b""
        digest.update(b"%d:%b" % (len(content), content))
    return digest.digest()


def verified(name: str, ca_file: str = "") -> IOpenSSLClientConnectionCreator:
    """The TLS side towards who has a certificate for this name, of the system's authorities or a file's."""
    return _verified(name, ca_file, Path(ca_file).stat().st_mtime_ns if ca_file else 0)


@lru_cache(maxsize=MAX_NAMES)
def _verified(name: str, ca_file: str, changed: int) -> IOpenSSLClientConnectionCreator:
    """Made once for a name and a file as it is: reading the authorities takes longer than a handshake."""
    trust = trustRootFromCertificates(_authorities(ca_file)) if ca_file else platformTrust()
    creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(name, trustRoot=trust)
    return creator


def unverified(name: str) -> IOpenSSLClientConnectionCreator:
    """The TLS side towards anybody: against eavesdroppers only."""
    return _unverified(name, None)


def pin_octets(pin: str) -> bytes:
    """A pin as it is configured, as 32 octets."""
    if pin.endswith("="):
        return base64.b64decode(pin.removeprefix("sha256/"))
    return bytes.fromhex(pin.replace(":", ""))


def pins_of(certificate: crypto.X509) -> frozenset[bytes]:
    """The two SHA-256 that a pin may be: of the certificate, and of its public key (SPKI, RFC 7469 §2.4)."""
    found = certificate.to_cryptography()
    key = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return frozenset(hashlib.sha256(octets).digest() for octets in (found.public_bytes(Encoding.DER), key))


@implementer(IOpenSSLClientConnectionCreator)
class _Pinned:
    """I make the connections of another creator, with a look at the pins in their handshakes."""

    def __init__(self, creator: Any, pins: frozenset[bytes], *, trusting: bool) -> None:
        self._creator = creator
        self._pins = pins
        self._trusting = trusting

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See IOpenSSLClientConnectionCreator."""
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        return connection

    def _verify(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int
    ) -> bool:
        if not good and not self._trusting:
            return False
        return depth > 0 or bool(self._pins & pins_of(certificate))


@implementer(IOpenSSLClientConnectionCreator)
class _Plain:
    """I make connections that ask for a name and check nothing; `_Pinned` does."""

    def __init__(self, name: str, options: CertificateOptions) -> None:
        self._name = name
        self._options = options

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See IOpenSSLClientConnectionCreator."""
        connection = SSL.Connection(self._options.getContext(), None)
        if not isIPAddress(self._name) and not isIPv6Address(self._name):
            connection.set_tlsext_host_name(self._name.encode("idna"))
        connection.set_app_data(tlsProtocol)
        return connection


def _unverified(name: str, own: PrivateCertificate | None) -> _Plain:
    return _Plain(name, CertificateOptions() if own is None else own.options())


def _own_certificate(config: TLSKeys) -> PrivateCertificate | None:
    if not config.tls_certificate_file:
        return None
    pem = Path(config.tls_key_file).read_bytes() + b"\n" + Path(config.tls_certificate_file).read_bytes()
    found: PrivateCertificate = PrivateCertificate.loadPEM(pem)
    return found


def _authorities(path: str) -> list[Certificate]:
    pem = Path(path).read_bytes()
    return [Certificate.loadPEM(block + PEM_END) for block in pem.split(PEM_END)[:-1]]
