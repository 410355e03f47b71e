"""Which mail no person wrote (RFC 3834 §2, RFC 5230 §4.6, RFC 3464): it must never become an SMS.

X-Auto-Response-Suppress is no sign of one: it says what should not be answered, and people's mail has it too.
"""

from collections.abc import Callable
from email.message import Message

LOOP_HEADER = "X-Trunkline-Loop"
"""In every mail of ours. Mail that has it went through a server like this one before."""

_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply", "auto-reply"})
_REPORTS = frozenset({"multipart/report", "message/delivery-status", "message/disposition-notification"})


def automatic(message: Message, envelope_sender: str) -> str | None:
    """Why a mail is no person's, as a short word for logs and notices; None when it may be one's.

    ``envelope_sender`` is that of MAIL FROM, "" for the null sender.
    """
    return next((reason for reason, applies in _SIGNS if applies(message, envelope_sender)), None)


def _word(message: Message, name: str) -> str:
    """The first word of a header, in lower case, without comments and parameters."""
    return str(message.get(name, "")).partition("(")[0].partition(";")[0].strip().lower()


def _null_sender(message: Message, envelope_sender: str) -> bool:
    return not envelope_sender.strip("<> ") or str(message.get("Return-Path", "x")).strip() == "<>"


def _submitted(message: Message, envelope_sender: str) -> bool:
    return _word(message, "Auto-Submitted") not in ("", "no")


def _vacation(message: Message, envelope_sender: str) -> bool:
    return any(name in message for name in ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Vacation"))


def _report(message: Message, envelope_sender: str) -> bool:
    return message.get_content_type() in _REPORTS


def _list(message: Message, envelope_sender: str) -> bool:
    return any(name.lower().startswith("list-") for name in message.keys())  # noqa: SIM118  # RFC 2369, 2919


_SIGNS: tuple[tuple[str, Callable[[Message, str], bool]], ...] = (
    ("loop", lambda message, _: LOOP_HEADER in message),
    ("null_sender", _null_sender),
    ("report", _report),
    ("auto_submitted", _submitted),
    ("precedence", lambda message, _: _word(message, "Precedence") in _PRECEDENCE),
    ("vacation", _vacation),
    ("list", _list),
)
