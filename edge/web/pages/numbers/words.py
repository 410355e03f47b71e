"""What the portal calls handlers and their settings."""

from dataclasses import dataclass

from edge.handlers.base import DIDHandler, Key, SettingError
from edge.web.pages.actions import Wrong
from edge.web.pages.locales import N_, Locale

ABOUT = {
    "email": N_("Each message goes to these addresses; a reply goes back as a message."),
    "forward": N_("Each message goes on as a message to this phone."),
    "sip": N_("Each message rings on this phone; while it is off the messages wait."),
    "callback": N_("A page of yours is asked for with each message; it answers ok."),
    "webhook": N_("Each message is posted to a page of yours as JSON."),
    "trunk": N_("Each message goes to a PBX or provider that the operator has set up."),
}
LABELS = {
    ("email", "to"): N_("Addresses, with commas between"),
    ("email", "html"): N_("With an HTML part, too"),
    ("email", "failures"): N_("A mail also when the carrier took a reply and did not deliver it"),
    ("forward", "to"): N_("Number of the phone"),
    ("forward", "two_way"): N_("Answers from that phone go back to the sender"),
    ("forward", "prefix"): N_("Begin the text with the sender"),
    ("forward", "untagged"): N_("An answer without #tag while several people talk"),
    ("callback", "url"): N_("URL"),
    ("callback", "retry"): N_("Ask again, every 30 minutes or so, until it answers ok"),
    ("callback", "numbers"): N_("How numbers are written"),
    ("webhook", "url"): N_("URL"),
    ("webhook", "format"): N_("Format"),
    ("webhook", "numbers"): N_("How numbers are written"),
    ("sip", "aor"): N_("Phone"),
    ("trunk", "name"): N_("Name of the trunk"),
}
CHOICES = {
    ("forward", "untagged"): (("last", N_("goes to the last one")), ("ask", N_("is asked about"))),
    ("callback", "numbers"): (
        ("nanp", N_("ten digits (2025550100)")),
        ("e164", N_("with + and the country (+12025550100)")),
    ),
    ("webhook", "numbers"): (
        ("nanp", N_("ten digits (2025550100)")),
        ("e164", N_("with + and the country (+12025550100)")),
    ),
    ("webhook", "format"): (("voipms", N_("as VoIP.ms")), ("standard", N_("Standard Webhooks, signed"))),
}
PAGE_FAULT = N_("Write the whole URL of a page on the internet, with no other variables than those below.")
FAULTS = {
    "email_to": N_("Write e-mail addresses, at most ten, with commas between."),
    "forward_to": N_("Write the whole number of another phone, such as +12025550150."),
    "callback_url": PAGE_FAULT,
    "webhook_url": PAGE_FAULT,
    "sip_aor": N_("Choose a phone of this account."),
}
"""What is wrong with a setting, by field; the handler's own sentence is shown too: it knows more."""
FAULT = N_("This cannot be set so.")
VARIABLES = {
    "ID": N_("the message’s id, the same when it is asked again"),
    "TIMESTAMP": N_("when it came, in the server’s zone"),
    "FROM": N_("who sent it"),
    "TO": N_("your number"),
    "MESSAGE": N_("the text"),
    "MEDIA": N_("addresses of what came with it; empty for a text"),
    "FROM_E164": N_("who sent it, with + and the country"),
    "TO_E164": N_("your number, with + and the country"),
    "TIMESTAMP_UTC": N_("when it came, in UTC"),
    "ATTEMPT": N_("1 at first, 2 when it is asked again"),
    "SIGNATURE": N_("proves that we ask; made with the key below"),
}
"""Of `edge.handlers.template.VARIABLES`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting as a form has it. ``kind`` is switch, text or choice."""

    name: str
    label: str
    kind: str
    value: object
    choices: tuple[tuple[str, str], ...] = ()


def refused(error: SettingError) -> Wrong:
    """Why a setting cannot be, for people: of its field in their language, and as the handler says it."""
    own = error.sentence[:1].upper() + error.sentence[1:]
    return Wrong(error.field[:80], FAULTS.get(error.field, FAULT), own_words=own)


def field_of(
    kind: type[DIDHandler], key: Key, value: object, locale: Locale, phones: tuple[str, ...]
) -> Field:
    """``phones`` are the addresses-of-record that the account has."""
    where = (kind.name, key.name)
    label = locale.gettext(LABELS[where]) if where in LABELS else key.help
    if where == ("sip", "aor"):
        nobody = ("", locale.gettext(N_("none")))
        return Field(key.name, label, "choice", value or "", (nobody, *((aor, aor) for aor in phones)))
    if where in CHOICES:
        found = tuple((choice, locale.gettext(words)) for choice, words in CHOICES[where])
        return Field(key.name, label, "choice", value or found[0][0], found)
    return Field(key.name, label, key.kind, value if key.kind == "switch" else value or "")
