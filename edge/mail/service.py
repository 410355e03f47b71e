"""The mail side of the server, built from its configuration: what writes, what brings away, what takes."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from edge.config_mail import MailConfig
from edge.directory import Directory
from edge.endpoints import host_and_port
from edge.handlers.email import EmailHandler, Patience
from edge.http.addresses import AddressPolicy
from edge.http.resolving import Resolver
from edge.mail.addresses import Addresses
from edge.mail.authentication import Authenticator
from edge.mail.intake import Intake
from edge.mail.listeners import Listeners
from edge.mail.mailbox import Mailbox
from edge.mail.names import MailNames
from edge.mail.notices import Notices
from edge.mail.owners import Owners
from edge.mail.postmaster import Postmaster
from edge.mail.sending import Sender, Way
from edge.mail.writing import Writing
from edge.outbound import Outbound
from protocols.mail.dkim import Signer, load_key
from protocols.mail.smtp import Credentials
from storage.store import Store

log = structlog.get_logger(__name__)

DAY_SECONDS = 86_400.0


class MailEdge:
    """I own everything of mail, from `start` to `stop`."""

    def __init__(
        self,
        config: MailConfig,
        region: str,
        store: Store,
        directory: Directory,
        names: MailNames,
        resolver: Resolver,
        policy: AddressPolicy,
        reactor: Any,
        wall_ms: Callable[[], int],
        random: Random,
        outbound: Callable[[], Outbound],
    ) -> None:
        self._config = config
        self._reactor = reactor
        addresses = Addresses(config.domain, config.mailbox, region, bool(config.postmaster))
        answers = config.receives and config.replies != "off"
        self.writing = Writing(
            addresses,
            config.ring,
            config.subject,
            answers,
            signer_of(config),
            directory.did,
            store,
            wall_ms,
        )
        self.sender = Sender(way_of(config), names, resolver, policy, reactor)
        patience = Patience(config.give_up_days * DAY_SECONDS, random)
        send = self.sender.send
        self.handler = EmailHandler(self.writing, send, self.sender.key, patience)
        self.notices = Notices(self.writing, send, self.sender.key, patience, store, reactor, wall_ms)
        self.intake = Intake(
            config,
            addresses,
            directory.did,
            Owners(directory, self._in_thread),
            Authenticator(config.authserv_id, names, self._in_thread),
            lambda draft, also: outbound().submit(draft, also),
            store,
            self._in_thread,
            wall_ms,
            self.notices.look,
            Postmaster(config.postmaster, config.name, config.domain, send, reactor, wall_ms)
            if config.postmaster
            else None,
        )
        self.listeners = Listeners(config, self.intake, reactor)
        self.mailbox = None
        if config.imap is not None:
            self.mailbox = Mailbox(config.imap, addresses, self.intake, config.max_octets, reactor)

    def start(self) -> None:
        """Listen, and send what the last run left owing."""
        self.listeners.start()
        self.notices.start()
        if self.mailbox is not None:
            self.mailbox.start()
        if self._config.listen and not self._config.postmaster:
            log.warning("mail_without_postmaster", domain=self._config.domain)
        log.info("mail_ready", domain=self._config.domain, listen=[*self._config.listen, *self._config.lmtp])

    async def stop(self) -> None:
        """Take nothing new."""
        self.notices.stop()
        if self.mailbox is not None:
            self.mailbox.stop()
        await self.listeners.stop()

    def _in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)


def way_of(config: MailConfig) -> Way:
    """How mail leaves."""
    credentials = None
    if config.username and config.password is not None:
        credentials = Credentials(config.username, config.password.reveal())
    smarthost = host_and_port(config.smarthost) if config.smarthost else None
    return Way(config.name, config.policy, smarthost, credentials, config.ca_file)


def signer_of(config: MailConfig) -> Signer | None:
    """Who signs, if anybody does."""
    if not config.dkim_key:
        return None
    return Signer(config.domain, config.dkim_selector, load_key(Path(config.dkim_key).read_bytes()))
