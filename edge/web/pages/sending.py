"""Sending from the pages: what is sent twice goes once, and a refusal is said in the reader's language."""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import orjson
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.errors import Refused, Unavailable
from edge.outbound import Accepted, Draft, Outcome
from edge.web.api.idempotency import REPLAYED, Asked, Idempotency, Keep
from edge.web.api.routes import Reply
from edge.web.headers import Header
from edge.web.pages.answers import retry_after
from edge.web.pages.locales import N_, Locale
from edge.web.pages.sessions import Visitor
from edge.web.services import WebServices
from storage import idempotency
from storage.idempotency import Scope
from storage.messages import status_of
from storage.records import MessageRecord, MessageStatus, MessageView
from storage.statements import Writes

LEG = "portal"
KEY_OCTETS = 12
COPIED_MS = 3_652 * 24 * 3_600_000
"""A message that was sent again is known to be for as long as it may be kept: ten years."""
_KEY = re.compile(r"[\x21-\x7e]{1,100}", re.ASCII)
REFUSALS = {
    "unknown_did": N_("This number is not one of this account."),
    "sms_disabled": N_("SMS is switched off for this number."),
    "invalid_number": N_("This is not a number that can get messages."),
    "text_empty": N_("The message has no text."),
    "text_too_long": N_("The text is too long."),
    "text_not_unicode": N_("The text holds characters that cannot be sent."),
    "no_route": N_("Messages to this number cannot be sent from here."),
    "opted_out": N_("The recipient does not want messages."),
}
"""By the code of a refusal. In English the pipeline's own sentence is shown, which knows more."""


@dataclass(frozen=True, slots=True)
class Setback:
    """Why a draft was not taken: what the page answers, says, and marks as at fault ("": no field).

    ``own_words`` are the server's, in English, which know more than the sentence in another language.
    """

    status: int = 200
    sentence: str = ""
    field: str = ""
    headers: tuple[Header, ...] = ()
    own_words: str = ""


NO_SETBACK = Setback()


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is stored and will be sent; ``repeated``: it was when it was asked for before."""

    message_id: int
    did: str
    peer: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Steady:
    """The key of a form without a script, and what its user has sent last, at ``at_ms``, if anything.

    It is the same however often the form is loaded, until the user has sent something: who goes back from a
    proxy's error and sends once more sends the same.
    """

    key: str
    last: Sent | None = None
    at_ms: int = 0


class Sending:
    """I submit drafts. ``key`` is made by the form or its script: the same text under the same key goes once,
    however often it comes; another text is another message."""

    def __init__(self, services: WebServices) -> None:
        self._store = services.store
        self._wall_ms = services.wall_ms
        self._outbound = services.outbound
        self._idempotency = Idempotency(services.store, services.wall_ms)

    async def steady(self, visitor: Visitor) -> Steady:
        """For the forms of this user, as long as he sends nothing."""
        scope, now_ms = _scope(visitor, ""), self._wall_ms()
        found = await self._store.read(idempotency.newest, visitor.account_id, scope, now_ms)
        if found is None:
            return Steady(_steady_key(visitor, ""))
        key, answer = found
        return Steady(_steady_key(visitor, key), _sent_before(answer.response), answer.created_at)

    async def send(self, visitor: Visitor, draft: Draft, key: str) -> Sent | Setback:
        """What became of it, once it is committed."""
        asked = _asked(visitor, draft, key) if _KEY.fullmatch(key) else None
        return await self._send(visitor, draft, asked, _reply)

    async def send_again(self, visitor: Visitor, record: MessageRecord) -> Sent | Setback:
        """A copy of a message, once for its account, whoever asks for it and when."""
        draft = Draft(visitor.account_id, record.did, record.peer, record.text, LEG, record.status_callback)
        scope = _scope_again(visitor.account_id, record.id)
        digest = hashlib.sha256(scope.path.encode()).digest()
        asked = Asked(visitor.account_id, scope, digest, COPIED_MS)
        return await self._send(visitor, draft, asked, lambda accepted: _reply_again(accepted, draft))

    async def _send(
        self, visitor: Visitor, draft: Draft, asked: Asked | None, told: Callable[[Accepted], Reply]
    ) -> Sent | Setback:
        try:
            if asked is None:
                return _sent(await self._outbound.submit(draft))
            reply = await self._idempotency.once_for(asked, lambda keep: self._submit(draft, keep, told))
        except Refused as error:
            return setback(error, visitor.locale)
        except Unavailable as error:
            return Setback(503, error.sentence, headers=(retry_after(error.retry_after),))
        octets = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
        return replace(_sent_before(octets, draft), repeated=reply.headers == REPLAYED)

    def _submit(self, draft: Draft, keep: Keep | None, told: Callable[[Accepted], Reply]) -> Deferred[Reply]:
        def also(outcomes: Sequence[Outcome]) -> Writes:
            assert keep is not None
            assert isinstance(outcomes[0], Accepted)
            return keep(told(outcomes[0]))

        def sent(outcomes: Sequence[Outcome]) -> Reply:
            if isinstance(outcomes[0], Refused):
                raise outcomes[0]
            assert outcomes[0] is not None
            return told(outcomes[0])

        return self._outbound.submit_many([draft], also).addCallback(sent)


def new_key() -> str:
    """For a form that may be sent twice and is meant once."""
    return secrets.token_urlsafe(KEY_OCTETS)


def setback(error: Refused, locale: Locale) -> Setback:
    """A refusal as a page shows it."""
    known = REFUSALS.get(error.code) if locale.language != "en" else None
    sentence = error.sentence if known is None else locale.gettext(known)
    return Setback(error.http_status, sentence, error.field or "")


def _asked(visitor: Visitor, draft: Draft, key: str) -> Asked:
    digest = hashlib.sha256(orjson.dumps((draft.source, draft.destination, draft.text))).digest()
    # The digest is part of the key: who goes back, mends the text and sends again means another message.
    return Asked(visitor.account_id, _scope(visitor, f"{key}:{digest.hex()[:32]}"), digest)


def _scope(visitor: Visitor, key: str) -> Scope:
    return Scope(visitor.user.id, "POST", "/conversations", key)


def _steady_key(visitor: Visitor, last: str) -> str:
    """Another one after each message, which has a key that no other has."""
    return hashlib.sha256(orjson.dumps((visitor.user.id, last))).hexdigest()[: 2 * KEY_OCTETS]


def copies(connection: Connection, account_id: int, views: Sequence[MessageView]) -> dict[int, int]:
    """Which of these messages were sent again, each with the copy's id."""
    failed = [
        view.message.id for view in views if status_of(view.message, view.parts) is MessageStatus.FAILED
    ]
    asked = [(account_id, _scope_again(account_id, message_id)) for message_id in failed]
    found = idempotency.find_many(connection, asked, 0) if asked else []
    return {
        message_id: orjson.loads(answer.response)["message"]
        for message_id, answer in zip(failed, found, strict=True)
        if answer is not None
    }


def _scope_again(account_id: int, message_id: int) -> Scope:
    return Scope(account_id, "POST", f"/messages/{message_id}", "again")


def _reply(accepted: Accepted) -> Reply:
    return Reply(202, {"message": accepted.message_id, "did": accepted.did, "peer": accepted.peer})


def _reply_again(accepted: Accepted, draft: Draft) -> Reply:
    """Whose number it is, is kept only where the draft does not say it: a copy is known longer than others
    are."""
    differs = {
        name: is_now
        for name, was, is_now in (
            ("did", draft.source, accepted.did),
            ("peer", draft.destination, accepted.peer),
        )
        if was != is_now
    }
    return Reply(202, {"message": accepted.message_id, **differs})


def _sent_before(response: str | bytes, draft: Draft | None = None) -> Sent:
    """What a reply is about; of `_reply_again` only with the draft."""
    body = orjson.loads(response)
    if draft is not None:
        body = {"did": draft.source, "peer": draft.destination, **body}
    return Sent(body["message"], body["did"], body["peer"])


def _sent(accepted: Accepted) -> Sent:
    return Sent(accepted.message_id, accepted.did, accepted.peer)
