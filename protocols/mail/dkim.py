"""DKIM signatures for what we send (RFC 6376), relaxed/relaxed, rsa-sha256: what every receiver can verify.

Verifying is dkimpy's business; signing is not, because its RSA is Python's own integers: 35 ms of a CPU for
each mail with a key of 2048 bits, in which nothing else runs, against one here.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

MIN_RSA_BITS = 1024
SIGNED = (
    "From", "Reply-To", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "List-Id",
    "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
"""From twice: nobody may put another one above it."""

_BLANKS = re.compile(rb"[ \t]+")
_FOLDS = re.compile(rb"\r\n(?=[ \t])")


@dataclass(frozen=True, slots=True)
class Signer:
    """A key of a domain; its public half stands in the DNS at ``<selector>._domainkey.<domain>``."""

    domain: str
    selector: str
    key: RSAPrivateKey = field(repr=False)

    def signed(self, mail: bytes, at: int) -> bytes:
        """The mail (lines ending in CR LF) with its signature in front; ``at`` in seconds since the epoch."""
        head, _, body = mail.partition(b"\r\n\r\n")
        headers = [header.partition(b":") for header in _FOLDS.sub(b"", head).split(b"\r\n")]
        present = {name.strip().lower(): value for name, _, value in reversed(headers)}
        names = [name for name in SIGNED if name.lower().encode() in present]
        body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        tags = (
            f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain};\r\n\ts={self.selector}; t={at};\r\n"
            f"\th={':'.join([*names[:5], ''])}\r\n\t {':'.join([*names[5:], 'From'])};\r\n"
            f"\tbh={body_hash};\r\n\tb="
        )
        covered = b"".join(_relaxed(name.encode(), present[name.lower().encode()]) for name in names)
        covered += _relaxed(b"DKIM-Signature", _FOLDS.sub(b"", tags.encode())).removesuffix(b"\r\n")
        value = base64.b64encode(self.key.sign(covered, PKCS1v15(), SHA256())).decode()
        folded = "\r\n\t ".join(value[start : start + 70] for start in range(0, len(value), 70))
        return f"DKIM-Signature:{tags}{folded}\r\n".encode() + mail


def load_key(pem: bytes) -> RSAPrivateKey:
    """A private key from PEM. Raises ValueError for one that cannot sign for DKIM."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError as error:
        raise ValueError("the key is encrypted") from error
    if isinstance(key, RSAPrivateKey) and key.key_size >= MIN_RSA_BITS:
        return key
    raise ValueError(f"expected RSA of {MIN_RSA_BITS} bits or more")


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2."""
    return name.strip().lower() + b":" + _BLANKS.sub(b" ", value).strip() + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """A body as "relaxed" has it (RFC 6376 §3.4.4), which relaxed once more is the same."""
    lines = [_BLANKS.sub(b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)
