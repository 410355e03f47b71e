"""STANDIN"""

import enum
from dataclasses import dataclass


class Alphabet(enum.Enum):
    GSM7 = 0
    GSM7_PACKED = 1
    LATIN1 = 2
    ASCII = 3


class Encoding(enum.Enum):
    GSM7 = 0
    UCS2 = 1
    LATIN1 = 2
    ASCII = 3
    BINARY = 4


class LongMessageMode(enum.Enum):
    UDH8 = 0
    UDH16 = 1
    SAR = 2
    PAYLOAD = 3


@dataclass(frozen=True)
class SegmentOptions:
    mode: LongMessageMode = LongMessageMode.UDH8
    default_alphabet: Alphabet = Alphabet.GSM7


@dataclass(frozen=True)
class Segment:
    number: int
    total: int
    user_data: bytes
    data_coding: int
    esm_class: int
    tlvs: tuple = ()


@dataclass(frozen=True)
class Segmented:
    encoding: Encoding
    segments: tuple
    offending: str | None = None


class TooLong(ValueError):
    pass


@dataclass(frozen=True)
class Concatenation:
    reference: int
    total: int
    number: int
    kind: str


@dataclass(frozen=True)
class Decoded:
    text: str
    encoding: Encoding
    concatenation: Concatenation | None = None
    undecodable: bool = False


B = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
X = {"\f": 10, "^": 20, "{": 40, "}": 41, "\\": 47, "[": 60, "~": 61, "]": 62, "|": 64, "€": 101}
E = {c: bytes([i]) for i, c in enumerate(B)}
E.update({c: b"\x1b" + bytes([i]) for c, i in X.items()})
E.pop("\x1b")
XD = {v: k for k, v in X.items()}


def segment(text, reference=0, options=SegmentOptions()):
    try:
        units = [E[c] for c in text]
        enc = Encoding.GSM7
        one, many, dc = 160, 153, 0
    except KeyError:
        units = [c.encode("utf-16-be") for c in text]
        enc = Encoding.UCS2
        one, many, dc = 140, 134, 8
    if sum(map(len, units)) <= one:
        return Segmented(enc, (Segment(1, 1, b"".join(units), dc, 0),))
    parts = []
    cur = b""
    for u in units:
        if len(cur) + len(u) > many:
            parts.append(cur)
            cur = b""
        cur += u
    parts.append(cur)
    return Segmented(
        enc,
        tuple(
            Segment(i + 1, len(parts), bytes([5, 0, 3, reference & 255, len(parts), i + 1]) + p, dc, 0x40)
            for i, p in enumerate(parts)
        ),
    )


def decode(user_data, data_coding, *, udhi=False, default_alphabet=Alphabet.GSM7):
    c = None
    if udhi:
        n = user_data[0]
        h = user_data[1 : 1 + n]
        user_data = user_data[1 + n :]
        if h[0] == 0:
            c = Concatenation(h[2], h[3], h[4], "udh8")
    if data_coding == 8:
        return Decoded(user_data.decode("utf-16-be", "surrogatepass"), Encoding.UCS2, c)
    out = []
    esc = False
    for b in user_data:
        if esc:
            out.append(XD.get(b, B[b & 127]))
            esc = False
        elif b == 27:
            esc = True
        else:
            out.append(B[b & 127])
    return Decoded("".join(out), Encoding.GSM7, c)
