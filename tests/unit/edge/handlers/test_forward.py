"""The forward: on to the owner's phone, and back; once each; and never round."""

from itertools import pairwise
from typing import Any, cast

import pytest

from edge.dialect import Dialect
from edge.handlers import Delivered, Failed, Job, Outcome, Retry
from edge.handlers.forward import DAY_MS, MAX_HOPS, NOTES_AN_HOUR, REPLY, ForwardHandler
from edge.outbound import Outbound, Planner
from edge.references import References
from storage import accounts, forwards, messages, numbers
from storage.records import DeliveryRecord, DeliveryState, Did, MessageRecord
from storage.store import Store
from storage.tables import message
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, START_MS, Numbers, Time, record
from tests.unit.edge.test_outbound import CONFIG, Carrier

OWNER = "+12025550199"
ANNA = "+12025550150"
SECOND, THIRD = "+12025550101", "+12025550102"


class Rig:
    """A handler with the real way out, and an upstream that takes nothing."""

    def __init__(self, store: InlineStore, time: Time) -> None:
        self.store, self.time = store, time
        self.settings: dict[str, object] = {"to": OWNER}
        self.find = Numbers(store).did
        with store.engine.transaction() as conn:
            account = accounts.add_account(conn, store.ids.next, "owner", START_MS)
            for number in (DID, SECOND, THIRD):
                numbers.add_did(conn, store.ids.next, account.id, number, START_MS)
        planner = Planner({"up": Dialect(CONFIG, "US")}, "US", self.find, References(lambda: 1))
        self.outbound = Outbound(
            planner, cast(Store, store), {"up": Carrier()}, time.wall_ms, lambda due: due
        )
        self.handler = ForwardHandler(self.outbound.submit, cast(Store, store), self.find)

    def did(self, number: str = DID) -> Did:
        """As it is now."""
        found = self.find(number)
        assert found is not None
        return found

    def forwards_to(self, number: str, to: str) -> None:
        """Switch a DID's forward on."""
        with self.store.engine.transaction() as conn:
            numbers.set_did(
                conn, self.store.ids.next, number, handler="forward", enabled=True, settings={"to": to}
            )

    def job(self, text: str, peer: str, number: str = DID, target: str = OWNER) -> Job:
        """A message that came in, stored, and its delivery."""
        did, now = self.did(number), self.time.wall_ms()
        about = record(self.store, did, now, "mo", peer=peer, text=text)
        delivery = DeliveryRecord(
            self.store.ids.next(), about.id, did.account_id, did.id, "forward", target, DeliveryState.PENDING,
            0, now, now, now,
        )  # fmt: skip
        success(self.store.writer.write(messages.insert(about, (), [delivery])))
        return Job(delivery, about, 1, self.settings)

    def work(self, job: Job) -> Outcome:
        """One attempt."""
        return success(self.handler.deliver(job))

    def arrives(self, text: str, peer: str = PEER) -> Outcome:
        """A message for the owner."""
        return self.work(self.job(text, peer))

    def answers(self, text: str) -> Outcome:
        """The owner writes from his phone."""
        return self.work(self.job(text, OWNER, target=REPLY))

    def sent(self) -> list[tuple[str, str, str]]:
        """What went out: from, to, text."""
        with self.store.engine.snapshot() as conn:
            rows = [MessageRecord._make(row) for row in conn.execute(message.select().order_by(message.c.id))]
        return [(row.did, row.peer, row.text) for row in rows if row.direction == "mt"]


@pytest.fixture
def rig(inline_store: InlineStore, time: Time) -> Rig:
    return Rig(inline_store, time)


@pytest.fixture
def two_way(rig: Rig) -> Rig:
    rig.settings["two_way"] = True
    return rig


def test_it_goes_on_from_the_did_as_it_was_written(rig: Rig) -> None:
    outcome = rig.arrives("Grüße 😀")
    assert isinstance(outcome, Delivered)
    assert outcome.outcome == "forwarded"
    assert rig.sent() == [(DID, OWNER, "Grüße 😀")]


def test_the_sender_may_stand_before_it(rig: Rig) -> None:
    rig.settings["prefix"] = True
    rig.arrives("hi", "ACME")
    assert rig.sent() == [(DID, OWNER, "ACME: hi")]


def test_of_a_message_without_text_the_sender_is_told(rig: Rig) -> None:
    assert rig.arrives("").outcome == "forwarded"
    assert rig.sent() == [(DID, OWNER, f"{PEER}: ")]


def test_a_delivery_that_is_worked_again_sends_nothing_again(rig: Rig) -> None:
    """A crash between the commit and the outcome."""
    job = rig.job("hi", PEER)
    assert rig.work(job) == rig.work(job)
    assert rig.sent() == [(DID, OWNER, "hi")]


def test_two_at_the_same_time_send_one(rig: Rig) -> None:
    """Both find nothing; the key of the link lets one of them through."""
    job = rig.job("hi", PEER)
    rig.store.writer.held = True
    both = [rig.handler.deliver(job), rig.handler.deliver(job)]
    rig.store.writer.release()
    outcomes = [success(one) for one in both]
    assert [type(one) for one in outcomes] == [Delivered, Retry]
    assert rig.sent() == [(DID, OWNER, "hi")]
    assert rig.work(job) == outcomes[0]


def test_a_store_that_fails_is_tried_again_later(rig: Rig) -> None:
    job = rig.job("hi", PEER)
    rig.store.writer.failing = True
    outcome = rig.work(job)
    assert isinstance(outcome, Retry)
    rig.store.writer.failing = False
    assert isinstance(rig.work(job), Delivered)


def test_what_the_way_out_refuses_has_failed(rig: Rig) -> None:
    job = rig.job("hi", PEER, target="12")
    with rig.store.engine.transaction() as conn:
        numbers.set_did(conn, rig.store.ids.next, DID, sms_enabled=False)
    assert cast(Failed, rig.work(job)).outcome == "sms_disabled"


# -- loops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [[DID, SECOND, DID], [DID, DID], [DID, SECOND, THIRD, DID]])
def test_a_forward_that_leads_back_is_not_followed(rig: Rig, way: list[str]) -> None:
    for number, to in pairwise(way):
        rig.forwards_to(number, to)
    outcome = rig.work(rig.job("hi", PEER, target=way[1]))
    assert cast(Failed, outcome).outcome == "loop"
    assert rig.sent() == []


def test_a_chain_that_ends_is_followed(rig: Rig) -> None:
    rig.forwards_to(SECOND, THIRD)
    rig.forwards_to(THIRD, OWNER)
    assert isinstance(rig.work(rig.job("hi", PEER, target=SECOND)), Delivered)


def test_a_circle_further_on_is_not_ours_to_break(rig: Rig) -> None:
    rig.forwards_to(SECOND, THIRD)
    rig.forwards_to(THIRD, SECOND)
    assert isinstance(rig.work(rig.job("hi", PEER, target=SECOND)), Delivered)


def test_a_text_goes_only_so_far_between_our_numbers(rig: Rig) -> None:
    """Whatever the settings say now: the hops are stored with each message that was sent on."""
    way = [DID, SECOND, THIRD, DID, SECOND]
    outcomes = [rig.work(rig.job("hi", PEER, DID, SECOND))]
    for before, here, to in zip(way, way[1:], way[2:], strict=False):
        outcomes.append(rig.work(rig.job("hi", before, here, to)))
    assert [one.outcome for one in outcomes] == [*["forwarded"] * MAX_HOPS, "loop"]
    assert rig.work(rig.job("another text", THIRD, DID, SECOND)).outcome == "forwarded"


# -- two ways -------------------------------------------------------------------------------------


def test_an_answer_goes_back_to_the_sender_from_the_did(two_way: Rig) -> None:
    two_way.arrives("are you there?")
    outcome = two_way.answers("yes 👍")
    assert outcome.outcome == "replied"
    assert two_way.sent() == [(DID, OWNER, "are you there?"), (DID, PEER, "yes 👍")]


def test_when_several_talk_the_last_one_gets_it_and_tags_choose(two_way: Rig) -> None:
    two_way.arrives("one", ANNA)
    two_way.time.advance(600)
    two_way.arrives("two", PEER)
    two_way.time.advance(600)
    two_way.answers("to the last")
    two_way.answers("#1 to Anna")
    assert two_way.sent() == [
        (DID, OWNER, "one"),
        (DID, OWNER, f"#2 {PEER}: two"),
        (DID, PEER, "to the last"),
        (DID, ANNA, "to Anna"),
    ]


@pytest.mark.parametrize(("ask", "seconds"), [(True, 600), (False, 10)])
def test_the_owner_is_asked_when_it_is_not_clear(two_way: Rig, ask: bool, seconds: float) -> None:
    two_way.settings["untagged"] = "ask" if ask else "last"
    two_way.arrives("one", ANNA)
    two_way.arrives("two", PEER)
    two_way.time.advance(seconds)
    assert two_way.answers("for whom?").outcome == "asked_back"
    source, to, note = two_way.sent()[-1]
    assert (source, to) == (DID, OWNER)
    assert f"#2 {PEER}, #1 {ANNA}" in note
    assert two_way.answers("#2 for you").outcome == "replied"
    assert two_way.sent()[-1] == (DID, PEER, "for you")


def test_after_a_day_nobody_is_talking(two_way: Rig) -> None:
    two_way.arrives("hello", ANNA)
    two_way.time.advance(DAY_MS / 1000 + 1)
    assert two_way.answers("hi").outcome == "asked_back"
    assert "nobody has written" in two_way.sent()[-1][2]


def test_a_tag_stays_while_its_owner_is_heard_of_and_is_free_then(two_way: Rig) -> None:
    two_way.arrives("one", ANNA)
    two_way.arrives("two", PEER)
    two_way.time.advance(DAY_MS / 2000)
    two_way.arrives("still here", PEER)
    two_way.time.advance(DAY_MS / 2000 + 1)
    two_way.arrives("new", "+12025550151")
    assert two_way.sent()[-1][2] == "#1 +12025550151: new"


def test_a_text_to_the_only_sender_keeps_what_looks_like_a_tag(two_way: Rig) -> None:
    two_way.arrives("who are you?", ANNA)
    for text in ("#1 fan", "#2 of 3 is late"):
        assert two_way.answers(text).outcome == "replied"
    assert two_way.sent()[1:] == [(DID, ANNA, "#1 fan"), (DID, ANNA, "#2 of 3 is late")]


def test_a_tag_that_was_shown_is_never_taken_for_a_text_to_another(two_way: Rig) -> None:
    """Bert has gone silent; an answer to him must not reach Anna, and Anna's own tag still is hers."""
    two_way.arrives("one", ANNA)
    two_way.arrives("two", PEER)
    two_way.time.advance(DAY_MS / 1000 - 60)
    two_way.arrives("and?", ANNA)
    two_way.time.advance(3600)
    assert two_way.answers("#2 to Bert").outcome == "asked_back"
    assert two_way.answers("#1 to Anna").outcome == "replied"
    assert two_way.sent()[-1] == (DID, ANNA, "to Anna")
    assert "to Bert" not in [text for _, _, text in two_way.sent()]


def test_a_name_cannot_be_answered_and_the_owner_is_told(two_way: Rig) -> None:
    two_way.arrives("your code is 7", "ACME")
    assert two_way.answers("thanks").outcome == "asked_back"
    assert two_way.sent()[-1][2].startswith("Not sent to ACME: ")


def test_a_phone_that_answers_by_itself_is_not_talked_to_for_ever(two_way: Rig) -> None:
    outcomes = [two_way.answers("I am driving").outcome for _ in range(NOTES_AN_HOUR + 1)]
    assert outcomes == [*["asked_back"] * NOTES_AN_HOUR, "not_sent_on"]
    two_way.time.advance(3601)
    assert two_way.answers("I am driving").outcome == "asked_back"


def test_an_answer_that_is_worked_again_is_sent_once(two_way: Rig) -> None:
    two_way.arrives("hello", ANNA)
    job = two_way.job("hi", OWNER, target=REPLY)
    two_way.work(job)
    two_way.work(job)
    assert two_way.sent()[1:] == [(DID, ANNA, "hi")]


def test_the_link_of_a_delivery_is_stored_with_the_message(rig: Rig) -> None:
    job = rig.job("hi", PEER)
    rig.work(job)
    with rig.store.engine.snapshot() as conn:
        link: Any = forwards.sent_by(conn, job.delivery.id)
        assert messages.exists(conn, link.message_id)
    assert link.hops == 1
