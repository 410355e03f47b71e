"""Where the console listens, as configured: UNIX socket, telnet, SSH, and the Python prompt if wanted."""

from pathlib import Path
from typing import Any, cast

import structlog
from twisted.conch.ssh.keys import BadKeyError
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from edge.config import ConsoleConfig
from edge.console.commands import language
from edge.console.console import Console
from edge.console.ctl import CtlFactory
from edge.console.login import Login
from edge.console.manhole import manhole_shell
from edge.console.server import Server
from edge.console.sessions import Execute, Shell
from edge.console.ssh import Listener, console_shell, host_key
from edge.console.telnet import TelnetFactory
from edge.crowd import AtMost
from edge.endpoints import host_and_port

log = structlog.get_logger(__name__)

OWNER_ONLY = 0o600
MOST_CONNECTIONS = 20  # of each way


class ConsoleService:
    """I listen from `start` until `stop`. ``namespace`` is what the Python prompt finds."""

    def __init__(
        self, config: ConsoleConfig, server: Server, reactor: Any, namespace: dict[str, object]
    ) -> None:
        self.console = Console(language(), server)
        self._config = config
        self._reactor = reactor
        self._namespace = namespace
        self._ports: dict[str, IListeningPort] = {}  # by the name of the way

    def configure(self, config: ConsoleConfig) -> None:
        """Other operators, from the next log-in on; where I listen stays."""
        self._config = config

    def start(self) -> None:
        """Open every way that is not open; one that cannot be is told in the log, and the server runs without
        it."""
        config = self._config
        ways = {
            "socket": (config.socket, self._open_socket),
            "telnet": (config.telnet, self._open_telnet),
            "ssh": (config.ssh, self._open_ssh),
            "manhole": (config.manhole, self._open_manhole),
        }
        for name, (where, open_way) in ways.items():
            if not where or name in self._ports:
                continue
            try:
                self._ports[name] = open_way(where)
            except (CannotListenError, OSError, BadKeyError) as error:
                log.error("console_not_open", way=name, at=where, reason=str(error))

    def _open_socket(self, where: str) -> IListeningPort:
        path = Path(where)
        path.parent.mkdir(parents=True, exist_ok=True)
        # wantPID: a socket that a killed server left behind is replaced, one that is in use is not.
        factory = AtMost(MOST_CONNECTIONS, CtlFactory(self.console))
        return cast(
            IListeningPort, self._reactor.listenUNIX(str(path), factory, mode=OWNER_ONLY, wantPID=True)
        )

    def _open_telnet(self, where: str) -> IListeningPort:
        login = Login(lambda: dict(self._config.operators), self._reactor)
        return self._listen(where, TelnetFactory(self.console, login, self._reactor))

    def _open_ssh(self, where: str) -> IListeningPort:
        return self._listen_ssh(where, "ssh", console_shell(self.console), self.console.execute)

    def _open_manhole(self, where: str) -> IListeningPort:
        port = self._listen_ssh(where, "manhole", manhole_shell(self._namespace, self.console.note_python))
        log.warning("manhole_open", listen=where)
        return port

    def _listen_ssh(
        self, where: str, name: str, shell: Shell, execute: Execute | None = None
    ) -> IListeningPort:
        key = host_key(Path(self._config.host_key))
        keys = Path(self._config.authorized_keys)
        return self._listen(where, Listener(key, keys, name, self._reactor, shell, execute))

    def stop(self) -> Deferred[Any]:
        """Listen no more; talks that are under way go on until the process ends."""
        ports, self._ports = self._ports, {}
        ending = [maybeDeferred(port.stopListening) for port in ports.values()]
        return DeferredList(ending, consumeErrors=True)

    def _listen(self, where: str, factory: Any) -> IListeningPort:
        host, port = host_and_port(where)
        bounded = AtMost(MOST_CONNECTIONS, factory)
        return cast(IListeningPort, self._reactor.listenTCP(port, bounded, interface=host))
