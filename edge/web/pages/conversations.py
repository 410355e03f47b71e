"""/conversations/DID/PEER: what was said, and the answer; /new: the first word."""

from dataclasses import dataclass
from typing import Any

import structlog
from twisted.web.resource import Resource

from edge.errors import Refused, Unavailable
from edge.outage import not_stored
from edge.outbound import Draft
from edge.web.headers import Header
from edge.web.pages import views
from edge.web.pages.answers import Answer, not_found, retry_after, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.messages import cursors, read_slice
from edge.web.pages.page import MemberPage, Missing, is_refresh
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import numbers
from storage.conversations import mark_read
from storage.records import Did, Role

log = structlog.get_logger(__name__)

LEG = "portal"
DEPTH = 2  # DID and peer


@dataclass(frozen=True, slots=True)
class Setback:
    """Why a draft was not taken: what the page answers, says, and marks as at fault ("": no field)."""

    status: int = 200
    sentence: str = ""
    field: str = ""
    headers: tuple[Header, ...] = ()


NO_SETBACK = Setback()


async def send(portal: Portal, draft: Draft) -> Answer | Setback:
    """Submit a draft; when it is stored, on to it in its conversation."""
    try:
        accepted = await portal.services.outbound.submit(draft)
    except Refused as error:
        return Setback(error.http_status, error.sentence, error.field or "")
    except Unavailable as error:
        return Setback(503, error.sentence, headers=(retry_after(error.retry_after),))
    return see_other(f"{views.conversation_path(accepted.did, accepted.peer)}#m{accepted.message_id}")


class Conversations(Missing):
    """The branch; a conversation needs a DID and a peer."""

    isLeaf = False

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """/conversations/DID/PEER."""
        names = [path, *(request.postpath or [])]
        try:
            decoded = [name.decode() for name in names]
        except UnicodeDecodeError:
            decoded = []
        if len(decoded) != DEPTH or not all(decoded) or any("\0" in name for name in decoded):
            return super().getChild(path, request)
        request.prepath, request.postpath = [*(request.prepath or []), *names[1:]], []
        return Conversation(self.portal, *decoded)


class Conversation(MemberPage):
    """The messages between a DID and a peer, oldest first, with a form for the answer."""

    def __init__(self, portal: Portal, did: str, peer: str) -> None:
        super().__init__(portal)
        self._did = did
        self._peer = peer

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The thread, or its changing part."""
        return await self._thread(request, visitor)

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Send the answer, then show the thread with it."""
        text = Fields(request).text("text")
        sent = await send(self.portal, Draft(visitor.account_id, self._did, self._peer, text, LEG))
        return sent if isinstance(sent, Answer) else await self._thread(request, visitor, text, sent)

    async def _thread(
        self, request: EdgeRequest, visitor: Visitor, text: str = "", setback: Setback = NO_SETBACK
    ) -> Answer:
        store = self.portal.services.store
        before, after = cursors(request)
        filters = {"did": self._did, "peer": self._peer}
        page = await store.read(read_slice, visitor.account_id, filters, before, after)
        link = f"{views.conversation_path(self._did, self._peer)}?"
        variables: dict[str, Any] = {"page": page, "link": link, "did": self._did, "peer": self._peer}
        if is_refresh(request):
            return self.portal.page("thread.html", visitor, **variables)
        if not page.views and not await self._is_own_did(visitor):
            raise not_found()
        newest = before is None and after is None
        if page.unread and visitor.may(Role.AGENT):
            self._read(visitor, max(page.unread))
        counting = self.portal.counting(visitor, self._did, self._peer)
        variables |= {"text": text, "setback": setback, "newest": newest, "counting": counting}
        return self.portal.page("conversation.html", visitor, setback.status, setback.headers, **variables)

    def _read(self, visitor: Visitor, up_to_id: int) -> None:
        """What was shown was read. The page does not wait for that, and does without it."""
        account_id, now_ms = visitor.account_id, self.portal.services.wall_ms()
        self.portal.services.store.writer.run(
            "conversation read",
            lambda conn: mark_read(conn, account_id, self._did, self._peer, up_to_id, now_ms),
        ).addErrback(lambda failure: not_stored(log, "conversation_not_marked", failure))

    async def _is_own_did(self, visitor: Visitor) -> bool:
        dids: list[Did] = await self.portal.services.store.read(numbers.list_dids, visitor.account_id)
        return any(did.number == self._did for did in dids)


class New(MemberPage):
    """A message to somebody."""

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The form; a link may fill it."""
        return await self._form(request, visitor)

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Send it, then show the conversation."""
        fields = Fields(request)
        draft = Draft(visitor.account_id, fields.line("from"), fields.line("to"), fields.text("text"), LEG)
        sent = await send(self.portal, draft)
        return sent if isinstance(sent, Answer) else await self._form(request, visitor, sent)

    async def _form(self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK) -> Answer:
        dids: list[Did] = await self.portal.services.store.read(numbers.list_dids, visitor.account_id)
        fields = Fields(request)
        form = {"from": fields.line("from"), "to": fields.line("to"), "text": fields.text("text")}
        variables = {
            "dids": dids,
            "form": form,
            "setback": setback,
            "counting": self.portal.counting(visitor),
        }
        return self.portal.page("new.html", visitor, setback.status, setback.headers, **variables)
