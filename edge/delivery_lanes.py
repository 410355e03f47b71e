"""The number of a lane (see `storage.queue`): deliveries of one lane take turns with those of all others."""

from functools import lru_cache
from hashlib import blake2b

_BITS = 63


@lru_cache(65_536)
def lane_of(target_key: str, did_id: int, conversation: tuple[str, str] | None) -> int:
    """Of one DID's deliveries to one target; or, negative and keeping order, of one conversation.

    ``conversation`` is the whole target and the peer. That two lanes get one number is next to impossible,
    and then they take turns as one.
    """
    name = "\0".join((target_key, str(did_id), *(conversation or ())))
    digest = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    number = (digest & ((1 << _BITS) - 1)) or 1
    return -number if conversation else number
