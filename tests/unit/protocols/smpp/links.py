"""Sessions to test: alone against a hand-made peer, or two of our own joined by a wire."""

from protocols.smpp.codec import Framer, pack, unpack
from protocols.smpp.events import BindRequested, Bound, Event
from protocols.smpp.pdu import BindTransceiver, Pdu
from protocols.smpp.session import Role, Session, SessionSettings
from protocols.smpp.states import SessionState

SETTINGS = SessionSettings(window=3, response_timeout=10.0, enquire_link=30.0, bind_timeout=5.0)


class Peer:
    """I hold one session and speak with it in PDUs, as its peer."""

    def __init__(
        self, role: Role = Role.ESME, settings: SessionSettings = SETTINGS, now: float = 0.0
    ) -> None:
        self.session = Session(role, settings, now)
        self._framer = Framer()

    def sends(self, *pdus: Pdu, now: float = 0.0) -> list[Event]:
        """What the session makes of PDUs."""
        return self.session.receive_data(b"".join(map(pack, pdus)), now)

    def receives(self) -> list[Pdu]:
        """The PDUs that the session has sent since the last call."""
        return [unpack(octets) for octets in self._framer.feed(self.session.data_to_send())]

    def bound(self, bind: type = BindTransceiver, now: float = 0.0) -> "Peer":
        """Me, when the session is bound."""
        if self.session.role is Role.ESME:
            self.session.request(bind(system_id="me", password="secret"), now)
            (request,) = self.receives()
            response = request.response_class(sequence_number=request.sequence_number, system_id="smsc")  # type: ignore[attr-defined]
            (event,) = self.sends(response, now=now)
            assert isinstance(event, Bound)
        else:
            (event,) = self.sends(bind(sequence_number=1, system_id="esme", password="secret"), now=now)
            assert isinstance(event, BindRequested)
            self.session.accept_bind(now, "smsc")
            self.receives()
        return self


def at(session: Session) -> SessionState:
    """The state of a session, read anew."""
    return session.state
