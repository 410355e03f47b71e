"""The simulator: an SMSC and phones on this machine, to try the server without a carrier."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from edge.config import SimulatorConfig
from edge.endpoints import host_and_port
from edge.simulator.behaviour import Behaviour
from edge.simulator.callbacks import CallbackLog
from edge.simulator.errors import MessageRefused, SimulatorStopped
from edge.simulator.link import Link
from edge.simulator.phones import Phone, PhoneMessage, Phones
from edge.simulator.smsc import SMSC, BindView
from edge.simulator.spool import Deliverable, SpoolFull
from edge.simulator.submits import Submits
from edge.simulator.texts import Texts
from protocols.smpp.errors import CommandStatus, status_name
from protocols.smpp.pdu import Request

log = structlog.get_logger(__name__)

GOODBYE_SECONDS = 2.0
ID_MS = 100
"""The clock's step that one more message id is worth: see `by_clock`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A text on its way. ``done`` fires when the server has acknowledged every part; it fails with
    `MessageRefused` or `SimulatorStopped`."""

    message: PhoneMessage
    done: "Deferred[None]"


class Simulator:
    """I listen for the server's binds, keep the phones, and bring their texts to the server.

    ``wall_ms`` gives milliseconds since the Unix epoch, UTC; ``region`` is the country whose national numbers
    are understood. ``behaviour`` is the usual one, with `by_clock`'s ids, unless another is given.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        reactor: Any,
        wall_ms: Callable[[], int],
        behaviour: Behaviour | None = None,
        region: str = "US",
    ) -> None:
        behaviour = behaviour or Behaviour(first_id=by_clock(wall_ms()))
        self.config = config
        self._reactor = reactor
        self._book = Phones(config.phones, wall_ms)
        self.callbacks = CallbackLog(wall_ms, self._book.changed)
        self.smsc = SMSC(
            config.system_id,
            config.password.reveal(),
            behaviour,
            reactor,
            self._requested,
            self._book.changed,
        )
        self._submits = Submits(config, behaviour, self._book, self.smsc.spool, reactor, wall_ms, region)
        self._texts = Texts(region)
        self._pending: set[_Progress] = set()
        self.port = 0
        self._listening: IListeningPort | None = None

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> "Deferred[int]":
        """`open`, as a Deferred."""
        return maybeDeferred(self.open)

    def open(self) -> int:
        """Listen; the port. CannotListenError when it is not free."""
        host, port = host_and_port(self.config.smpp_listen)
        factory = Factory.forProtocol(self.smsc.build)
        listening = self._reactor.listenTCP(port, factory, interface=host)
        self._listening = listening
        self.port = int(listening.getHost().port)
        log.info("simulator_listening", host=host, port=self.port)
        return self.port

    def stop(self) -> "Deferred[None]":
        """Stop listening, unbind everyone, give up what is pending. Fires when all connections are gone."""
        self._submits.clear()
        self.smsc.spool.clear()
        pending, self._pending = self._pending, set()
        for progress in pending:
            progress.done.errback(SimulatorStopped())
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await maybeDeferred(listening.stopListening)
        gone = self.smsc.disconnect()
        patience = self._reactor.callLater(GOODBYE_SECONDS, self.smsc.drop)
        await gone
        if patience.active():
            patience.cancel()

    # -- phones -----------------------------------------------------------------------------------

    def text(self, phone: str, did: str, text: str) -> Sent:
        """``phone`` writes to ``did``. NotSendable or SpoolFull when it cannot; nothing was taken then."""
        written = self._texts.write(phone, did, text)
        if not self.smsc.spool.room(len(written.pdus)):
            raise SpoolFull(self.smsc.spool.limit)
        message = self._book.send(written.phone, written.did, text, len(written.pdus))
        progress = _Progress(written.phone, message.id, len(written.pdus), Deferred())
        self._pending.add(progress)
        ended = partial(self._part_ended, progress)
        self.smsc.spool.put([Deliverable(pdu, ended) for pdu in written.pdus])
        return Sent(message, progress.done)

    def inject(self, phone: str, did: str, text: str) -> "Deferred[None]":
        """`text`, with every outcome in the Deferred."""
        try:
            return self.text(phone, did, text).done
        except Exception:
            return fail()

    def phones(self) -> list[Phone]:
        """The configured phones in their order, then those that were texted, the one used last at the end."""
        return self._book.all()

    def phone(self, number: str) -> Phone | None:
        """One phone."""
        return self._book.find(number)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` after each change of anything shown; the answer ends that."""
        return self._book.listen(listener)

    @property
    def version(self) -> int:
        """Another number after each change of anything shown."""
        return self._book.version

    @property
    def waiting(self) -> int:
        """Parts and receipts that the server has not answered yet."""
        return len(self.smsc.spool)

    def binds(self) -> list[BindView]:
        """Who is bound."""
        return self.smsc.binds()

    def cut(self) -> int:
        """Reset every connection, as a network that fails does; how many there were. ESMEs may bind again."""
        return self.smsc.cut()

    def _requested(self, link: Link, request: Request) -> None:
        self._submits.received(link, request)

    def _part_ended(self, progress: "_Progress", command_status: int) -> None:
        if command_status == CommandStatus.ESME_ROK:
            self._book.part_answered(progress.phone, progress.message_id)
        else:
            self._book.refused(progress.phone, progress.message_id, status_name(command_status))
            progress.refused = progress.refused or MessageRefused(command_status)
        progress.missing -= 1
        if progress.missing == 0:
            self._pending.discard(progress)
            if progress.refused is None:
                progress.done.callback(None)
            else:
                progress.done.errback(progress.refused)


@dataclass(slots=True, eq=False)
class _Progress:
    """A text whose parts are on their way."""

    phone: str
    message_id: int
    missing: int
    done: "Deferred[None]"
    refused: MessageRefused | None = None


def by_clock(wall_ms: int) -> int:
    """A first message id that an earlier run has hardly used; 8 hexadecimal or 10 decimal digits have room
    for it and its successors."""
    return wall_ms // ID_MS % 2**32
