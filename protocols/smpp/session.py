"""One SMPP session, either side, without a socket and without a clock (SMPP 3.4 §2).

Octets from the peer go in through `receive_data` and come back as events; octets for the peer gather until
`data_to_send` is called. `now` is a monotonic time in seconds. The session itself answers enquire_link,
unbind, and every PDU that is unknown, malformed or out of place; messages are the application's to
answer.
"""

from collections import deque
from typing import cast

from protocols.smpp.codec import Framer, unpack
from protocols.smpp.commands import RESPONSE, CommandId
from protocols.smpp.errors import (
    CommandStatus,
    NotAllowed,
    RecoverableError,
    UnrecoverableError,
    WindowFull,
)
from protocols.smpp.events import (
    Bind,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    Event,
    NotificationReceived,
    Refused,
    RequestExpired,
    RequestLost,
    RequestReceived,
    ResponseReceived,
    Unbound,
    UnknownResponse,
)
from protocols.smpp.lifecycle import Lifecycle
from protocols.smpp.liveness import Liveness, Verdict
from protocols.smpp.outbox import Outbox, answer_to
from protocols.smpp.pdu import (
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Notification,
    Pdu,
    Request,
    Response,
    Unbind,
    UnbindResp,
    make,
)
from protocols.smpp.settings import OTHER, Counters, SessionSettings, count_error
from protocols.smpp.shapes import Tlvs
from protocols.smpp.states import (
    BIND_INPUTS,
    BINDS,
    BOUND,
    PERMITTED,
    REPERTOIRE,
    Input,
    Role,
    SessionState,
)
from protocols.smpp.tlv import Tag
from protocols.smpp.window import Window

__all__ = ["Counters", "Role", "Session", "SessionSettings", "SessionState"]

REMEMBERED_ENQUIRIES = 8
"""How many of our enquire_links may be answered late, or never by a peer that lives."""

COMMANDS = frozenset(CommandId)

INTERFACE_VERSION: Tlvs = ((Tag.SC_INTERFACE_VERSION, b"\x34"),)
"""What accept_bind says of us: SMPP 3.4 (§5.3.2.25)."""


class Session:
    """I am one SMPP session: born with its TCP connection, in the state OPEN, and dead with it."""

    def __init__(self, role: Role, settings: SessionSettings, now: float) -> None:
        self.settings = settings
        self.window = Window(settings.window, settings.response_timeout, settings.remember_expired)
        self.counters = Counters()
        self._framer = Framer(settings.max_pdu)
        self._outbox = Outbox(self.counters, self.window)
        self._unanswered: set[int] = set()
        self._bind: Bind | None = None
        self._enquiries: deque[int] = deque(maxlen=REMEMBERED_ENQUIRIES)
        self._late_answer = False  # one of ours went after an unbind: the peer may not have waited for it
        self._our_unbind: int | None = None
        self._peer_unbind: int | None = None
        self._life = Lifecycle(role, now + settings.bind_timeout if role is Role.SMSC else None)
        self._liveness = Liveness(settings, now)
        self._paused_at: float | None = None
        self._lost = False

    # What the application asks

    @property
    def role(self) -> Role:
        """Which end of the link we are."""
        return self._life.role

    @property
    def state(self) -> SessionState:
        """Where the session is in its life."""
        return self._life.state

    @property
    def closed(self) -> bool:
        """Whether the session is over; what is queued may still be written, then the connection ends."""
        return self._life.closed

    @property
    def unanswered(self) -> int:
        """How many requests of the peer the application has not answered yet."""
        return len(self._unanswered)

    def data_to_send(self) -> bytes:
        """All octets queued since the last call, in one piece."""
        return self._outbox.take()

    def request(self, pdu: Request | Notification, now: float, context: object = None) -> int:
        """Send a request or a notification, and return the sequence number that it got.

        `context` comes back with the outcome. A bind goes this way too; its outcome is Bound or BindRefused.
        WindowFull, NotAllowed (not in this state, not for this role), EncodeError: nothing was sent.
        """
        if pdu.command_id not in self._life.may_send:
            return self._start_bind(pdu, now)
        if isinstance(pdu, Notification):
            return self._outbox.send_numbered(pdu).sequence_number
        if not self.window.free:
            raise WindowFull(f"{self.window.size} requests are outstanding")
        numbered = self._outbox.send_numbered(pdu)
        self.window.add(numbered, context, now)
        self._liveness.active(now)
        return numbered.sequence_number

    def respond(self, response: Response) -> bool:
        """Send the answer to a request of the peer; it carries the request's sequence number.

        False, and nothing is sent, when the session is closed: the peer cannot be told any more.
        """
        if self.closed:
            return False
        self._outbox.send(response)
        self._unanswered.discard(response.sequence_number)
        self._late_answer |= self._our_unbind is not None or self._peer_unbind is not None
        self._end_when_settled()
        return True

    def accept_bind(self, now: float, system_id: str = "", tlvs: Tlvs = INTERFACE_VERSION) -> None:
        """SMSC: accept the bind of BindRequested; `system_id` is ours."""
        bind = self._requested_bind()
        accepted = (bind.sequence_number, CommandStatus.ESME_ROK, system_id, tlvs)
        self._outbox.send(make(bind.response_class, accepted))
        self._become_bound(BIND_INPUTS[bind.command_id], now)

    def refuse_bind(self, command_status: int) -> None:
        """SMSC: refuse the bind of BindRequested; the session is OPEN again, and may be closed."""
        self._outbox.send(self._requested_bind().refuse(command_status))
        self._life.move(Input.REFUSE, self._life.deadline)

    def unbind(self, now: float) -> None:
        """End the session in order: send unbind, wait for its answer, close. NotAllowed unless bound.

        Requests that are outstanding can still be answered before the unbind is; new ones cannot be sent.
        """
        if self.state not in BOUND:
            raise NotAllowed("unbind", self.state.name)
        self._our_unbind = self._outbox.send_numbered(Unbind()).sequence_number
        self._life.move(Input.UNBIND, now + self.settings.response_timeout)

    def close(self, now: float, reason: str) -> None:
        """Stop at once. The owner of the connection closes it and reports `connection_lost`."""
        self._life.close(reason)

    def pause(self, now: float) -> None:
        """The owner has stopped reading: no deadline runs until `resume`."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """The owner reads again: every deadline moves by the time of the pause."""
        if self._paused_at is None:
            return
        pause = now - self._paused_at
        self._paused_at = None
        self.window.postpone(pause)
        self._life.postpone(pause)
        self._liveness.resumed(now)

    # What the peer sends

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """What `data` means. After the session has closed, nothing."""
        events: list[Event] = []
        if self.closed:
            return events
        try:
            for octets in self._framer.feed(data):
                self._receive(octets, now, events)
                if self._life.state is SessionState.CLOSED:
                    break
        except UnrecoverableError as error:
            self._give_up(error.detached(), events)
        return events

    def _receive(self, octets: bytes, now: float, events: list[Event]) -> None:
        self._liveness.heard(now)
        try:
            pdu = unpack(octets)
        except RecoverableError as error:
            self._on_bad_pdu(error.detached(), now, events)
            return
        command_id = pdu.command_id
        self.counters.received[command_id] += 1
        if isinstance(pdu, Response):
            self._on_response(pdu, now, events)
        elif command_id not in self._life.may_receive:
            self._on_session_request(pdu, now, events)
        elif isinstance(pdu, Request):
            self._liveness.active(now)
            self._unanswered.add(pdu.sequence_number)
            events.append(RequestReceived(pdu))
        else:
            events.append(NotificationReceived(cast(Notification, pdu)))

    def _on_bad_pdu(self, error: RecoverableError, now: float, events: list[Event]) -> None:
        """What should not be here at all is told so, before it matters what is wrong within it."""
        command_id = error.command_id
        known = command_id in COMMANDS
        self.counters.received[command_id if known else OTHER] += 1
        misplaced = self._misplaced(command_id) if known and not command_id & RESPONSE else None
        if misplaced is None:
            self._refuse(error, events)
        else:
            self._refuse_number(command_id, error.sequence_number, misplaced, events)
        if isinstance(error.salvaged, Response):
            self._on_response(error.salvaged, now, events)

    def _on_response(self, response: Response, now: float, events: list[Event]) -> None:
        if response.command_status:
            count_error(self.counters.errors_received, response.command_id, response.command_status)
        taken = self.window.take(response)
        if taken is not None:
            self._liveness.active(now)
            if taken.late:
                self.counters.late += 1
            events.append(
                ResponseReceived(taken.context, taken.request, response, taken.late, now - taken.sent_at)
            )
            self._end_when_settled()
        elif not self._on_session_response(response, now, events):
            self.counters.unknown_responses += 1
            events.append(UnknownResponse(response))

    def _on_session_response(self, response: Response, now: float, events: list[Event]) -> bool:
        """The answers to what the session itself asked: bind, enquire_link, unbind. False when it is none."""
        sequence, nack = response.sequence_number, type(response) is GenericNack
        if sequence in self._enquiries and (nack or type(response) is EnquireLinkResp):
            self._enquiries.remove(sequence)
        elif sequence == self._our_unbind and (nack or type(response) is UnbindResp):
            self._our_unbind = None
            events.append(Unbound())
            self._life.close("unbound", orderly=not (self._unanswered or self._late_answer))
        elif (
            self._bind is not None
            and self.role is Role.ESME
            and sequence == self._bind.sequence_number
            and (nack or type(response) is self._bind.response_class)
        ):
            self._on_bind_response(self._bind, response, now, events)
        else:
            return False
        return True

    def _on_bind_response(self, bind: Bind, response: Response, now: float, events: list[Event]) -> None:
        if response.command_status or type(response) is GenericNack:
            self._bind = None
            self._life.move(Input.REFUSE, None)
            events.append(BindRefused(response.command_status))
        else:
            self._become_bound(BIND_INPUTS[bind.command_id], now)
            events.append(Bound(response))

    def _on_session_request(self, pdu: Pdu, now: float, events: list[Event]) -> None:
        """What is not the application's to answer: link management, and all that is out of place."""
        misplaced = self._misplaced(pdu.command_id)
        if misplaced is not None:
            self._refuse_number(pdu.command_id, pdu.sequence_number, misplaced, events)
        elif isinstance(pdu, EnquireLink):
            self._outbox.send(EnquireLinkResp(sequence_number=pdu.sequence_number))
        elif isinstance(pdu, Unbind):
            self._on_unbind(pdu, now, events)
        else:
            self._on_bind(cast(Bind, pdu), events)

    def _misplaced(self, command_id: int) -> tuple[CommandStatus, str] | None:
        """Why a request of the peer cannot be taken in this state or from this role, or None if it can."""
        state = self.state
        if command_id in self._life.may_receive or command_id == CommandId.ENQUIRE_LINK:
            return None
        if command_id == CommandId.UNBIND and (state in BOUND or state is SessionState.UNBINDING):
            return None
        if command_id in BINDS and self.role is Role.SMSC:
            if state is SessionState.OPEN:
                return None
            return CommandStatus.ESME_RALYBND, f"bind in {state.name}"
        if command_id == CommandId.UNBIND or command_id in REPERTOIRE[self.role.peer]:
            return CommandStatus.ESME_RINVBNDSTS, f"not allowed in {state.name}"
        return CommandStatus.ESME_RINVCMDID, "not supported"

    def _on_unbind(self, pdu: Unbind, now: float, events: list[Event]) -> None:
        if self._peer_unbind is not None:  # it asks again
            self._outbox.send(UnbindResp(sequence_number=pdu.sequence_number))
            return
        self._peer_unbind = pdu.sequence_number
        if self.state is not SessionState.UNBINDING:
            events.append(Unbound())
            self._life.move(Input.UNBIND, now + self.settings.response_timeout)
        self._end_when_settled()

    def _end_when_settled(self) -> None:
        """Let the peer go once it knows what became of everything it sent, and we of what we sent."""
        if self._peer_unbind is not None and not self._unanswered and not self.window.in_use:
            self._answer_unbind(self._peer_unbind, orderly=not self._late_answer)

    def _answer_unbind(self, sequence_number: int, orderly: bool = False) -> None:
        """When both sides want to end, ours is still to be answered."""
        self._outbox.send(UnbindResp(sequence_number=sequence_number))
        self._peer_unbind = None
        if self._our_unbind is None:
            self._life.close("unbound by the peer", orderly=orderly)

    def _on_bind(self, pdu: Bind, events: list[Event]) -> None:
        self._bind = pdu
        self._life.move(Input.BIND, self._life.deadline)
        events.append(BindRequested(pdu))

    def _refuse_number(
        self, command_id: int, sequence_number: int, fault: tuple[CommandStatus, str], events: list[Event]
    ) -> None:
        error = RecoverableError(*fault, command_id=command_id, sequence_number=sequence_number)
        self._refuse(error, events)

    def _refuse(self, error: RecoverableError, events: list[Event]) -> None:
        """Answer a bad PDU, as far as it can be answered, and go on."""
        answer = answer_to(error)
        if answer is not None:
            self._outbox.send(answer)
        self.counters.refused += 1
        events.append(Refused(error))

    def _give_up(self, error: UnrecoverableError, events: list[Event]) -> None:
        self._outbox.send(
            GenericNack(sequence_number=error.sequence_number, command_status=error.command_status)
        )
        self.counters.refused += 1
        self._life.close(str(error), error)
        events.append(Refused(error))

    def connection_lost(self, now: float, reason: str) -> list[Event]:
        """The connection is gone: what is outstanding is lost. Closed says `reason`, or why we closed."""
        if self._lost:
            return []
        self._lost = True
        self.close(now, reason)
        self._outbox.take()
        lost = self.window.clear()
        self.counters.lost += len(lost)
        events: list[Event] = [RequestLost(gone.context, gone.request) for gone in lost]
        events.append(Closed(self._life.reason, self._life.error, self._life.orderly))
        return events

    # What time brings

    def timer(self) -> float | None:
        """When `handle_timer` has something to do; None while there is nothing to wait for."""
        if self.closed or self._paused_at is not None:
            return None
        deadlines = [self._life.deadline, self.window.next_deadline()]
        if self.state in BOUND:
            deadlines.append(self._liveness.deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def handle_timer(self, now: float) -> list[Event]:
        """Do what is due: expire requests, ask a silent peer, give up on a dead one. Never too early."""
        events: list[Event] = []
        if self.closed or self._paused_at is not None:
            return events
        for expired in self.window.expire(now):
            self.counters.expired += 1
            events.append(RequestExpired(expired.context, expired.request))
        self._end_when_settled()
        deadline = self._life.deadline
        if deadline is not None and now >= deadline:
            self._end_phase(now)
        elif self.state in BOUND:
            self._watch(now)
        return events

    def _end_phase(self, now: float) -> None:
        if self._peer_unbind is not None:
            self._answer_unbind(self._peer_unbind)
            self.close(now, "unbind was not answered")
        elif self.state is SessionState.UNBINDING:
            self.close(now, "unbind was not answered")
        else:
            self.close(now, "bind timeout")

    def _watch(self, now: float) -> None:
        verdict = self._liveness.verdict(now)
        if verdict is Verdict.ENQUIRE:
            self._enquiries.append(self._outbox.send_numbered(EnquireLink()).sequence_number)
        elif verdict is Verdict.UNBIND:
            self.unbind(now)
        elif verdict is Verdict.DEAD:
            self.close(now, "enquire_link was not answered")

    # Inside

    def _start_bind(self, pdu: Pdu, now: float) -> int:
        """The only request outside the bound states is a bind of ours."""
        if not isinstance(pdu, Bind) or pdu.command_id not in PERMITTED[self.role][self.state]:
            raise NotAllowed(pdu.command_id.name.lower(), self.state.name)
        self._bind = self._outbox.send_numbered(pdu)
        self._life.move(Input.BIND, now + self.settings.bind_timeout)
        return self._bind.sequence_number

    def _requested_bind(self) -> Bind:
        if self.state is not SessionState.BINDING or self.role is not Role.SMSC or self._bind is None:
            raise NotAllowed("an answer to a bind", self.state.name)
        return self._bind

    def _become_bound(self, step: Input, now: float) -> None:
        self._bind = None
        self._life.move(step, None)
        self._liveness = Liveness(self.settings, now)
