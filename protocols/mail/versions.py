"""Which version of a text is read where a mail has several (multipart/alternative, RFC 2046 §5.1.4)."""

from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import NamedTuple

_UNSEEN = str.maketrans(dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0x2063, 0xFEFF, 0x034F, 0x00AD], None))


class Kind(IntEnum):
    """Of a text, the plainest first. Guessed: nothing but its place says that it is one."""

    PLAIN = 0
    MARKDOWN = 1
    RICH = 2
    GUESSED = 3


class Piece(NamedTuple):
    """One part's text, and the same with the pins of pictures."""

    text: str
    pinned: str
    kind: Kind


class Group(Enum):
    """What a multipart's parts are to each other: versions of one text, or one below the other."""

    VERSIONS = "versions"
    SEQUENCE = "sequence"


class End(NamedTuple):
    """Here ends the group that began last."""

    group: Group


BEGIN = "begin"
"""Here begins a group."""

Found = Piece | End | str

_PLAIN_FIRST = tuple(Kind)
_RICH_FIRST = (Kind.RICH, Kind.PLAIN, Kind.MARKDOWN, Kind.GUESSED)


class _Version(NamedTuple):
    pieces: list[str]
    kind: Kind


def joined(found: Iterable[Found], plain_first: bool, pinned: bool = False) -> str:
    """All texts, one below the other, of each the wanted version; one in which nothing is to be seen is none.

    ``found`` are a mail's parts in their order, with where its groups begin and end.
    """
    groups: list[list[_Version]] = [[]]
    for item in found:
        if isinstance(item, Piece):
            piece = item.pinned if pinned else item.text
            if is_seen(piece):
                groups[-1].append(_Version([piece.rstrip("\n")], item.kind))
        elif isinstance(item, End):
            versions = groups.pop()
            if versions:
                one = item.group is Group.VERSIONS
                groups[-1].append(_best(versions, plain_first) if one else _whole(versions))
        else:
            groups.append([])
    return "\n".join(_whole(groups[0]).pieces).strip("\n") if groups[0] else ""


def is_seen(piece: str) -> bool:
    """Is there anything in it that a reader sees?"""
    return bool(piece.translate(_UNSEEN).strip())


def _best(versions: list[_Version], plain_first: bool) -> _Version:
    """The last one of the kind that is wanted most."""
    order = _PLAIN_FIRST if plain_first else _RICH_FIRST
    return min(reversed(versions), key=lambda version: order.index(version.kind))


def _whole(versions: list[_Version]) -> _Version:
    pieces = [piece for version in versions for piece in version.pieces]
    return _Version(pieces, max(version.kind for version in versions))
