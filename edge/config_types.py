"""Kinds of values that several tables of the configuration have."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Protocol

import phonenumbers
from cryptography.x509 import load_pem_x509_certificates

from edge.config_reader import Check, Contradiction, Secret, above, at_least, matching
from edge.http.addresses import is_network

# SMPP 3.4 allows 15 and 8 characters; carriers give out longer ones, and the wire has room for them.
_CREDENTIAL = 64


def is_listen(value: str) -> bool:
    """Is this an address and a port, as `Listen` takes it?"""
    host, _, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    spelled = bool(bare) and (host != bare or ":" not in host)
    return spelled and re.fullmatch("[0-9]{1,5}", port, re.ASCII) is not None and 1 <= int(port) <= 65535


Port = Annotated[int, Check("a port, 1 to 65535", lambda value: 1 <= value <= 65535)]
Listen = Annotated[str, Check('an address and port such as "127.0.0.1:8080" or "[::1]:8080"', is_listen)]
Positive = Annotated[float, above(0)]
NotNegative = Annotated[float, at_least(0)]
Count = Annotated[int, at_least(1)]
Credential = Annotated[str, matching(rf"[ -~]{{1,{_CREDENTIAL}}}", f"1 to {_CREDENTIAL} ASCII characters")]
CredentialOrNone = Annotated[
    str, matching(rf"[ -~]{{0,{_CREDENTIAL}}}", f"at most {_CREDENTIAL} ASCII characters")
]
Password = Annotated[
    Secret, matching(rf"[\x01-\xff]{{0,{_CREDENTIAL}}}", f"at most {_CREDENTIAL} characters of Latin-1")
]
Network = Annotated[str, Check('a network such as "10.0.0.0/8" or "fd00::/8", or an address', is_network)]
Number = Annotated[str, matching(r"\+[1-9][0-9]{6,14}", 'a number such as "+12025550100"')]
NumberOrNone = Annotated[
    str, matching(r"(\+[1-9][0-9]{6,14})?", 'a number such as "+12025550100", or nothing')
]
Region = Annotated[
    str, Check('an ISO 3166 country such as "US"', lambda value: value in phonenumbers.SUPPORTED_REGIONS)
]
RegionOrNone = Annotated[
    str,
    Check(
        'an ISO 3166 country such as "US", or nothing',
        lambda value: not value or value in phonenumbers.SUPPORTED_REGIONS,
    ),
]
Pin = Annotated[
    str,
    matching(
        r"(sha256/)?[A-Za-z0-9+/]{43}=|([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}",
        "a SHA-256 in hexadecimal or Base64",
    ),
]
Name = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", "a name of letters, digits, . _ -")]
Host = Annotated[str, matching(r"[^\s:]+|[0-9A-Fa-f:.]+(%\S+)?", "a host name or address, without the port")]


class TLSKeys(Protocol):
    """The keys of a table that say how TLS is done towards its ``host``; see `edge.tls`."""

    @property
    def host(self) -> str: ...
    @property
    def tls_verify(self) -> bool: ...
    @property
    def tls_server_name(self) -> str: ...
    @property
    def tls_ca_file(self) -> str: ...
    @property
    def tls_pins(self) -> tuple[str, ...]: ...
    @property
    def tls_certificate_file(self) -> str: ...
    @property
    def tls_key_file(self) -> str: ...


TLS_KEYS = ("tls_ca_file", "tls_certificate_file", "tls_key_file", "tls_pins", "tls_server_name")


def tls_contradictions(keys: TLSKeys, used: bool) -> Iterator[Contradiction]:
    """What these keys say against each other; ``used`` when TLS is."""
    for key in TLS_KEYS if not used else ():
        if value := getattr(keys, key):
            yield key, value, "nothing while tls is not true: the password would go in clear"
    if used and not keys.tls_verify and not keys.tls_pins:
        yield "tls_verify", False, "true, or tls_pins: else anybody could be the other side"
    for key in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
        if (value := getattr(keys, key)) and not Path(value).is_file():
            yield key, value, "a file that is there"
    if keys.tls_ca_file and Path(keys.tls_ca_file).is_file() and not _has_certificates(keys.tls_ca_file):
        yield "tls_ca_file", keys.tls_ca_file, "a PEM file with certificates"
    if bool(keys.tls_certificate_file) != bool(keys.tls_key_file):
        yield "tls_key_file", keys.tls_key_file, "a key and a certificate, or neither"


def _has_certificates(path: str) -> bool:
    try:
        return bool(load_pem_x509_certificates(Path(path).read_bytes()))
    except (OSError, ValueError):
        return False
