"""A foreign ESME for the interop tests: smpp34's client, driven by JSON lines (see `lines`). Run as a script.

The library answers every deliver_sm itself, and leaves texts to its user.
"""

import asyncio
import re
from typing import Any

import smpp34
from lines import commands, say, split

KINDS = {"transceiver": "TRX", "transmitter": "TX", "receiver": "RX"}
STATUS = re.compile(r"\(0x([0-9A-Fa-f]+)\)")


class Peer:
    """I am one client and the commands for it."""

    def __init__(self) -> None:
        self._client: Any = None
        self._smsc: Any = None
        self._reference = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Do what the input says, until it ends."""
        say("ready")
        async for command in commands():
            await getattr(self, command.pop("cmd"))(**command)

    async def bind(self, port: int, kind: str, system_id: str, password: str) -> None:
        """Connect and bind."""
        self._client = smpp34.Client(
            "127.0.0.1", port, system_id, password, bind_type=KINDS[kind], connect_timeout_ms=2000
        )
        try:
            self._smsc = await self._client.connect()
        except smpp34.SmppError as error:
            found = STATUS.search(str(error))
            say("bound", status=int(found[1], 16) if found else -1, error=str(error))
            return
        say("bound", status=0)
        self._start(self._receive(self._smsc))

    async def submit(self, text: str, to: str, **more: str) -> None:
        """A text, its parts one after another."""
        self._reference += 1
        self._start(self._submit(self._smsc, text, more["from"], to, self._reference))

    async def unbind(self) -> None:
        """Leave in order."""
        await self._smsc.unbind()
        say("unbound")

    async def close(self) -> None:
        """Leave."""
        await self._client.stop()

    async def _submit(self, smsc: Any, text: str, source: str, to: str, reference: int) -> None:
        for part in split(text, reference):
            try:
                response = await smsc.submit_sm(
                    to,
                    part.octets,
                    source_addr=source,
                    source_addr_ton=1,
                    source_addr_npi=1,
                    dest_addr_ton=1,
                    dest_addr_npi=1,
                    esm_class=part.esm_class,
                    data_coding=part.data_coding,
                    registered_delivery=1,
                )
            except smpp34.SmppError as error:
                say("send_error", error=str(error))
                continue
            say("submit_resp", status=response.command_status, message_id=response.message_id)

    async def _receive(self, smsc: Any) -> None:
        while not isinstance(pdu := await smsc.next(), smpp34.Disconnected):
            tlvs = {found.tag: found for found in pdu.tlvs}
            receipted = tlvs.get(smpp34.TLV_RECEIPTED_MESSAGE_ID)
            state = tlvs.get(smpp34.TLV_MESSAGE_STATE)
            say(
                "deliver",
                to=pdu.destination_addr,
                octets=pdu.short_message.hex(),
                data_coding=pdu.data_coding,
                esm_class=pdu.esm_class,
                receipted_message_id=receipted.as_string() if receipted else None,
                message_state=state.as_int() if state else None,
                **{"from": pdu.source_addr},
            )
        say("link_closed")

    def _start(self, doing: Any) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


if __name__ == "__main__":
    asyncio.run(Peer().run())
