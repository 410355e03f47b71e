"""The delivery receipt for a text that reached a phone (SMPP 3.4 §4.6, Appendix B)."""

from datetime import UTC, datetime

from edge.simulator.behaviour import IdStyle
from protocols.smpp import tlv
from protocols.smpp.pdu import DataSm, DeliverSm, SubmitSm
from protocols.smpp.receipt import MessageState, format_text
from protocols.smpp.tlv import Tag

SMSC_DELIVERY_RECEIPT = 0x04  # esm_class, §5.2.12
DELIVERED = 2  # message_state, §5.2.28


def delivered(
    submit: SubmitSm | DataSm, number: int, style: IdStyle, submitted_ms: int, done_ms: int
) -> DeliverSm:
    """From the phone to the number that wrote; the text and both TLVs say the same, the id in ``style``.

    The dates are UTC.
    """
    text = format_text(
        style.text_id(number),
        MessageState.DELIVERED,
        submit_date=_utc(submitted_ms),
        done_date=_utc(done_ms),
    )
    return DeliverSm(
        source_addr_ton=submit.dest_addr_ton,
        source_addr_npi=submit.dest_addr_npi,
        source_addr=submit.destination_addr,
        dest_addr_ton=submit.source_addr_ton,
        dest_addr_npi=submit.source_addr_npi,
        destination_addr=submit.source_addr,
        esm_class=SMSC_DELIVERY_RECEIPT,
        short_message=text,
        tlvs=(
            tlv.encode(Tag.RECEIPTED_MESSAGE_ID, style.response_id(number)),
            tlv.encode(Tag.MESSAGE_STATE, DELIVERED),
        ),
    )


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
