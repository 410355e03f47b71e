"""The tables of the configuration that are about carriers: their SMSC accounts, and the routes to them."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from edge.config_reader import Check, Contradiction, between, matching
from edge.config_types import (
    Count,
    Credential,
    Host,
    Name,
    NotNegative,
    Number,
    Password,
    Pin,
    Port,
    Positive,
    tls_contradictions,
)
from protocols.smpp.errors import CommandStatus
from protocols.smpp.fields import is_time

Alphabet = Literal["gsm7", "gsm7_packed", "latin1", "ascii"]
Charset = Literal[
    "gsm7",
    "latin1",
    "ascii",
    "ucs2",
    "binary",
    "cyrillic",
    "hebrew",
    "shift_jis",
    "iso2022_jp",
    "euc_jp",
    "euc_kr",
]
Language = Literal[
    "turkish",
    "spanish",
    "portuguese",
    "bengali",
    "gujarati",
    "hindi",
    "kannada",
    "malayalam",
    "oriya",
    "punjabi",
    "tamil",
    "telugu",
    "urdu",
]
NumberKind = Literal["international", "national", "short_code", "alphanumeric"]
InDoubt = Literal["resend", "hold"]


_RECEIPT_GROUPS = {"id", "stat", "err", "sub", "dlvrd", "submit_date", "done_date", "text"}


def _is_pattern(value: str) -> bool:
    try:
        groups = set(re.compile(value).groupindex)
    except re.error:
        return False
    return not value or ("id" in groups and groups <= _RECEIPT_GROUPS)


def _is_error(value: str) -> bool:
    if value not in CommandStatus.__members__ and not re.fullmatch(
        "0x[0-9A-Fa-f]{1,8}|[0-9]{1,10}", value, re.ASCII
    ):
        return False
    return CommandStatus.ESME_ROK < status_number(value) <= 0xFFFFFFFF


def status_number(value: str) -> int:
    """A command_status as the configuration names it: ESME_RTHROTTLED, 0x58 or 88."""
    if value in CommandStatus.__members__:
        return CommandStatus[value].value
    return int(value, 16 if value.startswith("0x") else 10)


NameOrNone = Annotated[
    str, matching(r"([A-Za-z0-9][A-Za-z0-9._-]{0,31})?", "a name of letters, digits, . _ -, or nothing")
]
TypeOfNumber = Annotated[int, between(-1, 7)]
NumberingPlan = Annotated[int, between(-1, 31)]
TonNpi = Annotated[str, matching(r"[0-7]/([0-9]|[12][0-9]|3[01])", 'type and plan such as "3/0"')]
DataCoding = Annotated[
    str,
    Check(
        "a data_coding, 0 to 255",
        lambda value: re.fullmatch("[0-9]{1,3}", value) is not None and int(value) < 256,
    ),
]
Status = Annotated[str, Check('a command_status such as "ESME_RTHROTTLED", "0x58" or "88"', _is_error)]
Pattern = Annotated[
    str,
    Check(
        "a regular expression with a group named id, and perhaps others of Appendix B "
        "(stat, err, submit_date, done_date), or nothing",
        _is_pattern,
    ),
]
# what waits for longer than a month is taken for abandoned (`storage.retention`)
ReassemblyTime = Annotated[
    float, Check("a number above 0, at most 604800 (a week)", lambda value: 0 < value <= 604_800)
]
Prefix = Annotated[
    str,
    matching(
        r"\+[1-9][0-9]{0,14}|[1-9][0-9]{0,5}",
        'the beginning of a number, such as "+44", or of a short code, such as "78"',
    ),
]


def _lasts(period: str) -> bool:
    """A relative SMPP time (SMPP 3.4 §7.1.1) that is not over at once; a date would be over one day."""
    return is_time(period) and (not period or (period.endswith("R") and period.strip("0") != "R"))


def _twice(
    key: str, table: Mapping[str, str], number: Callable[[str], int], what: str
) -> Iterator[Contradiction]:
    """The names in a table that mean what an earlier one means."""
    named: dict[int, str] = {}
    for name, value in table.items():
        first = named.setdefault(number(name), name)
        if first != name:
            yield f"{key}.{name}", value, f"no second {what} {first}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """One SMSC account and the manners of its carrier."""

    name: Name
    port: Port
    system_id: Credential
    password: Password
    host: Host = "127.0.0.1"
    system_type: Annotated[str, matching(r"[ -~]{0,12}", "at most 12 ASCII characters")] = ""
    group: NameOrNone = ""
    bind: Literal["transceiver", "transmitter_receiver"] = "transceiver"
    binds: Annotated[int, between(1, 64)] = 1
    window: Annotated[int, between(1, 10_000)] = 50
    rate: NotNegative = 0.0
    burst: Count = 10
    bind_rate: NotNegative = 0.0
    bind_burst: Count = 10
    throttle_min_seconds: Positive = 0.25
    throttle_max_seconds: Positive = 30.0
    statuses: Mapping[Status, Literal["retry", "rebind", "elsewhere", "fail"]] = field(default_factory=dict)
    response_timeout_seconds: Positive = 60.0
    late_response_seconds: Positive = 60.0
    enquire_link_seconds: Positive = 30.0
    enquire_link_misses: Count = 2
    inactivity_seconds: NotNegative = 0.0
    connect_timeout_seconds: Positive = 10.0
    bind_timeout_seconds: Positive = 10.0
    reconnect_min_seconds: Positive = 1.0
    reconnect_max_seconds: Positive = 60.0
    failover_seconds: NotNegative = 30.0
    tls: bool = False
    tls_verify: bool = True
    tls_server_name: str = ""
    tls_ca_file: str = ""
    tls_pins: tuple[Pin, ...] = ()
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    number_format: Literal["plus", "e164", "national"] = "plus"
    source_ton: TypeOfNumber = -1
    source_npi: NumberingPlan = -1
    destination_ton: TypeOfNumber = -1
    destination_npi: NumberingPlan = -1
    ton_npi: Mapping[NumberKind, TonNpi] = field(default_factory=dict)
    default_alphabet: Alphabet = "gsm7"
    charsets: Mapping[DataCoding, Charset] = field(default_factory=dict)
    languages: tuple[Language, ...] = ()
    transliterate: Literal["off", "punctuation", "full"] = "off"
    strict_clusters: bool = False
    long_messages: Literal["udh8", "udh16", "sar", "payload", "separate"] = "udh8"
    registered_delivery: bool = True
    receipt_pattern: Pattern = ""
    receipt_per: Literal["part", "message"] = "part"
    message_id_base: Literal["as_sent", "hex", "decimal", "any"] = "any"
    message_id_match: Literal["loose", "exact"] = "loose"
    user_message_reference: bool = False
    unmatched_receipt_hours: Positive = 72.0
    in_doubt: InDoubt = "resend"
    replace_if_present: bool = False
    unknown_did: Literal["quarantine", "reject"] = "quarantine"
    repeats: Literal["merge", "deliver"] = "merge"
    reassembly_timeout_seconds: ReassemblyTime = 1800.0
    validity_seconds: NotNegative = 0.0
    validity_period: Annotated[str, Check('an SMPP time such as "000007000000000R", or nothing', _lasts)] = ""
    priority_flag: Annotated[int, between(0, 3)] = 0
    service_type: Annotated[str, matching(r"[ -~]{0,5}", "at most 5 ASCII characters")] = ""
    backlog: Count = 10_000

    @property
    def group_name(self) -> str:
        """The upstreams of one name here are one source of receipts and of parts of long MO messages."""
        return self.group or self.name

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        for kind in ("reconnect", "throttle"):
            low, high = getattr(self, f"{kind}_min_seconds"), getattr(self, f"{kind}_max_seconds")
            if high < low:
                yield f"{kind}_max_seconds", high, f"at least {kind}_min_seconds, which is {low}"
        yield from _twice("statuses", self.statuses, status_number, "verdict on")
        yield from _twice("charsets", self.charsets, int, "charset for")
        yield from tls_contradictions(self, self.tls)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteConfig:
    """Which upstreams carry which messages; the first route that fits is taken."""

    name: Name
    upstreams: tuple[Name, ...]
    weights: Mapping[Name, Count] = field(default_factory=dict)
    failover: tuple[Name, ...] = ()
    prefixes: tuple[Prefix, ...] = ()
    dids: tuple[Number, ...] = ()
    accounts: tuple[Count, ...] = ()
    in_doubt: Literal["", "resend", "hold"] = ""
    validity_seconds: NotNegative = 0.0

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        if not self.upstreams:
            yield "upstreams", [], "at least one upstream"
        for key, names in (("upstreams", self.upstreams), ("failover", (*self.upstreams, *self.failover))):
            for name in {name for name in names if names.count(name) > 1}:
                yield key, name, "each upstream once in a route"
        for name in self.weights:
            if name not in self.upstreams:
                yield f"weights.{name}", name, "an upstream of this route's upstreams"
