"""The e-mail handler: the mail of a message, its addresses and thread, and what becomes of it."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from edge.handlers import Delivered, Failed, Retry
from edge.handlers.base import SettingError
from edge.handlers.email import EmailHandler, in_reply_to, recipient_of, status_target
from edge.mail.addresses import BOUNCE
from edge.mail.tokens import Tokens
from edge.mail.writing import binding
from protocols.mail import token
from protocols.mail.address import Address
from protocols.mail.smtp import Reply, Verdict
from protocols.mail.token import KeyRing
from storage import mail
from storage.records import MessageFlag, PartFlag, PartState
from storage.tables import part
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.conftest import DID, PEER, Time, part_of
from tests.unit.edge.handlers.test_registry import RULES
from tests.unit.edge.mail.rig import DAYS, DOMAIN, OWNER, RING, Rig


@pytest.fixture
def rig(inline_store: InlineStore, time: Time) -> Rig:
    return Rig(inline_store, time)


def test_a_message_becomes_a_mail_whose_token_names_its_conversation(rig: Rig) -> None:
    rig.knows(PEER, "Anna")
    assert rig.work(rig.job()) == Delivered("sent", 250, "end: 250 2.0.0 queued")
    (mail_,) = rig.sent.mails
    assert mail_["From"].startswith('"Anna (SMS)" <sms+')
    assert mail_["To"] == OWNER
    assert mail_["Subject"].endswith("] Message sent to 2025550100")
    assert "Are you at home?" in mail_.get_content()
    found = [
        list(token.find([mail_[name]]))
        for name in ("From", "Reply-To", "Subject", "References", "Message-ID")
    ]
    assert all(item == found[0] for item in found)
    conversation = success(rig.store.read(mail.find_conversation, found[0][0].conversation))
    assert conversation is not None
    assert (conversation.did, conversation.peer, conversation.account_id) == (DID, PEER, rig.account_id)
    assert RING.verifies(found[0][0], binding(conversation))


def test_what_bounces_names_its_delivery(rig: Rig) -> None:
    job = rig.job()
    rig.work(job)
    (envelope,) = rig.sent.envelopes
    assert envelope.sender.startswith("sms+bounce-")
    assert envelope.sender.endswith(f"@{DOMAIN}")
    (found,) = token.find([envelope.sender])
    assert found.conversation == job.delivery.id
    assert RING.verifies(found, BOUNCE)
    assert not RING.verifies(found, b"")


def test_one_conversation_is_one_thread_and_another_attempt_the_same_mail(rig: Rig) -> None:
    first, second, other = rig.job("a"), rig.job("b"), rig.job("c", peer="+12025550177")
    for job in (first, first, second, other):
        rig.work(job)
    mails = rig.sent.mails
    assert [item["References"] == mails[0]["References"] for item in mails] == [True, True, True, False]
    assert mails[0]["Message-ID"] == mails[1]["Message-ID"]
    assert len({item["Message-ID"] for item in mails}) == 3


def test_a_new_key_makes_no_other_mail_and_no_other_thread(rig: Rig) -> None:
    """Its tokens are the new key's; what was sent before is still found by what an answer refers to."""
    job, told = rig.job(), rig.job("Yes.", status_target(Address("owner", "example.org"), ""), event="failed")
    rig.sets(to=OWNER, failures=True)
    told = replace(told, settings=rig.did().handlers["email"].settings)
    both = KeyRing({2: b"n" * 32, **RING.keys}, 2)
    for ring in (RING, both):
        rig.uses(ring)
        assert isinstance(rig.work(job), Delivered)
        assert isinstance(rig.work(told), Delivered)
    first, first_told, again, again_told = rig.sent.mails
    for before, after in ((first, again), (first_told, again_told)):
        assert (after["Message-ID"], after["References"]) == (before["Message-ID"], before["References"])
        assert before["Reply-To"] != after["Reply-To"]
    (now,) = token.find([again["Reply-To"]])
    assert now.key_id == 2
    tokens, written = Tokens(both, rig.real), [item["Message-ID"] for item in rig.sent.mails]
    for place in (*written, first["References"], again["Subject"], first["Subject"]):
        known = success(Deferred.fromCoroutine(tokens.conversation("", [place])))
        assert known is not None
        assert (known.did, known.peer) == (DID, PEER)


def test_without_a_way_back_no_answer_is_asked_for(inline_store: InlineStore, time: Time) -> None:
    rig = Rig(inline_store, time, answers=False)
    rig.work(rig.job())
    (mail_,) = rig.sent.mails
    assert mail_["From"].addresses[0].addr_spec == f"sms@{DOMAIN}"
    assert rig.sent.envelopes[0].sender == ""


def test_what_is_wrong_with_a_message_is_said(rig: Rig) -> None:
    rig.work(rig.job(flags=int(MessageFlag.INCOMPLETE | MessageFlag.POSSIBLE_DUPLICATE)))
    content = rig.sent.mails[0].get_content()
    assert "Parts of this message are missing." in content
    assert "come twice" in content


def test_html_is_the_owners_choice(rig: Rig) -> None:
    rig.sets(to=OWNER, html=True)
    rig.work(rig.job())
    assert rig.sent.mails[0].get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (
            Verdict("refused", Reply(550, "5.1.1 no"), True, "rcpt"),
            Failed("refused", 550, "rcpt: 550 5.1.1 no"),
        ),
        (
            Verdict("no_such_domain", None, True, "connect", "x.y"),
            Failed("no_such_domain", None, "connect: x.y"),
        ),
    ],
)
def test_what_is_final_is_not_tried_again(rig: Rig, verdict: Verdict, outcome: Failed) -> None:
    rig.sent.verdict = verdict
    assert rig.work(rig.job()) == outcome


def test_what_is_not_final_is_tried_again_ever_later(rig: Rig) -> None:
    rig.sent.verdict = Verdict("refused", Reply(450, "4.2.0 greylisted"), False, "rcpt")
    job, waits = rig.job(), []
    for attempt in range(1, 12):
        outcome = rig.work(type(job)(job.delivery, job.message, attempt, job.settings))
        assert isinstance(outcome, Retry)
        assert (outcome.outcome, outcome.status_code) == ("refused", 450)
        waits.append(outcome.after)
    assert 54 <= waits[0] <= 66
    assert all(later > sooner for sooner, later in pairwise(waits[:7]))
    assert 12_960 <= min(waits[7:]) <= max(waits[7:]) <= 15_840
    assert rig.handler.give_up_seconds == 4 * DAYS


def test_a_replay_begins_with_short_waits_again(rig: Rig) -> None:
    rig.sent.verdict = Verdict("refused", Reply(450, "4.2.0 greylisted"), False, "rcpt")
    job = rig.job()
    again = type(job)(job.delivery._replace(attempts=9, tries_before=9), job.message, 10, job.settings)
    outcome = rig.work(again)
    assert isinstance(outcome, Retry)
    assert outcome.after <= 66


def test_a_server_that_judges_is_well(rig: Rig) -> None:
    assert rig.handler.unwell(Retry("connect_failed", 1))
    assert rig.handler.unwell(Retry("refused", 1, 421))
    assert not rig.handler.unwell(Retry("refused", 1, 450))
    assert not rig.handler.unwell(Failed("refused", 550))
    assert not rig.handler.unwell(Failed("no_such_domain"))
    assert rig.handler.target_key("a@example.org") == "example.org"


def test_a_store_that_fails_and_a_did_that_went(rig: Rig) -> None:
    job = rig.job()
    rig.store.writer.failing = True
    outcome = rig.work(job)
    assert isinstance(outcome, Retry)
    assert outcome.outcome == "unavailable"
    rig.store.writer.failing = False
    gone = job.message._replace(did="+12025550123")
    assert rig.work(type(job)(job.delivery, gone, 1, {})) == Failed("unknown_did")
    assert rig.sent.envelopes == []


def test_the_sender_of_a_reply_is_told_when_it_failed_and_only_then(rig: Rig) -> None:
    target = status_target(Address("Owner", "example.org"), "<1&2=3@example.org>")
    assert (str(recipient_of(target)), in_reply_to(target)) == ("Owner@example.org", "<1&2=3@example.org>")
    for event in ("queued", "sent", "delivered"):
        assert rig.work(rig.job("Yes.", target, event=event)) == Delivered("not_wanted")
    assert rig.sent.envelopes == []
    rig.sets(to=OWNER, failures=True)
    assert isinstance(rig.work(rig.job("Yes.", target, event="failed")), Delivered)
    (mail_,) = rig.sent.mails
    assert mail_["In-Reply-To"] == "<1&2=3@example.org>"
    assert mail_["Auto-Submitted"] == "auto-replied"
    assert "was not delivered.\n\n> Yes." in mail_.get_content()
    assert rig.sent.envelopes[0].sender == ""


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"state": PartState.FAILED, "command_status": 0x45}, True),
        ({"state": PartState.FAILED, "flags": int(PartFlag.OPTED_OUT)}, True),
        ({"state": PartState.EXPIRED}, True),
        ({"state": PartState.FAILED, "smsc_message_id": "7", "receipt_state": "UNDELIVERABLE"}, False),
        ({"state": PartState.EXPIRED, "smsc_message_id": "7", "receipt_state": "EXPIRED"}, False),
    ],
)
@pytest.mark.parametrize("setting", [False, True])
def test_what_was_never_sent_is_told_always_what_was_not_delivered_by_setting(
    rig: Rig, values: dict[str, Any], told: bool, setting: bool
) -> None:
    rig.sets(to=OWNER, failures=setting)
    job = rig.job("Yes.", status_target(Address("owner", "example.org"), ""), event="failed")
    with rig.store.engine.transaction() as conn:
        conn.execute(part.insert(), part_of(job.message, rig.store.ids.next(), 1, **values)._asdict())
    outcome = rig.work(job)
    assert isinstance(outcome, Delivered)
    assert (outcome.outcome == "sent", len(rig.sent.envelopes)) == (told or setting, told or setting)


def test_an_address_that_was_taken_off_gets_nothing_more_of_what_is_owed(rig: Rig) -> None:
    rig.sets(to=f"{OWNER},former@example.org", failures=True)
    owed = rig.job("Secret.", "former@example.org")
    told = rig.job("Yes.", status_target(Address("Former", "example.org"), ""), event="failed")
    rig.sets(to=OWNER, failures=True)
    for job, shown in ((owed, "former@example.org"), (told, "Former@example.org")):
        gone = Failed("address_removed", excerpt=f"{shown} is no longer an address of {DID}")
        assert rig.work(job) == gone
    assert rig.sent.envelopes == []
    rig.sets(to=f"{OWNER},FORMER@example.org", failures=True)
    for job in (owed, told):
        assert isinstance(rig.work(job), Delivered)
    assert len(rig.sent.envelopes) == 2


def test_what_the_carrier_said_is_in_the_mail(rig: Rig) -> None:
    job = rig.job("Yes.", status_target(Address("owner", "example.org"), ""), event="failed")
    refused = part_of(job.message, rig.store.ids.next(), 1, state=PartState.FAILED, command_status=0x0B)
    with rig.store.engine.transaction() as conn:
        conn.execute(part.insert(), refused._asdict())
    rig.work(job)
    said = "This message was not delivered. The carrier said: ESME_RINVDSTADR (0x0000000B)."
    assert said in rig.sent.mails[0].get_content()
    assert rig.sent.mails[0]["In-Reply-To"] is None


def test_who_wrote_to_somebody_who_opted_out_meanwhile_is_told_that(rig: Rig) -> None:
    job = rig.job("Yes.", status_target(Address("owner", "example.org"), ""), event="failed")
    unsent = part_of(
        job.message, rig.store.ids.next(), 1, state=PartState.FAILED, flags=int(PartFlag.OPTED_OUT)
    )
    with rig.store.engine.transaction() as conn:
        conn.execute(part.insert(), unsent._asdict())
    rig.work(job)
    assert f"{PEER} has opted out" in rig.sent.mails[0].get_content()
    assert rig.sent.mails[0]["X-SMS-Outcome"] == "opted_out"


def test_who_wrote_what_was_given_up_is_told_that_no_carrier_said_so(rig: Rig) -> None:
    job = rig.job("Yes.", status_target(Address("owner", "example.org"), ""), event="failed")
    with rig.store.engine.transaction() as conn:
        given_up = part_of(job.message, rig.store.ids.next(), 1, state=PartState.FAILED)
        conn.execute(part.insert(), given_up._asdict())
    rig.work(job)
    said = rig.sent.mails[0].get_content()
    assert ("It was given up." in said, "The carrier said" in said) == (True, False)


# -- settings -------------------------------------------------------------------------------------


def test_addresses_are_kept_once_and_each_owes_a_mail() -> None:
    settled = EmailHandler.settle(
        {}, {"to": " a@Example.org, b@example.net,A@example.org ", "html": "on"}, RULES
    )
    assert settled == {"to": "A@example.org,b@example.net", "html": True}
    assert EmailHandler.targets(settled, PEER) == ("A@example.org", "b@example.net")
    assert EmailHandler.targets({}, PEER) == ()
    assert EmailHandler.settle(settled, {"to": ""}, RULES) == {"html": True}


@pytest.mark.parametrize(
    "to", ["nobody", "a@b@example.org", '"a b"@example.org', "a@example.org\r\nBcc: x@y", ",", ",".join(
        f"a{n}@example.org" for n in range(11)
    )],
)  # fmt: skip
def test_addresses_that_cannot_be(to: str) -> None:
    with pytest.raises(SettingError, match="email_to"):
        EmailHandler.settle({}, {"to": to}, RULES)


@pytest.mark.parametrize("local", ["a?b", "a%3Fb", "a&in-reply-to=x", "a#b", "a+b", "jürgen"])
def test_whom_to_tell_is_read_as_it_was_written(local: str) -> None:
    to = Address(local, "example.org")
    target = status_target(to, "<1?&2@x>")
    assert recipient_of(target) == to
    assert in_reply_to(target) == "<1?&2@x>"
