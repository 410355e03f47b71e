"""The check of the invariants, retention, and nobody's contacts in another's hands."""

import pytest
from sqlalchemy import Connection, select, update

from storage import (
    accounts,
    audit,
    check,
    contacts,
    conversations,
    deletion,
    drafts,
    messages,
    opt_outs,
    retention,
    usage,
)
from storage.contacts import MoreNumber
from storage.engines import Engine
from storage.errors import NotFound
from storage.ids import lowest_at, time_of
from storage.records import PartState
from storage.retention import DAY_MS, Kept
from storage.tables import conversation, message, part
from tests.samples import DID, NOW, PEER, ids, mo, mt, part_of
from tests.storing import customer, done, indexed, read, stored, written

DEAF = ("message account", "message did", "conversation of account", "message of account", "message of did")


def names(engine: Engine) -> set[str]:
    return {problem.name for problem in read(engine, check.check)} - set(DEAF)


def test_broken_invariants_are_found_and_their_rows_named(engine: Engine) -> None:
    whole = mt(parts_total=1)
    written(engine, messages.insert(whole, [item := part_of(whole)]))
    assert names(engine) == set()
    lone = part_of(mt())
    written(engine, [(messages.INSERT_PART, lone)])
    stored(engine, short := mt(parts_total=2))
    with engine.transaction() as connection:
        connection.execute(update(part).where(part.c.id == item.id).values(state="lost"))
        connection.execute(update(conversation).values(last_message_id=1))
    found = {problem.name: problem.named for problem in read(engine, check.check)}
    assert found["part of message"] == (str(lone.id),)
    assert found["parts complete"] == (str(short.id),)
    assert found["part state known"] == (str(item.id),)
    assert len(found["conversation newest"]) == 1


def purged(engine: Engine, now_ms: int) -> dict[str, int]:
    gone: dict[str, int] = {}
    with engine.snapshot() as connection:
        steps = list(retention.steps(connection, now_ms))
    for name, step in steps:
        after_id: int | None = 0
        while after_id is not None:
            count, after_id = done(engine, step, after_id)
            if count:
                gone[name] = gone.get(name, 0) + count
    return gone


def test_drafts_that_nobody_goes_on_with_are_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    owner = customer(engine, "one")
    ann = done(engine, accounts.add_user, ids.next, owner.id, "ann", "hash", NOW)
    for number in range(5):
        peer, at = f"{PEER}{number}", NOW if number else NOW + DAY_MS
        done(engine, drafts.put, owner.id, ann.id, DID, peer, "begun", at)
    assert purged(engine, NOW + retention.FORGOTTEN_MS) == {}
    assert purged(engine, NOW + retention.FORGOTTEN_MS + 1) == {"drafts": 4}
    assert read(engine, drafts.get, owner.id, ann.id, DID, f"{PEER}0") == "begun"


def test_a_first_draft_is_one_and_takes_any_text(engine: Engine) -> None:
    owner = customer(engine, "one")
    ann = done(engine, accounts.add_user, ids.next, owner.id, "ann", "hash", NOW)
    done(engine, drafts.put, owner.id, ann.id, DID, PEER, "of the conversation", NOW)
    begun, after = (DID, "An", "be\0gun"), (DID, PEER, "a\0b")
    assert done(engine, drafts.put_first, owner.id, ann.id, NOW, begun)
    assert not done(engine, drafts.put_first, owner.id, ann.id, NOW, after), "what is kept was not known"
    assert not done(engine, drafts.put_first, owner.id, ann.id, NOW, after, [(DID, PEER, "be\0gun")])
    assert done(engine, drafts.put_first, owner.id, ann.id, NOW, begun), "it is the same"
    assert done(engine, drafts.put_first, owner.id, ann.id, NOW, after, [("", "", ""), begun])
    assert read(engine, drafts.first, owner.id, ann.id) == (DID, PEER, "a\N{SYMBOL FOR NULL}b")
    assert read(engine, drafts.first, owner.id + 1, ann.id) == ("", "", "")
    for did, peer, text in ((DID, PEER, "other"), (DID, f"{PEER}1", "a\0b"), (f"{DID}1", PEER, "a\0b")):
        done(engine, drafts.forget_first, owner.id, ann.id, (did, peer, text))
    done(engine, drafts.forget_first, owner.id + 1, ann.id, after)
    assert read(engine, drafts.first, owner.id, ann.id)[0] == DID, "another one was sent"
    done(engine, drafts.forget_first, owner.id, ann.id, after)
    assert read(engine, drafts.first, owner.id, ann.id) == ("", "", "")
    assert read(engine, drafts.get, owner.id, ann.id, DID, PEER) == "of the conversation"
    done(engine, contacts.put, ids.next, owner.id, PEER, "A\0nn", NOW, notes="\0")
    (found,) = read(engine, contacts.listed, owner.id)
    assert (found.name, found.notes) == ("A\N{SYMBOL FOR NULL}nn", "\N{SYMBOL FOR NULL}")
    done(engine, contacts.set_more_numbers, owner.id, found.id, [MoreNumber(f"{PEER}1", "\0")])
    (more,) = read(engine, contacts.more_numbers, owner.id, [found.id])[found.id]
    assert more.label == "\N{SYMBOL FOR NULL}"
    group = done(engine, contacts.add_group, ids.next, owner.id, "\0", NOW)
    assert done(engine, contacts.rename_group, owner.id, group.id, "a\0").name == "a\N{SYMBOL FOR NULL}"


def test_a_step_looks_at_no_more_messages_than_it_may_remove(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    stored(engine, *(mo(raw=None) for _ in range(4)), mo(raw=b"x"))
    done(engine, retention.set_rule, 0, Kept.RAW, 5 * DAY_MS)
    with engine.snapshot() as connection:
        step = dict(retention.steps(connection, NOW + 10 * DAY_MS))["raw"]
    found: list[int] = []
    after_id: int | None = 0
    while after_id is not None:
        rows, after_id = done(engine, step, after_id)
        found.append(rows)
    assert found == [0, 0, 1]


def test_a_conversation_goes_with_its_last_message_and_not_before(engine: Engine) -> None:
    other = "+12025550177"
    stored(engine, mo(), mo(created_at=NOW + 9 * DAY_MS), mo(peer=other), mo(peer="+12025550178"))
    deleted = read(engine, messages.search, 1, peer="+12025550178")[0].message
    done(engine, deletion.delete_selected, 1, [deleted.id], ids.next() + (20 * DAY_MS << 12), NOW)
    done(engine, retention.set_rule, 0, Kept.MO, 5 * DAY_MS)
    with engine.transaction() as connection:
        connection.execute(update(message).where(message.c.id == deleted.id).values(direction="mt"))
    purged(engine, NOW + 10 * DAY_MS)
    with engine.snapshot() as connection:
        left = set(connection.scalars(select(conversation.c.peer)))
    assert left == {PEER, "+12025550178"}, "one has a message, one has one that may be brought back"
    stored(engine, mo(peer=other))
    assert read(engine, conversations.get, 1, DID, other) is not None


def test_rules_of_retention_are_by_account_and_class(engine: Engine) -> None:
    sent = mt()
    stored(engine, mo(raw=b"x"), mo(account_id=2, raw=b"y"))
    written(engine, messages.insert(sent, [part_of(sent, state=PartState.QUEUED)]))
    late = NOW + 10 * DAY_MS
    done(engine, retention.set_rule, 0, Kept.MO, 30 * DAY_MS)
    done(engine, retention.set_rule, 2, Kept.MO, 5 * DAY_MS)
    done(engine, retention.set_rule, 0, Kept.MT, 5 * DAY_MS)  # but its part is still on its way
    done(engine, retention.set_rule, 0, Kept.RAW, 5 * DAY_MS)
    indexed(engine)
    gone = purged(engine, late)
    assert (gone["mo messages"], gone["raw"]) == (1, 1)
    assert "mt messages" not in gone
    assert read(engine, messages.search, 2) == []
    kept = read(engine, messages.search, 1)
    assert [(view.message.direction, view.message.raw) for view in kept] == [("mo", None), ("mt", None)]
    with pytest.raises(ValueError, match="one rule"):
        done(engine, retention.set_rule, 2, Kept.EVENT, 5 * DAY_MS)


def test_what_was_used_stays_known_when_the_messages_are_gone(engine: Engine) -> None:
    day = NOW - NOW % DAY_MS
    got, sent = mo(created_at=day + 7), mt(created_at=day + 5 * usage.HOUR_MS, parts_total=3)
    later = mt(created_at=day + 6 * usage.HOUR_MS)
    stored(engine, got, sent, later, mo(created_at=day + DAY_MS), mt(account_id=2, created_at=day))
    every = (1, day, day + 2 * DAY_MS)
    first = usage.Day(day, DID, 1, 1, 2, 4)
    assert read(engine, usage.daily, *every) == [first, usage.Day(day + DAY_MS, DID, 1, 1, 0, 0)]
    made = ids.next()
    done(engine, deletion.delete_selected, 1, [got.id, sent.id], made, NOW)
    assert read(engine, usage.daily, *every)[0] == first
    assert done(engine, deletion.purge, time_of(made) + deletion.UNDO_MS + 60_001) == 2
    assert read(engine, usage.daily, *every)[0] == first
    assert read(engine, usage.daily, *every, did="+12025550199") == []
    counted = [
        read(engine, usage.sent_since, 1, ("api",), day + hours * usage.HOUR_MS) for hours in (0, 5, 6, 7)
    ]
    assert counted == [2, 2, 1, 0]
    assert read(engine, usage.sent_since, 1, ("jasmin",), day) == 0
    done(engine, retention.set_rule, 0, Kept.MT, 5 * DAY_MS)
    indexed(engine)
    purged(engine, NOW + 20 * DAY_MS)
    assert read(engine, usage.daily, *every)[0] == first
    assert [row.sent for row in read(engine, usage.daily, 2, day, day + DAY_MS)] == [1]


def test_one_account_may_keep_for_ever_what_the_others_do_not(engine: Engine) -> None:
    stored(engine, mo(), mo(account_id=2))
    done(engine, retention.set_rule, 0, Kept.MO, 5 * DAY_MS)
    done(engine, retention.set_rule, 2, Kept.MO, retention.FOREVER)
    done(engine, retention.set_rule, 0, Kept.EVENT, retention.FOREVER)
    indexed(engine)
    gone = purged(engine, NOW + 1000 * DAY_MS)
    assert (gone["mo messages"], "events" in gone) == (1, False)
    assert [len(read(engine, messages.search, account_id)) for account_id in (1, 2)] == [0, 1]


def test_contacts_groups_and_opt_outs_are_an_accounts_own(engine: Engine) -> None:
    mine, theirs = customer(engine, "Mine", "+12025550101"), customer(engine, "Theirs", "+12025550102")
    ann = done(engine, contacts.put, ids.next, mine.id, PEER, "Ann", NOW)
    group = done(engine, contacts.add_group, ids.next, mine.id, "Friends", NOW)
    done(engine, contacts.set_members, mine.id, group.id, [ann.id])
    assert read(engine, contacts.listed, mine.id, group_id=group.id) == [ann]
    assert read(engine, contacts.listed, theirs.id, group_id=group.id) == []
    assert read(engine, contacts.get, theirs.id, ann.id) is None
    assert done(engine, contacts.remove, theirs.id, [ann.id]) == 0
    for refused in (
        lambda: done(engine, contacts.change, theirs.id, ann.id, NOW, name="Eve"),
        lambda: done(engine, contacts.remove_group, theirs.id, group.id),
        lambda: done(engine, contacts.set_members, theirs.id, group.id, []),
    ):
        with pytest.raises(NotFound):
            refused()
    done(engine, opt_outs.add, ids.next, mine.id, PEER, "STOP", NOW)
    assert read(engine, opt_outs.find, theirs.id, "+12025550102", PEER) is None
    assert read(engine, opt_outs.find, mine.id, "+12025550101", PEER) is not None
    assert done(engine, opt_outs.remove, mine.id, PEER)
    done(engine, opt_outs.add, ids.next, 0, PEER, "operator", NOW)
    assert read(engine, opt_outs.find, theirs.id, "+12025550102", PEER) is not None


def of_all(engine: Engine, expected: list[opt_outs.OptOut]) -> tuple[int, int]:
    """The mark of the wishes, which are these."""
    found = read(engine, opt_outs.changed, (-1, 0))
    assert found is not None
    assert found[1] == expected
    return found[0]


def test_opt_outs_are_read_when_something_changed(engine: Engine) -> None:
    first = done(engine, opt_outs.add, ids.next, 1, PEER, "STOP", NOW)
    second = done(engine, opt_outs.add, ids.next, 2, PEER, "STOP", NOW, did="+12025550101")
    mark = of_all(engine, [first, second])
    assert read(engine, opt_outs.changed, mark) is None
    assert read(engine, opt_outs.since, first.id) == [second]
    assert done(engine, opt_outs.remove, 1, PEER)
    third = done(engine, opt_outs.add, ids.next, 1, PEER, "STOP", NOW)
    assert of_all(engine, [second, third]) != mark
    assert done(engine, opt_outs.remove, 1, PEER)
    assert done(engine, opt_outs.remove, 2, PEER, did="+12025550101")
    assert read(engine, opt_outs.changed, mark) == ((0, 0), [])


def test_who_changed_what_is_kept_as_long_as_the_rule_says(engine: Engine) -> None:
    for days in (40, 20, 0):
        at = NOW - days * DAY_MS
        identity = lowest_at(at) + 1
        done(engine, audit.note, lambda given=identity: given, None, "command", f"{days} days ago", "x", at)
    assert "audit entries" not in dict(read(engine, steps_now)), "no rule, no end"
    done(engine, retention.set_rule, 0, Kept.AUDIT, 30 * DAY_MS)
    step = dict(read(engine, steps_now))["audit entries"]
    assert [done(engine, step, 0), done(engine, step, 0)] == [(1, 0), (0, None)]
    assert [entry.action for entry in read(engine, audit.everything)] == ["0 days ago", "20 days ago"]
    with pytest.raises(ValueError, match="one rule for the whole store"):
        done(engine, retention.set_rule, 1, Kept.AUDIT, 30 * DAY_MS)


def steps_now(connection: Connection) -> list[tuple[str, retention.Step]]:
    return list(retention.steps(connection, NOW))
