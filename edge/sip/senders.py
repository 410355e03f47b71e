"""Who sends a MESSAGE, and what that means for its two numbers: a phone, or a trunk.

The number to send as: what a trusted peer asserts (P-Asserted-Identity, RFC 3325), else what From says, else
the sender's default. The number to send to: the Request-URI's user, in the spelling of the sender's country.
A local number whose URI says where it holds is one of that place (``phone-context``, RFC 3966), of no other.
"""

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple, Protocol

import orjson

from edge.errors import Refused
from edge.policy import numbers
from edge.sip.agent import Incoming
from edge.sip.trunks import Trunk
from protocols.sip.body import Content
from protocols.sip.errors import BadValue
from protocols.sip.headers import NameAddr, parse_address_list
from protocols.sip.imdn import Wish
from protocols.sip.uri import URI, parse_uri
from storage.records import Did
from storage.sip_accounts import SipAccount

MOST_ASSERTED = 4
IMDN = "imdn:"
"""What the status target of a message begins with whose sender wants a receipt on his phone."""


class Source(NamedTuple):
    """The number to send as, and whose it is."""

    account_id: int
    number: str


class Sender(Protocol):
    """What the intake needs to know of who sends. Each method raises Refused, or BadValue."""

    @property
    def name(self) -> str: ...
    def source(self, incoming: Incoming) -> Source: ...
    def destination(self, incoming: Incoming) -> str: ...
    def rate_key(self, source: Source) -> str: ...
    def told_at(self, content: Content) -> str | None: ...
    @property
    def phone(self) -> SipAccount | None: ...


class PhoneSender:
    """A phone, by its account. ``trusted``: the request came from a trusted network."""

    __slots__ = ("_account", "_domain", "_region", "_trusted")

    def __init__(self, account: SipAccount, domain: str, region: str, trusted: bool) -> None:
        self._account = account
        self._domain = domain
        self._region = account.region or region
        self._trusted = trusted

    @property
    def name(self) -> str:
        """Its username."""
        return self._account.username

    @property
    def phone(self) -> SipAccount | None:
        """The account: its texts may be reported on."""
        return self._account

    def source(self, incoming: Incoming) -> Source:
        """One of the account's numbers."""
        account = self._account
        if self._trusted and (asserted := asserted_identities(incoming)):
            return self._own(asserted)
        uri = incoming.keys.from_.parsed()
        if uri.is_sip and uri.aor == account.aor:
            return Source(account.account_id, account.dids[0])
        if uri.is_sip and uri.host != self._domain:
            raise Refused("foreign_from", f"From must be of {self._domain}", "from", 403)
        return self._own([incoming.keys.from_])

    def _own(self, addresses: Sequence[NameAddr]) -> Source:
        """The first of them that is a number of the account."""
        for address in addresses:
            try:
                number = self._number(address.parsed(), "from")
            except Refused:
                continue
            if number in self._account.dids:
                return Source(self._account.account_id, number)
        raise Refused("foreign_from", f"{self.name} may not send under this From", "from", 403)

    def destination(self, incoming: Incoming) -> str:
        """The Request-URI's number; ``X-SMS-To`` when it has none."""
        uri = parse_uri(incoming.request.uri)
        named = incoming.request.headers.get("X-SMS-To")
        if uri.user or named is None:
            return self._number(uri, "to")
        return numbers.destination(named, self._region)

    def _number(self, uri: URI, field: str) -> str:
        if (leading := leading_digits(uri, (self._domain,), field)) is not None:
            return numbers.in_context(uri.number, leading, self._region, field)
        return numbers.destination(uri.number, self._region, field)

    def rate_key(self, source: Source) -> str:
        """Each account has its own allowance."""
        return self._account.username

    def told_at(self, content: Content) -> str | None:
        """Whom to tell what became of a message, as its status target; None when nobody wants to know."""
        wanted = content.wants & {Wish.POSITIVE, Wish.NEGATIVE}
        if content.message_id is None or not wanted:
            return None
        wishes = sorted(wish.value for wish in wanted)
        return IMDN + orjson.dumps({"user": self.name, "id": content.message_id, "wants": wishes}).decode()


class TrunkSender:
    """A trunk, which is trusted to say whose text it is. ``did`` finds a number of ours."""

    def __init__(self, trunk: Trunk, domain: str, did: Callable[[str], Did | None]) -> None:
        self._trunk = trunk
        self._domain = domain
        self._did = did

    @property
    def name(self) -> str:
        """That of the configuration."""
        return self._trunk.config.name

    @property
    def phone(self) -> SipAccount | None:
        """None."""
        return None

    def source(self, incoming: Incoming) -> Source:
        """A number of an account that the trunk serves: as asserted, as From says, or the trunk's own.

        Another's number is never replaced by the trunk's own: that would send our own texts round in a
        circle when a PBX gives them back.
        """
        if incoming.keys.call_id.endswith(f"@{self._domain}"):
            raise Refused("loop", "Loop Detected", "from", 482)
        foreign = False
        for addresses in (asserted_identities(incoming), [incoming.keys.from_]):
            found = [self._named(address) for address in addresses]
            named = [number for number in found if number is not None and number.startswith("+")]
            if named:
                return self._served(named)
            foreign = foreign or None in found
        if foreign:
            raise Refused("foreign_from", "The dialling plan of From is not known here", "from", 403)
        if not self._trunk.config.did:
            raise Refused("foreign_from", "From is no number, and the trunk has no did", "from", 403)
        return self._served([self._trunk.config.did])

    def _named(self, address: NameAddr) -> str | None:
        """The number, "" where there is none, None where it is one of a dialling plan that is not known."""
        uri = address.parsed()
        try:
            return self._number(uri, "from") if uri.user else ""
        except Refused:
            return "" if uri.context is None else None

    def _number(self, uri: URI, field: str) -> str:
        trunk = self._trunk
        if (leading := leading_digits(uri, (self._domain, trunk.domain.lower()), field)) is not None:
            return numbers.in_context(uri.number, leading, trunk.region, field)
        return trunk.number(uri.number, field)

    def _served(self, named: Sequence[str]) -> Source:
        """The first of them that is a number of the trunk."""
        for number in named:
            did = self._did(number)
            if did is not None and self._trunk.serves(did.account_id):
                return Source(did.account_id, number)
        raise Refused("foreign_from", f"{named[0]} is no number of this trunk", "from", 403)

    def destination(self, incoming: Incoming) -> str:
        """``X-SMS-To``; else the Request-URI's number; else that of To, for a PBX that writes to the contact
        of our registration."""
        named = incoming.request.headers.get("X-SMS-To")
        if named is not None:
            return self._trunk.number(named, "to")
        uri = parse_uri(incoming.request.uri)
        if uri.user and uri.number != self._trunk.config.username:
            return self._number(uri, "to")
        return self._number(incoming.keys.to.parsed(), "to")

    def rate_key(self, source: Source) -> str:
        """Each number behind a trunk has its own allowance."""
        return f"{self.name} {source.number}"

    def told_at(self, content: Content) -> str | None:
        """A trunk has no address-of-record to report to."""
        return None


def asserted_identities(incoming: Incoming) -> list[NameAddr]:
    """Each P-Asserted-Identity, in one field or in several: a SIP URI and a tel URI by RFC 3325 §9.1, of more
    the first `MOST_ASSERTED`. One that cannot be read is passed over. Raises BadValue when none can be."""
    name, found, wrong = "P-Asserted-Identity", list[NameAddr](), None
    for value in incoming.request.headers.all(name)[:MOST_ASSERTED]:
        try:
            addresses = parse_address_list([value], name)[:MOST_ASSERTED]
            for address in addresses:
                address.parsed()
        except BadValue as error:
            wrong = wrong or error
        else:
            found += addresses
    if wrong is not None and not found:
        raise wrong
    return found[:MOST_ASSERTED]


def leading_digits(uri: URI, domains: Container[str], field: str) -> str | None:
    """What the global form of a URI's local number begins with, when the URI says so; None for a number of
    the sender's own dialling plan, which is that of ``domains``, and for a global one.

    Raises Refused when it is of another's plan: nobody but him knows whose number it is.
    """
    context = uri.context
    if context is None or context in domains or uri.number.startswith("+"):
        return None
    if context.startswith("+"):
        return context
    sentence = f"{uri.number[:40]!r} is a number of {context[:40]!r}, whose dialling plan is not known here."
    raise Refused("invalid_number", sentence, field)
