"""What handlers, the states of parts, and the ways by which messages come are called."""

from edge.web.pages.locales import N_, Locale
from storage.records import PartState

HANDLERS = {
    "portal": N_("Portal"),
    "email": N_("E-mail"),
    "forward": N_("Forward to a phone"),
    "sip": N_("SIP phone"),
    "callback": N_("URL callback"),
    "webhook": N_("Webhook"),
    "trunk": N_("SIP trunk"),
    "status": N_("Status callback"),
}
PARTS = {
    PartState.QUEUED: N_("queued"),
    PartState.SENDING: N_("sending"),
    PartState.SENT: N_("sent"),
    PartState.IN_DOUBT: N_("in doubt"),
    PartState.HELD: N_("held"),
    PartState.DELIVERED: N_("delivered"),
    PartState.FAILED: N_("failed"),
    PartState.EXPIRED: N_("expired"),
}
LEGS = {
    "smpp": N_("the carrier"),
    "portal": N_("the portal"),
    "api": N_("the API"),
    "voipms": N_("the API (VoIP.ms)"),
    "email": N_("e-mail"),
    "sip": N_("a SIP phone"),
    "forward": N_("the phone that it was forwarded to"),
    "cli": N_("a command on the server"),
    "console": N_("an operator"),
}


def handler_word(name: str, locale: Locale) -> str:
    """Of a third party's handler its name."""
    return _said(HANDLERS.get(name), name, locale)


def part_word(state: str, locale: Locale) -> str:
    """Where a part is."""
    return locale.gettext(PARTS[PartState(state)])


def leg_word(leg: str, locale: Locale) -> str:
    """By what a message came; of a program that looks like another's its name."""
    return _said(LEGS.get(leg), leg, locale)


def _said(word: str | None, name: str, locale: Locale) -> str:
    return name if word is None else locale.gettext(word)
