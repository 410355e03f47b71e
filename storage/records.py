"""Rows as tuples and what readers get.

A record (a NamedTuple) has the columns of its table in their order, so it *is* the parameter tuple of its
INSERT. What is put together from several rows is a frozen dataclass.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum, nonmember
from typing import Literal, NamedTuple

Direction = Literal["mo", "mt"]

PORTING_MS = 48 * 3_600_000
"""After so long a number that was ported in gets its messages here, wherever they come from."""

_TLV_HEAD = struct.Struct(">HH")


class MessageFlag(IntFlag):
    """What is remarkable about a message."""

    POSSIBLE_DUPLICATE = 1
    INCOMPLETE = 2
    UNDECODABLE = 4
    FLASH = 8  # message class 0: to be shown at once
    INDICATION = 16  # a message waiting indication
    HEADER = 32  # its user data header has elements beyond those of a text, as ports are
    ERASED = 64
    MMS = 128  # a multimedia message: what came with the text is in `storage.media`


class PartFlag(IntFlag):
    """What is remarkable about a part."""

    POSSIBLE_DUPLICATE = 1
    HOLD = 2  # when it is in doubt, it is not sent again until somebody decides
    DROPPED = 4  # its message was given up while it was on its way: it is not sent again
    KEPT = 8  # an operator holds its message: when it comes back it is held too
    OPTED_OUT = 16  # its peer wanted no more messages before it was sent, so it was not


class PartState(StrEnum):
    """Where one part of an MT message is. `FINAL` holds the states after which nothing more is expected."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    IN_DOUBT = "in_doubt"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"

    FINAL = nonmember(frozenset({"delivered", "failed", "expired"}))

    @property
    def final(self) -> bool:
        """Nothing more is expected."""
        return self.value in PartState.FINAL


class MessageStatus(StrEnum):
    """What people are told of a message; `storage.messages.status_of` derives it from the parts."""

    RECEIVED = "received"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    IN_DOUBT = "in_doubt"
    DELIVERED = "delivered"
    FAILED = "failed"


class DeliveryState(StrEnum):
    """Where one handler's duty is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class MessageRecord(NamedTuple):
    """One message, whole. ``account_id`` and ``did_id`` are None for an MO whose DID nobody here has.

    ``raw`` holds the octets of an MO as received, unless its `InboundPartRecord` rows hold them.
    ``flags`` is a set of `MessageFlag`. ``deletion_id`` names the deletion that took it from sight, until it
    is purged or the deletion undone.
    """

    id: int
    account_id: int | None
    did_id: int | None
    direction: Direction
    leg: str
    did: str
    peer: str
    text: str
    upstream: str | None
    created_at: int
    parts_total: int
    encoding: str | None = None
    flags: int = 0
    duplicate_of: int | None = None
    data_coding: int | None = None
    esm_class: int | None = None
    raw: bytes | None = None
    fingerprint: bytes | None = None
    status_callback: str | None = None
    deletion_id: int | None = None


class PartRecord(NamedTuple):
    """One segment of an MT message, ready for the wire. ``flags`` is a set of `PartFlag`.

    After ``expires_at`` it is not sent any more. ``refused_by`` names the upstreams, with blanks between,
    that would not take its message before it came to this one.
    """

    id: int
    message_id: int
    upstream: str
    number: int
    total: int
    esm_class: int
    data_coding: int
    user_data: bytes
    tlvs: bytes | None
    state: PartState
    flags: int = 0
    attempts: int = 0
    due_at: int = 0
    smsc_message_id: str | None = None
    command_status: int | None = None
    receipt_state: str | None = None
    receipt_error: str | None = None
    sent_at: int | None = None
    answered_at: int | None = None
    final_at: int | None = None
    expires_at: int | None = None
    refused_by: str | None = None


class InboundPartRecord(NamedTuple):
    """One segment of a long MO, as received. ``message_id`` is None while parts are missing."""

    id: int
    upstream: str
    source: str
    destination: str
    kind: str
    reference: int
    total: int
    number: int
    esm_class: int
    data_coding: int
    user_data: bytes
    received_at: int
    message_id: int | None = None


class DeliveryRecord(NamedTuple):
    """One handler's duty for one message. It keeps its id over all attempts.

    ``event`` is None for the message itself, else the name of what became of it (a message has each once).
    ``lane`` is whose turn it is in (see `storage.queue`). Before ``lease_until`` only ``owner``, a server,
    may work it; without an owner it is free for all from then on, which is when it is due.
    A replay begins its schedule anew: at ``replayed_at``, after ``tries_before`` attempts.
    """

    id: int
    message_id: int
    account_id: int
    did_id: int
    handler: str
    target: str
    state: DeliveryState
    attempts: int
    due_at: int
    created_at: int
    updated_at: int
    last_outcome: str | None = None
    event: str | None = None
    lane: int = 0
    owner: int | None = None
    lease_until: int = 0
    replayed_at: int | None = None
    tries_before: int = 0

    @property
    def begun_at(self) -> int:
        """When its schedule began: with itself, or with the last replay."""
        return self.created_at if self.replayed_at is None else self.replayed_at


class AttemptRecord(NamedTuple):
    """One try of one delivery; ``number`` counts from 1."""

    delivery_id: int
    number: int
    started_at: int
    duration_ms: int
    outcome: str
    status_code: int | None = None
    excerpt: str | None = None


class ReceiptRecord(NamedTuple):
    """A carrier's report, kept as it came. ``part_id`` is None until it is matched.

    ``part_state`` is the state that it gives its part, None when it says nothing final. ``did`` and ``peer``
    are the numbers of its PDU: ours and that of the phone, "" where it has none.
    """

    id: int
    upstream: str
    smsc_message_id: str
    state: str
    error: str | None
    raw: bytes
    received_at: int
    part_id: int | None = None
    matched_at: int | None = None
    part_state: str | None = None
    did: str = ""
    peer: str = ""


class SeenMail(NamedTuple):
    """A mail that was taken, by a digest of what tells it from others; so that it is taken once.

    ``message_id`` is the message that it became, None when it became none; ``outcome`` says why.
    """

    key: bytes
    conversation_id: int | None
    received_at: int
    outcome: str
    message_id: int | None = None


class MailNotice(NamedTuple):
    """A mail that tells a person what became of his. ``in_reply_to`` is the Message-ID of that, or "".

    ``code`` is for programs, ``sentence`` for people, ``excerpt`` the beginning of what he wrote.
    """

    id: int
    account_id: int
    did: str
    peer: str
    recipient: str
    code: str
    sentence: str
    excerpt: str
    in_reply_to: str
    state: DeliveryState
    attempts: int
    due_at: int
    created_at: int
    last_outcome: str | None = None


def pack_tlvs(tlvs: Iterable[tuple[int, bytes]]) -> bytes | None:
    """Tags and values as `PartRecord.tlvs` keeps them: 16 bits of tag, 16 of length, value; None for none."""
    return b"".join(_TLV_HEAD.pack(tag, len(value)) + value for tag, value in tlvs) or None


def unpack_tlvs(packed: bytes | None) -> tuple[tuple[int, bytes], ...]:
    """What `pack_tlvs` was given."""
    found, position = [], 0
    while packed is not None and position < len(packed):
        tag, length = _TLV_HEAD.unpack_from(packed, position)
        position += _TLV_HEAD.size + length
        found.append((tag, packed[position - length : position]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Account:
    """A customer."""

    id: int
    name: str
    created_at: int


class Role(StrEnum):
    """What somebody may do in his account, the least first: look, write to people, change everything."""

    READ_ONLY = "read-only"
    AGENT = "agent"
    OWNER = "owner"

    def may(self, needed: "Role") -> bool:
        """Is this as much as ``needed``, or more?"""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in for an account.

    ``language`` and ``timezone`` are "" while he has chosen none. ``enter_sends``: Enter sends what he
    writes, Shift+Enter begins a line. ``single_keys``: single letters are commands of the portal.

    An ``operator`` may see and do what concerns all accounts, too. With a ``totp_step`` a code is asked for
    after the password: the step of the last one that was used (RFC 6238); without it ``totp_secret`` was
    shown, but never proved.
    """

    id: int
    account_id: int
    login: str
    password_hash: str = field(repr=False)
    created_at: int
    language: str = ""
    timezone: str = ""
    enter_sends: bool = True
    single_keys: bool = True
    role: Role = Role.OWNER
    operator: bool = False
    totp_secret: str | None = field(default=None, repr=False)
    totp_step: int | None = None

    @property
    def has_second_factor(self) -> bool:
        """Does the password alone not log him in?"""
        return self.totp_secret is not None and self.totp_step is not None


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in. ``id`` is the SHA-256 (hex) of the cookie's token, so the table gives nobody a cookie.

    A ``pending`` one waits for the second factor and opens nothing but the page that asks for it.
    """

    id: str = field(repr=False)
    user_id: int
    csrf_token: str = field(repr=False)
    created_at: int
    expires_at: int
    pending: bool = False
    used_at: int = 0
    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A bearer key; only the SHA-256 (hex) of its token is kept.

    ``scopes`` has what it is good for, with blanks between, or "*". ``requests_per_minute`` is its limit:
    None for the server's, 0 for none. After a rotation the token before is good until ``previous_until``.
    """

    id: int
    account_id: int
    name: str
    prefix: str
    key_hash: str = field(repr=False)
    created_at: int
    revoked_at: int | None = None
    scopes: str = "*"
    expires_at: int | None = None
    last_used_at: int | None = None
    requests_per_minute: int | None = None
    previous_hash: str | None = field(default=None, repr=False)
    previous_until: int | None = None


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """How an account's programs get in with a name and a password (see `storage.accesses`).

    ``allowed`` has the addresses that they may come from, with blanks between. ``strict``: what VoIP.ms
    refuses for its length is refused. ``timezone`` is the zone of the times that they read. Calls
    ``per_minute`` and messages ``per_day`` are limits, 0 for none.
    """

    account_id: int
    username: str
    password_hash: str = field(repr=False)
    enabled: bool = True
    allowed: str = ""
    strict: bool = True
    timezone: str = "America/New_York"
    per_minute: int = 0
    per_day: int = 0
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class HandlerSetting:
    """How one handler serves one DID."""

    handler: str
    enabled: bool
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Did:
    """A number of an account, in E.164 with "+"; ``handlers`` by handler name.

    One that is not ``sms_capable`` can be for calls only: its SMS stays off. ``ported_at`` is when it came
    from another provider, whose carriers may need up to PORTING_MS from then on.
    """

    id: int
    account_id: int
    number: str
    sms_enabled: bool
    handlers: Mapping[str, HandlerSetting]
    sms_capable: bool = True
    ported_at: int | None = None

    def porting_until(self, now_ms: int) -> int | None:
        """Until when messages may still go to the provider before; None when that is over or never was."""
        if self.ported_at is None or now_ms >= self.ported_at + PORTING_MS:
            return None
        return self.ported_at + PORTING_MS


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every DID, every valid API key and every API access, as of one version."""

    version: int
    dids: tuple[Did, ...]
    keys: tuple[ApiKey, ...]
    accesses: tuple[ApiAccess, ...] = ()


@dataclass(frozen=True, slots=True)
class MailConversation:
    """What a reply token names. Once it is revoked its tokens are void, and the next mail begins another."""

    id: int
    account_id: int
    did_id: int
    did: str
    peer: str
    created_at: int
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery with its attempts, oldest first."""

    delivery: DeliveryRecord
    attempts: tuple[AttemptRecord, ...]


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message with its parts (by number) and its deliveries."""

    message: MessageRecord
    parts: tuple[PartRecord, ...]
    deliveries: tuple[DeliveryView, ...]
