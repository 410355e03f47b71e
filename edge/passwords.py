"""Passwords as the store keeps them: argon2id, each with its own salt and cost in the hash.

Both functions take some 30 ms of CPU and 19 MiB; a server calls them in a thread.
"""

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

MIN_CHARACTERS = 8  # of those that people choose
MAX_CHARACTERS = 1_000
MEMORY_KIB = 19 * 1024
PASSES = 2

# One lane: a log-in must not take every core from the messages.
_hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)

# Well-formed, of today's cost, and no password's: verifying against it takes as long as against a real one.
_COST = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
NOBODY = f"$argon2id$v=19${_COST}${'A' * 22}${'A' * 43}"


def hash_password(password: str) -> str:
    """The hash to store. Raises ValueError for a password that is empty, too long, or not Unicode text."""
    if not 0 < len(password) <= MAX_CHARACTERS:
        raise ValueError(f"A password has 1 to {MAX_CHARACTERS} characters.")
    return _hasher.hash(password)


def verify(password_hash: str, password: str) -> bool:
    """Is this the password? A hash that cannot be read is nobody's."""
    try:
        return _hasher.verify(password_hash, password)
    except (Argon2Error, InvalidHashError, UnicodeError):
        return False
