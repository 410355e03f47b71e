"""Text that both engines can hold.

PostgreSQL has no U+0000 in text and neither engine takes half a surrogate pair. A message that contains
one must not be refused for ever, so these code points become visible substitutes; the octets as received
are kept beside an MO.
"""

from storage.records import AttemptRecord, MessageRecord, ReceiptRecord

_NUL_SHOWN = "\N{SYMBOL FOR NULL}"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The same text, with U+2400 for U+0000 and U+FFFD for each unpaired surrogate."""
    if "\0" in text:
        text = text.replace("\0", _NUL_SHOWN)
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join(_REPLACEMENT if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def clean(record: MessageRecord) -> MessageRecord:
    """The message with a text that can be stored; the same object when it was so."""
    text = storable(record.text)
    return record if text is record.text else record._replace(text=text)


def clean_receipt(record: ReceiptRecord) -> ReceiptRecord:
    """The receipt with an id, an error and numbers that can be stored."""
    return record._replace(
        smsc_message_id=storable(record.smsc_message_id),
        error=None if record.error is None else storable(record.error),
        did=storable(record.did),
        peer=storable(record.peer),
    )


def clean_attempt(record: AttemptRecord) -> AttemptRecord:
    """The attempt with words that can be stored; the same object when they were so."""
    outcome = storable(record.outcome)
    excerpt = None if record.excerpt is None else storable(record.excerpt)
    if outcome is record.outcome and excerpt is record.excerpt:
        return record
    return record._replace(outcome=outcome, excerpt=excerpt)
