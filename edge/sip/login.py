"""Answers to the challenges of others (RFC 3261 §22, RFC 7616, RFC 8760): the client's side of digest."""

from collections.abc import Callable
from dataclasses import dataclass

from protocols.sip import digest
from protocols.sip.digest import Challenge, parse_challenge
from protocols.sip.errors import BadValue
from protocols.sip.message import Request, Response

CHALLENGED = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


@dataclass(slots=True)
class _Held:
    """A challenge and how often its nonce was used; ``field`` takes the answer."""

    challenge: Challenge
    field: str
    uses: int = 0


class Login:
    """I know a user and a password, and remember the last challenge: later requests answer it at once.

    ``token`` gives client nonces.
    """

    def __init__(self, username: str, password: str, token: Callable[[], str]) -> None:
        self._username = username
        self._password = password
        self._token = token
        self._held: dict[int, _Held] = {}

    def sign(self, request: Request) -> None:
        """Put an answer to what was last asked into a request."""
        for held in self._held.values():
            held.uses += 1
            value = digest.answer(
                held.challenge,
                self._username,
                self._password,
                request.method,
                request.uri,
                self._token(),
                held.uses,
            )
            request.headers.add(held.field, value)

    def learn(self, response: Response, again: bool) -> bool:
        """Take the challenge of a 401 or 407; whether the request is worth sending once more.

        ``again``: the challenge before this one was answered, so only a stale nonce excuses this one.
        """
        asks, answers = CHALLENGED[response.status]
        challenge = _first_known(response, asks)
        if challenge is None or not self._username:
            return False
        self._held[response.status] = _Held(challenge, answers)
        return challenge.stale or not again


def _first_known(response: Response, field: str) -> Challenge | None:
    """The topmost challenge whose algorithm is known (RFC 8760 §2.4)."""
    for value in response.headers.all(field):
        try:
            return parse_challenge(value, field)
        except BadValue:
            continue
    return None
