"""The table of the operators' console."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated

from edge.config_reader import Check, Contradiction, matching
from edge.config_types import is_listen


def _is_loopback_or_empty(value: str) -> bool:
    if not value:
        return True
    host = value.rpartition(":")[0].strip("[]")
    try:
        return is_listen(value) and ip_address(host).is_loopback
    except ValueError:
        return False


LoopbackOrEmpty = Annotated[
    str,
    Check('a loopback address and port such as "127.0.0.1:2323", or nothing', _is_loopback_or_empty),
]
TokenHash = Annotated[str, matching("[0-9a-f]{64}", "what `trunkline operator-key` prints")]
OperatorHash = Annotated[str, matching(r"\$argon2id\$[!-~]{20,200}", "what `trunkline operator-hash` prints")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConfig:
    """The operators' console; an empty address or path switches a way off. ``operators`` are those who may
    come by telnet, each with an argon2 hash; SSH and ``manhole`` (a Python prompt over SSH) take
    ``authorized_keys``; HTTP takes ``api_keys``."""

    socket: str = "var/console.sock"
    telnet: LoopbackOrEmpty = ""
    operators: Mapping[str, OperatorHash] = field(default_factory=dict)
    ssh: LoopbackOrEmpty = ""
    authorized_keys: str = ""
    host_key: str = "var/console_host_key"
    manhole: LoopbackOrEmpty = ""
    api_keys: Mapping[str, TokenHash] = field(default_factory=dict)

    def contradictions(self) -> Iterator[Contradiction]:
        """See `edge.config_reader`."""
        if self.telnet and not self.operators:
            yield (
                "operators",
                self.operators,
                "an operator for telnet (see trunkline operator-hash)",
            )
        if (self.ssh or self.manhole) and not self.authorized_keys:
            yield "authorized_keys", self.authorized_keys, "a file of public keys, for ssh and manhole"
