"""How many connections a listener has at a time, and what an address is called."""

from typing import Any

from twisted.protocols.policies import ProtocolWrapper, WrappingFactory


class AtMost(WrappingFactory):
    """What listens, for so many connections at a time; one more is closed at once."""

    noisy = False

    def __init__(self, most: int, factory: Any) -> None:
        super().__init__(factory)
        self._most = most

    def buildProtocol(self, addr: Any) -> ProtocolWrapper | None:  # type: ignore[override]
        """None, which closes the connection, when there are too many."""
        if len(self.protocols) >= self._most:
            return None
        return super().buildProtocol(addr)


def place(address: Any) -> str:
    """host:port of a peer, an IPv6 address in brackets."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
