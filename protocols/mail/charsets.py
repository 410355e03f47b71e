"""The charsets of mail, as their names are meant: much is in a larger charset than the one that it names.

So WHATWG's Encoding Standard (§4.2) reads them in browsers, and mail is written by the same programs.
"""

import codecs
import re
from collections.abc import Iterator

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


def _also(names: dict[str, str]) -> dict[str, str]:
    """Of a codec and its names, with blanks between, the codec by each name."""
    return {name: codec for codec, all_of_it in names.items() for name in all_of_it.split()}


_NAMES = _also(
    {
        "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8mb4 utf-8n 65001",
        "cp1252": "ansi windows-1252:latin1 iso-8859-1-windows-3.1-latin-1",
        "iso8859-6": "iso-8859-6-e iso-8859-6-i csiso88596e csiso88596i",
        "iso8859-7": "sun_eu_greek",
        "iso8859-8": "iso-8859-8-e iso-8859-8-i csiso88598e csiso88598i visual logical",
        "iso8859-15": "csisolatin9 latin-9 latin0",
        "koi8-u": "koi8-ru koi8-rf",
        "koi8-r": "koi koi8",
        "cp858": "ibm00858 cp00858 ccsid00858",
        "cp932": "windows-31j ibm943 ibm-943",
        "cp949": "ks_c_5601-1989 ksc_5601 iso-ir-149 csksc56011987 cseuckr ibm949 ibm-949",
        "gb18030": "gb_2312 gb_2312-80 csgb2312 cn-gb",
        "big5hkscs": "x-big5 cn-big5 big5-eten",
        "euc_jp": "cseucpkdfmtjapanese",
        "iso2022_jp": "windows-iso2022jp",
        "mac_roman": "csmacintosh mac mac-roman",
        "mac_cyrillic": "mac-ukrainian",
        "mac_latin2": "mac-ce mac-centraleurroman",
        "mac_iceland": "mac-icelandic",
        "gbk": "mac-chinesesimp",
        "big5": "mac-chinesetrad",
        "utf-16": "iso-10646-ucs-2",
        "": "unknown",
    }
)
"""Names that Python does not know: of the Encoding Standard, of IANA, and what programs make of them."""

_NUMBERED = re.compile(r"(?:windows|win|cp|ccsid|ibm|ms|dos|oem)[-_ ]?(?P<page>[0-9]{3,4})")
_UNPUNCTUATED = re.compile(r"iso[-_ ]?8859[-_ ]?(?P<part>[0-9]{1,2})(?:[:_-].{0,20})?")

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark begins it
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""What text may begin with that says in which charset it is, and goes before any name of one."""

_ASCII = b"<meta>"

_JIS = re.compile(rb"\x1b\$(?:[@B]|\([@B])((?:[\x21-\x7e]{2})*)[\x21-\x7e]?(?:\x1b\([BJ])?")
_JIS_NAMES = frozenset({"iso2022_jp", "iso2022_jp_ext"})


def is_charset(name: str) -> bool:
    """May a text be in it?"""
    return _codec(name) is not None


def extends_ascii(name: str) -> bool:
    """Is it a charset in which ASCII is what it is everywhere? UTF-16 and those of EBCDIC are not."""
    codec = _codec(name)
    return codec is not None and _in(codec, _ASCII) == _ASCII.decode()


def decoded(octets: bytes, *names: str) -> str:
    """In the charset of the byte order mark, else in the first that is named which there is and in which
    they can be read; else in one in which they can. Never raises."""
    for mark, marked in _MARKS.items():
        if octets.startswith(mark) and (text := _in(marked, octets[len(mark) :])) is not None:
            return text
    for codec in (*map(_codec, names), "utf-8"):
        if codec is not None and (text := _in(codec, octets)) is not None:
            return text
    return octets.decode(_LAST_RESORT, "replace")


def _in(codec: str, octets: bytes) -> str | None:
    if codec == "utf-8":
        return _utf_8(octets)
    try:
        return octets.decode(codec)
    except (LookupError, ValueError):
        return _vendors_jis(octets) if codec in _JIS_NAMES else None


def _codec(name: str) -> str | None:
    codec = next(filter(None, map(_known, _spellings(name.strip("\"' \t").lower()))), None)
    return None if codec in _NO_CHARSETS else _MEANT.get(codec or "", codec)


def _spellings(name: str) -> Iterator[str]:
    """The name, and what it means where that is no name of a charset: "x-…", "windows-936", "cp-850"."""
    for spelt in dict.fromkeys((name, name.removeprefix("x-"))):
        yield _NAMES.get(spelt, spelt)
        if (numbered := _NUMBERED.fullmatch(spelt)) is not None:
            yield f"cp{numbered['page']}"
        if (part := _UNPUNCTUATED.fullmatch(spelt)) is not None:
            yield f"iso8859-{part['part']}"


def _known(name: str) -> str | None:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return None


def _utf_8(octets: bytes) -> str | None:
    """As UTF-8 if that is what most of it is; a spoiled octet or two are no reason to spoil the rest."""
    text = octets.decode("utf-8", "replace")
    spoiled = text.count("\ufffd")
    if not spoiled or spoiled <= sum(letter > "\x7f" for letter in text) - spoiled:
        return text
    return None


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
