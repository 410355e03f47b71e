"""How the simulated SMSC behaves beyond what its configuration says."""

from dataclasses import dataclass
from enum import Enum


class IdStyle(Enum):
    """How message ids are written in submit_sm_resp and in receipts; carriers differ.

    The last one is a well-known trap: hexadecimal in the response and the TLV, decimal in the receipt's text.
    """

    HEX = "hex"
    DECIMAL = "decimal"
    HEX_THEN_DECIMAL = "hex_then_decimal"

    def response_id(self, number: int) -> str:
        """For submit_sm_resp and the TLV receipted_message_id."""
        return str(number) if self is IdStyle.DECIMAL else f"{number:08x}"

    def text_id(self, number: int) -> str:
        """For the text of the receipt."""
        return f"{number:08x}" if self is IdStyle.HEX else f"{number:010d}"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Times in seconds. ``window`` is per bind; ``pending`` bounds all that waits for the server."""

    window: int = 50
    response_timeout: float = 30.0
    enquire_link: float = 30.0
    retry: float = 1.0
    pending: int = 20_000
    ids: IdStyle = IdStyle.HEX
    first_id: int = 0x1001
