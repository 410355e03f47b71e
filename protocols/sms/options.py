"""How a route wants its texts."""

import enum
from dataclasses import dataclass

from protocols.sms.data_coding import Alphabet


class LongMessageMode(enum.Enum):
    """How the parts of a long message are told to belong together."""

    UDH8 = "udh8"
    """A user data header with an 8-bit reference (TS 23.040 §9.2.3.24.1)."""
    UDH16 = "udh16"
    """A user data header with a 16-bit reference (§9.2.3.24.8)."""
    SAR = "sar"
    """TLVs; the SMSC makes the header (SMPP 3.4 §5.3.2.22-24)."""
    PAYLOAD = "payload"
    """The whole text in message_payload; the SMSC makes the parts (SMPP 3.4 §5.3.2.32)."""


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What an upstream takes; the defaults are what nearly all take.

    `strict_clusters`: what a reader sees as one character is never cut, even when it costs a part; else it is
    kept whole where that costs none.
    """

    mode: LongMessageMode = LongMessageMode.UDH8
    default_alphabet: Alphabet = Alphabet.GSM7
    strict_clusters: bool = False


DEFAULT = SegmentOptions()
