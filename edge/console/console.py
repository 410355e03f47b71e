"""Carrying a line out: understood, run, written down, answered; an error is an answer too."""

from collections.abc import Awaitable
from dataclasses import dataclass
from inspect import isawaitable

import structlog
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred

from edge.console.auditing import Auditing
from edge.console.language import Answer, Invocation, Language, Misused
from edge.console.server import Server
from edge.errors import Refused, Unavailable
from edge.visible import escaped_lines
from storage.errors import StoreError

log = structlog.get_logger(__name__)

ACTION, PYTHON = "console", "manhole"
EXPECTED = (Misused, Refused, Unavailable, StoreError, OSError, CancelledError)
"""What a command may come to without a mistake of ours."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who speaks: ``name`` as he proved it, ``where`` he speaks from ("ssh 127.0.0.1:40022")."""

    name: str
    where: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said back: ``text`` for people; ``document`` is what --json shows, of an error its sentence."""

    ok: bool
    text: str
    document: object
    as_json: bool = False


class Console:
    """I carry out what operators say, one line at a time for each of them."""

    def __init__(self, language: Language, server: Server) -> None:
        self.language = language
        self.server = server
        self._audit = Auditing(server.store, server.reactor, server.wall_ms)

    def execute(self, line: str, operator: Operator) -> Deferred[Reply]:
        """Carry out one line; never an errback. Everything but an empty line is in the log and the audit."""
        return ensureDeferred(self._execute(line, operator))

    def look(self, line: str) -> Deferred[Reply]:
        """The same for a page that only shows what a command finds: nothing is noted, since nobody did
        anything. Never an errback but for what is our own fault.
        """
        return ensureDeferred(self._look(line))

    async def _look(self, line: str) -> Reply:
        invocation = self.language.parse(line)
        try:
            answer = await self._run(invocation)
        except EXPECTED as error:
            return _failed(_sentence(error), getattr(error, "code", "refused"), invocation.as_json)
        return _answered(answer, invocation.as_json)

    def complete(self, line: str) -> list[str]:
        """What the last word of a line may become."""
        return self.language.complete(line, self.server)

    async def _execute(self, line: str, operator: Operator) -> Reply:
        try:
            invocation = self.language.parse(line)
        except Misused as error:
            self._note(operator, "(not understood)", "misused")
            return _failed(str(error), "misused", "--json" in line)
        try:
            answer = await self._run(invocation)
        except EXPECTED as error:
            self._note(operator, invocation.shown(), "refused")
            return _failed(_sentence(error), getattr(error, "code", "refused"), invocation.as_json)
        except Exception as error:
            log.exception("console_command_failed", command=invocation.shown())
            self._note(operator, invocation.shown(), "failed")
            return _failed(
                f"The server made a mistake; it has been logged: {error!r}", "failed", invocation.as_json
            )
        self._note(operator, invocation.shown(), "done")
        return _answered(answer, invocation.as_json)

    async def _run(self, invocation: Invocation) -> Answer:
        found: Answer | Awaitable[Answer] = invocation.command.run(self.server, invocation.given)
        return await found if isawaitable(found) else found

    def note_python(self, operator: Operator, line: str) -> None:
        """A line of the Python prompt, in the audit."""
        self._store(operator, PYTHON, {"line": line})

    def _note(self, operator: Operator, what: str, outcome: str) -> None:
        """In the log at once, in the store when it can be: with it down the console must still work."""
        log.info(
            "console_command", operator=operator.name, where=operator.where, command=what, outcome=outcome
        )
        self._store(operator, ACTION, {"command": what, "outcome": outcome})

    def _store(self, operator: Operator, action: str, detail: dict[str, object]) -> None:
        self._audit.note(f"operator:{operator.name}", action, detail, operator.where)


def _sentence(error: BaseException) -> str:
    return getattr(error, "sentence", None) or str(error) or type(error).__name__


def _answered(answer: Answer, as_json: bool) -> Reply:
    return Reply(True, escaped_lines(answer.text), answer.document, as_json)


def _failed(sentence: str, code: str, as_json: bool) -> Reply:
    return Reply(False, escaped_lines(sentence), {"error": code, "sentence": sentence}, as_json)
