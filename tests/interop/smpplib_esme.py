"""A foreign ESME for the interop tests: smpplib, driven by JSON lines (see `lines`). Run as a script.

It takes two commands more: {"cmd": "answer", "status": N} for deliver_sm from now on, and {"cmd": "enquire"},
whose answer it tells as enquire_link_resp. smpplib reads and writes the PDUs; the loop around them is ours,
for its own blocks.
"""

import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any

import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
import smpplib.smpp
from lines import say

READ_OCTETS = 65_536


def text_of(octets: bytes | str | None) -> str | None:
    """smpplib gives octets for what it parsed."""
    return octets.decode("latin-1") if isinstance(octets, bytes) else octets


class Esme:
    """I am one smpplib client and the commands for it."""

    def __init__(self) -> None:
        self._client: Any = None
        self._status: int = smpplib.consts.SMPP_ESME_ROK
        self._commands: dict[str, Callable[..., None]] = {
            "bind": self.bind,
            "submit": self.submit,
            "answer": self.answer,
            "enquire": self.enquire,
            "unbind": self.unbind,
            "close": self.close,
        }

    def run(self) -> None:
        """Read commands and PDUs until the input ends."""
        say("ready")
        pending = b""
        while True:
            sources: list[Any] = [sys.stdin.fileno()]
            if self._client is not None:
                sources.append(self._client._socket)
            readable, _, _ = select.select(sources, [], [])
            if sources[0] in readable:
                octets = os.read(sources[0], READ_OCTETS)
                if not octets:
                    return
                *lines, pending = (pending + octets).split(b"\n")
                for line in lines:
                    self._command(json.loads(line))
            elif self._client is not None:
                self._read()

    def bind(self, port: int, kind: str, system_id: str, password: str) -> None:
        """Connect and bind."""
        client = smpplib.client.Client("127.0.0.1", port, timeout=10, allow_unknown_opt_params=True)
        client.set_message_received_handler(self._received)
        client.set_message_sent_handler(self._sent)
        client.set_error_pdu_handler(self._sent)
        client.connect()
        try:
            getattr(client, f"bind_{kind}")(system_id=system_id, password=password)
        except smpplib.exceptions.PDUError as error:
            client.disconnect()
            say("bound", status=error.args[1])
            return
        self._client = client
        say("bound", status=0)

    def submit(self, text: str, to: str, **more: str) -> None:
        """Send a text, with a receipt wanted for each part."""
        parts, encoding, message_type = smpplib.gsm.make_parts(text)
        for part in parts:
            self._client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_INTL,
                source_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                source_addr=more["from"],
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr=to,
                short_message=part,
                data_coding=encoding,
                esm_class=message_type,
                registered_delivery=True,
            )

    def answer(self, status: int) -> None:
        """What deliver_sm are answered."""
        self._status = status

    def enquire(self) -> None:
        """Ask whether the SMSC is there."""
        self._client.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=self._client))

    def unbind(self) -> None:
        """Leave in order."""
        response = self._client.unbind()
        self._client.disconnect()
        self._client = None
        say("unbound", command=response.command, status=response.status)

    def close(self) -> None:
        """Leave without a word."""
        self._client.disconnect()
        self._client = None

    def _command(self, command: dict[str, Any]) -> None:
        self._commands[command.pop("cmd")](**command)

    def _read(self) -> None:
        try:
            pdu = self._client.read_pdu()
        except smpplib.exceptions.ConnectionError:
            self._client.disconnect()
            self._client = None
            say("link_closed")
            return
        if pdu.command == "deliver_sm":
            self._client._message_received(pdu)
        elif pdu.command == "submit_sm_resp":
            self._sent(pdu)
        elif pdu.command == "enquire_link":
            self._client._enquire_link_received(pdu)
        elif pdu.command == "unbind":
            response = smpplib.smpp.make_pdu("unbind_resp", client=self._client)
            response.sequence = pdu.sequence
            self._client.send_pdu(response)
            self.close()
        else:
            say(pdu.command)

    def _sent(self, pdu: Any) -> None:
        say("submit_resp", message_id=text_of(getattr(pdu, "message_id", None)), status=pdu.status)

    def _received(self, pdu: Any) -> int:
        state = pdu.message_state
        say(
            "deliver",
            octets=pdu.short_message.hex() if pdu.short_message else "",
            data_coding=pdu.data_coding,
            esm_class=pdu.esm_class,
            receipted_message_id=text_of(pdu.receipted_message_id),
            message_state=state if state is None or isinstance(state, int) else text_of(state),
            to=text_of(pdu.destination_addr),
            **{"from": text_of(pdu.source_addr)},
        )
        return self._status


if __name__ == "__main__":
    Esme().run()
