"""Requests of ours to a trunk: through its servers one after the other, and through its challenge.

A server that does not answer, cannot be reached, says 503, or has no transport that the request fits is left
for the next (RFC 3263 §4.3), with a new transaction of the same request.
"""

from collections.abc import Callable

from edge.sip.agent import NoAnswer, UserAgent
from edge.sip.connections import TLSSide
from edge.sip.flows import VIA_OCTETS, Flows, TooLarge
from edge.sip.login import CHALLENGED, Login
from edge.sip.servers import Servers
from protocols.sip.locating import Hop
from protocols.sip.message import Request, Response
from protocols.sip.transport import Flow

CHALLENGES = 2
"""How many challenges of one server are answered for one request: the first, and one for a stale nonce."""

MOST_REQUESTS = 8
"""So often one request is sent at most, to all servers together: DNS may name any number of them."""

Make = Callable[[int, Hop], Request]
"""Makes a request for a server; the number grows with each time sent, below MOST_REQUESTS (for CSeq)."""


class Client:
    """I send the requests of one trunk."""

    def __init__(self, agent: UserAgent, flows: Flows, servers: Servers, login: Login, tls: TLSSide) -> None:
        self._agent = agent
        self._flows = flows
        self._servers = servers
        self._login = login
        self._tls = tls

    async def ask(self, make: Make) -> tuple[Response, Flow]:
        """The final answer, and the flow that it came on. Raises NoAnswer; TooLarge when that is all that was
        in the way."""
        trouble: NoAnswer | None = None
        large: TooLarge | None = None
        busy: tuple[Response, Flow] | None = None
        sent = 0
        for hop in await self._servers.hops():
            for challenges in range(min(CHALLENGES + 1, MOST_REQUESTS - sent)):
                request = make(sent, hop)
                sent += 1
                try:
                    response, flow = await self._send(request, hop)
                except TooLarge as error:
                    large = error
                    break
                except NoAnswer as error:
                    trouble = error
                    self._servers.failed(hop)
                    break
                if response.status == 503:
                    busy = response, flow
                    self._servers.failed(hop)
                    break
                self._servers.answered(hop)
                if not self._worth_another(response, challenges):
                    return response, flow
        if busy is not None:
            return busy
        raise trouble or large or NoAnswer("no server is known")

    async def _send(self, request: Request, hop: Hop) -> tuple[Response, Flow]:
        self._login.sign(request)
        flow = await self._flows.to(hop, len(request.serialise()) + VIA_OCTETS, self._tls)
        return await self._agent.request(request, flow), flow

    def _worth_another(self, response: Response, challenges: int) -> bool:
        if response.status not in CHALLENGED or challenges == CHALLENGES:
            return False
        return self._login.learn(response, again=challenges > 0)
