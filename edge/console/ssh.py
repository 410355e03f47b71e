"""SSH with keys only: the console, and (apart, off by default) a Python prompt with the same guards.

Who an operator is, is what stands behind his key in the authorized_keys file: the name that a client gives
proves nothing. The host key is made at the first start, one for each installation.
"""

import os
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.conch.error import ValidPublicKey
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.manhole import Manhole
from twisted.conch.manhole_ssh import TerminalRealm, TerminalSession
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import BadKeyError, Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.components import Componentized
from zope.interface import implementer

from edge.console.console import Console, Operator, Reply
from edge.console.dialogue import Dialogue, spoken
from edge.console.terminal import Terminal
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

Shell = Callable[[Operator], Any]
"""Makes the protocol of a terminal for an operator."""

Execute = Callable[[str, Operator], Deferred[Reply]]


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

    A line with options in front is skipped: they would promise what is not kept here.
    """

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, path: Path) -> None:
        self._path = path

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """The operator's name; UnauthorizedLogin, or ValidPublicKey while the client only asks to sign."""
        try:
            offered = Key.fromString(credentials.blob)
            name = self._names().get(offered.blob())
            if name is None:
                log.warning("console_login_refused", reason="unknown key", key=offered.fingerprint())
                return fail(UnauthorizedLogin("this key may not log in"))
            if not credentials.signature:
                return fail(ValidPublicKey())
            if offered.verify(credentials.signature, credentials.sigData):
                return succeed(name.encode())
        except (BadKeyError, OSError, ValueError) as error:
            log.warning("console_login_refused", reason=str(error))
        return fail(UnauthorizedLogin("the signature is not this key's"))

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


class Realm(TerminalRealm):
    """I give a shell to who has proved himself; ``execute``, if there is one, carries out one line alone."""

    def __init__(self, where: str, shell: Shell, execute: Execute | None) -> None:
        super().__init__()
        self._where = where
        self._shell = shell
        self._execute = execute

    def _getAvatar(self, avatarId: bytes) -> Any:  # conch's own place for this
        name = avatarId.decode("utf-8", "replace")
        parts = Componentized()
        user = self.userFactory(parts, avatarId)
        session = _Session(parts, partial(_operator, name, self._where), self._shell, self._execute)
        parts.setComponent(IConchUser, user)
        parts.setComponent(ISession, session)
        return user


class _Session(TerminalSession):
    """A terminal, or one command."""

    def __init__(
        self, parts: Componentized, operator: Callable[[Any], Operator], shell: Shell, execute: Execute | None
    ) -> None:
        super().__init__(parts)
        self._operator = operator
        self._shell = shell
        self._execute = execute

    def openShell(self, proto: Any) -> None:
        """`ssh host`: a terminal."""
        operator = self._operator(proto.session)
        self.chainedProtocolFactory = partial(ServerProtocol, self._shell, operator)  # type: ignore[assignment]
        super().openShell(proto)

    def execCommand(self, proto: Any, cmd: bytes) -> None:
        """`ssh host status --json`: one command, its answer, its exit status."""
        channel = proto.session

        def answered(reply: Reply) -> None:
            channel.write(spoken(reply).encode())
            channel.conn.sendRequest(channel, b"exit-status", (0 if reply.ok else 1).to_bytes(4, "big"))
            channel.loseConnection()

        if self._execute is None:
            answered(Reply(False, "there is only a terminal here", None))
        else:
            operator = self._operator(channel)
            self._execute(cmd.decode("utf-8", "replace"), operator).addCallback(answered)

    def eofReceived(self) -> None:
        """The client has no more to say; what was asked is still answered."""

    def closed(self) -> None:
        """The channel is gone."""


def _operator(name: str, where: str, channel: Any) -> Operator:
    """Who opened a channel, and from where: what listens knows that only when the connection is made."""
    operator = Operator(name, f"{where} {place(channel.conn.transport.transport.getPeer())}")
    log.info("console_login", operator=operator.name, where=operator.where)
    return operator


def ssh_factory(key: Key, authorized_keys: Path, where: str, shell: Shell, execute: Any = None) -> SSHFactory:
    """What listens: keys only, no passwords, no forwarding."""
    realm: Any = Realm(where, shell, execute)
    portal = Portal(realm, [KeyChecker(authorized_keys)])
    factory: Any = SSHFactory()
    factory.portal = portal
    factory.publicKeys = {key.sshType(): key.public()}
    factory.privateKeys = {key.sshType(): key}
    factory.noisy = False
    listening: SSHFactory = factory
    return listening


def console_shell(console: Console) -> Shell:
    """The command language."""

    def shell(operator: Operator) -> Terminal:
        return Terminal(
            lambda write, close: Dialogue(console, operator.where, write, close, operator=operator)
        )

    return shell


class AuditedManhole(Manhole):
    """A Python prompt; each line that is typed is in the log."""

    def __init__(self, operator: Operator, namespace: dict[str, object]) -> None:
        super().__init__(namespace)
        self._operator = operator

    def lineReceived(self, line: bytes) -> None:
        """See `Manhole`."""
        log.warning(
            "manhole_line",
            operator=self._operator.name,
            where=self._operator.where,
            line=line.decode("utf-8", "replace"),
        )
        super().lineReceived(line)


def manhole_shell(namespace: dict[str, object]) -> Shell:
    """Python, with these names."""
    return lambda operator: AuditedManhole(operator, dict(namespace))
