"""The table [mail] of the configuration: our domain, how mail leaves, how replies come in."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from edge.config_reader import Check, Contradiction, Secret, at_least, between, matching
from edge.config_types import Count, Listen, Port, Positive
from edge.http.addresses import is_network
from protocols.mail import address, dkim
from protocols.mail.smtp import TLS
from protocols.mail.token import KeyRing

Domain = Annotated[
    str,
    matching(
        r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{1,63}", "a domain in lower case"
    ),
]
Name = Annotated[str, matching(r"[a-z0-9.-]{0,253}", "a host name in lower case, or nothing")]
Server = Annotated[
    str,
    Check(
        'a host and port such as "mail.example.net:587", or nothing',
        lambda value: not value or (":" in value and _is_port(value.rpartition(":")[2])),
    ),
]
Network = Annotated[str, Check('a network such as "192.0.2.0/24", or an address', is_network)]
OPERATORS = ("postmaster", "abuse")
"""Who has an address at every domain (RFC 5321 §4.5.1, RFC 2142)."""

SUBJECT_FIELDS = {"token": "t" * 40, "did": "2025550100", "peer": "2025550150", "name": "Anna"}


def _is_port(written: str) -> bool:
    return written.isascii() and written.isdigit() and 1 <= int(written) <= 65535


def _is_subject(value: str) -> bool:
    """Only the names themselves: an attribute of one, or how wide it is to be, is nothing to be told."""
    try:
        pieces = [*Formatter().parse(value)]
    except ValueError:
        return False
    named = [piece[1:] for piece in pieces if piece[1] is not None]
    plain = all(name in SUBJECT_FIELDS and not form and not conversion for name, form, conversion in named)
    return plain and bool(value.format(**SUBJECT_FIELDS).strip()) and value.isprintable()


def read_keys(written: str) -> KeyRing:
    """ "2:<hex> 1:<hex>": the first one makes new tokens. Raises ValueError."""
    pairs = [word.partition(":") for word in written.split()]
    keys = {int(number): bytes.fromhex(value) for number, _, value in pairs}
    if not pairs or not len({*keys.values()}) == len(keys) == len(pairs):
        raise ValueError("an id or a key twice, or none")
    return KeyRing(keys, int(pairs[0][0]))


def _are_keys(written: str) -> bool:
    try:
        read_keys(written)
    except ValueError:
        return False
    return True


def _is_dkim_key(path: str) -> bool:
    try:
        return not path or dkim.load_key(Path(path).read_bytes()) is not None
    except (OSError, ValueError):
        return False


def _is_address(value: str) -> bool:
    try:
        return not value or address.parse(value) is not None
    except address.NotAnAddress:
        return False


def _is_local_part(value: str) -> bool:
    try:
        address.parse(f"{value}@example.net")
    except address.NotAnAddress:
        return False
    taken = value in OPERATORS or value.isdigit()
    return value == value.lower() and value.isascii() and "+" not in value and len(value) <= 16 and not taken


@dataclass(frozen=True, slots=True, kw_only=True)
class IMAPConfig:
    """A mailbox elsewhere whose replies are fetched, by IMAP over TLS."""

    host: str
    username: str
    password: Secret
    port: Port = 993
    ca_file: str = ""
    folder: str = "INBOX"
    poll_seconds: Positive = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailConfig:
    """E-mail, both ways; see docs/mail.md."""

    domain: Domain
    reply_keys: Annotated[
        Secret,
        Check('an id (0 to 255), ":" and 64 hexadecimal digits, or several of these, each once', _are_keys),
    ]
    mailbox: Annotated[
        str,
        Check(
            'what stands before the "+": lower case, at most 16 characters, not postmaster, abuse or digits',
            _is_local_part,
        ),
    ] = "sms"
    hostname: Name = ""
    subject: Annotated[str, Check("one line, with any of {token}, {did}, {peer}, {name}", _is_subject)] = (
        "[#US{token}] Message sent to {did}"
    )
    smarthost: Server = ""
    tls: Literal["required", "opportunistic", "off", "implicit"] = "opportunistic"
    ca_file: str = ""
    username: str = ""
    password: Secret | None = None
    give_up_days: Positive = 4.0
    dkim_selector: Annotated[str, matching(r"[a-z0-9._-]{0,63}", "letters, digits, dots and dashes")] = ""
    dkim_key: Annotated[
        str, Check("a PEM file with an RSA key of 1024 bits or more, or nothing", _is_dkim_key)
    ] = ""
    listen: tuple[Listen, ...] = ()
    lmtp: tuple[Listen, ...] = ()
    certificate: str = ""
    private_key: str = ""
    postmaster: Annotated[str, Check("an address of another domain, or nothing", _is_address)] = ""
    max_octets: Annotated[int, at_least(65_536)] = 10_485_760
    connections: Count = 200
    connections_per_address: Count = 20
    replies: Literal["off", "token", "sender", "authenticated"] = "authenticated"
    new_mail: Literal["off", "sender", "authenticated"] = "authenticated"
    authserv_id: Name = ""
    trusted: tuple[Network, ...] = ()
    per_minute: Count = 5
    per_hour: Annotated[int, between(1, 10_000)] = 20
    imap: IMAPConfig | None = None

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        yield from self._of_sending()
        if bool(self.certificate) != bool(self.private_key):
            yield "private_key", self.private_key, "certificate and private_key together"
        if self.authserv_id and not (self.trusted or self.lmtp or self.imap):
            yield "authserv_id", self.authserv_id, "trusted, lmtp or [mail.imap]: a server to believe it from"
        if self.trusted and not self.listen:
            yield "trusted", list(self.trusted), "listen: whoever comes by LMTP is trusted anyhow"
        if self.postmaster and address.parse(self.postmaster).domain == self.domain:
            yield "postmaster", self.postmaster, "an address that this server does not take itself"
        if self.per_hour < self.per_minute:
            yield "per_hour", self.per_hour, "at least per_minute"

    def _of_sending(self) -> Iterator[Contradiction]:
        if bool(self.dkim_selector) != bool(self.dkim_key):
            yield "dkim_key", self.dkim_key, "dkim_selector and dkim_key together"
        if self.username and self.password is None:
            yield "username", self.username, "a password (or password_file, password_env) too"
        if self.username and not self.smarthost:
            yield "username", self.username, "a smarthost to log in at"
        if self.username and self.tls == "off":
            yield "tls", self.tls, "required, opportunistic or implicit: no password goes in the clear"
        if self.tls == "implicit" and not self.smarthost:
            yield "tls", self.tls, "a smarthost: servers found by MX have STARTTLS"

    @property
    def receives(self) -> bool:
        """Does anything that is written to us come here?"""
        return bool(self.listen or self.lmtp or self.imap)

    @property
    def name(self) -> str:
        """How we call ourselves to other servers."""
        return self.hostname or self.domain

    @property
    def ring(self) -> KeyRing:
        """The keys of reply tokens."""
        return read_keys(self.reply_keys.reveal())

    @property
    def policy(self) -> TLS:
        """As the client of SMTP wants it."""
        return TLS(self.tls)
