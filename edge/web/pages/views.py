"""Rows as the templates show them: filters, in the language and on the clock of the reader."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from jinja2 import pass_context
from jinja2.runtime import Context

from edge.carrier_errors import GIVEN_UP, OPTED_OUT, error_of
from edge.web.api.views import iso
from edge.web.pages import outcomes, terms
from edge.web.pages.locales import N_, Locale
from storage.messages import status_of
from storage.records import DeliveryState, MessageFlag, MessageStatus, MessageView, PartFlag, PartRecord

EXCERPT = 300
WORDS = {
    MessageStatus.RECEIVED: N_("received"),
    MessageStatus.QUEUED: N_("queued"),
    MessageStatus.SENDING: N_("sending"),
    MessageStatus.SENT: N_("sent"),
    MessageStatus.IN_DOUBT: N_("in doubt"),
    MessageStatus.DELIVERED: N_("delivered"),
    MessageStatus.FAILED: N_("failed"),
}
STATES = {
    DeliveryState.PENDING: N_("pending"),
    DeliveryState.DELIVERED: N_("delivered"),
    DeliveryState.FAILED: N_("failed"),
}
FLAGS = {
    MessageFlag.POSSIBLE_DUPLICATE: N_("possible duplicate"),
    MessageFlag.INCOMPLETE: N_("parts are missing"),
    MessageFlag.UNDECODABLE: N_("not decodable"),
    MessageFlag.FLASH: N_("flash"),
    MessageFlag.INDICATION: N_("message waiting indication"),
    MessageFlag.HEADER: N_("with a header for a program (ports)"),
}
TWICE = N_("may have been sent twice")
REASONS = {
    "ESME_RINVDSTADR": N_("the number is not valid"),
    "ESME_RINVSRCADR": N_("the carrier does not accept the sender’s number"),
    "ESME_RSUBMITFAIL": N_("the carrier did not take it"),
    "ESME_RDELIVERYFAILURE": N_("it could not be delivered"),
    "ESME_RPROHIBITED": N_("the carrier does not allow it"),
    "ESME_RTHROTTLED": N_("the carrier is overloaded"),
    "ESME_RMSGQFUL": N_("the carrier is overloaded"),
    "ESME_RSYSERR": N_("the carrier had an error"),
    "UNDELIVERABLE": N_("it could not be delivered"),
    "EXPIRED": N_("it was not delivered in time"),
    "REJECTED": N_("the carrier rejected it"),
    "DELETED": N_("the carrier deleted it"),
    OPTED_OUT: N_("the recipient wants no messages"),
    GIVEN_UP: N_("it was given up, and is not sent any more"),
}
"""In words, by the first word of `edge.carrier_errors.error_of`; a carrier's is shown beside them."""
OURS = frozenset({OPTED_OUT, GIVEN_UP})


def _locale(context: Context) -> Locale:
    found: Locale = context["locale"]
    return found


@pass_context
def full(context: Context, ms: int) -> str:
    """Day, time and zone in full."""
    return _locale(context).full(ms)


@pass_context
def stamp(context: Context, ms: int) -> str:
    """Day and time."""
    return _locale(context).stamp(ms)


@pass_context
def utc_date(context: Context, ms: int) -> str:
    """The day alone, of UTC."""
    return _locale(context).utc_date(ms)


@pass_context
def hour(context: Context, ms: int) -> str:
    """The time of the day."""
    return _locale(context).time(ms)


@pass_context
def brief(context: Context, ms: int) -> str:
    """As short as can be."""
    return _locale(context).brief(ms, context["now_ms"])


@pass_context
def day(context: Context, ms: int) -> str:
    """For the line between two days."""
    return _locale(context).day(ms, context["now_ms"])


@pass_context
def date(context: Context, ms: int) -> str:
    """The day itself, where it is still read on another one: on paper."""
    return _locale(context).day(ms)


@pass_context
def number(context: Context, value: float) -> str:
    """With the language's separators."""
    return _locale(context).number(value)


def status(view: MessageView) -> str:
    """The message's status as the style sheet knows it."""
    return str(status_of(view.message, view.parts))


@pass_context
def status_words(context: Context, view: MessageView) -> str:
    """The message's status, why it failed, and what is remarkable about it."""
    said = _locale(context).gettext
    words = [said(WORDS[status_of(view.message, view.parts)])]
    for error in dict.fromkeys(filter(None, map(error_of, view.parts))):
        words.append(_reason(error, said))
    words.extend(said(word) for flag, word in FLAGS.items() if view.message.flags & flag)
    if any(part.flags & PartFlag.POSSIBLE_DUPLICATE for part in view.parts):
        words.append(said(TWICE))
    return ", ".join(words)


def _reason(error: str, said: Callable[[str], str]) -> str:
    reason = REASONS.get(error.split()[0])
    if reason is None:
        return error
    return said(reason) if error in OURS else f"{said(reason)}: {error}"


@pass_context
def part_error(context: Context, part: PartRecord) -> str:
    """Why a part was not taken or not delivered; "" when all is well."""
    error = error_of(part)
    return "" if error is None else _reason(error, _locale(context).gettext)


@pass_context
def part_word(context: Context, state: str) -> str:
    """Where a part is."""
    return terms.part_word(state, _locale(context))


@pass_context
def handler_word(context: Context, name: str) -> str:
    """What a handler is called."""
    return terms.handler_word(name, _locale(context))


@pass_context
def leg_word(context: Context, leg: str) -> str:
    """By what a message came."""
    return terms.leg_word(leg, _locale(context))


@pass_context
def state_word(context: Context, state: DeliveryState) -> str:
    """A delivery's state."""
    return _locale(context).gettext(STATES[state])


@pass_context
def event_word(context: Context, event: str) -> str:
    """The state of a message that a delivery tells of."""
    return _locale(context).gettext(WORDS[MessageStatus(event)]) if event in set(MessageStatus) else event


@pass_context
def outcome_word(context: Context, code: str) -> str:
    """What came of a try."""
    return outcomes.outcome_word(code, _locale(context))


@pass_context
def deliveries_words(context: Context, view: MessageView) -> str:
    """What became of it, handler by handler, in a few words."""
    locale = _locale(context)

    def words(handler: str, state: DeliveryState, tries: int) -> str:
        after = locale.ngettext("%(num)d try", "%(num)d tries", tries) % {"num": tries}
        said = f"{terms.handler_word(handler, locale)}: {locale.gettext(STATES[state])}"
        return said + (f" ({after})" if tries > 1 else "")

    return ", ".join(
        words(item.delivery.handler, item.delivery.state, item.delivery.attempts) for item in view.deliveries
    )


def excerpt(text: str) -> str:
    """The beginning of a text, for lists."""
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"


def line(text: str) -> str:
    """The beginning of a text on one line."""
    return " ".join(excerpt(text).split())


def initial(name: str) -> str:
    """The letter that stands for somebody; "#" for a number."""
    return next((letter.upper() for letter in name if letter.isalpha()), "#")


def conversation_path(did: str, peer: str) -> str:
    """The address of a conversation."""
    return f"/conversations/{quote(did, safe='+')}/{quote(peer, safe='+')}"


def pending(state: DeliveryState) -> bool:
    """Is there another try to come?"""
    return state == DeliveryState.PENDING


FILTERS: dict[str, Callable[..., Any]] = {
    "brief": brief,
    "date": date,
    "day": day,
    "deliveries_words": deliveries_words,
    "event_word": event_word,
    "excerpt": excerpt,
    "full": full,
    "handler_word": handler_word,
    "hour": hour,
    "initial": initial,
    "iso": iso,
    "leg_word": leg_word,
    "line": line,
    "number": number,
    "outcome_word": outcome_word,
    "part_error": part_error,
    "part_word": part_word,
    "pending": pending,
    "stamp": stamp,
    "state_word": state_word,
    "status": status,
    "status_words": status_words,
    "utc_date": utc_date,
}
