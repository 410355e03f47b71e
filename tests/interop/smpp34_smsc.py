"""A foreign SMSC for the interop tests: smpp34's server, driven by JSON lines (see `lines`). Run as a script.

The library does not show a password, so every bind is accepted. What it is given at once leaves in any order,
the parts of a text too, and what arrives at once is told in any order. It has no way to end a connection but
unbind, so "cut" starts this program anew in the same process, which closes every connection.
"""

import asyncio
import json
import os
import socket
import sys
import time
from typing import Any

import smpp34
from lines import Part, commands, receipt_text, say, split

LOOPBACK = "127.0.0.1"
RECEIPT = 0x04
DELIVERED = 2


def free_port() -> int:
    """A port that was free a moment ago: the library does not tell which one it got."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        return int(listening.getsockname()[1])


class Smsc:
    """I am one server and the commands for it."""

    def __init__(self) -> None:
        begun: Any = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {"port": free_port(), "settings": {}}
        self._port = begun["port"]
        self._settings = {"throttle_every": 0, "receipts": False, **begun["settings"]}
        self._server: Any = smpp34.Server(LOOPBACK, self._port, system_id="smpp34")
        self._bound: dict[str, Any] = {}
        self._submits = 0
        self._last_id = time.time_ns()
        self._reference = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Do what the input says, until it ends."""
        await self._server.start()
        self._start(self._serve())
        say("listening", port=self._port)
        async for command in commands():
            await getattr(self, command.pop("cmd"))(**command)

    async def set(self, **changes: Any) -> None:
        """How submits are answered from now on."""
        self._settings.update(changes)

    async def mo(self, ref: str, to: str, text: str, **more: str) -> None:
        """A phone's text; all parts at once."""
        self._reference += 1
        for part in split(text, self._reference):
            self._start(self._deliver(ref, more["from"], to, part))

    async def cut(self) -> None:
        """Begin anew, on the same port."""
        begun: Any = json.dumps({"port": self._port, "settings": self._settings})
        os.execv(sys.executable, [sys.executable, sys.argv[0], begun])

    async def _serve(self) -> None:
        while True:
            found = await self._server.next()
            if isinstance(found, smpp34.Esme):
                self._bound[found.session_id] = found
                say("bind", system_id=found.system_id, status=0)
            elif isinstance(found, smpp34.Unbound):
                self._bound.pop(found.session_id, None)
            else:
                self._submitted(found)

    def _submitted(self, pdu: Any) -> None:
        self._submits += 1
        every = self._settings["throttle_every"]
        status = smpp34.ESME_RTHROTTLED if every and self._submits % every == 0 else 0
        self._last_id += 1
        message_id = f"{self._last_id:x}"
        say(
            "submit",
            message_id=message_id,
            to=pdu.destination_addr,
            octets=pdu.short_message.hex(),
            data_coding=pdu.data_coding,
            esm_class=pdu.esm_class,
            status=status,
            **{"from": pdu.source_addr},
        )
        if status:
            pdu.reject(status)
            return
        pdu.accept(message_id)
        if self._settings["receipts"] and pdu.registered_delivery & 1:
            part = Part(RECEIPT, 0, receipt_text(message_id))
            tlvs = [
                smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, message_id.encode() + b"\0"),
                smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, bytes((DELIVERED,))),
            ]
            self._start(self._deliver("receipt", pdu.destination_addr, pdu.source_addr, part, tlvs))

    async def _deliver(self, ref: str, source: str, to: str, part: Part, tlvs: Any = ()) -> None:
        esme = next(found for found in self._bound.values() if found.can_receive)
        answer = await esme.deliver_sm(
            to,
            part.octets,
            source_addr=source,
            source_addr_ton=1,
            source_addr_npi=1,
            dest_addr_ton=1,
            dest_addr_npi=1,
            esm_class=part.esm_class,
            data_coding=part.data_coding,
            tlvs=list(tlvs),
        )
        say("answered", ref=ref, status=answer.command_status)

    def _start(self, doing: Any) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


if __name__ == "__main__":
    asyncio.run(Smsc().run())
