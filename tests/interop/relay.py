"""A network between one phone and the server, by UDP, that loses what it is told to."""

import select
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

HOST = "127.0.0.1"
Loses = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Seen:
    """A datagram that came by; the phone sends to the relay as to its server."""

    octets: bytes
    from_phone: bool
    lost: bool


class Relay:
    """I pass datagrams on, from `start` to `stop`, but for those that ``loses`` says yes to."""

    def __init__(self, server_port: int, loses: Loses = lambda octets: False) -> None:
        self.loses = loses
        self._server = HOST, server_port
        self._phone: tuple[str, int] | None = None
        self._front, self._back, self._stop, self._stopped = (_socket() for _ in range(4))
        self._seen: list[Seen] = []
        self._thread = threading.Thread(target=self._run)

    @property
    def port(self) -> int:
        """Where the phone finds the server."""
        return int(self._front.getsockname()[1])

    def seen(self, start: bytes, lost: bool | None = None) -> list[Seen]:
        """What came by and begins so; ``lost`` or not, or either."""
        return [one for one in list(self._seen) if one.octets.startswith(start) and lost in (None, one.lost)]

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.sendto(b".", self._stopped.getsockname())
        self._thread.join(10)
        for each in (self._front, self._back, self._stop, self._stopped):
            each.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._front, self._back, self._stopped], [], [])
            if self._stopped in ready:
                return
            for each in ready:
                self._pass(each)

    def _pass(self, side: socket.socket) -> None:
        try:
            octets, source = side.recvfrom(65_536)
        except ConnectionError:  # the server is down: what went to it before has come back as an error
            return
        from_phone = side is self._front
        if from_phone:
            self._phone = source
        lost = self.loses(octets)
        self._seen.append(Seen(octets, from_phone, lost))
        if not lost and from_phone:
            self._back.sendto(octets, self._server)
        elif not lost and self._phone is not None:
            self._front.sendto(octets, self._phone)


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((HOST, 0))
    return made
