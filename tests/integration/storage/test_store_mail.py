"""What mail keeps, on both engines."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage import mail, messages, retention, statements
from storage.engines import Engine
from storage.records import DeliveryState, Did, MailNotice, SeenMail
from tests.samples import DID, NOW, PEER, delivery_of, ids, mo

OURS = Did(2, 1, DID, True, {})


def done(engine: Engine, fn: Callable[..., Any], *args: Any) -> Any:
    with engine.transaction() as connection:
        return fn(connection, *args)


def write(engine: Engine, writes: list[statements.Write]) -> None:
    with engine.transaction() as connection:
        for statement, row in writes:
            engine.hot(statement).run(connection, [row])


def notice(**fields: Any) -> MailNotice:
    texts = (DID, PEER, "a@example.org", "opted_out", "No.", "hi", "<1@x>")
    record = MailNotice(ids.next(), 1, *texts, DeliveryState.PENDING, 0, NOW, NOW)
    return record._replace(**fields)


def test_a_conversation_is_made_once_and_anew_when_its_tokens_were_revoked(engine: Engine) -> None:
    first = done(engine, mail.conversation, ids.next, OURS, PEER, NOW)
    assert (first.account_id, first.did_id, first.did, first.peer) == (1, 2, DID, PEER)
    assert done(engine, mail.conversation, ids.next, OURS, PEER, NOW + 5) == first
    other = done(engine, mail.conversation, ids.next, OURS, "+12025550198", NOW)
    assert other.id != first.id
    assert not done(engine, mail.revoke_conversation, 7, DID, PEER, NOW), "another account's"
    assert done(engine, mail.revoke_conversation, 1, DID, PEER, NOW + 1)
    assert not done(engine, mail.revoke_conversation, 1, DID, PEER, NOW + 2)
    assert done(engine, mail.find_conversation, first.id).revoked_at == NOW + 1
    assert done(engine, mail.conversation, ids.next, OURS, PEER, NOW + 3).id not in (first.id, other.id)
    assert done(engine, mail.find_conversation, 1) is None


def test_a_number_that_came_back_begins_other_conversations(engine: Engine) -> None:
    before = done(engine, mail.conversation, ids.next, OURS, PEER, NOW)
    back = replace(OURS, id=OURS.id + 1)
    assert done(engine, mail.open_conversation, back, PEER) is None
    after = done(engine, mail.conversation, ids.next, back, PEER, NOW + 5)
    assert (after.id != before.id, after.did_id) == (True, back.id)
    assert done(engine, mail.find_conversation, before.id).revoked_at == NOW + 5
    assert done(engine, mail.conversation, ids.next, back, PEER, NOW + 6) == after
    assert done(engine, mail.open_conversation, OURS, PEER) is None


def test_a_mail_is_seen_once(engine: Engine) -> None:
    seen = SeenMail(b"k" * 32, 5, NOW, mail.SENT, 9)
    write(engine, mail.insert_seen(seen))
    assert done(engine, mail.was_seen, [b"x" * 32, seen.key])
    assert not done(engine, mail.was_seen, [b"x" * 32])
    with pytest.raises(Exception, match=r"(?i)unique"):
        write(engine, mail.insert_seen(seen))


def test_what_was_seen_is_counted_by_conversation_and_forgotten_in_time(engine: Engine) -> None:
    for number, (conversation, at, outcome) in enumerate(
        [(5, NOW, "sent"), (5, NOW - 100, "sent"), (5, NOW, "empty"), (6, NOW, "sent"), (None, NOW, "sent")]
    ):
        write(engine, mail.insert_seen(SeenMail(bytes([number]), conversation, at, outcome)))
    assert done(engine, mail.count_sent, 5, NOW - 100) == 2
    assert done(engine, mail.count_sent, 5, NOW - 99) == 1
    write(engine, mail.insert_seen(SeenMail(b"older", 6, NOW - 200, "sent")))
    assert done(engine, mail.purge_seen, NOW, 1) == 1
    assert not done(engine, mail.was_seen, [b"older"]), "the oldest first"
    assert done(engine, mail.purge_seen, NOW, 10) == 1
    assert done(engine, mail.purge_seen, NOW, 10) == 0
    assert done(engine, mail.count_sent, 5, 0) == 1


def test_what_a_conversation_said_the_last_first(engine: Engine) -> None:
    for number, text in enumerate(["old", "one", "two"]):
        said = mo(text=text)
        write(engine, messages.insert(said))
        write(engine, mail.insert_seen(SeenMail(bytes([number]), 5, NOW + number, "sent", said.id)))
    write(engine, mail.insert_seen(SeenMail(b"gone", 5, NOW + 9, "sent", 1)))
    assert done(engine, mail.texts_sent, 5, NOW + 1, 10) == ["two", "one"]
    assert done(engine, mail.texts_sent, 5, NOW + 1, 1) == ["two"], "at most so many"
    assert done(engine, mail.texts_sent, 6, NOW, 10) == []


def test_a_notice_is_due_until_it_is_sent(engine: Engine) -> None:
    first, later = notice(sentence="No\0."), notice(due_at=NOW + 10)
    write(engine, [*mail.insert_notice(first), *mail.insert_notice(later)])
    assert done(engine, mail.claim_notices, NOW, NOW + 5, 10) == [first._replace(sentence="No␀.")]
    assert done(engine, mail.claim_notices, NOW, NOW + 5, 10) == [], "it is in somebody's hands"
    assert [item.id for item in done(engine, mail.claim_notices, NOW + 5, NOW + 6, 10)] == [first.id]
    write(engine, mail.record_notice(first.id, 1, DeliveryState.PENDING, NOW + 20, "timeout"))
    assert [item.id for item in done(engine, mail.claim_notices, NOW + 20, NOW + 20, 10)] == [
        later.id,
        first.id,
    ]
    write(engine, mail.record_notice(first.id, 2, DeliveryState.DELIVERED, NOW, "sent"))
    assert [item.id for item in done(engine, mail.claim_notices, NOW + 20, NOW + 20, 10)] == [later.id]


def test_a_bounce_makes_its_delivery_failed_once(engine: Engine) -> None:
    message = mo()
    handed_over = delivery_of(message, handler="email", state=DeliveryState.DELIVERED, attempts=1)
    write(engine, messages.insert(message, (), [handed_over]))
    assert done(engine, mail.record_bounce, handed_over.id, "5.1.1 no such user", NOW + 5)
    assert not done(engine, mail.record_bounce, handed_over.id, "5.1.1 no such user", NOW + 6)
    assert not done(engine, mail.record_bounce, 3, "", NOW)
    view = done(engine, messages.get, 1, message.id).deliveries[0]
    assert (view.delivery.state, view.delivery.attempts, view.delivery.last_outcome) == (
        "failed",
        2,
        "bounced",
    )
    assert [(item.number, item.excerpt) for item in view.attempts] == [(2, "5.1.1 no such user")]


def test_what_is_over_goes_with_everything_else_that_is_purged_in_bounded_steps(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    told = [notice(created_at=NOW, state=DeliveryState.DELIVERED) for _ in range(3)]
    fresh = notice(created_at=NOW + retention.NOTICE_MS, state=DeliveryState.DELIVERED)
    for number in range(3):
        write(engine, mail.insert_seen(SeenMail(bytes([number]), 5, NOW, "sent")))
    write(engine, [write for item in (*told, fresh) for write in mail.insert_notice(item)])
    later = NOW + retention.NOTICE_MS + 1
    with engine.snapshot() as connection:
        steps = dict(retention.steps(connection, later))
    for name in ("mail seen", "mail notices"):
        found: list[int] = []
        after_id: int | None = 0
        while after_id is not None:
            rows, after_id = done(engine, steps[name], after_id)
            found.append(rows)
        assert (sum(found), max(found)) == (3, 2), name


def test_notices_are_forgotten_once_they_are_done(engine: Engine) -> None:
    sent, owed = notice(due_at=NOW), notice(due_at=NOW + 10)
    write(engine, [*mail.insert_notice(sent), *mail.insert_notice(owed)])
    assert done(engine, mail.purge_notices, NOW + 1, 0, 10) == (0, None), "both are owed"
    write(engine, mail.record_notice(sent.id, 1, DeliveryState.DELIVERED, NOW, "sent"))
    assert done(engine, mail.purge_notices, sent.created_at, 0, 10) == (0, None)
    assert done(engine, mail.purge_notices, sent.created_at + 1, 0, 1) == (1, sent.id)
    assert done(engine, mail.purge_notices, sent.created_at + 1, sent.id, 1) == (0, owed.id)
    assert done(engine, mail.purge_notices, sent.created_at + 1, owed.id, 1) == (0, None)
    write(engine, mail.put_off([owed.id], NOW + 20))
    assert done(engine, mail.claim_notices, NOW + 19, NOW + 30, 10) == []
    assert [item.id for item in done(engine, mail.claim_notices, NOW + 20, NOW + 30, 10)] == [owed.id]


def test_for_whom_an_author_writes_stays_known(engine: Engine) -> None:
    for at in (NOW, NOW + 5):
        write(engine, mail.know_author(b"author", 5, at))
        write(engine, mail.know_author(bytes([at % 256]), 5, at))
    write(engine, mail.insert_seen(SeenMail(b"before", 5, NOW, "author")))
    asked = [b"author", b"nobody", b"before"]
    assert done(engine, mail.known_authors, asked) == {b"author"}
    assert done(engine, mail.purge_seen, NOW + 10, 10) == 1, "what a reply once decided"
    assert done(engine, mail.known_authors, asked) == {b"author"}
