"""Messages removed for good, with everything that belongs to them."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, tuple_, update

from storage import conversations, search, usage
from storage.records import DeliveryState, MessageFlag, PartState
from storage.tables import (
    attempt,
    conversation,
    delivery,
    forward_sent,
    inbound_part,
    media,
    message,
    part,
    receipt,
)


def remove(connection: Connection, message_ids: Sequence[int], step_ms: int) -> int:
    """Remove these messages, of whichever account, and all rows that are about them; how many went. What they
    had used stays known, by steps of time of this length.

    Only those about which nothing is under way (`settled`) should be given.
    """
    if not message_ids:
        return 0
    rows = connection.execute(_places(message_ids)).all()
    usage.keep(connection, message_ids, step_ms)
    search.forget(connection, message_ids)
    parts = _ids(connection, part.c.id, part.c.message_id.in_(message_ids))
    connection.execute(delete(receipt).where(receipt.c.part_id.in_(parts)))
    duties = _ids(connection, delivery.c.id, delivery.c.message_id.in_(message_ids))
    connection.execute(delete(attempt).where(attempt.c.delivery_id.in_(duties)))
    connection.execute(delete(forward_sent).where(forward_sent.c.delivery_id.in_(duties)))
    for table in (delivery, part, inbound_part, media):
        connection.execute(delete(table).where(table.c.message_id.in_(message_ids)))
    gone = connection.execute(delete(message).where(message.c.id.in_(message_ids))).rowcount
    _recount(connection, rows)
    return gone


def settled() -> list[Any]:
    """Conditions of messages about which nothing is under way: no part to be sent or in doubt, no delivery
    that is pending."""
    # Under names of their own: the query that these are for may be about parts itself.
    its_part, duty = part.alias("its_part"), delivery.alias("duty")
    under_way = its_part.c.state.not_in([*sorted(PartState.FINAL), PartState.SENT.value])
    open_parts = select(its_part.c.id).where(its_part.c.message_id == message.c.id, under_way)
    duties = select(duty.c.id).where(
        duty.c.message_id == message.c.id, duty.c.state == DeliveryState.PENDING.value
    )
    return [~open_parts.exists(), ~duties.exists()]


def erase(connection: Connection, account_id: int, peer: str, pseudonym: str, limit: int) -> int:
    """One step of making a peer of an account nobody: the content of the messages, and the number in them.

    What was made of them (a forward carries the text and the number to another phone, and its answer back)
    loses its content too. That there were messages, when, how many parts and what became of them stays. How
    many messages of the peer were changed; 0 when there are none left.
    """
    mine = select(message.c.id).where(message.c.account_id == account_id, message.c.peer == peer)
    ids = list(connection.scalars(mine.order_by(message.c.id).limit(limit)))
    if ids:
        _blank(connection, sorted(_with_forwards(connection, ids)))
        connection.execute(update(message).where(message.c.id.in_(ids)).values(peer=pseudonym))
    return len(ids)


def _blank(connection: Connection, ids: Sequence[int]) -> None:
    search.forget(connection, ids)
    parts = _ids(connection, part.c.id, part.c.message_id.in_(ids))
    # A receipt quotes the first characters of the message, and says whom it was to.
    connection.execute(update(receipt).where(receipt.c.part_id.in_(parts)).values(raw=b"", peer=""))
    duties = _ids(connection, delivery.c.id, delivery.c.message_id.in_(ids))
    connection.execute(update(attempt).where(attempt.c.delivery_id.in_(duties)).values(excerpt=None))
    # The target of these is a URL that was given with the message, and may name the peer.
    callbacks = (delivery.c.message_id.in_(ids), delivery.c.event.is_not(None))
    connection.execute(update(delivery).where(*callbacks).values(target=""))
    for table in (inbound_part, media):
        connection.execute(delete(table).where(table.c.message_id.in_(ids)))
    connection.execute(update(part).where(part.c.id.in_(parts)).values(user_data=b"", tlvs=None))
    nothing = {"text": "", "raw": None, "fingerprint": None, "status_callback": None}
    flags = message.c.flags.op("|")(int(MessageFlag.ERASED))
    connection.execute(update(message).where(message.c.id.in_(ids)).values(flags=flags, **nothing))


def _with_forwards(connection: Connection, ids: Sequence[int]) -> set[int]:
    """These messages, those that were forwarded from them, and those that they were forwarded from."""
    found, fresh = set(ids), list(ids)
    made_by = delivery.join(forward_sent, forward_sent.c.delivery_id == delivery.c.id)
    while fresh:
        on = select(forward_sent.c.message_id).select_from(made_by).where(delivery.c.message_id.in_(fresh))
        back = select(delivery.c.message_id).select_from(made_by).where(forward_sent.c.message_id.in_(fresh))
        fresh = [*({*connection.scalars(on), *connection.scalars(back)} - found)]
        found.update(fresh)
    return found


def _ids(connection: Connection, column: Any, condition: Any) -> list[int]:
    return list(connection.scalars(select(column).where(condition)))


def _places(message_ids: Sequence[int]) -> Any:
    query = select(message.c.account_id, message.c.did, message.c.peer).distinct()
    return query.where(message.c.id.in_(message_ids), message.c.account_id.is_not(None))


def _recount(connection: Connection, rows: Sequence[Any]) -> None:
    by_account: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        by_account.setdefault(row.account_id, []).append((row.did, row.peer))
    for account_id, keys in by_account.items():
        conversations.recount(connection, account_id, keys)
        _forget_empty(connection, account_id, keys)


def _forget_empty(connection: Connection, account_id: int, keys: Iterable[conversations.Key]) -> None:
    """Take those of these conversations away of which no message is left, not even one that may come back.

    Whoever adds a message meanwhile waits for the rows that were locked for counting, and makes a new one.
    """
    wanted = sorted(set(keys))
    place = tuple_(conversation.c.did, conversation.c.peer)
    left = select(message.c.id).where(
        message.c.account_id == conversation.c.account_id,
        message.c.did == conversation.c.did,
        message.c.peer == conversation.c.peer,
    )
    empty = (conversation.c.account_id == account_id, conversation.c.last_message_id == 0, ~left.exists())
    for start in range(0, len(wanted), 500):
        connection.execute(delete(conversation).where(*empty, place.in_(wanted[start : start + 500])))
