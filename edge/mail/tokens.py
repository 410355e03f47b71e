"""Our tokens: which conversation one names, and none of them in a text that leaves.

A token stands for what the store has of its conversation, so it is verified with that.
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from edge.mail.addresses import BOUNCE
from edge.mail.writing import binding
from protocols.mail import token
from protocols.mail.token import KeyRing, Token
from storage import mail
from storage.records import MailConversation
from storage.store import Store

MAX_CANDIDATES = 10
MAX_ALIKE = 2_000
"""Of what looks like tokens in one text: a key's id is at one place of 256, so it has no more by chance."""

BLANK = "…"


class Tokens:
    """I know those that ``ring`` made again."""

    def __init__(self, ring: KeyRing, store: Store) -> None:
        self._ring = ring
        self._store = store

    async def conversation(self, written: str, places: Sequence[str]) -> MailConversation | None:
        """The conversation of the first token that is one of ours and not revoked.

        Where something is ``written`` in the address, it says which: the other places may only mend it.
        """
        named = token.conversation_of(written)
        for candidate in islice(token.find([written, *places]), MAX_CANDIDATES):
            if written and candidate.conversation != named:
                continue
            known = await self._store.read(mail.find_conversation, candidate.conversation)
            genuine = known is not None and self._ring.verifies(candidate, binding(known))
            if known is not None and genuine and known.revoked_at is None:
                return known
        return None

    def delivery(self, written: str) -> int | None:
        """The delivery that a bounce's address names."""
        return next((item.conversation for item in token.find([written]) if self._is_of_a_bounce(item)), None)

    async def blanked(self, text: str) -> str:
        """The text without any token of ours, however it is spelt: whoever has one may use it."""
        found = list(islice(token.within(text, self._ring.keys), MAX_ALIKE))
        if not found:
            return text
        ids = {item.conversation for _, _, item in found}
        known = await self._store.read(mail.find_conversations, ids)
        return _without(text, [(start, end) for start, end, item in found if self._is_ours(item, known)])

    def _is_ours(self, item: Token, known: Mapping[int, MailConversation]) -> bool:
        about = known.get(item.conversation)
        return self._is_of_a_bounce(item) or (about is not None and self._ring.verifies(item, binding(about)))

    def _is_of_a_bounce(self, item: Token) -> bool:
        return self._ring.verifies(item, BOUNCE)


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text with a blank in place of each of these."""
    pieces, place = [], 0
    for start, end in spans:
        if start >= place:
            pieces += [text[place:start], BLANK]
            place = end
    return "".join([*pieces, text[place:]])
