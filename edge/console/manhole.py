"""Python in the running process, for operators; off by default, with the guards of the console."""

from collections.abc import Callable

import structlog
from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.manhole import Manhole

from edge.console.console import Operator
from edge.console.sessions import Shell
from edge.console.terminal import Characters

log = structlog.get_logger(__name__)

Note = Callable[[Operator, str], None]
"""Writes down what an operator typed."""


class AuditedManhole(Manhole):
    """A Python prompt; each line that is typed is noted before it is run."""

    def __init__(self, operator: Operator, namespace: dict[str, object], note: Note) -> None:
        super().__init__(namespace)
        self._operator = operator
        self._note = note
        self._characters = Characters()

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        """See `RecvLine`, which knows ASCII only: an octet of UTF-8 waits for the rest of its character."""
        if len(keyID) == 1 and keyID[0] >= 0x80:
            for character in self._characters.more(keyID):
                if character.isprintable():  # not what was no UTF-8
                    self.characterReceived(character.encode(), False)
        else:
            self._characters.rest()
            super().keystrokeReceived(keyID, modifier)

    def _deliverBuffer(self, buf: bytes) -> None:  # conch's own place for a line of the history
        for character in buf.decode():
            self.characterReceived(character.encode(), False)

    def lineReceived(self, line: bytes) -> None:
        """See `Manhole`."""
        text = line.decode("utf-8", "replace")
        log.warning("manhole_line", operator=self._operator.name, where=self._operator.where, line=text)
        if text.strip():
            self._note(self._operator, text)
        super().lineReceived(line)


def manhole_shell(namespace: dict[str, object], note: Note) -> Shell:
    """Python, with these names."""
    return lambda operator: ServerProtocol(AuditedManhole, operator, dict(namespace), note)
