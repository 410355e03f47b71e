"""What came of a try to hand a message on, in words; the codes are those that the API gives."""

from edge.carrier_errors import OPTED_OUT
from edge.web.pages.locales import N_, Locale

OUTCOMES = {
    # it is there
    "delivered": N_("delivered"),
    "stored": N_("it is in the portal"),
    "sent": N_("the mail server took it"),
    "accepted": N_("the page took it"),
    "ok": N_("the page answered ok"),
    "forwarded": N_("sent on"),
    "replied": N_("the answer was sent"),
    "asked_back": N_("not sent on; its sender was told why"),
    "not_wanted": N_("there was nothing to tell"),
    "received": N_("the phone has it"),
    "displayed": N_("the phone has shown it"),
    # the end of it
    "reported_failed": N_("the phone says that it could not take it"),
    "bounced": N_("the mail came back"),
    "gave_up": N_("given up after the last try"),
    "expired": N_("it was not delivered in time"),
    "skipped": N_("skipped"),
    "message_gone": N_("the message was deleted meanwhile"),
    "refused": N_("it was refused"),
    "too_large": N_("it is too large"),
    # the settings of the number, the account, the server
    "switched_off": N_("switched off for this number"),
    "address_removed": N_("the address is no longer one of this number’s"),
    "not_on_route": N_("no route of this message leads there"),
    "no_target": N_("nothing says where it is to go"),
    "not_configured": N_("the server is not set up for it"),
    "handler_unknown": N_("the server does not know this way"),
    "endpoint_paused": N_("it has failed for days and is asked no more"),
    "unknown_did": N_("the number is none of this account’s"),
    "internal_error": N_("the server had an error of its own"),
    "unavailable": N_("the server could not do it just then"),
    # phones and trunks
    "phone_off": N_("the phone is off, or not registered"),
    "phone_silent": N_("the phone does not answer"),
    "unreachable": N_("it does not answer"),
    "no_such_account": N_("there is no such SIP account"),
    "no_such_trunk": N_("there is no such SIP trunk"),
    "trunk_not_yours": N_("the SIP trunk does not serve this account"),
    "trunk_unreachable": N_("the SIP trunk does not answer, or takes nothing now"),
    # pages
    "not_ok": N_("the page did not answer ok"),
    "not_acknowledged": N_("the page did not acknowledge it"),
    "http_error": N_("the page answered with an error"),
    "gone": N_("the page says that it has gone for good"),
    "bad_template": N_("the URL cannot be filled in"),
    "url_refused": N_("this URL may not be called"),
    "address_refused": N_("the address that the URL leads to may not be called"),
    "redirect_refused": N_("the page redirects to where nothing may be called"),
    "answer_invalid": N_("the answer was not valid"),
    "request_failed": N_("the request failed"),
    # connections
    "timeout": N_("no whole answer came in time"),
    "connect_timeout": N_("no connection could be made in time"),
    "connect_failed": N_("no connection could be made"),
    "connection_refused": N_("the connection was refused"),
    "connection_lost": N_("the connection was lost"),
    "tls_failed": N_("no secure connection (TLS) could be made"),
    "no_such_host": N_("there is no such host"),
    "lookup_failed": N_("the name could not be looked up"),
    # mail servers
    "bad_address": N_("the e-mail address is not valid"),
    "no_such_domain": N_("the domain of the e-mail address takes no mail"),
    "no_server": N_("no mail server is known"),
    "no_address": N_("the mail server has no address that may be called"),
    "not_smtp": N_("what answered is no mail server"),
    "no_starttls": N_("the mail server does not encrypt (STARTTLS)"),
    "password_needs_tls": N_("the mail server does not encrypt, so it gets no password"),
    "no_auth": N_("the mail server knows no log-in that the server knows"),
    "no_smtputf8": N_("the mail server takes no address with such letters (SMTPUTF8)"),
    "cancelled": N_("broken off"),
    # what is forwarded is a message like any other
    "loop": N_("it would come back again and again"),
    "not_sent_on": N_("not sent on; its sender was told why too often already"),
    "invalid_number": N_("the number is not valid"),
    "no_route": N_("no carrier takes messages to this number"),
    "sms_disabled": N_("SMS is switched off for this number"),
    OPTED_OUT: N_("the recipient wants no messages"),
    "text_empty": N_("the message has no text"),
    "text_too_long": N_("the text is too long"),
    "text_not_unicode": N_("the text has characters that cannot be sent"),
}
"""By the code of an attempt. Two ways may share one: of each is said only what holds for both."""


def outcome_word(code: str, locale: Locale) -> str:
    """What came of it; of a third party's handler its own word."""
    word = OUTCOMES.get(code)
    return code if word is None else locale.gettext(word)
