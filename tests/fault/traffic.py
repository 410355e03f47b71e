"""Mixed traffic that goes on while something fails: MO from an SMSC, MT by the API, and what became of it."""

import http.client
import json
import threading
import time
from collections.abc import Callable

from tests.bench.peer import MoPump, Peer
from tests.provision import KEY
from tests.server import Server

DID = "+12025550100"
PACE_SECONDS = 0.02
RX_T_APPN, RMSGQFUL = 0x64, 0x14


class PacedPump(MoPump):
    """An SMSC that sends again what was refused for now, but not faster than ``tick`` is called."""

    def __init__(self, peer: Peer, window: int) -> None:
        self.refusals: dict[int, int] = {}
        self._ticked = 0.0
        super().__init__(peer, window, DID[1:].encode())

    def tick(self) -> None:
        """Send what there is room for, at most every PACE_SECONDS."""
        now = time.monotonic()
        if now - self._ticked >= PACE_SECONDS and self._peer.smsc is not None and not self._peer.smsc.closed:
            self._ticked = now
            self._left += 5
            super()._fill()

    def stop(self) -> None:
        """Nothing new; what is unanswered or refused is still to be answered."""
        self._left = 0

    @property
    def open(self) -> int:
        """Messages that are not acknowledged."""
        return len(self._unanswered) + len(self._again)

    def finish(self) -> None:
        """Send again what was refused."""
        self._left = 0
        super()._fill()

    def _fill(self) -> None:
        """Only `tick` and `finish` send."""

    def _resend(self) -> None:
        self._again += [number for _, number in self._unanswered.values()]
        self._unanswered.clear()

    def _response(self, sequence: int, status: int) -> None:
        if status:
            self.refusals[status] = self.refusals.get(status, 0) + 1
        super()._response(sequence, status)


class ApiClient:
    """A thread that posts one text after the other, each until it was accepted or its answer was lost."""

    def __init__(self, server: Server, threads: int = 4, pause: float = 0.02) -> None:
        self.accepted: dict[int, int] = {}
        self.refused = 0
        self.lost: set[int] = set()
        self.retry_after: set[str | None] = set()
        self.others: list[int] = []
        self._server = server
        self._pause = pause
        self._lock = threading.Lock()
        self._number = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Post nothing more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self) -> None:
        while not self._stop.wait(self._pause):
            with self._lock:
                self._number += 1
                number = self._number
            while not self._stop.is_set() and not self._post(number):
                self._stop.wait(self._pause * 5)

    def _post(self, number: int) -> bool:
        """False when it was certainly not accepted."""
        body = json.dumps({"from": DID, "to": f"+4479{number:08d}", "text": f"M{number:08d} is here"})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        connection = http.client.HTTPConnection("127.0.0.1", self._server.http_port, timeout=60)
        try:
            connection.request("POST", "/v1/messages", body, headers)
            response = connection.getresponse()
            answer = response.read()
        except ConnectionRefusedError:
            return False
        except (OSError, http.client.HTTPException):
            self.lost.add(number)
            return True
        finally:
            connection.close()
        if response.status == 202:
            self.accepted[number] = json.loads(answer)["id"]
        elif response.status == 503:
            self.refused += 1
            self.retry_after.add(response.getheader("Retry-After"))
            return False
        else:
            self.others.append(response.status)
        return True


class Lag:
    """A thread that asks /livez all the time: how long the longest answer took, in seconds."""

    def __init__(self, server: Server, every: float = 0.02) -> None:
        self.longest = 0.0
        self.asked = 0
        self._server = server
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """The longest."""
        self._stop.set()
        self._thread.join(60)
        return self.longest

    def _work(self) -> None:
        while not self._stop.wait(self._every):
            started = time.monotonic()
            assert self._server.call("GET", "/livez")[0] == 200
            self.longest = max(self.longest, time.monotonic() - started)
            self.asked += 1


class Traffic:
    """Peer, server and the three above, for one test."""

    def __init__(self, peer: Peer, server: Server, smsc_port: int, window: int = 50) -> None:
        self.peer, self.server = peer, server
        self.binds = 0
        self.submitted: set[int] = set()
        peer.listen(smsc_port, peer.smpp)
        peer.on_submit = self._submitted
        self.pump = PacedPump(peer, window)
        peer.on_bind = self._bound
        self.api: ApiClient | None = None

    def _bound(self) -> None:
        self.binds += 1
        self.pump._resend()

    def _submitted(self, body: bytes) -> None:
        at = body.find(b"M")
        if at >= 0:  # else it is not a text of `ApiClient`
            self.submitted.add(int(body[at + 1 : at + 9]))

    def begin(self) -> ApiClient:
        """Wait until the server is bound and ready, then let it all flow."""
        assert self.peer.run(lambda: self.peer.smsc is not None and self.server.is_ready())
        self.api = ApiClient(self.server)
        return self.api

    def flow(self, seconds: float) -> None:
        """Let traffic go on for so long."""
        until = time.monotonic() + seconds
        assert self.peer.run(lambda: self._ticked(time.monotonic() >= until))

    def until(self, what: str, condition: Callable[[], bool], seconds: float = 60.0) -> float:
        """Let traffic go on until the condition holds; how many seconds that took."""
        started = time.monotonic()
        late = started + seconds
        self.peer.run(lambda: self._ticked(condition() or time.monotonic() > late))
        assert condition(), f"{what}: not within {seconds:.0f} s; {self.server.log.read_text()[-3000:]}"
        return time.monotonic() - started

    def progress(self, mo: int = 20, mt: int = 20, seconds: float = 60.0) -> float:
        """Until so many more of each kind were acknowledged; how many seconds that took."""
        assert self.api is not None
        api, pump = self.api, self.pump
        mo, mt = pump.answered + mo, len(api.accepted) + mt
        return self.until("progress", lambda: pump.answered >= mo and len(api.accepted) >= mt, seconds)

    def end(self) -> None:
        """No more is begun; all that was acknowledged or accepted arrives where it should."""
        assert self.api is not None
        self.api.stop()
        self.pump.stop()
        api, pump = self.api, self.pump

        def settled() -> bool:
            pump.finish()
            return not pump.open and set(api.accepted) <= self.submitted

        assert self.peer.run(settled), (pump.open, set(api.accepted) - self.submitted)

    def _ticked(self, over: bool) -> bool:
        self.pump.tick()
        return over
