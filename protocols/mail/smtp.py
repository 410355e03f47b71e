"""The client's side of SMTP (RFC 5321) for one mail to one recipient: octets in, octets out, a verdict.

STARTTLS as the `TLS` policy says (RFC 3207), AUTH PLAIN or LOGIN (RFC 4954, never in the clear), SIZE (1870),
8BITMIME (6152), SMTPUTF8 (6531), PIPELINING (2920) of MAIL and RCPT. The caller carries the octets and the
time: one `Send` after the other until there is a `Verdict`.
"""

import base64
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from protocols.mail.wire import canonical, stuffed

MAX_REPLY = 16_384
CODE = len("250-")
NAME_SHOWN = 200
_OF_THE_WAY = frozenset({530, 534, 535, 538})
"""It wants a password, another way to log in, or TLS (RFC 4954 §6, RFC 3207 §4): the mail itself is good."""
_SIZE = re.compile(r"[0-9]{1,20}")


class TLS(Enum):
    """Whether a connection is encrypted. IMPLICIT: from its first octet on (port 465)."""

    REQUIRED = "required"
    OPPORTUNISTIC = "opportunistic"
    OFF = "off"
    IMPLICIT = "implicit"


class Reply(NamedTuple):
    """An answer: the code, and the text of all its lines."""

    code: int
    text: str

    @property
    def good(self) -> bool:
        """2yz."""
        return 200 <= self.code < 300

    @property
    def final(self) -> bool:
        """5yz: asking again would not help."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail to one address; ``sender`` "" is the null reverse-path. ``mail`` has any line ends."""

    sender: str
    recipient: str
    mail: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """For AUTH."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Octets for the server."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Encrypt now, then call `Client.encrypted`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended. ``outcome`` is "sent", or a short word for what was in the way; ``reply`` is the server's
    at that point, if there is one. ``final``: it will never go through. ``stage`` names the command,
    ``detail`` says more where there is no reply."""

    outcome: str
    reply: Reply | None
    final: bool
    stage: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.stage}: {self.reply or self.detail or self.outcome}"


Action = Send | StartTLS | Verdict


class Stage(Enum):
    """What answer is waited for."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    HANDSHAKE = auto()
    AUTH = auto()
    USERNAME = auto()
    PASSWORD = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    END = auto()
    OVER = auto()


class _Garbage(Exception):
    """What came is no SMTP."""


@dataclass(slots=True)
class _Replies:
    """The replies in a stream of octets (RFC 5321 §4.2)."""

    buffer: bytes = b""
    lines: list[str] = field(default_factory=list)

    def feed(self, octets: bytes) -> list[Reply]:
        self.buffer += octets
        *whole, self.buffer = self.buffer.split(b"\n")
        if len(self.buffer) + sum(len(line) + CODE for line in self.lines) > MAX_REPLY:
            raise _Garbage("a reply without an end")
        return [reply for line in whole if (reply := self._line(line)) is not None]

    def _line(self, octets: bytes) -> Reply | None:
        line = octets.rstrip(b"\r").decode("utf-8", "replace")
        code, mark = line[:3], line[3:4]
        if not (len(code) == 3 and code.isascii() and code.isdigit()) or mark not in ("", " ", "-"):
            raise _Garbage(line[:NAME_SHOWN])
        self.lines.append(line[4:])
        if mark == "-":
            return None
        text, self.lines = "\n".join(self.lines), []
        return Reply(int(code), text)


class _Extension(NamedTuple):
    """What the server's EHLO named."""

    names: dict[str, str]

    def has(self, name: str) -> bool:
        return name in self.names

    @property
    def size(self) -> int:
        """The largest mail, 0 when it does not say in at most 20 digits (RFC 1870 §4)."""
        written = self.names.get("SIZE", "")
        return int(written) if _SIZE.fullmatch(written) else 0


def _extensions(reply: Reply) -> _Extension:
    found = {}
    for line in reply.text.split("\n")[1:]:
        name, _, parameters = line.strip().partition(" ")
        found[name.upper()] = parameters.strip()
    return _Extension(found)


class Client:
    """I bring one mail to one server. ``hello`` is our name; `begin` first, then `receive` what comes."""

    def __init__(
        self, hello: str, envelope: Envelope, tls: TLS, credentials: Credentials | None = None
    ) -> None:
        self.stage: Stage = Stage.GREETING
        self._hello = hello
        self._envelope = envelope
        self._mail = canonical(envelope.mail)
        self._tls = tls
        self._credentials = credentials
        self._is_encrypted = tls is TLS.IMPLICIT
        self._extensions = _Extension({})
        self._replies = _Replies()

    @property
    def _over(self) -> bool:
        return self.stage is Stage.OVER

    @property
    def in_doubt(self) -> bool:
        """The whole mail has left, and the server has not said whether it has it."""
        return self.stage is Stage.END

    def receive(self, octets: bytes) -> list[Action]:
        """What to do after these octets. After a `Verdict` nothing more."""
        if self._over:
            return []
        try:
            replies = self._replies.feed(octets)
        except _Garbage as error:
            return self._end("not_smtp", Reply(0, str(error)), final=False)
        actions: list[Action] = []
        for reply in replies:
            if not self._over:
                actions += self._answered(reply)
        return actions

    def encrypted(self) -> list[Action]:
        """The handshake is done: everything that was learnt in the clear is forgotten."""
        self._is_encrypted = True
        self._replies = _Replies()
        self._extensions = _Extension({})
        return self._ask(Stage.EHLO, f"EHLO {self._hello}")

    def _answered(self, reply: Reply) -> list[Action]:
        handler = _STEPS.get(self.stage)
        if handler is None:  # in the handshake: whoever speaks now is not the server
            return self._end("not_smtp", reply, final=False)
        actions: list[Action] = handler(self, reply)
        return actions

    # -- one step for each answer -------------------------------------------------------------------

    def _greeted(self, reply: Reply) -> list[Action]:
        if reply.code != 220:
            return self._refused(reply, temporary=True)
        return self._ask(Stage.EHLO, f"EHLO {self._hello}")

    def _after_ehlo(self, reply: Reply) -> list[Action]:
        if reply.good:
            self._extensions = _extensions(reply)
            return self._secure()
        if reply.final and not self._is_encrypted and self._tls in (TLS.OFF, TLS.OPPORTUNISTIC):
            return self._ask(Stage.HELO, f"HELO {self._hello}")
        return self._refused(reply, temporary=True)

    def _after_helo(self, reply: Reply) -> list[Action]:
        return self._log_in() if reply.good else self._refused(reply, temporary=True)

    def _secure(self) -> list[Action]:
        if self._is_encrypted or self._tls is TLS.OFF:
            return self._log_in()
        if self._extensions.has("STARTTLS"):
            return self._ask(Stage.STARTTLS, "STARTTLS")
        if self._tls is TLS.REQUIRED:
            return self._end("no_starttls", None, final=False)
        return self._log_in()

    def _after_starttls(self, reply: Reply) -> list[Action]:
        if reply.code == 220:
            self.stage = Stage.HANDSHAKE
            return [StartTLS()]
        if self._tls is TLS.REQUIRED:
            return self._end("no_starttls", reply, final=False)
        return self._log_in()

    def _log_in(self) -> list[Action]:
        if self._credentials is None:
            return self._offer()
        if not self._is_encrypted:
            return self._end("password_needs_tls", None, final=False)
        ways = self._extensions.names.get("AUTH", "").upper().split()
        if "PLAIN" in ways:
            secret = f"\0{self._credentials.username}\0{self._credentials.password}"
            return self._ask(Stage.AUTH, f"AUTH PLAIN {_base64(secret)}")
        if "LOGIN" in ways:
            return self._ask(Stage.USERNAME, "AUTH LOGIN")
        return self._end("no_auth", None, final=False)

    def _give_username(self, reply: Reply) -> list[Action]:
        assert self._credentials is not None
        if reply.code != 334:
            return self._refused(reply, temporary=True)
        return self._ask(Stage.PASSWORD, _base64(self._credentials.username))

    def _give_password(self, reply: Reply) -> list[Action]:
        assert self._credentials is not None
        if reply.code != 334:
            return self._refused(reply, temporary=True)
        return self._ask(Stage.AUTH, _base64(self._credentials.password))

    def _after_auth(self, reply: Reply) -> list[Action]:
        # A wrong password is the operator's to mend: the mail waits for that.
        return self._offer() if reply.code == 235 else self._refused(reply, temporary=True)

    def _offer(self) -> list[Action]:
        largest = self._extensions.size
        if largest and len(self._mail) > largest:
            return self._end("too_large", Reply(552, f"{len(self._mail)} octets of {largest}"), final=True)
        parameters = [f"SIZE={len(self._mail)}"] if self._extensions.has("SIZE") else []
        addresses = f"{self._envelope.sender}{self._envelope.recipient}"
        if not addresses.isascii():
            if not self._extensions.has("SMTPUTF8"):
                return self._end("no_smtputf8", None, final=True)
            parameters.append("SMTPUTF8")
        if not self._mail.isascii() and self._extensions.has("8BITMIME"):
            parameters.append("BODY=8BITMIME")
        mail = " ".join([f"MAIL FROM:<{self._envelope.sender}>", *parameters])
        if self._extensions.has("PIPELINING"):
            return self._ask(Stage.MAIL, f"{mail}\r\n{self._rcpt}")
        return self._ask(Stage.MAIL, mail)

    @property
    def _rcpt(self) -> str:
        return f"RCPT TO:<{self._envelope.recipient}>"

    def _after_mail(self, reply: Reply) -> list[Action]:
        if not reply.good:
            return self._refused(reply)
        if self._extensions.has("PIPELINING"):  # it is on its way already
            self.stage = Stage.RCPT
            return []
        return self._ask(Stage.RCPT, self._rcpt)

    def _after_rcpt(self, reply: Reply) -> list[Action]:
        return self._ask(Stage.DATA, "DATA") if reply.good else self._refused(reply)

    def _after_data(self, reply: Reply) -> list[Action]:
        if reply.code != 354:
            return self._refused(reply)
        self.stage = Stage.END
        return [Send(stuffed(self._mail))]

    def _after_end(self, reply: Reply) -> list[Action]:
        if not reply.good:
            return self._refused(reply)
        return self._end("sent", reply, final=True)

    # -- what comes of it ---------------------------------------------------------------------------

    def _ask(self, stage: Stage, line: str) -> list[Action]:
        self.stage = stage
        return [Send(f"{line}\r\n".encode())]

    def _refused(self, reply: Reply, temporary: bool = False) -> list[Action]:
        """``temporary``: this mail was not refused: another time or server may take it."""
        about_the_mail = reply.final and reply.code not in _OF_THE_WAY
        return self._end("refused", reply, final=about_the_mail and not temporary)

    def _end(self, outcome: str, reply: Reply | None, final: bool) -> list[Action]:
        verdict = Verdict(outcome, reply, final, self.stage.name.lower())
        quits: list[Action] = [] if self.stage in (Stage.HANDSHAKE, Stage.OVER) else [Send(b"QUIT\r\n")]
        self.stage = Stage.OVER
        return [*quits, verdict]


_STEPS = {
    Stage.GREETING: Client._greeted,
    Stage.EHLO: Client._after_ehlo,
    Stage.HELO: Client._after_helo,
    Stage.STARTTLS: Client._after_starttls,
    Stage.USERNAME: Client._give_username,
    Stage.PASSWORD: Client._give_password,
    Stage.AUTH: Client._after_auth,
    Stage.MAIL: Client._after_mail,
    Stage.RCPT: Client._after_rcpt,
    Stage.DATA: Client._after_data,
    Stage.END: Client._after_end,
}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
