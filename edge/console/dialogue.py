"""The talk with one operator, whatever it goes over: log-in if that is not done yet, then commands."""

from collections import deque
from collections.abc import Callable
from math import ceil

import orjson
from twisted.internet.defer import ensureDeferred

from edge.console.console import Console, Operator, Reply
from edge.console.language import NOT_UTF8, is_utf8
from edge.console.login import Login, Verdict
from edge.visible import escaped

PROMPT = "trunkline> "
TRIES = 3
MOST_WAITING = 100
LEAVING = frozenset({"quit", "exit", "logout"})


class Dialogue:
    """I read lines and write text; ``login`` is None where the way here has proved who the operator is.

    ``write`` takes text with plain newlines, ``close`` ends the connection. Octets of a line that are not
    UTF-8 are lone surrogates in it, and refused. Lines that come while one is
    carried out wait their turn, so a whole script may be pasted.
    """

    def __init__(
        self,
        console: Console,
        where: str,
        write: Callable[[str], None],
        close: Callable[[], None],
        *,
        operator: Operator | None = None,
        login: Login | None = None,
    ) -> None:
        self.operator = operator
        self._console = console
        self._login = login
        self._where = where
        self._write = write
        self._close = close
        self._name: str | None = None
        self._tries = 0
        self._waiting: deque[str] = deque()
        self._busy = False
        self._begun = False
        self._closed = False

    @property
    def prompt(self) -> str:
        """What stands before the operator's next line."""
        if self.operator is not None:
            return PROMPT
        return "operator: " if self._name is None else "password: "

    @property
    def hidden(self) -> bool:
        """The next line must not be shown, nor kept in a history."""
        return self.operator is None and self._name is not None

    def over(self, write: Callable[[str], None], close: Callable[[], None]) -> "Dialogue":
        """Go on another way, in the middle of a talk."""
        self._write, self._close = write, close
        return self

    def begin(self) -> None:
        """Greet, unless that was done over another way."""
        if self._begun:
            return
        self._begun = True
        self._write(f"Trunkline. `help` lists the commands, `quit` ends.\n{self.prompt}")

    def line(self, text: str) -> None:
        """The operator has said something."""
        if self._closed:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._end("Too many lines at once.\n")
            return
        self._waiting.append(text)
        if not self._busy:
            self._busy = True
            ensureDeferred(self._work())

    def complete(self, text: str) -> list[str]:
        """What the last word of an unfinished line may become."""
        return [] if self.operator is None else self._console.complete(text)

    def closed(self) -> None:
        """The connection is gone; what is under way goes on unheard."""
        self._closed = True
        self._waiting.clear()

    async def _work(self) -> None:
        try:
            while self._waiting and not self._closed:
                await self._one(self._waiting.popleft().strip())
                if not self._closed:
                    self._write(self.prompt)
        finally:
            self._busy = False

    async def _one(self, text: str) -> None:
        if self.operator is None:
            await self._log_in(text)
        elif text in LEAVING:
            self._end("")
        elif text:
            said = spoken(await self._console.execute(text, self.operator))
            if not self._closed:
                self._write(said)

    async def _log_in(self, text: str) -> None:
        assert self._login is not None
        if self._name is None:
            self._name = text
            return
        name, self._name = self._name, None
        verdict = await self._login.check(name, text, self._where)
        if verdict.right:
            self.operator = Operator(name, self._where)
            return
        self._tries += 1
        if self._tries >= TRIES:
            self._end("Too many wrong passwords.\n")
        elif not self._closed:
            self._write(_why_not(verdict, is_utf8(name + text)))

    def _end(self, why: str) -> None:
        if not self._closed:
            self._write(why)
            self.closed()
            self._close()


def _why_not(verdict: Verdict, utf8: bool) -> str:
    if not utf8:
        return f"{NOT_UTF8}\n"
    if verdict.wait_seconds > 0:
        return f"Too many wrong passwords: this one was not looked at. Wait {ceil(verdict.wait_seconds)} s.\n"
    return "That is not right.\n"


def json_text(document: object) -> str:
    """A document in one line that does a terminal no harm."""
    return escaped(orjson.dumps(document, default=str).decode())


def spoken(reply: Reply) -> str:
    """A reply as it is written, with its newline."""
    if reply.as_json:
        return json_text(reply.document) + "\n"
    return f"{reply.text}\n" if reply.ok else f"error: {reply.text}\n"
