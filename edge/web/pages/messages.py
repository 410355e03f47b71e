"""/messages: the classic list, newest first, to select and delete from; /messages/ID: what became of one."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Connection
from twisted.web.resource import Resource

from edge.matrix import matrix
from edge.web import origin
from edge.web.api.members import parse_identifier
from edge.web.pages import views
from edge.web.pages.answers import Answer, PageProblem, gone, not_found, see_other
from edge.web.pages.export import Export
from edge.web.pages.filters import Meant, Wanted, cursors, meant_by, numbers_of, unreadable
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.page import MemberPage, is_refresh, part
from edge.web.pages.portal import Portal
from edge.web.pages.reading import read_list
from edge.web.pages.sending import Sent, copies, new_key
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import contacts, dead_letters, deletion, endpoints, export, messages, numbers, search
from storage.endpoints import EndpointRecord
from storage.history import Filter
from storage.ids import time_of
from storage.messages import status_of
from storage.records import DeliveryState, Did, MessageStatus, Role

MAX_KEY = 100
NAMES = 500
"""Contacts whose names are offered for the filter."""
NOT_THE_WORD = N_("This is not the word.")
UNREADABLE = N_("This part of the filter cannot be read: %(what)s. Nothing was deleted. Go back and mend it.")
OTHERS = N_("The contact has other numbers by now. Look at what would be deleted, and confirm again.")


class Messages(MemberPage):
    """The list."""

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self._region = portal.services.config.numbers.region
        self.putChild(b"delete-all", DeleteAll(portal))
        self.putChild(b"export.csv", Export(portal))

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """One message."""
        identity = parse_identifier(path.decode("latin-1"))
        if identity is None or request.postpath not in ([], [b""]):
            return super().getChild(path, request)
        return Message(self.portal, identity)

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """By type, DID, contact, days and words; the changing part alone when the page's script asks."""
        wanted = Wanted.read(request, self._region)
        at, store = cursors(request), self.portal.services.store
        page = await store.read(
            read_list, visitor.account_id, wanted, visitor.locale, at["before"], at["after"]
        )
        shown: dict[str, Any] = {"page": page, "wanted": wanted, "link": wanted.link("/messages")}
        if is_refresh(request):
            return self.portal.page("list.html", visitor, **shown)
        failing: list[EndpointRecord] = await store.read(endpoints.failing, visitor.account_id)
        dids: list[Did] = await store.read(numbers.list_dids, visitor.account_id)
        known = await store.read(_offers, visitor.account_id)
        return self.portal.page(
            "messages.html",
            visitor,
            **shown,
            dids=dids,
            offers=known,
            newest=at == {"before": None, "after": None},
            paused=[record for record in failing if record.paused_at is not None],
            deleted=await self._deleted(visitor, Fields(request)),
            undone=Fields(request).line("undone"),
            none_chosen=Fields(request).line("chosen") == "none",
            key=new_key(),
        )

    async def _deleted(self, visitor: Visitor, fields: Fields) -> tuple[int, int] | None:
        """A deletion of this moment, which can still be undone: its id, and how many messages it holds."""
        found = parse_identifier(fields.line("deleted"))
        if found is None or not self._in_time(found):
            return None
        count = await self.portal.services.store.read(deletion.count, visitor.account_id, found)
        return found, count

    def _in_time(self, deletion_id: int) -> bool:
        """Can it be undone, or has it been a moment ago?"""
        return self.portal.services.wall_ms() <= time_of(deletion_id) + deletion.UNDO_MS

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Delete what is selected, or bring a deletion back."""
        fields = Fields(request)
        link = Wanted.read(request, self._region).link("/messages")
        if fields.line("do") == "undo":
            asked = fields.identifiers("deletion")
            for found in asked:
                await undo(self.portal, visitor, found)
            return see_other(f"{link}undone={'yes' if any(map(self._in_time, asked)) else 'late'}")
        chosen = fields.identifiers("message")
        if not chosen:
            return see_other(f"{link}chosen=none")
        return see_other(f"{link}deleted={await delete_chosen(self.portal, request, visitor, chosen)}")


class DeleteAll(MemberPage):
    """Everything that the filter means: after the word was typed."""

    sees = Role.AGENT

    def __init__(self, portal: Portal) -> None:
        super().__init__(portal)
        self._region = portal.services.config.numbers.region

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The question."""
        return await self._ask(request, visitor, 200)

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Once it is confirmed; what came after the question was shown stays."""
        fields = Fields(request)
        if fields.line("word").casefold() != self._word(visitor).casefold():
            return await self._ask(request, visitor, 422, visitor.locale.gettext(NOT_THE_WORD))
        up_to = max(fields.identifiers("up_to"), default=0)
        wanted = self._wanted(request)
        people = await self.portal.services.store.read(meant_by, visitor.account_id, wanted.peer)
        if fields.line("people") != _mark(people):
            return await self._ask(request, visitor, 409, visitor.locale.gettext(OTHERS))
        meant = wanted.filter(visitor.locale, people, up_to)
        return see_other(f"/messages?deleted={await self._delete(request, visitor, wanted, meant)}")

    async def _ask(self, request: EdgeRequest, visitor: Visitor, status: int, problem: str = "") -> Answer:
        wanted = self._wanted(request)
        people = await self.portal.services.store.read(meant_by, visitor.account_id, wanted.peer)
        up_to = await self.portal.services.store.read(export.newest_id, visitor.account_id)
        word = self._word(visitor)
        return self.portal.page(
            "delete_all.html",
            visitor,
            status,
            wanted=wanted,
            people=people,
            mark=_mark(people),
            up_to=up_to,
            word=word,
            problem=problem,
            key=Fields(request).line("key") or new_key(),
        )

    def _wanted(self, request: EdgeRequest) -> Wanted:
        """What narrows messages. Where something is deleted, what cannot be read is not left out."""
        wanted = Wanted.read(request, self._region)
        unread = unreadable(request, wanted)
        if unread:
            raise PageProblem(422, UNREADABLE, values={"what": unread[0]})
        return replace(wanted, show="")

    def _word(self, visitor: Visitor) -> str:
        return visitor.locale.gettext("delete")

    async def _delete(self, request: EdgeRequest, visitor: Visitor, wanted: Wanted, meant: Filter) -> int:
        services, writer = self.portal.services, self.portal.services.store.writer
        account_id, now_ms = visitor.account_id, services.wall_ms()
        subject = f"all ({wanted.query})" if wanted.query else "all"
        address = origin.client_address(request, bool(self.portal.public_url))
        form = Fields(request).line("key")[:MAX_KEY]
        deletion_id = await writer.run(
            "delete messages",
            lambda conn: deletion.begin(
                conn,
                services.store.ids,
                account_id,
                visitor.actor,
                subject,
                now_ms,
                address=address,
                form=form,
            ),
        )

        if wanted.q:
            await self._delete_found(visitor, wanted.q, meant, deletion_id)
            return deletion_id

        def step(conn: Connection) -> int:
            return deletion.delete_matching(conn, account_id, meant, deletion_id, now_ms)

        while await writer.run("delete messages", step):
            pass
        return deletion_id

    async def _delete_found(self, visitor: Visitor, words: str, meant: Filter, deletion_id: int) -> None:
        store, now_ms = self.portal.services.store, self.portal.services.wall_ms()
        mark = partial(
            deletion.delete_selected, account_id=visitor.account_id, deletion_id=deletion_id, now_ms=now_ms
        )
        before: int | None = None
        while ids := await store.read(search.find_ids, visitor.account_id, words, meant, before_id=before):
            await store.writer.run("delete messages", partial(mark, message_ids=ids))
            before = ids[-1]


def _mark(people: Sequence[Meant]) -> str:
    """Of the numbers that were shown: whether they are the same when it is confirmed."""
    numbers = sorted(item.number for item in people)
    return hashlib.sha256(" ".join(numbers).encode()).hexdigest()[:16] if numbers else ""


def _offers(conn: Connection, account_id: int) -> dict[str, str]:
    """What the filter's field proposes, each with what is said beside it: names, and the numbers of a name
    that stands for several.
    """
    known = contacts.listed(conn, account_id, limit=NAMES)
    by_name: dict[str, list[Meant]] = {}
    for item in numbers_of(conn, account_id, known):
        by_name.setdefault(item.name, []).append(item)
    found: dict[str, str] = {}
    for name, items in by_name.items():
        found[name] = ""
        if len(items) > 1:
            found |= {item.number: f"{item.name} {item.label}".rstrip() for item in items}
    return found


class Message(MemberPage):
    """One message, with its parts, deliveries and attempts, and what may be done about them."""

    def __init__(self, portal: Portal, identity: int) -> None:
        super().__init__(portal)
        self._identity = identity

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The delivery matrix; alone when a script asks."""
        view = await self.portal.services.store.read(messages.get, visitor.account_id, self._identity)
        if view is None:
            raise not_found()
        names = await self.portal.services.store.read(contacts.names, visitor.account_id, [view.message.peer])
        copied = await self.portal.services.store.read(copies, visitor.account_id, [view])
        return self.portal.page(
            "matrix.html" if is_refresh(request) else "message.html",
            visitor,
            view=view,
            cells=matrix(view),
            name=names.get(view.message.peer, ""),
            copy=copied.get(self._identity),
            acting=self.portal.services.deliveries is not None,
            key=new_key(),
        )

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """Send again, delete, or retry, skip or replay a delivery; then back."""
        fields = Fields(request)
        do = fields.line("do")
        if do == "resend":
            return await self._resend(visitor, fields)
        if do == "delete":
            store = self.portal.services.store
            if await store.read(messages.get, visitor.account_id, self._identity) is None:
                raise gone()
            deletion_id = await delete_chosen(self.portal, request, visitor, [self._identity])
            return see_other(f"/messages?deleted={deletion_id}")
        for delivery_id in fields.identifiers("delivery"):
            await self._act(visitor, do, delivery_id)
        return Answer("", 204) if part(request) else see_other(f"/messages/{self._identity}")

    async def _resend(self, visitor: Visitor, fields: Fields) -> Answer:
        view = await self.portal.services.store.read(messages.get, visitor.account_id, self._identity)
        if view is None:
            raise not_found()
        if status_of(view.message, view.parts) is not MessageStatus.FAILED:
            raise PageProblem(409, "Only a message that failed is sent again.")
        sent = await self.portal.sending.send_again(visitor, view.message)
        if not isinstance(sent, Sent):
            raise PageProblem(sent.status, sent.sentence, sent.headers)
        said = "?said=again" if sent.repeated else ""
        return see_other(f"{views.conversation_path(sent.did, sent.peer)}{said}#m{sent.message_id}")

    async def _act(self, visitor: Visitor, do: str, delivery_id: int) -> None:
        actions, store = self.portal.services.deliveries, self.portal.services.store
        if actions is None:
            raise not_found()
        record = await store.read(dead_letters.find, visitor.account_id, delivery_id)
        if record is None or record.message_id != self._identity:
            raise not_found()
        pending = record.state == DeliveryState.PENDING
        if do == "retry" and pending:
            await actions.retry_now(delivery_id)
        elif do == "skip" and pending:
            await actions.skip(delivery_id, f"skipped by {visitor.user.login}")
        elif do == "replay" and record.state == DeliveryState.FAILED:
            await actions.replay([delivery_id])
        else:
            raise PageProblem(409, "The delivery is in another state by now; look at it again.")


async def delete_chosen(portal: Portal, request: EdgeRequest, visitor: Visitor, chosen: list[int]) -> int:
    """Out of sight at once, from the store after half a minute: the deletion."""
    services, now_ms = portal.services, portal.services.wall_ms()
    address = origin.client_address(request, bool(portal.public_url))
    key = Fields(request).line("key")[:MAX_KEY]
    form = f"{key} {hashlib.sha256(str(sorted(chosen)).encode()).hexdigest()[:16]}" if key else ""

    def delete(conn: Connection) -> int:
        subject = str(len(chosen))  # with the action it says what was done, in any language
        found = deletion.begin(
            conn,
            services.store.ids,
            visitor.account_id,
            visitor.actor,
            subject,
            now_ms,
            address=address,
            form=form,
        )
        deletion.delete_selected(conn, visitor.account_id, chosen, found, now_ms)
        return found

    return await services.store.writer.run("delete messages", delete)


async def undo(portal: Portal, visitor: Visitor, deletion_id: int) -> int:
    """Bring it all back, if its time is not over; how many messages came."""
    services = portal.services
    now_ms = services.wall_ms()

    def step(conn: Connection) -> int:
        return deletion.undo(conn, visitor.account_id, deletion_id, now_ms)

    came = 0
    while count := await services.store.writer.run("undo a deletion", step):
        came += count
    return came
