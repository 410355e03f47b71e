"""The tables of the configuration that are about SIP: phones, and trunks to other telephone systems."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

from edge.config_reader import KEY, Contradiction, Secret, at_least, between, matching
from edge.config_types import (
    Count,
    CredentialOrNone,
    Host,
    Listen,
    Name,
    Network,
    Password,
    Pin,
    Positive,
    RegionOrNone,
    tls_contradictions,
)

NO_PASSWORD = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkConfig:
    """A PBX, a proxy or a provider: texts of numbers go to it, and come from it.

    ``host`` with ``port`` 0 is looked up by RFC 3263, ``transport`` empty too. With ``register`` we are its
    client; else it is a static peer. ``networks`` empty: its requests come from where it is found.
    """

    name: Name
    host: Host
    port: Annotated[int, between(0, 65535)] = 0
    transport: Literal["", "udp", "tcp", "tls"] = ""
    domain: Annotated[str, matching(r"[A-Za-z0-9.:\[\]-]*", "a host name or address, or nothing")] = ""
    networks: tuple[Network, ...] = ()
    accounts: tuple[Count, ...] = ()
    did: Annotated[str, matching(r"(\+[1-9][0-9]{6,14})?", 'a number such as "+12025550100", or nothing')] = (
        ""
    )
    number_format: Literal["plus", "e164", "national"] = "plus"
    region: RegionOrNone = ""
    username: CredentialOrNone = ""
    password: Password = NO_PASSWORD
    register: bool = False
    expires_seconds: Annotated[int, at_least(30)] = 600
    tls_verify: bool = True
    tls_server_name: str = ""
    tls_ca_file: str = ""
    tls_pins: tuple[Pin, ...] = ()
    tls_certificate_file: str = ""
    tls_key_file: str = ""

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        yield from tls_contradictions(self, used=True)
        if self.register and not self.username:
            yield "username", "", "the name to register as, because register = true"


@dataclass(frozen=True, slots=True, kw_only=True)
class SIPConfig:
    """Phones: where they register, and how long anything of theirs is kept."""

    domain: Annotated[str, matching(r"[a-z0-9.-]{1,255}", "a host name or address in lower case")]
    udp: tuple[Listen, ...] = ("127.0.0.1:5060",)
    tcp: tuple[Listen, ...] = ("127.0.0.1:5060",)
    tls: tuple[Listen, ...] = ()
    ws: tuple[Listen, ...] = ()
    wss: tuple[Listen, ...] = ()
    certificate: str = ""
    private_key: str = ""
    min_expires_seconds: Count = 60
    default_expires_seconds: Count = 3_600
    max_expires_seconds: Count = 7_200
    max_contacts: Annotated[int, between(1, 100)] = 10
    nonce_seconds: Positive = 300.0
    allow_legacy_digest: bool = False
    keep_hours: Positive = 72.0
    large_udp: Literal["send", "refuse"] = "send"
    sms_to_header: bool = True
    address_requests_per_second: Positive = 50.0
    account_messages_per_second: Positive = 10.0
    ban_after_wrong_passwords: Annotated[int, at_least(2)] = 5
    ban_seconds: Positive = 60.0
    ban_max_seconds: Positive = 3_600.0
    trusted: tuple[Network, ...] = ()
    public_address: Annotated[str, matching(r"[A-Za-z0-9.:-]*", "a host name or address, or nothing")] = ""
    trunks: tuple[TrunkConfig, ...] = field(default=(), metadata={KEY: "trunk"})

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        if (self.tls or self.wss) and not (self.certificate and self.private_key):
            yield "certificate", self.certificate, "certificate and private_key (PEM files) for tls and wss"
        if not self.min_expires_seconds <= self.default_expires_seconds <= self.max_expires_seconds:
            expected = "between min_expires_seconds and max_expires_seconds"
            yield "default_expires_seconds", self.default_expires_seconds, expected
