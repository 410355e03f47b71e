"""Notices: sent with patience, by one server, once; and gone from sight when they cannot be."""

from collections.abc import Iterator
from random import Random

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, fail, succeed

from edge.handlers.email import Patience
from edge.mail.notices import AT_ONE_SERVER, ATTEMPT_SECONDS, LEASE_MS, LOOK_SECONDS, Notices
from protocols.mail.smtp import Envelope, Reply, Verdict
from storage import mail
from storage.records import DeliveryState, MailNotice
from storage.tables import mail_notice
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, Time
from tests.unit.edge.mail.rig import DAYS, OWNER, SENT, Rig


class Desk:
    """A rig that owes notices."""

    def __init__(self, store: InlineStore, time: Time) -> None:
        self.rig = Rig(store, time)
        self.notices = self.another()

    def another(self) -> Notices:
        """A worker on the same store."""
        rig, patience = self.rig, Patience(4 * DAYS, Random(1))
        return Notices(
            rig.writing, rig.sent, lambda domain: domain, patience, rig.real, rig.time, rig.time.wall_ms
        )

    def owes(self, code: str = "empty", did: str = DID, to: str = OWNER) -> None:
        """One more."""
        now = self.rig.time.wall_ms()
        identity, account = self.rig.store.ids.next(), self.rig.account_id
        texts = (did, PEER, to, code, "There was no text.", "hi", "<1@example.org>")
        record = MailNotice(identity, account, *texts, DeliveryState.PENDING, 0, now, now)
        success(self.rig.store.writer.write(mail.insert_notice(record)))

    def states(self) -> list[tuple[str, int, str | None]]:
        """Of each: state, attempts, last outcome."""
        with self.rig.store.engine.snapshot() as conn:
            rows = conn.execute(mail_notice.select().order_by(mail_notice.c.id)).all()
        return [(row.state, row.attempts, row.last_outcome) for row in rows]


@pytest.fixture
def desk(inline_store: InlineStore, time: Time) -> Iterator[Desk]:
    desk = Desk(inline_store, time)
    yield desk
    desk.notices.stop()


def test_what_is_owed_is_sent_once(desk: Desk) -> None:
    desk.owes()
    desk.notices.start()
    desk.rig.time.advance(LOOK_SECONDS)
    (sent,) = desk.rig.sent.mails
    assert sent["To"] == OWNER
    assert sent["In-Reply-To"] == "<1@example.org>"
    assert "There was no text.\n\n> hi" in sent.get_content()
    assert desk.rig.sent.envelopes[0].sender == ""
    assert desk.states() == [("delivered", 1, "sent")]
    desk.owes("too_many")
    desk.notices.look()
    assert [mail_["X-SMS-Outcome"] for mail_ in desk.rig.sent.mails] == ["empty", "too_many"]


def test_what_is_refused_for_now_is_tried_for_four_days(desk: Desk) -> None:
    desk.rig.sent.verdict = Verdict("refused", Reply(450, "later"), False, "rcpt")
    desk.owes()
    desk.notices.start()
    while desk.states()[0][0] == "pending" and desk.rig.time.seconds() < 5 * DAYS:
        desk.rig.time.advance(600)
    state, attempts, outcome = desk.states()[0]
    assert (state, outcome) == ("failed", "refused")
    assert 25 < attempts < 40
    assert desk.rig.time.seconds() > 3.5 * DAYS
    assert len({mail_["Message-ID"] for mail_ in desk.rig.sent.mails}) == 1


def test_what_is_refused_for_good_or_has_no_did_ends(desk: Desk) -> None:
    desk.rig.sent.verdict = Verdict("refused", Reply(550, "no"), True, "rcpt")
    desk.owes()
    desk.owes(did="+12025550199")
    desk.notices.start()
    assert desk.states() == [("failed", 1, "refused"), ("failed", 1, "unknown_did")]


def test_an_address_that_was_taken_off_is_told_nothing(desk: Desk) -> None:
    desk.rig.sent.verdict = Verdict("refused", Reply(450, "later"), False, "rcpt")
    desk.rig.sets(to=f"{OWNER},former@example.org")
    desk.owes(to="former@example.org")
    desk.notices.start()
    assert desk.states() == [("pending", 1, "refused")]
    desk.rig.sets(to=OWNER)
    with capture_logs() as entries:
        desk.rig.time.advance(70)
    assert desk.states() == [("failed", 2, "address_removed")]
    assert len(desk.rig.sent.envelopes) == 1
    (said,) = [entry["error"] for entry in entries if entry["event"] == "mail_notice_failed"]
    assert said == f"written: former@example.org is no longer an address of {DID}"


def test_two_servers_do_not_send_the_same(desk: Desk) -> None:
    desk.owes()
    desk.rig.store.writer.held = True
    desk.notices.start()
    other = desk.another()
    other.start()
    desk.rig.store.writer.release()
    other.stop()
    assert len(desk.rig.sent.envelopes) == 1


def test_one_that_was_cut_short_comes_up_again(desk: Desk) -> None:
    desk.owes()
    now = desk.rig.time.wall_ms()
    with desk.rig.store.engine.transaction() as conn:
        assert len(mail.claim_notices(conn, now, now + LEASE_MS, 10)) == 1
    desk.notices.start()
    assert desk.rig.sent.envelopes == []
    desk.rig.time.advance(LEASE_MS / 1000 + LOOK_SECONDS)
    assert len(desk.rig.sent.envelopes) == 1


def test_a_store_that_fails_is_asked_again(desk: Desk) -> None:
    desk.owes()
    desk.rig.store.writer.failing = True
    desk.notices.start()
    desk.rig.store.writer.failing = False
    desk.rig.time.advance(LOOK_SECONDS)
    assert desk.states() == [("delivered", 1, "sent")]


class Slow:
    """Servers that say nothing, but for one."""

    def __init__(self, well: str) -> None:
        self.well = well
        self.open: list[Deferred[Verdict]] = []
        self.most = 0

    def __call__(self, envelope: Envelope) -> Deferred[Verdict]:
        if envelope.recipient.endswith(self.well):
            return succeed(SENT)
        waiting: Deferred[Verdict] = Deferred(self.open.remove)
        self.open.append(waiting)
        self.most = max(self.most, len(self.open))
        return waiting


def test_a_slow_server_holds_up_nobody_else(desk: Desk) -> None:
    slow = Slow("@well.example")
    desk.rig.sent = slow  # type: ignore[assignment]
    desk.notices = desk.another()
    people = [f"{number}@slow.example" for number in range(50)]
    desk.rig.sets(to=",".join([*people, "owner@well.example"]))
    for person in people:
        desk.owes(to=person)
    desk.owes(to="owner@well.example")
    desk.notices.start()
    assert desk.states()[-1] == ("delivered", 1, "sent")
    assert slow.most == AT_ONE_SERVER
    for _ in range(10):
        desk.rig.time.advance(ATTEMPT_SECONDS)
    assert slow.most == AT_ONE_SERVER
    assert {state for state in desk.states()[:-1] if state[1] < 1} == set(), "each had its turn"
    assert desk.states()[0][2] == "timeout"


def test_the_outcome_that_could_not_be_stored_is_said(desk: Desk) -> None:
    slow = Slow("@well.example")
    desk.rig.sent = slow  # type: ignore[assignment]
    desk.notices = desk.another()
    desk.rig.sets(to="a@slow.example,b@slow.example")
    desk.owes(to="a@slow.example")
    desk.owes(to="b@slow.example")
    desk.notices.start()
    desk.rig.store.writer.write = broken  # type: ignore[method-assign,assignment]
    with capture_logs() as entries:
        for waiting in slow.open[:]:
            waiting.callback(SENT)
    said = [entry for entry in entries if entry["event"] == "mail_notices_not_sent"]
    assert [entry["log_level"] for entry in said] == ["error", "error"]
    assert "full of water" in said[0]["error"]


def broken(_: object) -> Deferred[None]:
    return fail(ValueError("full of water"))
