"""Mail on the wire: lines end in CR LF and in nothing else, a dot alone ends a mail (RFC 5321 §2.3.8)."""

import re

_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_DOT = re.compile(rb"^\.", re.MULTILINE)

END = b".\r\n"


def canonical(mail: bytes) -> bytes:
    """A mail whose every line ends in CR LF, the last one too: what is sent on can smuggle nothing."""
    mail = _LINE_ENDS.sub(b"\r\n", mail)
    return mail if mail.endswith(b"\r\n") else mail + b"\r\n"


def stuffed(mail: bytes) -> bytes:
    """A `canonical` mail as it goes after DATA, with its end. Stuffed whole: no chunk has a border."""
    return _DOT.sub(b"..", mail) + END


def bare(line: bytes) -> bool:
    """Is there a CR or LF that is not one with the other?"""
    return _BARE.search(line) is not None
