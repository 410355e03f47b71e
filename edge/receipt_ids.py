"""Which ids a part may have that a receipt is about.

An id is compared as it was sent first, then without regard to case and leading zeros. Some SMSCs answer in
hexadecimal and report in decimal, or the reverse; then the same digits can mean two messages: "16" in a
receipt may be the part "16", or the part "10" that was told in hexadecimal. Unless the configuration says how
this SMSC does it, the number in another base is a second choice, and one without a letter in either
spelling, which both bases have, only counts where the SMSC has been seen to change the base.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from storage.receipts import LIKELY, SURE

DECIMAL = re.compile(r"[0-9]+", re.ASCII)
HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
PADDINGS = (8, 10)  # digits that SMSCs pad ids to
LONGEST_ID = 255  # SMPP 3.4 §5.2.23 has 64 octets, which not all keep; also bounds the arithmetic


class Readings(NamedTuple):
    """``same`` are the ids as the upstream may have given them, the first ``sent`` of them exactly as the
    receipt has them (or as the configuration says that they must be read). ``others`` are second choices,
    each with how sure it is (`storage.receipts.SURE`, `LIKELY`)."""

    same: Sequence[str]
    sent: int
    others: Sequence[tuple[str, int]] = ()


def readings(message_ids: Sequence[str], base: str, *, exact: bool = False) -> Readings:
    """How the ids of one receipt may be meant, the likeliest first.

    ``base`` is the upstream's `message_id_base`: "as_sent" knows no other base, "hex" means that
    submit_sm_resp has hexadecimal and receipts have decimal ids, "decimal" the reverse, "any" that it is not
    known. A receipt with two different ids has one of them as the upstream gave it; with "hex" and
    "decimal" a single one is read in the other base first, and of two that are one number in both bases
    the one that the upstream gave is taken as sent, the other not.
    """
    sent = [message_id[:LONGEST_ID] for message_id in message_ids]
    if exact:
        return Readings(_once(sent), len(sent))
    given = [one for one in sent if base != "any" and any(_is_told(one, other, base) for other in sent)]
    if given and len(given) < len(sent):
        same = _once([*given, *_spelled(given)])
        told = _once([*sent, *_spelled(sent)])
        return Readings(same, len(given), [(name, SURE) for name in told if name not in same])
    same = _once([*sent, *_spelled(sent)])
    others = list(dict(reversed(list(_others(sent, base)))).items())[::-1]
    if base in ("hex", "decimal") and len(sent) == 1 and others:
        read = _once(name for name, _ in others)
        return Readings(read, 1, [(name, SURE) for name in same if name not in read])
    return Readings(same, len(sent), [(name, far) for name, far in others if name not in same])


def _is_told(given: str, told: str, base: str) -> bool:
    """The receipt's ``told`` is the upstream's ``given`` in the other base."""
    return told != given and given in [name for name, _ in _others([told], base)]


def _others(sent: Iterable[str], base: str) -> Iterator[tuple[str, int]]:
    for name in sent:
        if base in ("hex", "any") and DECIMAL.fullmatch(name):
            yield from _converted(f"{int(name):x}", base)
        if base in ("decimal", "any") and HEXADECIMAL.fullmatch(name):
            lettered = DECIMAL.fullmatch(name) is None
            yield from _converted(str(int(name, 16)), base if not lettered else "decimal")


def _converted(number: str, base: str) -> Iterator[tuple[str, int]]:
    sure = base != "any" or DECIMAL.fullmatch(number) is None
    yield from ((name, SURE if sure else LIKELY) for name in _variants(number))


def _spelled(sent: Iterable[str]) -> Iterator[str]:
    for name in sent:
        yield from _variants(name)


def _variants(spelling: str) -> Iterator[str]:
    for text in (spelling, spelling.lower(), spelling.upper()):
        yield text
        bare = text.lstrip("0") or "0"
        yield bare
        if HEXADECIMAL.fullmatch(bare):
            yield from (bare.zfill(width) for width in PADDINGS)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
