"""Delivery receipts: what a carrier says about a message that we sent (SMPP 3.4 §5.2.12, Appendix B).

Appendix B only suggests a text, and carriers vary it: states of six letters, dates with or without seconds
or all zeros, fields missing, blanks, other words. So the flags of esm_class and the TLVs decide first, and
the text is read for what they leave open. Message ids are given as sent, never normalised: the TLV and the
text may name one message in two bases.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from protocols.smpp.pdu import DataSm, DeliverSm, Pdu
from protocols.smpp.tlv import (
    message_payload,
    message_state,
    network_error_code,
    receipted_message_id,
    user_message_reference,
)

_TYPE = 0x3C  # esm_class bits 5-2: the message type
_SMSC_RECEIPT = 0x04
_INTERMEDIATE = 0x20
_OF_PEOPLE = frozenset((0x08, 0x10, 0x18))  # the receiving SME's acknowledgements, and its end of a talk
_UDHI = 0x40

_KEY = re.compile(r"\b(id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat|err|text)\s*:", re.IGNORECASE)


class MessageState(Enum):
    """What became of a message (§5.2.28); the value is the word that a receipt text has for it."""

    ENROUTE = "ENROUTE"
    DELIVERED = "DELIVRD"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIVERABLE = "UNDELIV"
    ACCEPTED = "ACCEPTD"
    UNKNOWN = "UNKNOWN"
    REJECTED = "REJECTD"

    @property
    def final(self) -> bool:
        """Whether nothing can follow. UNKNOWN is not: the SMSC does not know, so a later receipt may."""
        return self in _FINAL


_FINAL = frozenset(
    (
        MessageState.DELIVERED,
        MessageState.EXPIRED,
        MessageState.DELETED,
        MessageState.UNDELIVERABLE,
        MessageState.REJECTED,
    )
)

_BY_NUMBER: Mapping[int, MessageState] = {
    0: MessageState.ENROUTE,  # SCHEDULED, of SMPP 5.0
    1: MessageState.ENROUTE,
    2: MessageState.DELIVERED,
    3: MessageState.EXPIRED,
    4: MessageState.DELETED,
    5: MessageState.UNDELIVERABLE,
    6: MessageState.ACCEPTED,
    7: MessageState.UNKNOWN,
    8: MessageState.REJECTED,
    9: MessageState.UNDELIVERABLE,  # SKIPPED, of SMPP 5.0
}

_BY_WORD: Mapping[str, MessageState] = {
    "ACCEP": MessageState.ACCEPTED,
    "BUFFE": MessageState.ENROUTE,
    "DELET": MessageState.DELETED,
    "DELIV": MessageState.DELIVERED,
    "ENROU": MessageState.ENROUTE,
    "EXPIR": MessageState.EXPIRED,
    "FAILE": MessageState.UNDELIVERABLE,
    "REJEC": MessageState.REJECTED,
    "SCHED": MessageState.ENROUTE,
    "SKIPP": MessageState.UNDELIVERABLE,
    "UNDEL": MessageState.UNDELIVERABLE,
    "UNKNO": MessageState.UNKNOWN,
}
"""States by the first five letters, which all the spellings of one state share."""

_DATE_FORMATS = {10: ("%y%m%d%H%M",), 12: ("%y%m%d%H%M%S", "%Y%m%d%H%M"), 14: ("%Y%m%d%H%M%S",)}


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery receipt.

    `message_ids`: the ids as sent, that of the TLV before that of the text, without repeats; there may be
    none. `error`: the carrier's code as written in the text, else that of network_error_code in decimal,
    else None. Dates are the carrier's, in its own time zone, None when missing or impossible.
    `intermediate`: esm_class says that this is not the last word, whatever the state is. `reference`: the
    user_message_reference of the message (§5.3.2.17), 16 bits, if the carrier gives it back.
    """

    message_ids: tuple[str, ...]
    state: MessageState
    error: str | None = None
    submit_date: datetime | None = None
    done_date: datetime | None = None
    intermediate: bool = False
    reference: int | None = None

    @property
    def final(self) -> bool:
        """Whether the message has reached its end; intermediate receipts do not close it."""
        return self.state.final and not self.intermediate


def parse(
    pdu: Pdu, pattern: re.Pattern[str] | None = None, unpack: Callable[[bytes], bytes] | None = None
) -> Receipt | None:
    """The receipt in a deliver_sm or data_sm; None when it is a message of a person.

    A PDU is a receipt when esm_class says so. Where esm_class says nothing, what only an SMSC can write
    makes it one: a receipted_message_id, or a message_state with a text that has the id and the state. Its
    text alone never does, for anybody can write such a text; nor do TLVs what esm_class says is of the
    receiving SME. `pattern` is for a carrier with a text of its own: its named groups `id`, `stat`, `err`,
    `submit_date`, `done_date` replace the reading of Appendix B where it matches. Values of esm_class that
    are reserved, but have the bit of a receipt, count as such where an id and a state can be read. `unpack`
    is for a carrier that packs septets: it is tried on a text that says nothing as it is.
    """
    if not isinstance(pdu, DeliverSm | DataSm):
        return None
    kind = pdu.esm_class & _TYPE
    flagged = kind in (_SMSC_RECEIPT, _INTERMEDIATE)
    reserved = bool(kind & (_SMSC_RECEIPT | _INTERMEDIATE)) and not flagged
    if not flagged and not reserved and (kind in _OF_PEOPLE or not pdu.tlvs):
        return None
    tlv_id, tlv_state = (receipted_message_id(pdu.tlvs) or "").strip(" \0") or None, message_state(pdu.tlvs)
    if not flagged and not reserved and tlv_id is None and tlv_state is None:
        return None
    values = _values(pdu, pattern, unpack)
    if not flagged and tlv_id is None and not ("id" in values and "stat" in values):
        return None
    ids = (tlv_id, values.get("id"))
    return Receipt(
        tuple(dict.fromkeys(message_id for message_id in ids if message_id)),
        _state(tlv_state, values.get("stat", "")),
        values.get("err") or _network_error(pdu),
        _date(values.get("submit date", "")),
        _date(values.get("done date", "")),
        kind & (_INTERMEDIATE | _SMSC_RECEIPT) == _INTERMEDIATE,
        user_message_reference(pdu.tlvs),
    )


def _values(
    pdu: DeliverSm | DataSm, pattern: re.Pattern[str] | None, unpack: Callable[[bytes], bytes] | None
) -> Mapping[str, str]:
    octets = _octets_of(pdu)
    values = _read(_text_of(pdu, octets), pattern)
    if values or unpack is None:
        return values
    return _read(unpack(octets).decode("latin-1"), pattern)


def _octets_of(pdu: DeliverSm | DataSm) -> bytes:
    octets = getattr(pdu, "short_message", b"") or message_payload(pdu.tlvs) or b""
    if pdu.esm_class & _UDHI and octets:
        octets = octets[1 + octets[0] :]
    return octets


def _text_of(pdu: DeliverSm | DataSm, octets: bytes) -> str:
    wide = pdu.data_coding & 0x0C == 0x08 or octets[:1] == b"\0"
    return octets.decode("utf-16-be", "replace") if wide else octets.decode("latin-1")


def _read(text: str, pattern: re.Pattern[str] | None) -> Mapping[str, str]:
    if pattern is not None and (match := pattern.search(text)) is not None:
        return {key.replace("_", " "): value for key, value in match.groupdict().items() if value}
    return _fields(text)


def _fields(text: str) -> Mapping[str, str]:
    """The fields of Appendix B up to `text:`, where the words of the sender begin. The first one counts."""
    found: dict[str, str] = {}
    keys = list(_KEY.finditer(text))
    for key, following in zip(keys, [*keys[1:], None], strict=False):
        name = key[1].lower().replace("_", " ")
        if name == "text":
            break
        name = {"submitdate": "submit date", "donedate": "done date"}.get(name, name)
        words = text[key.end() : following.start() if following else len(text)].split()
        if words:
            found.setdefault(name, words[0].strip(",;|\0"))
    return found


def _state(number: int | None, word: str) -> MessageState:
    if number is None and word.isdecimal() and len(word) <= 3:
        number = int(word)
    by_word = _BY_WORD.get(word.upper()[:5], MessageState.UNKNOWN)
    return by_word if number is None else _BY_NUMBER.get(number, by_word)


def _network_error(pdu: DeliverSm | DataSm) -> str | None:
    error = network_error_code(pdu.tlvs)
    return None if error is None else str(error.code)


def _date(digits: str) -> datetime | None:
    for form in _DATE_FORMATS.get(len(digits), ()):
        try:
            return datetime.strptime(digits, form)
        except ValueError:
            continue
    return None


def format_text(
    message_id: str,
    state: MessageState,
    *,
    submit_date: datetime,
    done_date: datetime,
    error: str = "000",
    text: str = "",
) -> bytes:
    """The text of Appendix B for one message, as an SMSC sends it; `text` is cut at 20 characters."""
    delivered = int(state is MessageState.DELIVERED)
    return (
        f"id:{message_id} sub:001 dlvrd:{delivered:03d} submit date:{submit_date:%y%m%d%H%M}"
        f" done date:{done_date:%y%m%d%H%M} stat:{state.value} err:{error} text:{text[:20]}"
    ).encode("latin-1", "replace")
