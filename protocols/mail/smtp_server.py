"""The server's side of SMTP (RFC 5321) and LMTP (RFC 2033): octets in, octets out, whole mails to be taken.

What we answer after the final dot is not decided here: a `Take` is handed out, and nothing more is read until
`Session.answer` says what became of it. STARTTLS (RFC 3207) forgets everything that came before it, pipelined
octets too; SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), PIPELINING (2920), enhanced codes (2034).

A line ends in CR LF. A CR or LF alone is refused, in commands and in mails: what other servers take for the
end of a mail, or of a line, is none here, so nothing can be smuggled to whoever reads it after us.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from protocols.mail.smtp import Reply
from protocols.mail.wire import bare

MAX_LINE = 2_048
MAX_ERRORS = 10
MAX_IDLE_COMMANDS = 100
"""Commands between two mails that bring none nearer, as NOOP: who only keeps the connection is let go."""

MAX_RECIPIENTS = 10  # in LMTP
ONE_AT_A_TIME = Reply(452, "4.5.3 One recipient at a time: send it to the others after this one")
"""SMTP has one answer to the final dot for all recipients: where one of two is refused, it would have the
other's sent again, or say of it that it was not sent. Clients send the mail to the others by themselves (RFC
5321 §4.5.3.1.10)."""

MAX_TEXT_LINE = 65_536
"""Octets of a line of a mail, in which RFC 5321 §4.5.3.1.6 wants 1,000."""

_END = b"\r\n.\r\n"
_PATH = re.compile(r"<(?P<path>[^<>\s]*)>(?P<rest>(?: [!-~\u0080-\U0010ffff]+)*)\s*")


@dataclass(frozen=True, slots=True)
class Settings:
    """Who we are, what we take. ``tls``: STARTTLS is offered; ``lmtp``: LHLO, one answer a recipient."""

    hostname: str
    max_octets: int
    tls: bool = False
    lmtp: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A whole mail. ``sender`` "" is the null reverse-path; ``octets`` have lines that end in CR LF."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes = field(repr=False)
    hello: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Octets for the client."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Encrypt once what was sent is out, then call `Session.encrypted`."""


@dataclass(frozen=True, slots=True)
class Take:
    """A mail that waits for `Session.answer`."""

    mail: Mail


@dataclass(frozen=True, slots=True)
class Close:
    """Close once what was sent is out."""


Action = Send | StartTLS | Take | Close
Accepts = Callable[[str], Reply | None]
"""Is this recipient one of ours? None, or the reply that says why not."""


class State(Enum):
    """What is read next."""

    COMMAND = auto()
    DATA = auto()
    TAKING = auto()
    CLOSED = auto()


@dataclass(slots=True)
class _Transaction:
    """The mail that is under way. ``octets`` are what came after DATA, with a line's end in front of it; of
    one that is too large the last of them, behind ``dropped`` others."""

    sender: str | None = None
    utf8: bool = False
    recipients: list[str] = field(default_factory=list)
    octets: bytearray = field(default_factory=lambda: bytearray(b"\r\n"))
    dropped: int = 0


class Session:
    """I am one connection. ``accepts`` judges recipients; it must not wait for anything."""

    def __init__(self, settings: Settings, accepts: Accepts) -> None:
        self.state = State.COMMAND
        self._settings = settings
        self._accepts = accepts
        self._buffer, self._position = b"", 0
        self._out: list[Action] = []
        self._encrypted = False
        self._errors = 0
        self._idle = 0
        self._hello = ""
        self._extended = False
        self._now = _Transaction()

    # -- the caller's side ------------------------------------------------------------------------

    def begin(self) -> list[Action]:
        """The greeting."""
        kind = "LMTP" if self._settings.lmtp else "ESMTP"
        self._say(220, f"{self._settings.hostname} {kind}")
        return self._actions()

    def receive(self, octets: bytes) -> list[Action]:
        """What to do after these octets."""
        self._buffer += octets
        self._work()
        return self._actions()

    def answer(self, replies: Sequence[Reply]) -> list[Action]:
        """What became of the mail that was handed out: one reply for each recipient, in their order.

        In SMTP there is but one.
        """
        assert self.state is State.TAKING
        self.state = State.COMMAND
        for reply in replies:
            self._say(*reply)
        self._forget()
        self._work()
        return self._actions()

    def encrypted(self) -> list[Action]:
        """The handshake is done; the client begins anew (RFC 3207 §4.2)."""
        self._encrypted = True
        self._hello = ""
        self._forget()
        return []

    def close(self, code: int, text: str) -> list[Action]:
        """End it from our side, as when time is up or the server stops."""
        if self.state is not State.CLOSED:
            self._end(code, text)
        return self._actions()

    # -- reading ----------------------------------------------------------------------------------

    def _work(self) -> None:
        while self.state in (State.COMMAND, State.DATA):
            if self.state is State.DATA:
                if not self._more_of_mail():
                    break
                continue
            end = self._buffer.find(b"\n", self._position) + 1
            if not end:
                break
            line, self._position = self._buffer[self._position : end], end
            self._command_line(line)
        self._buffer, self._position = self._buffer[self._position :], 0
        if self.state is State.COMMAND and len(self._buffer) > MAX_LINE:
            self._end(500, "5.5.2 Line too long")

    def _command_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n") or bare(line):
            self._end(500, "5.5.2 Lines end in CR LF")
            return
        try:
            text = line[:-2].decode("utf-8")
        except UnicodeDecodeError:
            self._wrong(500, "5.5.2 Not UTF-8")
            return
        if len(line) > MAX_LINE:
            self._wrong(500, "5.5.2 Line too long")
            return
        verb, _, argument = text.partition(" ")
        command = _COMMANDS.get(verb.upper())
        self._idle += verb.upper() not in _BRINGS_NEARER
        if command is None:
            self._wrong(500, "5.5.1 Unknown command")
        elif self._idle > MAX_IDLE_COMMANDS:
            self._end(421, "4.7.0 Too many commands and no mail")
        else:
            command(self, argument.strip())

    # -- commands ---------------------------------------------------------------------------------

    def _helo(self, argument: str) -> None:
        self._greet(argument, extended=False)

    def _ehlo(self, argument: str) -> None:
        self._greet(argument, extended=True)

    def _greet(self, argument: str, extended: bool) -> None:
        if self._settings.lmtp:
            self._wrong(500, "5.5.1 This is LMTP: LHLO")
        else:
            self._hello_from(argument, extended)

    def _lhlo(self, argument: str) -> None:
        if self._settings.lmtp:
            self._hello_from(argument, extended=True)
        else:
            self._wrong(500, "5.5.1 Unknown command")

    def _hello_from(self, argument: str, extended: bool) -> None:
        if not argument or not argument.isprintable():
            self._wrong(501, "5.5.4 Who are you?")
            return
        self._forget()
        self._hello, self._extended = argument, extended
        lines = [self._settings.hostname]
        if extended:
            lines += ["PIPELINING", f"SIZE {self._settings.max_octets}", "8BITMIME", "SMTPUTF8"]
            lines += ["ENHANCEDSTATUSCODES"]
            lines += ["STARTTLS"] if self._settings.tls and not self._encrypted else []
        self._say(250, "\n".join(lines))

    def _starttls(self, argument: str) -> None:
        if not self._settings.tls or self._encrypted:
            self._wrong(502, "5.5.1 No STARTTLS here")
        elif argument:
            self._wrong(501, "5.5.4 STARTTLS stands alone")
        else:
            self._say(220, "2.0.0 Go ahead")
            # What came in the clear must not be taken for what comes encrypted.
            self._buffer, self._position = b"", 0
            self._out.append(StartTLS())

    def _mail(self, argument: str) -> None:
        path, parameters = self._path(argument, "FROM:")
        if path is None:
            self._wrong(501, "5.5.4 MAIL FROM:<address>")
        elif not self._hello:
            self._wrong(503, "5.5.1 Say EHLO first")
        elif self._now.sender is not None:
            self._wrong(503, "5.5.1 One mail after the other")
        elif (problem := self._problem_of(parameters)) is not None:
            self._wrong(*problem)
        elif not path.isascii() and "SMTPUTF8" not in parameters:
            self._wrong(553, "5.6.7 SMTPUTF8 is needed for this address")
        else:
            self._now.sender = path
            self._now.utf8 = "SMTPUTF8" in parameters
            self._say(250, "2.1.0 Go on")

    def _problem_of(self, parameters: dict[str, str]) -> Reply | None:
        if parameters and not self._extended:
            return Reply(555, "5.5.4 Parameters need EHLO")
        for name, value in parameters.items():
            if name == "SIZE" and value.isascii() and value.isdigit() and len(value) <= 20:
                if int(value) > self._settings.max_octets:
                    return Reply(552, f"5.3.4 More than {self._settings.max_octets} octets")
            elif not (name == "BODY" and value.upper() in ("7BIT", "8BITMIME")) and (name, value) != (
                "SMTPUTF8",
                "",
            ):
                return Reply(555, f"5.5.4 {name}: not known")
        return None

    def _rcpt(self, argument: str) -> None:
        path, parameters = self._path(argument, "TO:")
        if path is None or not path:
            self._wrong(501, "5.5.4 RCPT TO:<address>")
        elif self._now.sender is None:
            self._wrong(503, "5.5.1 MAIL first")
        elif parameters:
            self._wrong(555, "5.5.4 No parameters here")
        elif len(self._now.recipients) >= MAX_RECIPIENTS:
            self._say(452, "4.5.3 Too many recipients")
        elif not path.isascii() and not self._now.utf8:
            self._wrong(553, "5.6.7 SMTPUTF8 is needed for this address")
        elif (refusal := self._accepts(path)) is not None:
            self._wrong(*refusal)
        elif self._now.recipients and not self._settings.lmtp:
            same = path.lower() == self._now.recipients[0].lower()
            self._say(*(Reply(250, "2.1.5 You said so") if same else ONE_AT_A_TIME))
        else:
            self._now.recipients.append(path)
            self._say(250, "2.1.5 Go on")

    def _data(self, argument: str) -> None:
        if argument:
            self._wrong(501, "5.5.4 DATA stands alone")
        elif not self._now.recipients:
            self._wrong(503 if self._now.sender is None else 554, "5.5.1 No recipients")
        else:
            self._say(354, "End with a dot alone")
            self.state = State.DATA

    def _rset(self, argument: str) -> None:
        self._forget()
        self._say(250, "2.0.0 Forgotten")

    def _noop(self, argument: str) -> None:
        self._say(250, "2.0.0 Here")

    def _vrfy(self, argument: str) -> None:
        self._say(252, "2.1.5 Send it and see")

    def _quit(self, argument: str) -> None:
        self._end(221, "2.0.0 Bye")

    def _path(self, argument: str, keyword: str) -> tuple[str | None, dict[str, str]]:
        """The path and the parameters of MAIL or RCPT; None for what is none."""
        if argument[: len(keyword)].upper() != keyword:
            return None, {}
        match = _PATH.fullmatch(argument[len(keyword) :].lstrip())
        if match is None:
            return None, {}
        words = (word.partition("=") for word in match["rest"].split())
        return match["path"], {name.upper(): value for name, _, value in words}

    # -- a mail -----------------------------------------------------------------------------------

    def _more_of_mail(self) -> bool:
        """Take what came; was the end in it? Looked for as a whole: a mail may have millions of lines."""
        now = self._now
        known = max(0, len(now.octets) - len(_END) + 1)
        now.octets += self._buffer[self._position :]
        self._buffer, self._position = b"", 0
        end = now.octets.find(_END, known)
        if end < 0:
            if len(now.octets) > self._settings.max_octets + len(_END):
                now.dropped += len(now.octets) - len(_END)
                del now.octets[: -len(_END)]
            return False
        self._buffer = bytes(now.octets[end + len(_END) :])
        del now.octets[end + 2 :]
        self._whole()
        return True

    def _whole(self) -> None:
        now = self._now
        if now.dropped or len(now.octets) - 2 > self._settings.max_octets:
            self._refuse_data(552, f"5.3.4 More than {self._settings.max_octets} octets")
        elif not _ends_well(now.octets):
            self._refuse_data(550, "5.6.11 A CR or LF that is not part of a line's end")
        elif _has_long_line(now.octets):
            self._refuse_data(500, f"5.6.0 A line of more than {MAX_TEXT_LINE} octets")
        else:
            self.state = State.TAKING
            self._idle = 0
            octets = bytes(now.octets.replace(b"\r\n.", b"\r\n")[2:])
            now.octets.clear()
            assert now.sender is not None
            self._out.append(Take(Mail(now.sender, tuple(now.recipients), octets, self._hello)))

    def _refuse_data(self, code: int, text: str) -> None:
        self.state = State.COMMAND
        for _ in self._now.recipients if self._settings.lmtp else (0,):
            self._say(code, text)
        self._forget()
        self._count_error()

    def _forget(self) -> None:
        """No mail is under way."""
        self._now = _Transaction()

    # -- answering --------------------------------------------------------------------------------

    def _say(self, code: int, text: str) -> None:
        *others, last = text.split("\n")
        lines = [f"{code}-{line}\r\n" for line in others] + [f"{code} {last}\r\n"]
        self._out.append(Send("".join(lines).encode("utf-8", "replace")))

    def _wrong(self, code: int, text: str) -> None:
        self._say(code, text)
        self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= MAX_ERRORS:
            self._end(421, "4.7.0 Too many errors")

    def _end(self, code: int, text: str) -> None:
        self._say(code, text)
        self.state = State.CLOSED
        self._buffer, self._position = b"", 0
        self._now.octets.clear()
        self._out.append(Close())

    def _actions(self) -> list[Action]:
        out, self._out = self._out, []
        return out


def _ends_well(octets: bytearray) -> bool:
    """Is each CR, and each LF, one with the other?"""
    return octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n")


def _has_long_line(octets: bytearray) -> bool:
    start = 0
    while len(octets) - start > MAX_TEXT_LINE:
        start = octets.rfind(b"\n", start, start + MAX_TEXT_LINE) + 1
        if not start:
            return True
    return False


_BRINGS_NEARER = ("MAIL", "RCPT", "DATA", "QUIT")
_COMMANDS: dict[str, Callable[[Session, str], None]] = {
    "HELO": Session._helo,
    "EHLO": Session._ehlo,
    "LHLO": Session._lhlo,
    "STARTTLS": Session._starttls,
    "MAIL": Session._mail,
    "RCPT": Session._rcpt,
    "DATA": Session._data,
    "RSET": Session._rset,
    "NOOP": Session._noop,
    "VRFY": Session._vrfy,
    "QUIT": Session._quit,
}
