"""What a phone needs to be told to register here: for people, and for Linphone to fetch (its lpconfig XML).

Of the password only HA1 is kept, which is all that Linphone needs. It fetches its settings from an address
with a token that is good once, for a quarter of an hour.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edge.config import SIPConfig
from edge.endpoints import host_and_port
from edge.recent import Recent
from storage.sip_accounts import SipAccount

SECONDS = 900.0
MAX_TOKENS = 1_000
TOKEN_OCTETS = 24


@dataclass(frozen=True, slots=True)
class Way:
    """One way to reach the registrar."""

    transport: str
    host: str
    port: int

    @property
    def uri(self) -> str:
        """As a phone's "outbound proxy" has it."""
        return f"sip:{self.host}:{self.port};transport={self.transport}"


def ways(config: SIPConfig) -> list[Way]:
    """Those that are configured, the safest first."""
    host = config.public_address or config.domain
    return [
        Way(transport, host, host_and_port(listen)[1])
        for transport, listens in (("tls", config.tls), ("tcp", config.tcp), ("udp", config.udp))
        for listen in listens[:1]
    ]


def linphone(account: SipAccount, way: Way, expires_seconds: int) -> str:
    """Remote provisioning of Linphone: an account that registers this way."""
    sha = account.digest == "sha-256"
    sections = {
        "auth_info_0": {
            "username": account.username,
            "ha1": account.ha1_sha256 if sha else account.ha1_md5,
            "realm": account.domain,
            "domain": account.domain,
            "algorithm": "SHA-256" if sha else "MD5",
        },
        "proxy_0": {
            "reg_proxy": f"<{way.uri}>",
            "reg_identity": f'"{account.username}" <{account.aor}>',
            "reg_expires": str(expires_seconds),
            "reg_sendregister": "1",
            "publish": "0",
        },
        "sip": {"default_proxy": "0"},
    }
    body = "".join(_section(name, entries) for name, entries in sections.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<config xmlns="http://www.linphone.org/xsds/lpconfig.xsd">\n{body}</config>\n'
    )


def _section(name: str, entries: Mapping[str, str]) -> str:
    lines = [
        f'    <entry name="{key}" overwrite="true">{escape(value)}</entry>\n'
        for key, value in entries.items()
    ]
    return f'  <section name="{name}">\n{"".join(lines)}  </section>\n'


class Tokens:
    """I let a phone fetch its settings once, within a while. In memory, bounded; a restart forgets."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._known: Recent[str, tuple[int, int, float]] = Recent(MAX_TOKENS)

    def issue(self, account_id: int, sip_account_id: int) -> str:
        """A token for this phone."""
        token = secrets.token_urlsafe(TOKEN_OCTETS)
        self._known.put(token, (account_id, sip_account_id, self._seconds() + SECONDS))
        return token

    def find(self, token: str) -> tuple[int, int] | None:
        """The account and its phone; None for a token that is none, or over."""
        account_id, sip_account_id, until = self._known.get(token) or (0, 0, 0.0)
        if self._seconds() >= until:
            self._known.drop(token)
            return None
        return account_id, sip_account_id

    def use(self, token: str) -> bool:
        """Is it the first time? Then it was the last."""
        first = self._known.get(token) is not None
        self._known.drop(token)
        return first
