"""Secrets that the store must give back as they were (those of one-time passwords), sealed with the key of
the installation, so that who has the store alone has none of them.

AES-256-GCM with a nonce of 96 random bits (NIST SP 800-38D §8.2.2). What a secret belongs to is part of the
seal: put elsewhere in the store it cannot be opened. The key is in a file of its own, made when it is first
needed: lines of 64 hexadecimal digits, of which the first one seals and all of them open.
"""

import base64
import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.errors import Unavailable

log = structlog.get_logger(__name__)

MARK = "sealed1:"
KEY_OCTETS = 32
NONCE_OCTETS = 12
NO_KEY = "The server cannot keep secrets just now; its operator has to see to it."


class Unopened(Exception):
    """What is sealed cannot be opened: by another key, or it is not where it was."""


class Seal:
    """I seal and open. The file is read, or made, when I am first needed."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._keys: list[AESGCM] = []

    def close(self, secret: str, place: str) -> str:
        """The secret as the store may keep it. Raises Unavailable when there is no key to be had."""
        nonce = secrets.token_bytes(NONCE_OCTETS)
        sealed = self._ring()[0].encrypt(nonce, secret.encode(), place.encode())
        return MARK + base64.b64encode(nonce + sealed).decode()

    def open(self, kept: str, place: str) -> str:
        """The secret; one that was kept before there was a seal is given back as it is.

        Raises Unopened, and Unavailable when there is no key to be had.
        """
        if not is_sealed(kept):
            return kept
        with suppress(ValueError):
            octets = base64.b64decode(kept.removeprefix(MARK), validate=True)
            for key in self._ring():
                with suppress(InvalidTag):
                    return key.decrypt(octets[:NONCE_OCTETS], octets[NONCE_OCTETS:], place.encode()).decode()
        raise Unopened

    def _ring(self) -> list[AESGCM]:
        if not self._keys:
            try:
                self._keys = [AESGCM(key) for key in read_keys(self._path)]
            except (OSError, ValueError) as error:
                log.error("seal_key_unusable", file=str(self._path), error=str(error))
                raise Unavailable(NO_KEY) from error
        return self._keys


def is_sealed(kept: str) -> bool:
    """Was it kept by a `Seal`?"""
    return kept.startswith(MARK)


def read_keys(path: Path) -> list[bytes]:
    """The keys in this file, which is made, readable for its owner only, when it is not there.

    Raises OSError, and ValueError for a file without keys of 64 hexadecimal digits.
    """
    if not path.exists():
        _make(path)
    keys = [bytes.fromhex(line) for line in path.read_text("ascii").split()]
    if not keys or any(len(key) != KEY_OCTETS for key in keys):
        raise ValueError("it needs lines of 64 hexadecimal digits")
    return keys


def _make(path: Path) -> None:
    """Whole or not at all; of two servers that make it at once one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_hex(KEY_OCTETS)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
