"""A foreign ESME for the interop tests: aiosmpplib, driven by JSON lines (see `lines`). Run as a script.

It splits and joins texts itself, binds anew by itself when the link is lost, and answers every deliver_sm
with ESME_ROK. Its long texts carry a user data header and the sar_* parameters at once.
"""

import asyncio
from asyncio import Task
from typing import Any

from aiosmpplib import (
    ESME,
    NPI,
    TON,
    AbstractHook,
    BindMode,
    DeliverSm,
    PhoneNumber,
    SmppMessage,
    SubmitSm,
    SubmitSmResp,
)
from aiosmpplib.retrytimer import SimpleExponentialBackoff
from lines import UDHI, commands, say

BIND_RESPONSES = {"BIND_TRANSCEIVER_RESP", "BIND_TRANSMITTER_RESP", "BIND_RECEIVER_RESP"}
RECEIPTED_MESSAGE_ID, MESSAGE_STATE = 0x001E, 0x0427


class Events(AbstractHook):  # type: ignore[misc]  # it has no types here
    """I say what the library tells its user."""

    async def sending(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        """Nothing to say."""

    async def received(self, smpp_message: Any, pdu: bytes, client_id: str) -> None:
        """None stands for a part that is not the last, and for what the library cannot read: the answer to a
        refused bind, which has no body."""
        header = SmppMessage.parse_header(pdu[:16])
        if header.smpp_command.name in BIND_RESPONSES:
            say("bound", status=int(header.command_status))
        elif isinstance(smpp_message, SubmitSmResp):
            say(
                "submit_resp",
                message_id=smpp_message.message_id,
                status=int(smpp_message.command_status),
            )
        elif isinstance(smpp_message, DeliverSm):
            self._delivered(smpp_message)

    async def send_error(self, smpp_message: Any, error: Exception, client_id: str) -> None:
        """A message that it could not send."""
        say("send_error", error=repr(error))

    def _delivered(self, pdu: Any) -> None:
        more = {int(found.tag): found.value for found in pdu.optional_params}
        say(
            "deliver",
            to=pdu.destination.number,
            text=pdu.short_message or pdu.message_payload,
            esm_class=pdu.esm_class,
            receipted_message_id=more.get(RECEIPTED_MESSAGE_ID),
            message_state=more.get(MESSAGE_STATE),
            **{"from": pdu.source.number},
        )


class Peer:
    """I am one ESME and the commands for it."""

    def __init__(self) -> None:
        self._esme: Any = None
        self._running: Task[None] | None = None

    async def run(self) -> None:
        """Do what the input says, until it ends."""
        say("ready")
        async for command in commands():
            await getattr(self, command.pop("cmd"))(**command)
        if self._running is not None:
            self._running.cancel()

    async def bind(self, port: int, kind: str, system_id: str, password: str) -> None:
        """Bind, and again whenever the link is lost."""
        self._esme = ESME(
            "127.0.0.1",
            port,
            system_id,
            password,
            bind_mode=BindMode[kind.upper()],
            hook=Events(),
            retry_timer=SimpleExponentialBackoff(min_delay=100, max_increases=2),
            log_level="CRITICAL",
            default_encoding="gsm0338",
        )
        self._running = asyncio.create_task(self._esme.start())

    async def submit(self, text: str, to: str, **more: str) -> None:
        """A text; the library cuts it into parts."""
        pdu = SubmitSm(
            short_message=text,
            source=PhoneNumber(more["from"], TON.INTERNATIONAL, NPI.ISDN),
            destination=PhoneNumber(to, TON.INTERNATIONAL, NPI.ISDN),
            esm_class=UDHI,
            auto_message_payload=False,
        )
        await self._esme.broker.enqueue(pdu)

    async def unbind(self) -> None:
        """Leave in order."""
        await self._esme.stop()
        say("unbound")


if __name__ == "__main__":
    asyncio.run(Peer().run())
