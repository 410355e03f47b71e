"""Where the console listens, as configured: UNIX socket, telnet, SSH, and the Python prompt if wanted."""

from pathlib import Path
from typing import Any

import structlog
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from edge.config import ConsoleConfig
from edge.console.commands import language
from edge.console.console import Console
from edge.console.ctl import CtlFactory
from edge.console.login import Login
from edge.console.server import Server
from edge.console.ssh import Shell, console_shell, host_key, manhole_shell, ssh_factory
from edge.console.telnet import TelnetFactory
from edge.endpoints import host_and_port

log = structlog.get_logger(__name__)

OWNER_ONLY = 0o600


class ConsoleService:
    """I listen from `start` until `stop`. ``namespace`` is what the Python prompt finds."""

    def __init__(
        self, config: ConsoleConfig, server: Server, reactor: Any, namespace: dict[str, object]
    ) -> None:
        self.console = Console(language(), server)
        self._config = config
        self._reactor = reactor
        self._namespace = namespace
        self._ports: list[IListeningPort] = []

    def start(self) -> None:
        """Take every port; raises CannotListenError, or OSError for the host key or the socket's folder."""
        config = self._config
        if config.socket:
            path = Path(config.socket)
            path.parent.mkdir(parents=True, exist_ok=True)
            # wantPID: a socket that a killed server left behind is replaced, one that is in use is not.
            self._ports.append(
                self._reactor.listenUNIX(str(path), CtlFactory(self.console), mode=OWNER_ONLY, wantPID=True)
            )
        if config.telnet:
            login = Login(lambda: dict(config.operators), self._reactor)
            self._listen(config.telnet, TelnetFactory(self.console, login, self._reactor))
        keys = Path(config.authorized_keys)
        if config.ssh:
            shell: Shell = console_shell(self.console)
            self._listen(config.ssh, ssh_factory(self._key(), keys, "ssh", shell, self.console.execute))
        if config.manhole:
            self._listen(
                config.manhole, ssh_factory(self._key(), keys, "manhole", manhole_shell(self._namespace))
            )
            log.warning("manhole_open", listen=config.manhole)

    def stop(self) -> Deferred[Any]:
        """Listen no more; talks that are under way go on until the process ends."""
        ports, self._ports = self._ports, []
        return DeferredList([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)

    def _key(self) -> Any:
        return host_key(Path(self._config.host_key))

    def _listen(self, where: str, factory: Any) -> None:
        host, port = host_and_port(where)
        self._ports.append(self._reactor.listenTCP(port, factory, interface=host))
