"""Erase a person: everything that an account has about a number, but that there was something."""

from collections.abc import Callable

from sqlalchemy import Connection, delete, select

from storage import audit, contacts, opt_outs, removal
from storage.tables import conversation, did, draft, forward_talk, idempotency, mail_conversation, mail_notice

PSEUDONYM = "erased"
"""What stands in the place of the number."""

STEP = 500


def erase_step(connection: Connection, account_id: int, peer: str) -> int:
    """One step: at most 500 messages lose their content and the number; how many, 0 when all have.

    A message that is on its way loses its content too, so it must not be sent any more: fail or expire its
    parts first.
    """
    return removal.erase(connection, account_id, peer, PSEUDONYM, STEP)


def erase_rest(
    connection: Connection,
    next_id: Callable[[], int],
    account_id: int,
    peer: str,
    actor: str,
    messages: int,
    now_ms: int,
    *,
    keep_opt_out: bool = True,
) -> None:
    """After the last step: the contact, the conversations and kept answers that name the number.

    Notes in the audit how many messages there were, without the number. An opt-out is kept, so that nobody
    writes to the person again, unless ``keep_opt_out`` is false.
    """
    known = contacts.of_number(connection, account_id, peer)
    if known is not None:
        contacts.remove(connection, account_id, [known.id])
    mine = (conversation.c.account_id == account_id, conversation.c.peer == peer)
    connection.execute(delete(conversation).where(*mine))
    dids = select(did.c.id).where(did.c.account_id == account_id)
    talk = (forward_talk.c.did_id.in_(dids), forward_talk.c.peer == peer)
    connection.execute(delete(forward_talk).where(*talk))
    for table in (mail_conversation, mail_notice, draft):
        connection.execute(delete(table).where(table.c.account_id == account_id, table.c.peer == peer))
    named = (idempotency.c.account_id == account_id, idempotency.c.response.contains(peer, autoescape=True))
    connection.execute(delete(idempotency).where(*named))
    if not keep_opt_out:
        for wish in opt_outs.of_peer(connection, account_id, peer):
            opt_outs.remove(connection, account_id, peer, did=wish.did)
    detail = {"messages": messages}
    audit.note(connection, next_id, account_id, actor, "person.erase", PSEUDONYM, now_ms, detail=detail)
