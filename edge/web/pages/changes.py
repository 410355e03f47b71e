"""The entries of the audit, in words: who, what, of what, with which details."""

from collections.abc import Mapping
from typing import Any

from edge.web.pages.account.preferences import ROLES
from edge.web.pages.locales import N_, Locale
from storage.audit import Entry

WORDS = {
    "contact.add": N_("contact added"),
    "contact.change": N_("contact changed"),
    "contact.import": N_("contacts imported"),
    "contact.merge": N_("contacts merged"),
    "contact.remove": N_("contact removed"),
    "did.change": N_("number’s settings changed"),
    "group.add": N_("group added"),
    "group.members": N_("contacts put into a group"),
    "group.remove": N_("group removed"),
    "group.rename": N_("group renamed"),
    "key.add": N_("API key made"),
    "key.revoke": N_("API key revoked"),
    "key.rotate": N_("API key got a new token"),
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
    "did": N_("number"),
    "handlers": N_("handlers"),
    "others": N_("others"),
    "role": N_("role"),
    "scopes": N_("good for"),
    "sms": N_("SMS"),
}


def action_word(entry: Entry, locale: Locale) -> str:
    """What was done; of what has no word here its own name."""
    found = WORDS.get(entry.action)
    return entry.action if found is None else locale.gettext(found)


def actor_word(entry: Entry, locale: Locale) -> str:
    """Who did it."""
    kind, _, name = entry.actor.partition(":")
    if not name:
        return locale.gettext(COMMAND) if kind == "command" else entry.actor
    found = ACTORS.get(kind)
    return entry.actor if found is None else locale.gettext(found).replace("%s", name)


def details(entry: Entry, locale: Locale) -> Mapping[str, str]:
    """With which values, by what they are called."""
    return {
        locale.gettext(DETAILS[name]) if name in DETAILS else name: _value(name, value, locale)
        for name, value in entry.detail.items()
        if value not in ("", None)
    }


def _value(name: str, value: Any, locale: Locale) -> str:
    if isinstance(value, bool):
        return locale.gettext(N_("yes") if value else N_("no"))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name == "role":
        return next((locale.gettext(word) for role, word in ROLES.items() if str(role) == value), str(value))
    return str(value)
