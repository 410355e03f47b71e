"""The Message Center: /conversations, /conversations/DID/PEER with what was said; /new: the first word."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection
from twisted.web.resource import Resource

from edge.errors import Refused
from edge.outage import not_stored
from edge.outbound import Draft
from edge.policy.numbers import destination
from edge.web.pages import views
from edge.web.pages.answers import Answer, Data, not_found, see_other
from edge.web.pages.filters import Wanted, cursors, meant_by, number_of, numbers_of
from edge.web.pages.forms import Fields, one_line
from edge.web.pages.locales import N_
from edge.web.pages.navigation import HOME
from edge.web.pages.page import MemberPage, Missing, part
from edge.web.pages.portal import Portal
from edge.web.pages.reading import Pane, read_pane, read_slice
from edge.web.pages.sending import LEG, NO_SETBACK, Sent, Setback, Steady, new_key
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import contacts, conversations, drafts, numbers
from storage.contacts import Contact
from storage.conversations import ConversationView
from storage.drafts import First
from storage.errors import NotFound
from storage.history import Filter
from storage.records import Did, Role

log = structlog.get_logger(__name__)

DEPTH = 2  # DID and peer
SUGGESTIONS = 8
MAX_TO = 100
MAX_BEGUN = 12
ELSEWHERE = N_(
    "Another new message is being written in another window or on another device, and is kept. "
    "This one stays in this window only, until one of the two is sent."
)
SEVERAL = N_("This name stands for several numbers. Choose one of them.")


class CenterPage(MemberPage):
    """A page with the conversations on its left."""

    async def pane(
        self, request: EdgeRequest, visitor: Visitor, before: int | None = None
    ) -> tuple[Wanted, Pane]:
        """What the left side shows."""
        wanted = Wanted.read(request, self.portal.services.config.numbers.region)
        pane = await self.portal.services.store.read(
            read_pane, visitor.account_id, visitor.user.id, wanted, visitor.locale, before
        )
        return wanted, pane

    async def center(
        self,
        request: EdgeRequest,
        visitor: Visitor,
        template: str,
        setback: Setback = NO_SETBACK,
        before: int | None = None,
        **variables: Any,
    ) -> Answer:
        """The whole page."""
        wanted, pane = await self.pane(request, visitor, before)
        return self.portal.page(
            template,
            visitor,
            setback.status,
            setback.headers,
            wanted=wanted,
            pane=pane,
            setback=setback,
            key=self._key(request, setback),
            **variables,
        )

    async def steady(self, visitor: Visitor, setback: Setback) -> Steady | None:
        """For a form that does not come back, and has no script: see `Steady`."""
        if setback.sentence or not visitor.may(Role.AGENT):
            return None
        return await self.portal.sending.steady(visitor)

    def _key(self, request: EdgeRequest, setback: Setback) -> str:
        """Of the form: the one under which it may have been sent already, else one of its own."""
        sent = Fields(request).line("key") if setback.sentence else ""
        return sent or new_key()


class Conversations(CenterPage):
    """The conversations; below me are they themselves."""

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """/conversations/DID/PEER."""
        names = [path, *(request.postpath or [])]
        try:
            decoded = [name.decode() for name in names]
        except UnicodeDecodeError:
            decoded = []
        if len(decoded) != DEPTH or not all(decoded) or any("\0" in name for name in decoded):
            return super().getChild(path, request) if names == [b""] else Missing(self.portal)
        request.prepath, request.postpath = [*(request.prepath or []), *names[1:]], []
        return Conversation(self.portal, *decoded)

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The list with nothing beside it, or the list alone when a script asks."""
        if part(request) == "people":
            wanted, pane = await self.pane(request, visitor)
            current = Fields(request).line("current")
            return self.portal.page("people.html", visitor, wanted=wanted, pane=pane, current=current)
        before = cursors(request)["before"]
        return await self.center(request, visitor, "center.html", before=before, current="", older=before)


class Conversation(CenterPage):
    """The messages between a DID and a peer, oldest first, with a form for the answer."""

    def __init__(self, portal: Portal, did: str, peer: str) -> None:
        super().__init__(portal)
        self._did = did
        self._peer = peer
        self._path = views.conversation_path(did, peer)

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The thread, or one of its changing parts."""
        if part(request) == "bar":
            return await self._bar(request, visitor)
        return await self._thread(request, visitor)

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Send the answer, or do something about the conversation."""
        fields = Fields(request)
        do = fields.line("do") or "send"
        if do == "send":
            return await self._send(request, visitor, fields)
        change = CHANGES.get(do)
        if change is None:
            raise not_found()
        await self._change(visitor, change, fields)
        if part(request):
            return Answer("", 204)
        return see_other(HOME if do in LEAVING else self._path)

    # -- sending ----------------------------------------------------------------------------------

    async def _send(self, request: EdgeRequest, visitor: Visitor, fields: Fields) -> Answer:
        text = fields.text("text")
        draft = Draft(visitor.account_id, self._did, self._peer, text, LEG)
        sent = await self.portal.sending.send(visitor, draft, fields.line("key"))
        if isinstance(sent, Setback):
            if part(request):
                return self.portal.page("setback.html", visitor, sent.status, sent.headers, setback=sent)
            return await self._thread(request, visitor, text, sent)
        await self._change(visitor, forget_draft, fields)
        if part(request):
            return await self._thread(request, visitor)
        return _arrived(sent)

    # -- showing ----------------------------------------------------------------------------------

    async def _thread(
        self, request: EdgeRequest, visitor: Visitor, text: str | None = None, setback: Setback = NO_SETBACK
    ) -> Answer:
        store = self.portal.services.store
        at = cursors(request)
        wanted = Filter(did=self._did, peer=self._peer)
        page = await store.read(read_slice, visitor.account_id, wanted, at["before"], at["after"])
        link = f"{self._path}?"
        newest = at == {"before": None, "after": None}
        variables: dict[str, Any] = {"page": page, "link": link, "did": self._did, "peer": self._peer}
        variables["newest"] = newest
        if part(request):
            return self.portal.page("thread.html", visitor, **variables)
        view, draft, dids, contact = await store.read(self._around, visitor)
        if not page.views and not any(did.number == self._did for did in dids):
            raise not_found()
        if page.unread and visitor.may(Role.AGENT):
            self._read(visitor, max(page.unread))
        return await self.center(
            request,
            visitor,
            "conversation.html",
            setback,
            **variables,
            text=draft if text is None else text,
            begun=draft if text is None else Fields(request).text("begun"),
            steady=await self.steady(visitor, setback),
            conversation_view=view,
            contact=contact,
            name="" if contact is None else contact.name,
            said=Fields(request).line("said"),
            counting=self.portal.counting(visitor, self._did, self._peer),
            current=self._path,
            owned=any(did.number == self._did for did in dids),
            sms=any(did.number == self._did and did.sms_enabled for did in dids),
        )

    async def _bar(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """What stands above the thread."""
        view, _, _, contact = await self.portal.services.store.read(self._around, visitor)
        return self.portal.page(
            "talk_bar.html",
            visitor,
            wanted=Wanted.read(request, self.portal.services.config.numbers.region),
            did=self._did,
            peer=self._peer,
            conversation_view=view,
            contact=contact,
            name="" if contact is None else contact.name,
        )

    def _around(
        self, conn: Connection, visitor: Visitor
    ) -> tuple[ConversationView | None, str, list[Did], Contact | None]:
        place = (conn, visitor.account_id)
        view = conversations.get(*place, self._did, self._peer)
        draft = drafts.get(*place, visitor.user.id, self._did, self._peer)
        return view, draft, numbers.list_dids(*place), contacts.of_number(*place, self._peer)

    # -- changing ---------------------------------------------------------------------------------

    async def _change(self, visitor: Visitor, change: "Change", fields: Fields) -> None:
        now_ms = self.portal.services.wall_ms()

        def run(conn: Connection) -> None:
            change(conn, visitor, self._did, self._peer, now_ms, fields)

        with suppress(NotFound):  # nothing was said yet, so there is nothing to mark
            await self.portal.services.store.writer.run("conversation changed", run)

    def _read(self, visitor: Visitor, up_to_id: int) -> None:
        """What was shown was read. The page does not wait for that, and does without it."""
        account_id, now_ms = visitor.account_id, self.portal.services.wall_ms()
        self.portal.services.store.writer.run(
            "conversation read",
            lambda conn: conversations.mark_read(conn, account_id, self._did, self._peer, up_to_id, now_ms),
        ).addErrback(lambda failure: not_stored(log, "conversation_not_marked", failure))


def _arrived(sent: Sent) -> Answer:
    """To the message; who has asked for it before is told that it goes once."""
    said = "?said=once" if sent.repeated else ""
    return see_other(f"{views.conversation_path(sent.did, sent.peer)}{said}#m{sent.message_id}")


Change = Callable[[Connection, Visitor, str, str, int, Fields], None]


def forget_draft(
    conn: Connection, visitor: Visitor, did: str, peer: str, now_ms: int, fields: Fields
) -> None:
    """It was sent: this text, or what it was when it was kept last (``begun``). Another one stays."""
    texts = [fields.text("text"), fields.text("begun")]
    drafts.forget(conn, visitor.account_id, visitor.user.id, did, peer, texts)


def keep_draft(conn: Connection, visitor: Visitor, did: str, peer: str, now_ms: int, fields: Fields) -> None:
    """What is written so far, over a DID of the account; without a text there is no draft any more."""
    text = fields.text("text")
    if not text.strip() or any(own.number == did for own in numbers.list_dids(conn, visitor.account_id)):
        drafts.put(conn, visitor.account_id, visitor.user.id, did, peer, text, now_ms)


def read_up_to(conn: Connection, visitor: Visitor, did: str, peer: str, now_ms: int, fields: Fields) -> None:
    """Up to the newest message that was shown."""
    for up_to in fields.identifiers("message"):
        conversations.mark_read(conn, visitor.account_id, did, peer, up_to, now_ms)


def unread(conn: Connection, visitor: Visitor, did: str, peer: str, now_ms: int, _: Fields) -> None:
    """The peer's newest message, as if nobody had seen it."""
    conversations.mark_unread(conn, visitor.account_id, did, peer, now_ms)


def state(**states: bool) -> Change:
    """Archived or pinned, or not any more."""

    def change(conn: Connection, visitor: Visitor, did: str, peer: str, now_ms: int, _: Fields) -> None:
        conversations.set_state(conn, visitor.account_id, did, peer, now_ms, **states)

    return change


CHANGES: dict[str, Change] = {
    "draft": keep_draft,
    "read": read_up_to,
    "unread": unread,
    "archive": state(archived=True),
    "unarchive": state(archived=False),
    "pin": state(pinned=True),
    "unpin": state(pinned=False),
}
LEAVING = ("archive", "unread")
"""After these the conversation is left: to see it is to read it."""


class New(CenterPage):
    """A message to somebody."""

    sees = Role.AGENT

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self.putChild(b"people", People(portal))

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The form; a link may fill it."""
        return await self._form(request, visitor)

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Send it, then show the conversation."""
        fields = Fields(request)
        source, to = fields.line("from"), fields.line("to")
        number = await self.portal.services.store.read(
            number_of, visitor.account_id, to, fields.line("number")
        )
        text = fields.text("text")
        written = source, self._number(number or to)[:MAX_TO], text
        if fields.line("do") == "draft":
            return await self._draft(visitor, written, await self._begun(visitor, fields))
        several = await self.portal.services.store.read(meant_by, visitor.account_id, to)
        if number is None and several:
            return await self._form(request, visitor, Setback(422, visitor.locale.gettext(SEVERAL), "to"))
        draft = Draft(visitor.account_id, source, number or to, text, LEG)
        sent = await self.portal.sending.send(visitor, draft, fields.line("key"))
        if isinstance(sent, Sent):
            as_named = source, to[:MAX_TO], text
            await self._forget(visitor, written, as_named, *await self._begun(visitor, fields))
            return _arrived(sent)
        return await self._form(request, visitor, sent)

    async def _draft(self, visitor: Visitor, written: First, begun: Sequence[First]) -> Answer:
        """Keep what is written so far, unless another window or device has had something else kept since."""
        if not written[2].strip():
            await self._forget(visitor, *begun)
            return Answer("", 204)
        user, now_ms = visitor.user, self.portal.services.wall_ms()
        is_kept = await self.portal.services.store.writer.run(
            "first draft",
            lambda conn: drafts.put_first(conn, user.account_id, user.id, now_ms, written, begun),
        )
        if is_kept:
            return Answer("", 204)
        refused = Setback(409, visitor.locale.gettext(ELSEWHERE))
        return self.portal.page("setback.html", visitor, refused.status, setback=refused)

    async def _forget(self, visitor: Visitor, *written: First) -> None:
        """These, should one of them be what is kept; what is begun in another window stays."""
        user = visitor.user

        def run(conn: Connection) -> None:
            for one in written:
                drafts.forget_first(conn, user.account_id, user.id, one)

        await self.portal.services.store.writer.run("first draft", run)

    async def _begun(self, visitor: Visitor, fields: Fields) -> list[First]:
        """What this form was when it was kept last, or may have been since: of each the recipient, DID and
        text, a line each at least."""
        found: dict[First, None] = {}
        for written in dict.fromkeys(fields.texts("begun")[:MAX_BEGUN]):
            to, source, text = (*written.split("\n", 2), "", "", "")[:3]
            to = one_line(to)
            number = await self.portal.services.store.read(number_of, visitor.account_id, to)
            # A name may have meant something else then, or nobody.
            found |= {(source, name[:MAX_TO], text): None for name in (self._number(number or to), to)}
        return list(found)

    def _number(self, written: str) -> str:
        """As conversations have it, when it is one."""
        with suppress(Refused):
            return destination(written, self.portal.services.config.numbers.region)
        return written

    async def _form(self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK) -> Answer:
        fields = Fields(request)
        form = {"from": fields.line("from"), "to": fields.line("to"), "text": fields.text("text")}
        store, fresh = self.portal.services.store, not any(form.values()) and not setback.sentence
        if fresh:
            kept = await store.read(drafts.first, visitor.account_id, visitor.user.id)
            form = dict(zip(("from", "to", "text"), kept, strict=True))
        begun = "\n".join(form[name] for name in ("to", "from", "text")) if fresh else fields.text("begun")
        if form["to"] and not form["from"]:
            peer = self._number(form["to"])
            last: str | None = await store.read(conversations.last_did, visitor.account_id, peer)
            form["from"] = last or ""
        counting = self.portal.counting(visitor)
        meant = await store.read(meant_by, visitor.account_id, form["to"])
        chosen = fields.line("number")
        is_clear = len(meant) <= 1 and chosen in ("", *(item.number for item in meant))
        return await self.center(
            request,
            visitor,
            "new.html",
            setback,
            steady=await self.steady(visitor, setback),
            form=form,
            several=[] if is_clear else meant,
            chosen=chosen,
            begun=begun,
            fresh=fresh,
            counting=counting,
            current="/new",
        )


class People(MemberPage):
    """/new/people: whom what is typed may mean, for the script of the form."""

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """JSON: number, name, label, and the DID over which the last word was had."""
        typed = Fields(request).line("q")[:100]
        region = self.portal.services.config.numbers.region
        found = await self.portal.services.store.read(_suggestions, visitor.account_id, typed, region)
        return Data(orjson.dumps(found).decode())


def _suggestions(conn: Connection, account_id: int, typed: str, region: str) -> list[dict[str, str | None]]:
    """Contacts with all their numbers, then those who are none but were written with; ``name`` is then ""."""
    if not typed:
        return []
    found: dict[str, dict[str, str | None]] = {}
    people = contacts.listed(conn, account_id, holding=typed, limit=SUGGESTIONS)
    for item in numbers_of(conn, account_id, people)[:SUGGESTIONS]:
        last = conversations.last_did(conn, account_id, item.number)
        found[item.number] = _suggestion(item.number, item.name, last, item.label)
    for digits in _digits(typed, region):
        peers = conversations.peers_holding(conn, account_id, digits, SUGGESTIONS)
        names = contacts.names(conn, account_id, peers)
        for number, did in peers.items():
            found.setdefault(number, _suggestion(number, names.get(number, ""), did))
    return list(found.values())[:SUGGESTIONS]


def _suggestion(number: str, name: str, did: str | None, label: str = "") -> dict[str, str | None]:
    return {"number": number, "name": name, "label": label, "did": did}


def _digits(typed: str, region: str) -> set[str]:
    """What a number may hold if this is one, or a piece of one: as it is written, and as it is in E.164."""
    written = {typed}
    with suppress(Refused):
        written.add(destination(typed, region))
    if any(map(str.isalpha, typed)):
        return set()
    return {"".join(filter(str.isdecimal, item)) for item in written} - {""}
