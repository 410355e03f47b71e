"""The entries of the audit, in words: who, what, of what, with which details."""

from collections.abc import Mapping

from edge.web.pages.account.preferences import ROLES
from edge.web.pages.locales import N_, Locale
from edge.web.pages.terms import handler_word

WORDS = {
    "console": N_("command given"),
    "contact.add": N_("contact added"),
    "contact.change": N_("contact changed"),
    "contact.import": N_("contacts imported"),
    "contact.merge": N_("contacts merged"),
    "contact.remove": N_("contact removed"),
    "did.change": N_("number’s settings changed"),
    "endpoint.resume": N_("failing endpoint asked again"),
    "group.add": N_("group added"),
    "group.members": N_("contacts put into a group"),
    "group.remove": N_("group removed"),
    "group.rename": N_("group renamed"),
    "key.add": N_("API key made"),
    "key.revoke": N_("API key revoked"),
    "key.rotate": N_("API key got a new token"),
    "manhole": N_("line of Python given"),
    "message.delete": N_("messages deleted"),
    "number.cancel": N_("order of a number taken back"),
    "number.order": N_("number ordered"),
    "number.release": N_("number given up"),
    "opt_out.add": N_("opt-out added"),
    "opt_out.remove": N_("opt-out removed"),
    "person.erase": N_("everything of a person erased"),
    "retention.set": N_("retention changed"),
    "session.end": N_("logged out elsewhere"),
    "session.end_others": N_("logged out everywhere else"),
    "sip_account.add": N_("SIP phone added"),
    "sip_account.change": N_("SIP phone changed"),
    "sip_account.password": N_("SIP phone got a new password"),
    "sip_account.remove": N_("SIP phone removed"),
    "user.add": N_("user added"),
    "user.password": N_("password changed"),
    "user.preferences": N_("preferences changed"),
    "user.remove": N_("user removed"),
    "user.role": N_("role changed"),
    "user.second_factor.begin": N_("second factor begun"),
    "user.second_factor.codes": N_("new spare codes"),
    "user.second_factor.end": N_("second factor switched off"),
    "user.second_factor.prove": N_("second factor switched on"),
}
ACTORS = {"user": "%s", "key": N_("API key %s"), "api": N_("program %s"), "operator": N_("operator %s")}
COMMAND = N_("a command on the server")
DETAILS = {
    "at_once": N_("at once"),
    "command": N_("command"),
    "days": N_("days"),
    "did": N_("number"),
    "handlers": N_("handlers"),
    "line": N_("line"),
    "messages": N_("messages"),
    "others": N_("others"),
    "outcome": N_("outcome"),
    "role": N_("role"),
    "scopes": N_("good for"),
    "sms": N_("SMS"),
}
OUTCOMES = {
    "done": N_("done"),
    "refused": N_("refused"),
    "failed": N_("failed"),
    "misused": N_("not understood"),
}
UNTOLD = frozenset({"form"})
"""What the server alone needs to know."""


def action_word(action: str, locale: Locale) -> str:
    """What was done; of what has no word here its own name."""
    found = WORDS.get(action)
    return action if found is None else locale.gettext(found)


def actor_word(actor: str, locale: Locale) -> str:
    """Who did it."""
    kind, _, name = actor.partition(":")
    if not name:
        return locale.gettext(COMMAND) if kind == "command" else actor
    found = ACTORS.get(kind)
    return actor if found is None else locale.gettext(found).replace("%s", name)


def details(detail: Mapping[str, object], locale: Locale) -> Mapping[str, str]:
    """With which values, by what they are called."""
    return {
        locale.gettext(DETAILS[name]) if name in DETAILS else name: _value(name, value, locale)
        for name, value in detail.items()
        if value not in ("", None) and name not in UNTOLD
    }


def _value(name: str, value: object, locale: Locale) -> str:
    if isinstance(value, bool):
        return locale.gettext(N_("yes") if value else N_("no"))
    if isinstance(value, list):
        items = map(str, value)
        return ", ".join(handler_word(item, locale) if name == "handlers" else item for item in items)
    if name == "role":
        return next((locale.gettext(word) for role, word in ROLES.items() if str(role) == value), str(value))
    if name == "outcome":
        return locale.gettext(OUTCOMES.get(str(value), str(value)))
    return str(value)
