"""The charsets of mail, as their names are meant: much is in a larger charset than the one that it names.

So WHATWG's Encoding Standard (§4.2) reads them in browsers, and mail is written by the same programs.
"""

import codecs
import re

_LAST_RESORT = "windows-1252"
# Codecs that are no charset of mail; decoding the first two takes the square of the length.
_NO_CHARSETS = frozenset({"punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape"})
_MEANT = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
"""By the name that Python has for a charset: the larger one that is meant by it."""

_NAMES = {
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "windows-874": "cp874",
    "ks_c_5601-1989": "cp949",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "x-gbk": "gb18030",
    "x-euc-jp": "euc_jp",
    "x-mac-roman": "mac_roman",
    "unicode-1-1-utf-8": "utf-8",
    "x-unknown": "",
}
"""Names that Python does not know."""

_JIS = re.compile(rb"\x1b\$(?:[@B]|\([@B])((?:[\x21-\x7e]{2})*)[\x21-\x7e]?(?:\x1b\([BJ])?")
_JIS_NAMES = frozenset({"iso2022_jp", "iso2022_jp_ext"})


def is_charset(name: str) -> bool:
    """May a text be in it?"""
    return _codec(name) is not None


def decoded(octets: bytes, charset: str) -> str:
    """In the charset that is named, if there is one and it can be; else in one that can. Never raises."""
    codec = _codec(charset)
    try:
        if codec is not None and codec != "utf-8":
            return octets.decode(codec)
    except (LookupError, ValueError):
        if codec in _JIS_NAMES:
            return _vendors_jis(octets)
    return _utf_8(octets)


def _codec(name: str) -> str | None:
    name = name.strip("\"' \t")
    try:
        codec = codecs.lookup(_NAMES.get(name.lower(), name)).name
    except (LookupError, ValueError):
        return None
    return None if codec in _NO_CHARSETS else _MEANT.get(codec, codec)


def _utf_8(octets: bytes) -> str:
    """As UTF-8 if that is what most of it is; a spoiled octet or two are no reason to spoil the rest."""
    text = octets.decode("utf-8", "replace")
    spoiled = text.count("\ufffd")
    if not spoiled or spoiled <= sum(letter > "\x7f" for letter in text) - spoiled:
        return text
    return octets.decode(_LAST_RESORT, "replace")


def _vendors_jis(octets: bytes) -> str:
    """ISO-2022-JP with the rows of NEC and IBM, which only Shift_JIS as Windows has it (cp932) knows."""
    pieces, place = [], 0
    for found in _JIS.finditer(octets):
        pieces.append(octets[place : found.start()].decode("ascii", "replace"))
        rows = found[1]
        pieces.append(
            b"".join(_shifted(row, cell) for row, cell in zip(rows[::2], rows[1::2], strict=True)).decode(
                "cp932", "replace"
            )
        )
        place = found.end()
    return "".join([*pieces, octets[place:].decode("ascii", "replace")])


def _shifted(row: int, cell: int) -> bytes:
    """A character of JIS X 0208 as Shift_JIS has it."""
    lead = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)
    if row % 2:
        return bytes((lead, cell + (0x1F if cell < 0x60 else 0x20)))
    return bytes((lead, cell + 0x7E))
