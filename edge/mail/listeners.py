"""The sockets of SMTP and LMTP. A port that is taken fails the start."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred

from edge.certificate import Certificate, ServerContext
from edge.config_mail import MailConfig
from edge.endpoints import host_and_port, listen_tcp
from edge.mail.authentication import Arrival
from edge.mail.intake import Intake
from protocols.mail.smtp import Reply
from protocols.mail.smtp_server import Mail, Settings
from protocols.mail.transport import ServerFactory


class Door:
    """I let mails in for one protocol; see `protocols.mail.transport.Receiver`.

    ``trusting``: whoever comes through here is a server of ours; else only those of the ``trusted`` networks.
    """

    def __init__(self, intake: Intake, trusted: Sequence[str], trusting: bool) -> None:
        self._intake = intake
        self._trusted = [ip_network(network) for network in trusted]
        self._trusting = trusting

    def accepts(self, recipient: str) -> Reply | None:
        """See `protocols.mail.transport.Receiver`."""
        return self._intake.accepts(recipient)

    def take(self, mail: Mail, peer: str) -> Deferred[Sequence[Reply]]:
        """See `protocols.mail.transport.Receiver`."""
        arrival = Arrival(
            mail.octets, mail.sender, peer, mail.hello, self._trusting or self._is_trusted(peer)
        )
        taken: Deferred[Any] = self._intake.take(arrival, mail.recipients)
        return taken

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted if network.version == address.version)


class Listeners:
    """I own the sockets, from `start` to `stop`."""

    def __init__(self, config: MailConfig, intake: Intake, reactor: Any) -> None:
        self._config = config
        self._intake = intake
        self._reactor = reactor
        self._ports: list[Any] = []
        self.contexts: list[ServerContext] = []
        self._factories: list[ServerFactory] = []

    def start(self) -> None:
        """Listen everywhere. Raises CannotListenError, or SSL.Error for a bad certificate."""
        for lmtp, places in ((False, self._config.listen), (True, self._config.lmtp)):
            for place in places:
                self._listen(place, lmtp)

    def bound(self) -> list[tuple[str, int]]:
        """Where I listen, SMTP first: for tests and logs."""
        return [(port.getHost().host, port.getHost().port) for port in self._ports]

    def stop(self) -> Deferred[Any]:
        """Listen no more; what is being taken is still answered."""
        ports, self._ports = self._ports, []
        for factory in self._factories:
            factory.stop()
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])

    def _listen(self, place: str, lmtp: bool) -> None:
        config = self._config
        tls = None
        if config.certificate:
            tls = Certificate(config.certificate, config.private_key).context_factory()
            self.contexts.append(tls)
        factory = ServerFactory(
            Settings(config.name, config.max_octets, tls is not None, lmtp),
            Door(self._intake, config.trusted, trusting=lmtp),
            self._reactor,
            tls,
            config.connections,
            config.connections_per_address,
        )
        host, port = host_and_port(place)
        self._factories.append(factory)
        self._ports.append(listen_tcp(self._reactor, host, port, factory))
