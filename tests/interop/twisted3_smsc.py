"""A foreign SMSC for the interop tests: smpp.twisted3's server, driven by JSON lines (see `lines`).

Run as a script. The library answers a submit_sm with what its handler returns, and ends a session that sends
a PDU it cannot read. It runs on a Twisted of its own, older than ours.
"""

import json
from typing import Any

from lines import Part, receipt_text, say, split
from smpp.pdu.operations import DeliverSM
from smpp.pdu.pdu_encoding import DataCodingEncoder, EsmClassEncoder
from smpp.pdu.pdu_types import AddrNpi, AddrTon, CommandStatus, MessageState
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import IAuthenticatedSMPP, SMPPServerFactory
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor as global_reactor
from twisted.internet import stdio
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

reactor: Any = global_reactor
SYSTEM_ID, PASSWORD = "trunk", "secret"
RECEIPT = 0x04


@implementer(IRealm)
class Realm:
    """Whoever gave the right password may bind."""

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        """See IRealm."""
        return IAuthenticatedSMPP, None, lambda: None


class Smsc:
    """I am one server and the commands for it."""

    def __init__(self) -> None:
        self._settings = {"throttle_every": 0, "receipts": False}
        self._submits = 0
        self._reference = 0
        checker: Any = InMemoryUsernamePasswordDatabaseDontUse()
        checker.addUser(SYSTEM_ID, PASSWORD)  # as strings, which is what the library compares with
        config = SMPPServerConfig(msgHandler=self._submitted, systems={SYSTEM_ID: {"max_bindings": 2}})
        self._factory = SMPPServerFactory(config, Portal(Realm(), [checker]))
        self._factory.addBoundConnection = self._bound

    def listen(self) -> None:
        """On a free port."""
        listening: Any = reactor.listenTCP(0, self._factory, interface="127.0.0.1")
        say("listening", port=listening.getHost().port)

    def command(self, cmd: str, **fields: Any) -> None:
        """One command."""
        commands: dict[str, Any] = {"mo": self._mo, "set": self._settings.update, "cut": self._cut}
        commands[cmd](**fields)

    def _mo(self, ref: str, to: str, text: str, **more: str) -> None:
        self._reference += 1
        for part in split(text, self._reference):
            self._deliver(ref, more["from"], to, part)

    def _cut(self) -> None:
        for bound in tuple(self._factory.getBoundConnections(SYSTEM_ID) or ()):
            bound.transport.abortConnection()

    def _bound(self, connection: Any) -> None:
        SMPPServerFactory.addBoundConnection(self._factory, connection)
        kind = connection.bind_type.name.removeprefix("bind_")
        say("bind", kind=kind, system_id=connection.system_id, status=0)

    def _submitted(self, system_id: str, connection: Any, pdu: Any) -> Any:
        self._submits += 1
        every = self._settings["throttle_every"]
        throttled = bool(every) and self._submits % every == 0
        message_id = f"{self._submits:08x}"
        values = pdu.params
        numbers = {"from": values["source_addr"].decode(), "to": values["destination_addr"].decode()}
        say(
            "submit",
            message_id=message_id,
            octets=values["short_message"].hex(),
            data_coding=DataCodingEncoder()._encodeAsInt(values["data_coding"]),
            esm_class=EsmClassEncoder()._encode(values["esm_class"])[0],
            status=0x58 if throttled else 0,
            **numbers,
        )
        if throttled:
            return CommandStatus.ESME_RTHROTTLED
        if (
            self._settings["receipts"]
            and values["registered_delivery"].receipt.name != "NO_SMSC_DELIVERY_RECEIPT"
        ):
            part = Part(RECEIPT, 0, receipt_text(message_id))
            more = {"receipted_message_id": message_id, "message_state": MessageState.DELIVERED}
            reactor.callLater(0, self._deliver, "receipt", numbers["to"], numbers["from"], part, **more)
        return DataHandlerResponse(CommandStatus.ESME_ROK, message_id=message_id)

    def _deliver(self, ref: str, source: str, to: str, part: Part, **more: Any) -> None:
        pdu = DeliverSM(
            source_addr_ton=AddrTon.INTERNATIONAL,
            source_addr_npi=AddrNpi.ISDN,
            source_addr=source,
            dest_addr_ton=AddrTon.INTERNATIONAL,
            dest_addr_npi=AddrNpi.ISDN,
            destination_addr=to,
            esm_class=EsmClassEncoder()._decode(bytes((part.esm_class,))),
            data_coding=DataCodingEncoder()._decode(bytes((part.data_coding,))),
            short_message=part.octets,
            **more,
        )
        connection = self._factory.getBoundConnections(SYSTEM_ID).getNextBindingForDelivery()
        sent = connection.sendDataRequest(pdu)
        sent.addCallback(lambda result: say("answered", ref=ref, status=0))
        sent.addErrback(lambda failure: say("answered", ref=ref, status=_status(failure)))


def _status(failure: Failure) -> int:
    """Of a refusal, which the library makes an exception; -1 when there was no answer."""
    status = getattr(failure.value, "response", failure.value)
    return int(getattr(getattr(status, "status", None), "value", -1))


class Input(LineReceiver):
    """Standard input."""

    delimiter = b"\n"

    def __init__(self, smsc: Smsc) -> None:
        self._smsc = smsc

    def lineReceived(self, line: bytes) -> None:
        """One command."""
        command = json.loads(line)
        self._smsc.command(command.pop("cmd"), **command)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end."""
        reactor.stop()


def main() -> None:
    """Run until the input ends."""
    smsc = Smsc()
    smsc.listen()
    stdio.StandardIO(Input(smsc))
    reactor.run()


if __name__ == "__main__":
    main()
