"""What we tell systemd, or whoever else started us with NOTIFY_SOCKET: sd_notify(3) in a few lines.

Each message is a datagram of lines KEY=VALUE. A socket that takes none (full, gone) costs a line in the log
and nothing else: the server does not stop for its supervisor.
"""

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

import structlog
from twisted.internet import endpoints
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

log = structlog.get_logger(__name__)

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
LISTENING = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID")
MOST_STATUS = 500  # characters, in one line
TAKING = "Taking traffic"
FIRST_DESCRIPTOR = 3  # sd_listen_fds(3)


class Supervisor:
    """I tell a supervisor how we are. ``address`` is a path, or a name in the abstract namespace after "@";
    empty: nobody is told. ``watchdog_seconds``: who says nothing for so long is killed; 0: nobody watches.
    ``sockets`` are those that it listens with for us: their descriptors by name."""

    def __init__(
        self,
        address: str = "",
        watchdog_seconds: float = 0.0,
        sockets: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.watchdog_seconds = watchdog_seconds
        self.sockets = sockets
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._failed = False
        self._alive = LoopingCall(self.tell, "WATCHDOG=1")

    def watch(self, clock: IReactorTime) -> None:
        """Say from now on that the reactor turns, twice in the time that a supervisor waits."""
        if self._address and self.watchdog_seconds and not self._alive.running:
            self._alive.clock = clock
            self._alive.start(self.watchdog_seconds / 2)

    def ready(self, status: str) -> None:
        """Started, or reloaded."""
        self.tell("READY=1", f"STATUS={' '.join(status.split())[:MOST_STATUS]}")

    def reloading(self) -> None:
        """Reading the configuration again; `ready` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def waiting(self, status: str, seconds: float) -> None:
        """The start needs more time, this much from now on."""
        self.tell(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """On the way to the end. The watchdog is told as before, for as long as the reactor turns."""
        self.tell("STOPPING=1", f"STATUS={status}")

    def tell(self, *lines: str) -> None:
        """Send these lines as they are."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.sendto("\n".join(lines).encode(), self._address)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("supervisor_not_told", error=str(error))
            self._failed = True


def from_environment(environment: MutableMapping[str, str] = os.environ) -> Supervisor:
    """The supervisor that started this process. Its variables are taken out: no child speaks for us."""
    address, usec, pid = (environment.pop(name, "") for name in VARIABLES)
    mine = not pid or pid == str(os.getpid())
    seconds = int(usec) / 1e6 if mine and usec.isascii() and usec.isdigit() else 0.0
    sockets = _sockets(environment) or _kept_by_twisted()
    return Supervisor(address if address[:1] in ("/", "@") else "", seconds, sockets)


def _kept_by_twisted() -> Mapping[str, int]:
    """Twisted takes the variables out when it is imported, and keeps what they said."""
    return dict(endpoints._SystemdParser._sddaemon.inheritedNamedDescriptors())


def _sockets(environment: MutableMapping[str, str]) -> Mapping[str, int]:
    count, names, pid = (environment.pop(name, "") for name in LISTENING)
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return {}
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    return dict(zip(names.split(":"), descriptors, strict=False))
