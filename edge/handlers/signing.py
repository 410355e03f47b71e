"""Signatures by which receivers know that a request is ours, and whole.

The callback's is the hexadecimal HMAC-SHA256, with the DID's secret, of these lines (UTF-8, joined by "\\n";
the message is last, so line ends in it cannot be taken for another line):

    v1, {ID}, {TIMESTAMP_UTC}, {FROM_E164}, {TO_E164}, {MEDIA}, {MESSAGE}

The webhook's is that of Standard Webhooks: base64 of the HMAC-SHA256, with each active key, of
``id.timestamp.body``.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence

SIGNED = ("ID", "TIMESTAMP_UTC", "FROM_E164", "TO_E164", "MEDIA", "MESSAGE")
KEY_PREFIX = "whsec_"
KEY_OCTETS = (24, 64)  # as Standard Webhooks asks


def callback_signature(secret: str, values: Mapping[str, str]) -> str:
    """The value of {SIGNATURE}."""
    canonical = "\n".join(("v1", *(values[name] for name in SIGNED)))
    return hmac.digest(secret.encode(), canonical.encode("utf-8", "replace"), "sha256").hex()


def webhook_signature(keys: Sequence[str], identity: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: one signature for each key, so that a receiver may know either."""
    signed = b"%s.%d.%s" % (identity.encode(), timestamp, body)
    digests = [hmac.digest(key_octets(key), signed, "sha256") for key in keys]
    return " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)


def new_key(octets: bytes) -> str:
    """These octets as a webhook key."""
    return KEY_PREFIX + b64encode(octets).decode()


def key_octets(key: str) -> bytes:
    """The octets of a webhook key. Raises ValueError when it is none."""
    if not key.startswith(KEY_PREFIX):
        raise ValueError(f"a webhook key begins with {KEY_PREFIX}")
    try:
        octets = b64decode(key.removeprefix(KEY_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"after {KEY_PREFIX} a webhook key is base64") from error
    low, high = KEY_OCTETS
    if not low <= len(octets) <= high:
        raise ValueError(f"a webhook key has {low} to {high} octets, not {len(octets)}")
    return octets
