"""sendSMS and sendMMS.

There is no way to a carrier for multimedia messages here, so their media are kept, and the text that is sent
ends with a link to each, a line of its own.
"""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from edge.errors import Refused
from edge.outbound import Accepted, Draft
from edge.web import spelling
from edge.web.dispatch import LimitReached
from edge.web.media import url_of
from edge.web.voipms import answers, attachments
from edge.web.voipms.attachments import Attachment
from edge.web.voipms.call import Call
from edge.web.voipms.statuses import Rejected
from storage import media
from storage.records import MessageFlag
from storage.statements import Write

LEG = "voipms"
STRICT_OCTETS = 160
MMS_CHARACTERS = 2_048

# What the pipeline refuses, in the provider's words; everything else is sms_failed.
REFUSALS = {
    "invalid_number": "invalid_dst",
    "unknown_did": "invalid_did",
    "sms_disabled": "invalid_did",
    "text_empty": "message_empty",
    "text_not_unicode": "invalid_sms",
    "text_too_long": "sms_toolong",
}


def send_sms(call: Call) -> Deferred[bytes]:
    """`sms`: the id, once the message is committed."""
    source, destination = _numbers(call)
    text = _text(call)
    if not text.strip():
        raise Rejected("message_empty")
    octets = len(text.encode())
    if call.access.strict and octets > STRICT_OCTETS:
        raise Rejected(
            "sms_toolong", f"The message has {octets} octets in UTF-8; {STRICT_OCTETS} are allowed (strict)."
        )
    draft = Draft(call.account_id, source, destination, text, LEG)
    return _submit(call, draft, []).addCallback(
        lambda accepted: answers.success(sms=str(accepted.message_id))
    )


def send_mms(call: Call) -> Deferred[bytes]:
    """`mms`: the id, once the message and its media are committed."""
    source, destination = _numbers(call)
    text = _text(call)
    found = attachments.read(call.parameters)
    if not text.strip() and not found:
        raise Rejected("message_empty")
    if len(text) > MMS_CHARACTERS:
        raise Rejected(
            "sms_toolong", f"The message has {len(text)} characters; the limit is {MMS_CHARACTERS}."
        )
    tokens = attachments.tokens(found)
    links = [
        item.url or url_of(call.services, token or "") for item, token in zip(found, tokens, strict=True)
    ]
    draft = Draft(
        call.account_id, source, destination, with_links(text, links), LEG, flags=int(MessageFlag.MMS)
    )
    return _submit(call, draft, found, tokens).addCallback(
        lambda accepted: answers.success(mms=str(accepted.message_id))
    )


def with_links(text: str, links: list[str]) -> str:
    """What is sent of a multimedia message."""
    return "\n".join([text, *links] if text.strip() else links)


def without_links(text: str, links: list[str]) -> str:
    """What was written of it."""
    return "" if text == "\n".join(links) else text.removesuffix("".join(f"\n{link}" for link in links))


def _numbers(call: Call) -> tuple[str, str]:
    """The DID, which may send, and where to. Raises Rejected."""
    did = call.own_did(spelling.read(call.parameters.required("did", "missing_did")))
    if not did.sms_enabled:
        raise Rejected("invalid_did", "SMS is switched off for this number.")
    destination = spelling.read(call.parameters.text("dst"))
    if destination is None:
        raise Rejected("invalid_dst")
    return did.number, destination


def _text(call: Call) -> str:
    """Raises Rejected when it is missing, or is no text."""
    text = call.parameters.values.get("message")
    if text is None:
        raise Rejected("missing_sms")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected("invalid_sms", "The message is not UTF-8.") from None
    return text


def _submit(
    call: Call, draft: Draft, found: list[Attachment], tokens: list[str | None] | None = None
) -> Deferred[Accepted]:
    def also(message_id: int) -> list[Write]:
        next_id = call.services.store.ids.next
        return media.insert(attachments.records(found, message_id, call.account_id, tokens or [], next_id))

    def failed(failure: Failure) -> Failure:
        match failure.value:
            case Refused() as refused:
                raise Rejected(REFUSALS.get(refused.code, "sms_failed"), refused.sentence) from refused
            case LimitReached() as reached:
                raise Rejected("limit_reached", str(reached)) from reached
        return failure

    return call.dispatch.submit(call.access, draft, also if found else None).addErrback(failed)
