"""Conversations, search, history, deletion, erasure and export, on both engines."""

import csv
import io
import json

import pytest
from sqlalchemy import insert, inspect, select, text, update

from storage import (
    audit,
    check,
    contacts,
    conversations,
    deletion,
    deliveries,
    erasure,
    events,
    export,
    forwards,
    inbound_parts,
    messages,
    numbers,
    opt_outs,
    parts,
    receipts,
    search,
)
from storage.conversations import ConversationView
from storage.engines import Engine
from storage.errors import NotFound
from storage.forwards import SentRecord
from storage.history import Filter
from storage.ids import IdSource
from storage.records import (
    AttemptRecord,
    DeliveryState,
    InboundPartRecord,
    MessageFlag,
    MessageRecord,
    MessageView,
    PartState,
    ReceiptRecord,
)
from storage.tables import account, attempt, delivery, follower, message, part, receipt
from storage.words import words
from tests.samples import DID, NOW, PEER, delivery_of, ids, mo, mt, part_of, receipt_for
from tests.storing import customer, done, indexed, read, stored, told, written

OTHER = "+12025550111"
BOB = "+12025550142"


def peers(views: list[ConversationView]) -> list[str]:
    return [view.peer for view in views]


def texts(views: list[MessageView]) -> list[str]:
    return [view.message.text for view in views]


# -- conversations ------------------------------------------------------------------------------------------


def test_conversations_come_newest_first_with_last_message_and_unread(engine: Engine) -> None:
    records = [mo(text="one"), mo(peer=BOB, text="bob"), mt(text="two"), mo(text="three")]
    stored(engine, *records, mo(account_id=2, peer="+12025550177"), mo(account_id=None, did_id=None))
    first, second = read(engine, conversations.page, 1)
    assert (first.did, first.peer, first.unread) == (DID, PEER, 2)
    assert first.last is not None
    assert first.last.message == records[3]
    assert (second.peer, second.unread, second.last_message_id) == (BOB, 1, records[1].id)
    assert peers(read(engine, conversations.page, 1, before_id=first.last_message_id)) == [BOB]
    assert peers(read(engine, conversations.page, 1, limit=1)) == [PEER]
    assert peers(read(engine, conversations.page, 1, did=OTHER)) == []


def test_reading_counts_down_and_a_new_message_up_again(engine: Engine) -> None:
    older, newer = mo(), mo()
    stored(engine, older, newer)
    done(engine, conversations.mark_read, 1, DID, PEER, older.id, NOW)
    view = read(engine, conversations.get, 1, DID, PEER)
    assert view is not None
    assert view.unread == 1
    assert read(engine, conversations.unread_conversations, 1) == 1
    done(engine, conversations.mark_read, 1, DID, PEER, 2**52, NOW)
    assert peers(read(engine, conversations.page, 1, unread=True)) == []
    done(engine, conversations.mark_read, 1, DID, PEER, older.id, NOW)  # what is read stays so
    assert read(engine, conversations.unread_conversations, 1) == 0
    stored(engine, mo())
    assert [view.unread for view in read(engine, conversations.page, 1, unread=True)] == [1]
    done(engine, conversations.mark_read, 1, DID, PEER, 2**52, NOW)
    done(engine, conversations.mark_unread, 1, DID, PEER, NOW)
    assert [view.unread for view in read(engine, conversations.page, 1, unread=True)] == [1]


def test_unread_is_counted_to_a_hundred(engine: Engine) -> None:
    stored(engine, *(mo() for _ in range(conversations.MAX_UNREAD + 5)))
    assert [view.unread for view in read(engine, conversations.page, 1)] == [conversations.MAX_UNREAD]


def test_archived_conversations_come_back_with_a_new_message(engine: Engine) -> None:
    stored(engine, mo())
    done(engine, conversations.set_state, 1, DID, PEER, NOW, archived=True, pinned=True, muted=True)
    assert read(engine, conversations.page, 1) == []
    (view,) = read(engine, conversations.page, 1, archived=True, pinned=True)
    assert (view.archived, view.pinned, view.muted) == (True, True, True)
    stored(engine, mt())
    (view,) = read(engine, conversations.page, 1)
    assert (view.archived, view.pinned) == (False, True)
    done(engine, conversations.set_state, 1, DID, PEER, NOW, pinned=False)
    assert read(engine, conversations.page, 1, archived=None, pinned=True) == []
    with pytest.raises(NotFound):
        done(engine, conversations.set_state, 2, DID, PEER, NOW, muted=True)


def test_conversations_are_found_by_the_contacts_name_or_number(engine: Engine) -> None:
    stored(engine, mo(), mo(peer=BOB))
    account_with_contacts(engine)
    done(engine, contacts.put, ids.next, 1, PEER, "Zoë Ångström", NOW)
    (view,) = read(engine, conversations.page, 1, named="angstrom")
    assert (view.peer, view.contact_name) == (PEER, "Zoë Ångström")
    assert peers(read(engine, conversations.page, 1, named="0142")) == [BOB]
    assert read(engine, conversations.page, 1, named="100%") == []


def account_with_contacts(engine: Engine) -> None:
    with engine.transaction() as connection:
        connection.execute(insert(account).values(id=1, name="one", created_at=NOW))


# -- history ------------------------------------------------------------------------------------------------


def dated(seconds: int, **fields: object) -> MessageRecord:
    at = NOW + seconds * 1_000
    return mo(id=IdSource(3, lambda: at).next(), created_at=at, **fields)


def test_history_by_date_range_pages_without_gaps(engine: Engine) -> None:
    records = [dated(second, text=str(second)) for second in range(0, 3_600, 60)]
    stored(engine, *records)
    since, until = NOW + 600_000, NOW + 1_800_000
    found = read(engine, messages.search, 1, since_ms=since, until_ms=until, limit=1_000)
    assert texts(found) == [str(second) for second in range(1_740, 540, -60)]
    first = read(engine, messages.search, 1, since_ms=since, until_ms=until, limit=15)
    rest = read(engine, messages.search, 1, since_ms=since, until_ms=until, before_id=first[-1].message.id)
    assert first + rest == found


def test_history_of_one_peer_over_all_dids(engine: Engine) -> None:
    stored(engine, mo(text="a"), mo(did=OTHER, text="b"), mo(peer=BOB, text="c"))
    assert texts(read(engine, messages.search, 1, peer=PEER)) == ["b", "a"]
    assert texts(read(engine, messages.search, 1, did=OTHER)) == ["b"]


# -- search -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Café crème", ["cafe", "creme"]),
        ("STRASSE straße", ["strasse"]),
        ("ok😀👍🏽done", ["ok", "😀", "👍", "done"]),
        ("meet at 10:30, ok?", ["meet", "at", "10", "30", "ok"]),
        ("snake_case $5+tax|ok OK", ["snake", "case", "5", "tax", "ok"]),
        ("snake_case $5+tax|ok é", ["snake", "case", "5", "tax", "ok", "e"]),
        ("a" * 70, ["a" * 64]),
        ("你好 world", ["你", "好", "world"]),
        ("नमस्ते", [words("नमस्ते")[0]]),
        ("❤️", ["❤"]),
        ("ﬁne ①", ["fine", "1"]),
        ("...", []),
        ("e\u0301t\u00e9", ["ete"]),
    ],
)
def test_words_are_folded_and_emoji_stand_alone(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_an_indic_word_keeps_its_vowels() -> None:
    assert words("कि") != words("की")


SAMPLES = ("Meet me at the Café", "cafeteria is closed", "nice 😀", "Привет, как дела?", "it's 100% sure")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("cafe", [1, 0]),
        ("cafe ", [0]),
        ("CAFÉ", [1, 0]),
        ("café meet", [0]),
        ("😀", [2]),
        ("привет", [3]),
        ("прив", [3]),
        ("100", [4]),
        ("it's", [4]),
        ("nowhere", []),
        ("' OR 1=1 --", []),
        ('" NEAR(', []),
        ("", []),
        ("!!", []),
    ],
)
def test_search_finds_words_accents_and_emoji(engine: Engine, query: str, found: list[int]) -> None:
    stored(engine, *(mo(text=text) for text in SAMPLES), mo(account_id=2, text="cafe 😀 100"))
    assert indexed(engine) == len(SAMPLES) + 1
    assert texts(read(engine, search.find, 1, query)) == [SAMPLES[index] for index in found]


def test_search_narrows_and_pages(engine: Engine) -> None:
    records = [mo(text=f"hello {number}") for number in range(5)] + [
        mt(text="hello out"),
        mo(peer=BOB, text="hello"),
    ]
    stored(engine, *records)
    indexed(engine)
    page = read(engine, search.find, 1, "hello", Filter(direction="mo", peer=PEER), limit=2)
    assert texts(page) == ["hello 4", "hello 3"]
    page = read(engine, search.find, 1, "hello", Filter(direction="mo"), before_id=page[-1].message.id)
    assert texts(page) == ["hello 2", "hello 1", "hello 0"]
    assert texts(read(engine, search.find, 1, "hello", Filter(since_ms=NOW + 1))) == []
    ids = [view.message.id for view in read(engine, search.find, 1, "hello")]
    assert read(engine, search.find_ids, 1, "hello", limit=2) == ids[:2]
    assert read(engine, search.find_ids, 1, "hello", before_id=ids[1]) == ids[2:]


def test_of_several_peers_any_will_do(engine: Engine) -> None:
    other = "+12025550177"
    stored(engine, mo(text="hello one"), mo(text="hello two", peer=BOB), mo(text="hello three", peer=other))
    indexed(engine)
    wanted = Filter(peer=(PEER, BOB))
    assert texts(read(engine, messages.filtered, 1, wanted)) == ["hello two", "hello one"]
    assert texts(read(engine, search.find, 1, "hello", wanted)) == ["hello two", "hello one"]
    assert len(exported(engine, "jsonl", wanted, 500).splitlines()) == 2
    assert done(engine, deletion.delete_matching, 1, wanted, begun(engine), NOW, 5) == 2
    assert texts(read(engine, messages.filtered, 1, Filter())) == ["hello three"]


@pytest.mark.parametrize("count", [search.MAX_NAMED, search.MAX_NAMED + 1])
def test_a_beginning_finds_all_words_that_begin_so(engine: Engine, count: int) -> None:
    stored(engine, *(mo(text=f"see inv{number:04d}") for number in range(count)), mo(text="see inward"))
    indexed(engine)
    found = read(engine, search.find, 1, "see inv", limit=count + 1)
    assert texts(found) == [f"see inv{number:04d}" for number in reversed(range(count))]


def test_what_was_there_before_the_index_is_indexed_too(engine: Engine) -> None:
    records = [mo(text=f"old {number}") for number in range(5)]
    stored(engine, *records)
    with engine.transaction() as connection:
        connection.execute(
            update(follower).where(follower.c.name == search.HISTORY).values(event_id=records[-1].id + 1)
        )
    assert [done(engine, search.index_history, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert len(read(engine, search.find, 1, "old")) == 5
    assert done(engine, search.index_history, 2) == 0


# -- deletion -----------------------------------------------------------------------------------------------


def begun(engine: Engine, now_ms: int = NOW) -> int:
    return done(engine, deletion.begin, IdSource(2, lambda: now_ms), 1, "user:1", "selected", now_ms)


def test_a_form_that_is_sent_twice_begins_one_deletion(engine: Engine) -> None:
    clock = [NOW]
    source = IdSource(2, lambda: clock[0])

    def of(form: str, account_id: int = 1) -> int:
        return done(engine, deletion.begin, source, account_id, "user:1", "all", clock[0], form=form)

    first = of("k")
    clock[0] += deletion.TWICE_MS
    assert of("k") == first
    others = [of("another"), of("k", 2), of(""), of("")]
    clock[0] += 1
    assert len({first, *others, of("k")}) == 6


def test_deleted_messages_are_out_of_sight_until_undone(engine: Engine) -> None:
    keep, gone = mo(text="keep"), mo(text="gone")
    stored(engine, keep, gone, mo(account_id=2))
    indexed(engine)
    operation = begun(engine)
    assert done(engine, deletion.delete_selected, 1, [gone.id], operation, NOW) == 1
    assert texts(read(engine, messages.search, 1)) == ["keep"]
    assert read(engine, messages.get, 1, gone.id) is None
    assert read(engine, search.find, 1, "gone") == []
    (view,) = read(engine, conversations.page, 1)
    assert (view.last_message_id, view.unread) == (keep.id, 1)
    assert done(engine, deletion.undo, 1, operation, NOW + deletion.UNDO_MS) == 1
    assert texts(read(engine, messages.search, 1)) == ["gone", "keep"]
    assert texts(read(engine, search.find, 1, "gone")) == ["gone"]
    assert [view.last_message_id for view in read(engine, conversations.page, 1)] == [gone.id]


def test_after_thirty_seconds_a_deletion_stays_and_is_purged(engine: Engine) -> None:
    record = mt()
    item, duty = part_of(record, state=PartState.DELIVERED, final_at=NOW), delivery_of(record)
    duty = duty._replace(state=DeliveryState.DELIVERED)
    written(engine, messages.insert(record, [item], [duty]), messages.insert(kept := mo()))
    written(engine, deliveries.record_attempt(tried(duty.id), DeliveryState.DELIVERED, NOW, NOW))
    done(engine, receipts.store_and_match, receipt_for("x")._replace(part_id=None), ["x"], None, NOW)
    indexed(engine)
    operation = begun(engine)
    done(engine, deletion.delete_selected, 1, [record.id], operation, NOW)
    assert done(engine, deletion.undo, 1, operation, NOW + deletion.UNDO_MS + 1) == 0
    assert done(engine, deletion.purge, NOW + deletion.UNDO_MS) == 0
    assert done(engine, deletion.purge, NOW + deletion.UNDO_MS + 1) == 1
    with engine.snapshot() as connection:
        assert [row.id for row in connection.execute(select(message.c.id))] == [kept.id]
        for table in (part, delivery, attempt):
            assert connection.execute(select(table)).all() == []
    assert done(engine, deletion.purge, NOW + deletion.UNDO_MS + 1) == 0


def tried(duty: int) -> AttemptRecord:
    return AttemptRecord(duty, 1, NOW, 12, "ok", 200, "the text was hello")


def test_what_is_under_way_is_purged_when_it_is_settled(engine: Engine) -> None:
    record = mt()
    written(engine, messages.insert(record, [item := part_of(record)]))
    done(engine, deletion.delete_selected, 1, [record.id], begun(engine), NOW)
    late = NOW + deletion.UNDO_MS + 1
    assert done(engine, deletion.purge, late) == 0
    written(engine, parts.expire(item.id, NOW))
    assert done(engine, deletion.purge, late) == 1


def test_all_of_a_filter_goes_step_by_step_and_comes_back(engine: Engine) -> None:
    records = [mo() for _ in range(7)]
    later = mo(text="came meanwhile")
    stored(engine, *records, mo(peer=BOB), later)
    wanted = Filter(did=DID, peer=PEER, up_to_id=records[-1].id)
    operation = begun(engine)
    steps = [done(engine, deletion.delete_matching, 1, wanted, operation, NOW, 3) for _ in range(4)]
    assert steps == [3, 3, 1, 0]
    assert texts(read(engine, messages.search, 1, peer=PEER)) == ["came meanwhile"]
    assert [done(engine, deletion.undo, 1, operation, NOW, 4) for _ in range(3)] == [4, 3, 0]
    assert len(read(engine, messages.search, 1)) == 9


def test_a_conversation_without_messages_is_not_shown(engine: Engine) -> None:
    record = mo()
    stored(engine, record)
    done(engine, deletion.delete_selected, 1, [record.id], begun(engine), NOW)
    assert read(engine, conversations.page, 1, archived=None) == []
    assert "conversation newest" not in [problem.name for problem in read(engine, check.check)]


# -- a person -----------------------------------------------------------------------------------------------


def test_an_erased_person_leaves_counts_and_nothing_else(engine: Engine) -> None:
    account_with_contacts(engine)
    secret = "meet me under the bridge"
    received = mo(text=secret, raw=secret.encode(), fingerprint=b"f")
    sent = mt(text=secret, status_callback="https://example.org/+12025550199")
    item = part_of(
        sent, state=PartState.DELIVERED, smsc_message_id="s1", user_data=secret.encode(), final_at=NOW
    )
    duty = delivery_of(received)._replace(state=DeliveryState.DELIVERED)
    written(engine, messages.insert(received, [], [duty]), messages.insert(sent, [item]))
    written(engine, deliveries.record_attempt(tried(duty.id), DeliveryState.DELIVERED, NOW, NOW))
    report: ReceiptRecord = receipt_for("s1", raw=b"id:s1 text:meet me under")
    done(engine, receipts.store_and_match, report, ["s1"], None, NOW)
    stored(engine, mo(peer=BOB, text="bob stays"), mo(account_id=2, text="theirs stays"))
    done(engine, contacts.put, ids.next, 1, PEER, "Ann", NOW)
    done(engine, opt_outs.add, ids.next, 1, PEER, "STOP", NOW)
    indexed(engine)
    assert done(engine, erasure.erase_step, 1, PEER) == 2
    assert done(engine, erasure.erase_step, 1, PEER) == 0
    done(engine, erasure.erase_rest, ids.next, 1, PEER, "user:1", 2, NOW)
    assert read(engine, search.find, 1, "bridge") == []
    assert sorted(texts(read(engine, messages.search, 1))) == ["", "", "bob stays"]
    erased = [view for view in read(engine, messages.search, 1) if view.message.flags & MessageFlag.ERASED]
    assert [view.message.peer for view in erased] == [erasure.PSEUDONYM] * 2
    assert {view.message.direction for view in erased} == {"mo", "mt"}
    assert peers(read(engine, conversations.page, 1)) == [BOB]
    assert read(engine, contacts.of_number, 1, PEER) is None
    assert read(engine, opt_outs.find, 1, DID, PEER) is not None
    (entry,) = read(engine, audit.listed, 1)
    assert (entry.action, entry.subject, entry.detail) == ("person.erase", erasure.PSEUDONYM, {"messages": 2})
    with engine.snapshot() as connection:
        everything = [
            str(row)
            for table in (message, part, delivery, attempt, receipt)
            for row in connection.execute(select(table))
        ]
    mine = [row for row in everything if "theirs stays" not in row and "bob stays" not in row]
    assert not [row for row in mine if "bridge" in row or "meet" in row or PEER in row or "hello" in row]
    assert texts(read(engine, messages.search, 2)) == ["theirs stays"]
    done(engine, erasure.erase_rest, ids.next, 1, PEER, "user:1", 0, NOW, keep_opt_out=False)
    assert read(engine, opt_outs.find, 1, DID, PEER) is None


def test_no_column_of_any_table_names_an_erased_person_or_quotes_him(engine: Engine) -> None:
    account, secret, other = customer(engine, "Acme"), "meet me under the bridge", "+12025550177"
    did_id = read(engine, numbers.list_dids, account.id)[0].id
    mine = {"account_id": account.id, "did_id": did_id}
    over = {"account_id": account.id, "did_id": did_id, "state": DeliveryState.DELIVERED}
    got = mo(**mine, text=secret, raw=secret.encode(), fingerprint=b"f")
    url = f"https://shop.example/told?who={PEER[1:]}"
    sent = mt(**mine, text=secret, status_callback=url)
    forwarded = mo(**mine, direction="mt", peer=other, leg="forward", text=f"{PEER}: {secret}")
    answer = mo(**mine, peer=other, text=f"#1 {secret}")
    answered = mo(**mine, direction="mt", leg="forward", text=secret)
    final = {"state": PartState.DELIVERED, "user_data": secret.encode(), "final_at": NOW}
    duties = [delivery_of(got, handler="forward", target=other, **over)]
    told = [delivery_of(sent, handler="status", target=url, event="delivered", **over)]
    back = [delivery_of(answer, handler="forward", target="", **over)]
    written(
        engine,
        messages.insert(got, [], duties),
        messages.insert(sent, [part_of(sent, smsc_message_id="s1", **final)], told),
        messages.insert(forwarded, [part_of(forwarded, **final)]),
        messages.insert(answer, [], back),
        messages.insert(answered, [part_of(answered, **final)]),
        forwards.insert_sent(SentRecord(duties[0].id, forwarded.id, 1)),
        forwards.insert_sent(SentRecord(back[0].id, answered.id, 1)),
        deliveries.record_attempt(tried(told[0].id), DeliveryState.DELIVERED, NOW, NOW),
        inbound_parts.insert(
            InboundPartRecord(
                ids.next(), "carrier", PEER, DID, "udh8", 1, 2, 1, 64, 0, secret.encode(), NOW, None
            )
        ),
    )
    for name in ("s1", "unknown"):
        report: ReceiptRecord = receipt_for(name, raw=secret.encode(), did=DID, peer=PEER)
        done(engine, receipts.store_and_match, report, [name], None, NOW)
    done(engine, contacts.put, ids.next, account.id, PEER, "Ann", NOW)
    done(engine, forwards.hear, did_id, PEER, NOW, 0, 0)
    done(engine, opt_outs.add, ids.next, account.id, PEER, "STOP", NOW)
    done(engine, audit.note, ids.next, account.id, "key:a", "contact.put", PEER, NOW, detail={"number": PEER})
    indexed(engine)
    assert places_of(engine, PEER[1:]) >= {"message.peer", "receipt.peer", "delivery.target", "audit.detail"}
    assert places_of(engine, secret) >= {"message.text", "part.user_data", "inbound_part.user_data"}
    assert read(engine, erasure.under_way, account.id, PEER) == 1, "half of a long message: the rest may come"
    assert read(engine, erasure.under_way, account.id, other) == 0
    assert done(engine, erasure.erase_step, account.id, PEER) == 3
    done(engine, erasure.erase_rest, ids.next, account.id, PEER, "user:1", 3, NOW)
    assert places_of(engine, PEER[1:]) == {"opt_out.peer"}
    assert places_of(engine, secret) == set()
    report = receipt_for("s1", raw=secret.encode(), did=DID, peer=PEER, state="ENROUTE")
    assert done(engine, receipts.store_and_match, report, ["s1"], None, NOW) is not None
    assert places_of(engine, secret) == set(), "nor does a receipt bring him back"
    assert other in peers(read(engine, conversations.page, account.id))


def places_of(engine: Engine, wanted: str) -> set[str]:
    """The columns of whatever tables there are in which this stands, as text or as octets."""
    found: set[str] = set()
    with engine.snapshot() as connection:
        tables = inspect(connection).get_table_names()
        if engine.name == "sqlite":  # the index of words is no table there: it is asked for its words
            tables = [name for name in tables if not name.startswith("message_words")]
            terms = connection.execute(text("SELECT DISTINCT term FROM temp.vocabulary")).scalars().all()
            found |= {"message_words" for term in terms if term in wanted.split()}
        for table in tables:
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
                for column, value in row.items():
                    octets = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    if wanted.encode() in octets:
                        found.add(f"{table}.{column}")
    return found


# -- export -------------------------------------------------------------------------------------------------


def exported(engine: Engine, form: export.Format, wanted: Filter, limit: int) -> str:
    written, after = export.head(form), 0
    while True:
        piece = read(engine, export.batch, 1, form, wanted, after, limit)
        written += piece.text
        if piece.next_id is None:
            return written
        after = piece.next_id


def test_an_export_has_every_message_once_oldest_first(engine: Engine) -> None:
    records = [mo(text='quote " comma , line\nend 😀'), mt(text="=HYPERLINK(1)"), mo(peer=BOB), mo(text="é")]
    written(engine, *(messages.insert(record) for record in records), messages.insert(mo(account_id=2)))
    up_to = read(engine, export.newest_id, 1)
    assert up_to == records[-1].id
    lines = exported(engine, "jsonl", Filter(up_to_id=up_to), 2).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == [record.id for record in records]
    assert rows[0]["text"] == records[0].text
    assert rows[0]["time"] == "2027-01-15T08:00:00.000Z"
    assert (rows[0]["status"], rows[1]["status"]) == ("received", "queued")
    conversation = exported(engine, "jsonl", Filter(did=DID, peer=BOB), 500)
    assert [json.loads(line)["id"] for line in conversation.splitlines()] == [records[2].id]


def test_a_csv_export_opens_in_a_spreadsheet_without_running_anything(engine: Engine) -> None:
    records = [mo(text='quote " comma , line\nend 😀'), mt(text="=HYPERLINK(1)")]
    stored(engine, *records)
    rows = list(csv.DictReader(io.StringIO(exported(engine, "csv", Filter(), 1), newline="")))
    assert [row["text"] for row in rows] == [records[0].text, "'=HYPERLINK(1)"]
    assert rows[0]["did"] == DID


def test_changes_by_people_are_events(engine: Engine) -> None:
    record = mo()
    stored(engine, record)
    done(engine, conversations.mark_read, 1, DID, PEER, record.id, NOW)
    done(engine, conversations.set_state, 1, DID, PEER, NOW, muted=True)
    operation = begun(engine)
    done(engine, deletion.delete_selected, 1, [record.id], operation, NOW)
    done(engine, deletion.undo, 1, operation, NOW)
    found = told(engine, read(engine, events.start), 1, 5)
    assert [event.kind for event in found] == [
        "message.received",
        "conversation.read",
        "conversation.changed",
        "message.deleted",
        "message.restored",
    ]
