"""The mailbox elsewhere: who a mail in it is to, and how it is marked."""

from email import message_from_string
from typing import Any, cast

import pytest

from edge.config_mail import IMAPConfig
from edge.config_reader import Secret
from edge.mail.mailbox import FLAGGED, SEEN, Mailbox, flags_for
from protocols.mail.smtp import Reply
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
