"""Kinds of values that several tables of the configuration have."""

import re
from typing import Annotated

from edge.config_reader import Check, Secret, above, at_least, matching

# SMPP 3.4 allows 15 and 8 characters; carriers give out longer ones, and the wire has room for them.
_CREDENTIAL = 64


def is_listen(value: str) -> bool:
    """Is this an address and a port, as `Listen` takes it?"""
    host, _, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    spelled = bool(bare) and (host != bare or ":" not in host)
    return spelled and re.fullmatch("[0-9]{1,5}", port, re.ASCII) is not None and 1 <= int(port) <= 65535


Port = Annotated[int, Check("a port, 1 to 65535", lambda value: 1 <= value <= 65535)]
Listen = Annotated[str, Check('an address and port such as "127.0.0.1:8080" or "[::1]:8080"', is_listen)]
Positive = Annotated[float, above(0)]
NotNegative = Annotated[float, at_least(0)]
Count = Annotated[int, at_least(1)]
Credential = Annotated[str, matching(rf"[ -~]{{1,{_CREDENTIAL}}}", f"1 to {_CREDENTIAL} ASCII characters")]
Password = Annotated[
    Secret, matching(rf"[\x01-\xff]{{0,{_CREDENTIAL}}}", f"at most {_CREDENTIAL} characters of Latin-1")
]
