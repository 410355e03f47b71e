"""Mail that no person wrote, and mail that only looks like it."""

from email import message_from_string

import pytest

from protocols.mail.screening import LOOP_HEADER, automatic

OWNER = "owner@example.org"


@pytest.mark.parametrize(
    ("head", "sender", "reason"),
    [
        ("", "", "null_sender"),
        ("", "<>", "null_sender"),
        ("Return-Path: <>", OWNER, "null_sender"),
        ("Auto-Submitted: auto-replied (vacation)", OWNER, "auto_submitted"),
        ("Auto-Submitted: auto-generated; owner-email=x", OWNER, "auto_submitted"),
        ("auto-submitted: AUTO-NOTIFIED", OWNER, "auto_submitted"),
        ("Precedence: bulk", OWNER, "precedence"),
        ("Precedence: Junk", OWNER, "precedence"),
        ("Precedence: list", OWNER, "precedence"),
        ("Precedence: auto_reply", OWNER, "precedence"),
        ("X-Autoreply: yes", OWNER, "vacation"),
        ("X-Autorespond: I am away", OWNER, "vacation"),
        ("Precedence: auto-reply", OWNER, "precedence"),
        ("List-Id: <list.example.org>", OWNER, "list"),
        ("list-owner: <mailto:x@example.org>", OWNER, "list"),
        ("LIST-ARCHIVE: <https://example.org/>", OWNER, "list"),
        ("List-Unsubscribe: <mailto:x@example.org>", OWNER, "list"),
        (f"{LOOP_HEADER}: 1", OWNER, "loop"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x", OWNER, "report"),
        ("Content-Type: multipart/report; report-type=disposition-notification; boundary=x", OWNER, "report"),
    ],
)
def test_what_must_never_become_an_sms(head: str, sender: str, reason: str) -> None:
    assert automatic(message_from_string(f"{head}\n\nI am away.\n"), sender) == reason


@pytest.mark.parametrize(
    "head",
    [
        "Subject: Re: [#US…] Message sent to 2025550100",
        "Auto-Submitted: no",
        "Auto-Submitted: No (a person)",
        "X-Auto-Response-Suppress: All",
        "Precedence: first-class",
        "Return-Path: <owner@example.org>",
        "Subject: Out of office",
    ],
)
def test_what_may_be_a_persons(head: str) -> None:
    assert automatic(message_from_string(f"{head}\n\nYes.\n"), OWNER) is None
