"""Time-based one-time passwords (RFC 6238 on RFC 4226): six digits, 30 seconds, SHA-1, as every app has them.

And spare codes for who has lost his device: 80 random bits each, so that a plain digest of them can be kept.
"""

import base64
import hashlib
import hmac
import secrets
import struct
from collections.abc import Iterator
from urllib.parse import quote, urlencode

SECRET_OCTETS = 20
PERIOD_SECONDS = 30
DIGITS = 6
DRIFT = 1
"""So many steps before and after the present one are taken: clocks differ, and typing takes time (§5.2)."""

CODES = 10
_CODE_OCTETS = 10
_GROUP = 4


def new_secret() -> str:
    """A secret, in the base32 that apps take."""
    return base64.b32encode(secrets.token_bytes(SECRET_OCTETS)).decode()


def code_at(secret: str, step: int) -> str:
    """The code of a step (RFC 4226 §5.3)."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    (number,) = struct.unpack_from(">I", digest, offset)
    return f"{(number & 0x7FFFFFFF) % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: str, code: str, now_ms: int) -> int | None:
    """Which step's code it is, of those that are taken now; None for a wrong one. Whether it was used before
    the caller must see. Every step is compared, whatever is found.
    """
    now = now_ms // 1000 // PERIOD_SECONDS
    steps = range(max(now - DRIFT, 0), now + DRIFT + 1)
    found = [step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), code.encode())]
    return found[0] if found else None


def place(user_id: int) -> str:
    """Where a secret is kept, for its seal (see `edge.sealing`)."""
    return f"totp of user {user_id}"


def address(secret: str, issuer: str, login: str) -> str:
    """What the QR code holds, for an app to read (the Key URI format of such apps)."""
    label = quote(f"{issuer}:{login}", safe=":@")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer})}"


def new_codes() -> list[str]:
    """Spare codes, to be written down: "ABCD-EFGH-IJKL-MNOP"."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_CODE_OCTETS)).decode()) for _ in range(CODES)]


def code_hash(written: str) -> str:
    """What is kept of a spare code; blanks, hyphens and case in what somebody types do not matter."""
    plain = "".join(filter(str.isalnum, written)).upper()
    return hashlib.sha256(plain.encode()).hexdigest()


def _grouped(code: str) -> str:
    return "-".join(_groups(code))


def _groups(code: str) -> Iterator[str]:
    for start in range(0, len(code), _GROUP):
        yield code[start : start + _GROUP]
