"""The mailbox elsewhere: who a mail in it is to, and how it is marked."""

from email import message_from_string
from typing import Any, cast

import pytest
from twisted.internet.defer import fail, succeed
from twisted.mail import imap4

from edge.config_mail import IMAPConfig
from edge.config_reader import Secret
from edge.mail.authentication import Arrival
from edge.mail.mailbox import FLAGGED, SEEN, Mailbox, flags_for
from protocols.mail.smtp import Reply
from tests.deferreds import success
from tests.unit.edge.conftest import Time
from tests.unit.edge.mail.rig import ADDRESSES, DOMAIN

MANY = [f"{2025550100 + number}@{DOMAIN}" for number in range(30)]
TAKEN, REFUSED, LATER = Reply(250, "x"), Reply(550, "x"), Reply(452, "x")


@pytest.mark.parametrize(
    ("headers", "recipients"),
    [
        (
            f"To: Anna <SMS+abc@{DOMAIN}>, x@example.net\nCc: 2025550150@{DOMAIN}",
            [f"sms+abc@{DOMAIN}", f"2025550150@{DOMAIN}"],
        ),
        (f"Delivered-To: sms+abc@{DOMAIN}\nTo: sms+abc@{DOMAIN}", [f"sms+abc@{DOMAIN}"]),
        ("To: somebody@example.net", [f"sms@{DOMAIN}"]),
        ("Subject: nothing", [f"sms@{DOMAIN}"]),
        ("To: " + ", ".join(MANY), MANY[:10]),
    ],
)
def test_whom_a_mail_is_to(headers: str, recipients: list[str]) -> None:
    config = IMAPConfig(host="localhost", username="sms", password=Secret("x"))
    mailbox = Mailbox(config, ADDRESSES, cast(Any, None), 1_000, Time())
    assert mailbox.recipients(message_from_string(f"{headers}\n\nhi")) == recipients


@pytest.mark.parametrize(
    ("replies", "flags"),
    [
        ([TAKEN], [SEEN]),
        ([REFUSED], [SEEN, FLAGGED]),
        ([REFUSED, TAKEN], [SEEN]),
        ([LATER], []),
        ([TAKEN, LATER], []),
    ],
)
def test_how_a_mail_is_marked(replies: list[Reply], flags: list[str]) -> None:
    assert flags_for(replies) == flags


class Elsewhere:
    """A mailbox: what is in it by UID, and how each is marked. One mail is too much for Twisted's parser."""

    def __init__(self, mails: dict[str, bytes]) -> None:
        self.mails = mails
        self.flags: dict[str, set[str]] = {uid: set() for uid in mails}
        self.greeted = succeed(None)
        self.transport = self

    def abortConnection(self) -> None:
        pass

    def login(self, *_: bytes) -> Any:
        return succeed(None)

    def select(self, _: str) -> Any:
        return succeed(None)

    def logout(self) -> Any:
        return succeed(None)

    def search(self, query: str, uid: bool) -> Any:
        assert query == "(UNSEEN UNFLAGGED)"
        return succeed([uid for uid, flags in self.flags.items() if not flags])

    def fetchSize(self, which: str, uid: bool) -> Any:
        return succeed({1: {"RFC822.SIZE": str(len(self.mails[which]))}})

    def fetchSpecific(self, which: str, uid: bool, peek: bool) -> Any:
        if self.mails[which].startswith(b"BAD"):
            return fail(imap4.MismatchedNesting("((("))
        return succeed({1: [["BODY", [], self.mails[which].decode("latin-1")]]})

    def addFlags(self, which: str, flags: list[str], uid: bool) -> Any:
        self.flags[which] |= set(flags)
        return succeed(None)


class Desk:
    """An intake that takes everything."""

    def __init__(self) -> None:
        self.taken: list[tuple[Arrival, list[str]]] = []

    def take(self, arrival: Arrival, recipients: list[str]) -> Any:
        self.taken.append((arrival, recipients))
        return succeed([TAKEN])


def test_one_bad_mail_does_not_stop_the_mailbox() -> None:
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
        for number in range(1_500)
    )
    good = f"Return-Path: <a@b.example>\r\nTo: sms+abc@{DOMAIN}\r\n\r\nhi\r\n".encode()
    there = Elsewhere({"1": b"BAD", "2": b"Subject: x\r\n" + nested, "3": good})
    desk = Desk()
    config = IMAPConfig(host="localhost", username="sms", password=Secret("x"))
    mailbox = Mailbox(config, ADDRESSES, cast(Any, desk), 1_000_000, Time())
    mailbox._connect = lambda: succeed(there)  # type: ignore[method-assign,assignment,return-value]
    success(mailbox.look())
    assert there.flags == {"1": {FLAGGED}, "2": {SEEN}, "3": {SEEN}}
    assert [(arrival.sender, to) for arrival, to in desk.taken] == [
        ("unknown", [f"sms@{DOMAIN}"]),
        ("a@b.example", [f"sms+abc@{DOMAIN}"]),
    ]
