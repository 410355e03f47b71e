"""The order within a message: its next part leaves when the SMSC has answered the one before.

Several parts of one message on the wire at once would change places as soon as the SMSC throttles one of
them, or loses it. Parts of different messages do not wait for each other, so a window is as full as before.
"""

from edge.recent import Recent
from storage.parts import QueuedPart

REMEMBERED = 20_000


class Lanes:
    """I know the messages that have a part on its way, and hold the parts behind it.

    I also remember what must not be sent though it may still wait in memory (`bar`): messages that were
    refused, parts that moved to another upstream or were answered late. Both have one kind of id.
    """

    def __init__(self) -> None:
        self._holder: dict[int, int] = {}  # the part of each message that is on its way
        self._behind: dict[int, list[QueuedPart]] = {}
        self._barred: Recent[int, None] = Recent(REMEMBERED)

    def enter(self, item: QueuedPart) -> bool:
        """True when this part may go now; else it is held until the one before `leave`s."""
        part = item.part
        if part.total == 1:
            return True
        behind = self._behind.get(part.message_id)
        if behind is None:
            self._holder[part.message_id] = part.id
            self._behind[part.message_id] = []
            return True
        behind.append(item)
        return False

    def leave(self, item: QueuedPart) -> list[QueuedPart]:
        """This part is not on its way any more; those that were held behind it.

        Nothing, if it had left before: the one that went after it holds the others now.
        """
        part = item.part
        if part.total == 1 or self._holder.get(part.message_id) != part.id:
            return []
        del self._holder[part.message_id]
        return self._behind.pop(part.message_id)

    def clear(self) -> list[QueuedPart]:
        """Hold nothing; what was held. The parts on their way stay known."""
        held = [item for behind in self._behind.values() for item in behind]
        for behind in self._behind.values():
            behind.clear()
        return held

    def bar(self, identity: int) -> None:
        """This message, or this part, must not be sent."""
        self._barred.put(identity, None)

    def unbar(self, identity: int) -> None:
        """It may be sent after all."""
        self._barred.drop(identity)

    def barred(self, item: QueuedPart) -> bool:
        """Must this part not be sent?"""
        return bool(self._barred) and (item.part.message_id in self._barred or item.part.id in self._barred)
