"""SSH with keys only: the console, and (apart, off by default) a Python prompt with the same guards.

`ssh host` is a terminal, `ssh host status --json` one command, `ssh -T host < file` a command a line.

Who an operator is, is what stands behind his key in the authorized_keys file: the name that a client gives
proves nothing. The host key is made at the first start, one for each installation.
"""

import os
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.conch.error import ValidPublicKey
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import BadKeyError, Key
from twisted.conch.ssh.transport import DISCONNECT_BY_APPLICATION, SSHServerTransport
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from edge.console.console import Console, Operator
from edge.console.dialogue import Dialogue
from edge.console.sessions import Execute, Shell, User
from edge.console.terminal import Screen, Terminal
from edge.crowd import place

log = structlog.get_logger(__name__)

KINDS = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)

LOGIN_SECONDS = 60.0
MOST_KEYS = 6  # that are tried before a connection is ended


def host_key(path: Path) -> Key:
    """The host key in this file; made, and readable by its owner only, when it is not there."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    key: Key = Key.fromString(path.read_bytes())
    return key


@implementer(ICredentialsChecker)
class KeyChecker:
    """I look keys up in an authorized_keys file, read anew each time: who was taken out of it is out.

    A line with options in front is skipped: they would promise what is not kept here. ``where`` is for
    the log.
    """

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, path: Path, where: str = "") -> None:
        self._path = path
        self._where = where

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """The operator's name; UnauthorizedLogin, or ValidPublicKey while the client only asks to sign."""
        try:
            offered = Key.fromString(credentials.blob)
            name = self._names().get(offered.blob())
            if name is None:
                self._refuse("unknown key", key=offered.fingerprint())
                return fail(UnauthorizedLogin("this key may not log in"))
            if not credentials.signature:
                return fail(ValidPublicKey())
            if offered.verify(credentials.signature, credentials.sigData):
                return succeed(name.encode())
            self._refuse("wrong signature", key=offered.fingerprint())
        except (BadKeyError, OSError, ValueError) as error:
            self._refuse(str(error))
        return fail(UnauthorizedLogin("the signature is not this key's"))

    def _refuse(self, reason: str, key: str | None = None) -> None:
        log.warning("console_login_refused", where=self._where, reason=reason, key=key)

    def _names(self) -> dict[bytes, str]:
        names = {}
        for line in self._path.read_text(errors="replace").splitlines():
            kind, _, rest = line.strip().partition(" ")
            blob, _, name = rest.strip().partition(" ")
            if kind not in KINDS:
                continue
            with suppress(ValueError):  # one that is spoilt is no reason to keep the others out
                names[b64decode(blob)] = name.strip() or "unnamed"
        return names


@implementer(IRealm)
class Realm:
    """I give a shell to who has proved himself; ``execute``, if there is one, carries out one line alone."""

    def __init__(self, where: str, shell: Shell, execute: Execute | None) -> None:
        self._where = where
        self._shell = shell
        self._execute = execute

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> Any:
        """See `IRealm`."""
        operator = Operator(avatarId.decode("utf-8", "replace"), self._where)
        log.info("console_login", operator=operator.name, where=operator.where)
        return IConchUser, User(operator, self._shell, self._execute), _nothing


def _nothing() -> None:
    """What conch calls when somebody has logged out."""


class LogIn(SSHUserAuthServer):
    """I ask for keys, in the name of the place that a connection comes from."""

    attemptsBeforeDisconnect = MOST_KEYS
    transport: Any

    def serviceStarted(self) -> None:
        """See `SSHService`."""
        super().serviceStarted()
        self.portal = self.transport.factory.portal_of(self.transport.where)


class Connection(SSHServerTransport):
    """One connection: who has not logged in after LOGIN_SECONDS makes room for others."""

    factory: Any
    transport: Any

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        self.where = f"{self.factory.way} {place(self.transport.getPeer())}"
        self._login = self.factory.clock.callLater(LOGIN_SECONDS, self._too_long)
        super().connectionMade()

    def setService(self, service: Any) -> None:
        """See `SSHTransportBase`: the second one is what a log-in is for."""
        super().setService(service)
        if service.name == b"ssh-connection" and self._login.active():
            self._login.cancel()

    def receiveError(self, reasonCode: int, description: bytes) -> None:
        """See `SSHTransportBase`: a goodbye is no error."""
        if reasonCode != DISCONNECT_BY_APPLICATION:
            super().receiveError(reasonCode, description)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """See `IProtocol`."""
        if self._login.active():
            self._login.cancel()
        super().connectionLost(reason)

    def _too_long(self) -> None:
        log.warning("console_login_refused", where=self.where, reason="took too long")
        self.sendDisconnect(DISCONNECT_BY_APPLICATION, b"the log-in took too long")


class Listener(SSHFactory):
    """What listens: keys only, no passwords, no forwarding. ``way`` is what the log calls it."""

    protocol = Connection
    noisy = False

    def __init__(
        self,
        key: Key,
        authorized_keys: Path,
        way: str,
        clock: IReactorTime,
        shell: Shell,
        execute: Execute | None = None,
    ) -> None:
        self.services = {b"ssh-userauth": LogIn, b"ssh-connection": SSHConnection}
        self.publicKeys = {key.sshType(): key.public()}
        self.privateKeys = {key.sshType(): key}
        self.way = way
        self.clock = clock
        self._authorized_keys = authorized_keys
        self._shell = shell
        self._execute = execute
        self.portal = self.portal_of(way)

    def portal_of(self, where: str) -> Portal:
        """Who may log in from there, and what he gets."""
        realm: Any = Realm(where, self._shell, self._execute)
        return Portal(realm, [KeyChecker(self._authorized_keys, where)])


def console_shell(console: Console) -> Shell:
    """The command language."""

    def shell(operator: Operator) -> ServerProtocol:
        def dialogue(write: Callable[[str], None], close: Callable[[], None]) -> Dialogue:
            return Dialogue(console, operator.where, write, close, operator=operator)

        return Screen(b"\r\n", Terminal, dialogue)

    return shell
