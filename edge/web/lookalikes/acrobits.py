"""The web services that Acrobits Softphone and Groundwire ask: one that sends, one that fetches.

    send     username, password, from (a DID), to, body             → {"message_id": "…"}
    fetch    username, password, last_id, last_sent_id              → {"date", "unread_smss", "sent_smss"}

By GET with a query, POST with a form, or POST with a JSON object; the names that the apps' own templates use
(`sms_to`, `sms_body`, `last_known_sms_id`, `last_known_sent_sms_id`) are understood, too. What is newer than
the ids comes, oldest first; without ids, what is newest.
"""

import re
from datetime import UTC, datetime
from typing import ClassVar

import orjson
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.web.lookalikes.base import BAD_REQUEST, Answer, LookAlike, Visit, Wrong
from edge.web.parameters import Parameters
from edge.web.program import JSON
from storage import texts
from storage.history import Filter
from storage.texts import TextView

SEND_PATH = b"/acrobits/send"
FETCH_PATH = b"/acrobits/fetch"
OK = 200
ROWS = 100
SETTLED_MS = 3_000
"""Only messages so old are told of: ids are given a moment before their commit, so of younger ones another
with a lower id may still come, which whoever remembers the highest id would never see."""

_ID = re.compile(r"[0-9]{1,16}", re.ASCII)


class Acrobits(LookAlike):
    """What both have."""

    head = JSON
    leg = "acrobits"

    def wrong(self, wrong: Wrong) -> Answer:
        """The app shows `message` to its user."""
        return Answer(wrong.status, orjson.dumps({"message": wrong.sentence or wrong.reason}))


class Send(Acrobits):
    """I send a message once it is committed."""

    def answer(self, visit: Visit) -> Deferred[Answer]:
        """See `LookAlike`."""
        given = visit.given
        to, body = (
            _either(given, "to", "sms_to"),
            given.values.get("body") or given.values.get("sms_body") or "",
        )
        if not to:
            raise Wrong(BAD_REQUEST, "to", "to is missing.")
        if not body.strip():
            raise Wrong(BAD_REQUEST, "body", "The message has no text.")
        did = self.own_did(visit, given.text("from"))
        return self.send(visit, did, self.destination(to), body).addCallback(
            lambda accepted: Answer(OK, orjson.dumps({"message_id": str(accepted.message_id)}))
        )


class Fetch(Acrobits):
    """I tell what is new."""

    verbs: ClassVar[tuple[bytes, ...]] = (b"GET", b"HEAD", b"POST")

    def answer(self, visit: Visit) -> Deferred[Answer]:
        """See `LookAlike`."""
        given = visit.given
        did = self.own_did(visit, given.text("from")).number if given.text("from") else None
        received = _id(_either(given, "last_id", "last_known_sms_id"))
        sent = _id(_either(given, "last_sent_id", "last_known_sent_sms_id"))
        now_ms = self.services.wall_ms()
        until_ms = now_ms - SETTLED_MS

        def work(connection: Connection) -> Answer:
            account_id = visit.access.account_id
            found = {
                "date": _iso(now_ms),
                "unread_smss": [
                    _received(view)
                    for view in _newer(connection, account_id, Filter("mo", did, until_ms=until_ms), received)
                ],
                "sent_smss": [
                    _sent(view)
                    for view in _newer(connection, account_id, Filter("mt", did, until_ms=until_ms), sent)
                ],
            }
            return Answer(OK, orjson.dumps(found))

        return self.services.store.read(work)


def _newer(connection: Connection, account_id: int, wanted: Filter, after: int) -> list[TextView]:
    if after:
        return texts.page(connection, account_id, wanted, after_id=after, limit=ROWS)
    return texts.page(connection, account_id, wanted, limit=ROWS)[::-1]


def _received(view: TextView) -> dict[str, str]:
    row = view.row
    return {
        "sms_id": str(row.id),
        "sending_date": _iso(row.created_at),
        "sender": row.peer,
        "sms_text": row.text,
        "content_type": "text/plain",
        "stream_id": f"{row.did}:{row.peer}",
    }


def _sent(view: TextView) -> dict[str, str]:
    row = view.row
    return {
        "sms_id": str(row.id),
        "sending_date": _iso(row.created_at),
        "recipient": row.peer,
        "sms_text": row.text,
        "content_type": "text/plain",
        "stream_id": f"{row.did}:{row.peer}",
    }


def _iso(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()[:19]}Z"


def _either(given: Parameters, *names: str) -> str:
    return next((value for name in names if (value := given.text(name))), "")


def _id(written: str) -> int:
    """What is no id asks for what is newest: the apps send their own first."""
    return int(written) if _ID.fullmatch(written) else 0
