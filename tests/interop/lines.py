"""What the foreign peers in Python share. They run in environments of their own: this imports none of us.

An ESME is driven by these, one JSON object a line:
  {"cmd": "bind", "port": N, "kind": "transceiver"|"transmitter"|"receiver", "system_id": …, "password": …}
  {"cmd": "submit", "from": …, "to": …, "text": …}          in as many parts as it takes, receipts wanted
  {"cmd": "unbind"}, {"cmd": "close"}                       closing input ends the process
and says, each with "event":
  ready  bound{status}  submit_resp{status,message_id}  link_closed  unbound
  deliver{from,to,esm_class,receipted_message_id,message_state} and either octets and data_coding or, when the
  library reads texts and puts parts together by itself, text

An SMSC is driven by these:
  {"cmd": "mo", "ref": …, "from": …, "to": …, "text": …}    a text from a phone, in parts when it is long
  {"cmd": "set", "throttle_every": N, "receipts": true|false}
  {"cmd": "cut"}                                            end every connection without a word
and says:
  listening{port}  bind{kind,system_id,status}  submit{message_id,from,to,octets,data_coding,esm_class,status}
  answered{ref,status}
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

UDHI = 0x40
UCS2 = 8
GSM_WHOLE, GSM_PART, UCS2_WHOLE, UCS2_PART = 160, 153, 140, 134


class Part(NamedTuple):
    """One part of a text, for libraries that leave the text to their user."""

    esm_class: int
    data_coding: int
    octets: bytes


def say(event: str, **fields: Any) -> None:
    """One line for the process that started us, whole even when several threads speak."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def split(text: str, reference: int) -> list[Part]:
    """ASCII as it is (callers keep to what GSM shares with it), anything else in UCS-2; 8-bit references."""
    octets, whole, part, coding = text.encode("utf-16-be"), UCS2_WHOLE, UCS2_PART, UCS2
    if text.isascii():
        octets, whole, part, coding = text.encode(), GSM_WHOLE, GSM_PART, 0
    if len(octets) <= whole:
        return [Part(0, coding, octets)]
    pieces = [octets[start : start + part] for start in range(0, len(octets), part)]
    header = bytes((5, 0, 3, reference % 256, len(pieces)))
    return [
        Part(UDHI, coding, header + bytes((number,)) + piece) for number, piece in enumerate(pieces, start=1)
    ]


def receipt_text(message_id: str) -> bytes:
    """The text of a receipt for what was delivered (SMPP 3.4, Appendix B)."""
    words = f"id:{message_id} sub:001 dlvrd:001 submit date:2601011200 done date:2601011201"
    return f"{words} stat:DELIVRD err:000 text:".encode()


async def commands() -> AsyncIterator[dict[str, Any]]:
    """The commands on standard input, until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield json.loads(line)
