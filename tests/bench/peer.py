"""The other side of a server under load: an SMSC, a callback sink and HTTP clients in one small process.

It must cost far less per message than the server it loads, so it frames by hand, blocks on one
selector and keeps no objects per message. It runs as a process of its own (see `tests.bench.load`),
talks to 127.0.0.1 only, and ends by itself after its messages or its time.

    python -m tests.bench.peer mo --smsc 2775 --sink 9080 --n 20000 --window 200
    python -m tests.bench.peer mt --smsc 2775 --api 8080 --key tk_… --did +1… --n 20000 --connections 32
    python -m tests.bench.peer batch --batch 1000 …: so many messages a request; n counts requests
    python -m tests.bench.peer http --api 8080 …: as mt, without an SMSC

It prints one JSON object a line: {"event": "bound"}, {"event": "start"}, {"event": "done", …figures…}.
"""

import argparse
import json
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote_plus, urlencode

HEADER = struct.Struct(">IIII")
BIND_TRANSCEIVER, SUBMIT_SM, DELIVER_SM, UNBIND, ENQUIRE_LINK = 0x09, 0x04, 0x05, 0x06, 0x15
RESPONSE = 0x80000000
READ = 1 << 18
TEXT = b"the quick brown fox jumps over a lazy dog and nine wizards pack their boxes again ok"
OK_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


def say(**event: object) -> None:
    """One line for the process that started us."""
    print(json.dumps(event), flush=True)


class Link:
    """A non-blocking connection with an output buffer."""

    def __init__(self, peer: "Peer", sock: socket.socket, data: Callable[["Link", bytes], None]) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.peer, self._data = sock, peer, data
        self.pending = b""
        self.closed = False
        self._out = bytearray()
        peer.selector.register(sock, selectors.EVENT_READ, self)

    def ready(self, mask: int) -> None:
        """The selector says so."""
        if mask & selectors.EVENT_WRITE:
            self._flush()
        if mask & selectors.EVENT_READ and not self.closed:
            try:
                data = self.sock.recv(READ)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if data:
                self._data(self, data)
            else:
                self.close()

    def send(self, data: bytes) -> None:
        """Now or as soon as there is room; a closed link takes and loses it."""
        if self.closed:
            return
        self._out += data
        self._flush()

    def close(self) -> None:
        """Forget it."""
        self.closed = True
        self.peer.selector.unregister(self.sock)
        self.sock.close()

    def _flush(self) -> None:
        try:
            sent = self.sock.send(self._out)
            del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        self.peer.selector.modify(self.sock, wanted, self)


class Peer:
    """The selector and what is counted."""

    def __init__(self, seconds: float) -> None:
        self.selector = selectors.DefaultSelector()
        self.deadline = time.monotonic() + seconds
        self.smsc: Link | None = None
        self.submits = 0
        self.callbacks = 0
        self.refused = 0
        self.on_response: Callable[[int, int], None] = lambda sequence, status: None
        self.on_submit: Callable[[bytes], None] | None = None
        self.on_bind: Callable[[], None] = lambda: None

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self.selector.close()

    def listen(self, port: int, data: Callable[[Link, bytes], None]) -> None:
        """Accept on loopback."""
        server = socket.create_server(("127.0.0.1", port), backlog=256)
        server.setblocking(False)

        def accept() -> None:
            Link(self, server.accept()[0], data)

        self.selector.register(server, selectors.EVENT_READ, accept)

    def run(self, until: Callable[[], bool]) -> bool:
        """Work until the condition holds; False when the time is over first."""
        while not until():
            if time.monotonic() > self.deadline:
                return False
            for key, mask in self.selector.select(0.05):
                if isinstance(key.data, Link):
                    key.data.ready(mask)
                else:
                    key.data()
        return True

    # -- SMSC -------------------------------------------------------------------------------------

    def smpp(self, link: Link, data: bytes) -> None:
        """Answer what the server asks, count what it answers."""
        out = []
        bound = False
        for command, status, sequence, body in self._frames(link, data):
            if command == DELIVER_SM | RESPONSE:
                self.refused += status != 0
                self.on_response(sequence, status)
            elif command == SUBMIT_SM:
                self.submits += 1
                if self.on_submit is not None:
                    self.on_submit(body)
                message_id = b"%x\0" % self.submits
                out.append(HEADER.pack(16 + len(message_id), SUBMIT_SM | RESPONSE, 0, sequence) + message_id)
            elif command == BIND_TRANSCEIVER:
                out.append(HEADER.pack(21, BIND_TRANSCEIVER | RESPONSE, 0, sequence) + b"peer\0")
                self.smsc = link
                bound = True
            elif command in (ENQUIRE_LINK, UNBIND):
                out.append(HEADER.pack(16, command | RESPONSE, 0, sequence))
        if out:
            link.send(b"".join(out))
        if bound:
            self.on_bind()

    def _frames(self, link: Link, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
        data = link.pending + data
        position = 0
        while len(data) - position >= 16:
            length, command, status, sequence = HEADER.unpack_from(data, position)
            if len(data) - position < length:
                break
            body = data[position + 16 : position + length] if command == SUBMIT_SM else b""
            position += length
            yield command, status, sequence, body
        link.pending = data[position:]

    # -- callback sink ----------------------------------------------------------------------------

    def sink(self, link: Link, data: bytes) -> None:
        """Every GET is answered `ok`."""
        data = link.pending + data
        requests = data.count(b"\r\n\r\n")
        link.pending = data[data.rfind(b"\r\n\r\n") + 4 :] if requests else data
        if requests:
            self.callbacks += requests
            link.send(OK_ANSWER * requests)


def deliver_sm(sequence: int, number: int, destination: bytes) -> bytes:
    """An MO of 100 GSM characters or so; each has its own sender and text, made of its number."""
    text = b"%08d %b" % (number, TEXT)
    body = b"\0\1\1447%09d\0\1\1%b\0\0\0\0\0\0\0\0\0\0%c%b" % (number, destination, len(text), text)
    return HEADER.pack(16 + len(body), DELIVER_SM, 0, sequence) + body


class MoPump:
    """I keep ``window`` deliver_sm unanswered until all are answered; what a lost link left unanswered, and
    what was refused for now, I send again."""

    def __init__(self, peer: Peer, window: int, destination: bytes) -> None:
        self._peer, self._window, self._destination = peer, window, destination
        self._sequence = 0
        self._number = 0
        self._unanswered: dict[int, tuple[float, int]] = {}
        self._again: list[int] = []
        self._left = 0
        self.answered = 0
        self.acknowledged: set[int] = set()
        self.latencies: list[float] = []
        peer.on_response = self._response
        peer.on_bind = self._resend

    def pump(self, n: int) -> None:
        """So many more."""
        self._left += n
        self._fill()

    def _resend(self) -> None:
        self._again += [number for _, number in self._unanswered.values()]
        self._unanswered.clear()
        self._fill()

    def _fill(self) -> None:
        room = min(self._left + len(self._again), self._window - len(self._unanswered))
        if room <= 0:
            return
        assert self._peer.smsc is not None
        now = time.monotonic()
        self._peer.smsc.send(b"".join([self._next(now) for _ in range(room)]))

    def _next(self, now: float) -> bytes:
        self._sequence += 1
        if self._again:
            number = self._again.pop()
        else:
            self._left -= 1
            self._number += 1
            number = self._number
        self._unanswered[self._sequence] = (now, number)
        return deliver_sm(self._sequence, number, self._destination)

    def _response(self, sequence: int, status: int) -> None:
        sent_at, number = self._unanswered.pop(sequence)
        if status:
            self._again.append(number)
        else:
            self.latencies.append(time.monotonic() - sent_at)
            self.answered += 1
            self.acknowledged.add(number)
        if len(self._unanswered) <= self._window // 2:
            self._fill()


class Clients:
    """I am ``connections`` HTTP clients that each wait for an answer before the next request.

    An answer counts as refused when its status is no 20x, or its body has not ``good`` in it.
    """

    def __init__(
        self, peer: Peer, port: int, connections: int, request: Callable[[int], bytes], good: bytes = b""
    ) -> None:
        self._request = request
        self._good = good
        self._number = 0
        self._left = 0
        self.answered = 0
        self.refused = 0
        self.latencies: list[float] = []
        self._since: dict[Link, float] = {}
        self._links = [
            Link(peer, socket.create_connection(("127.0.0.1", port)), self._data) for _ in range(connections)
        ]
        self._idle = list(self._links)

    def pump(self, n: int) -> None:
        """So many more requests."""
        self._left += n
        idle, self._idle = self._idle, []
        for link in idle:
            self._next(link)

    def _next(self, link: Link) -> None:
        if not self._left:
            self._idle.append(link)
            return
        self._left -= 1
        self._number += 1
        self._since[link] = time.monotonic()
        link.send(self._request(self._number))

    def _data(self, link: Link, data: bytes) -> None:
        link.pending += data
        head, separator, body = link.pending.partition(b"\r\n\r\n")
        if not separator:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = int(lowered[at + 15 :].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        link.pending = body[length:]
        self.refused += not head.startswith(b"HTTP/1.1 20") or self._good not in body
        self.answered += 1
        self.latencies.append(time.monotonic() - self._since[link])
        self._next(link)


def post(api: int, key: str, source: str, text: str) -> Callable[[int], bytes]:
    """Requests for POST /v1/messages, each to its own number."""

    def request(number: int) -> bytes:
        body = json.dumps(
            {"from": source, "to": f"+447{number:09d}", "text": f"{number:08d} {text}"}
        ).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{api}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    return request


def query(api: int, path: str, login: str, source: str, text: str) -> Callable[[int], bytes]:
    """Requests of programs by GET; ``login`` and ``text`` are the beginning and the end of the query."""

    def request(number: int) -> bytes:
        target = f"{path}?{login}{source}&{text}".replace("NUMBER", f"447{number:09d}")
        return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{api}\r\n\r\n".encode()

    return request


def form(api: int, path: str, fields: Mapping[str, str]) -> Callable[[int], bytes]:
    """Requests of programs by POST of multipart/form-data."""
    parts = "".join(
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )

    def request(number: int) -> bytes:
        body = f"{parts}--xyz--\r\n".replace("NUMBER", f"447{number:09d}").encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{api}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=xyz\r\n\r\n"
        )
        return head.encode() + body

    return request


def keyed(request: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """The same requests, each with an Idempotency-Key of its own."""

    def with_key(number: int) -> bytes:
        line = b"Content-Type: application/json\r\n"
        return request(number).replace(line, line + b"Idempotency-Key: bench-%d\r\n" % number, 1)

    return with_key


def post_batch(api: int, key: str, source: str, text: str, size: int) -> Callable[[int], bytes]:
    """Requests for POST /v1/messages/batch of ``size`` messages, each to its own number."""

    def request(number: int) -> bytes:
        first = number * size
        messages = [
            {"from": source, "to": f"+447{n:09d}", "text": f"{n:08d} {text}"}
            for n in range(first, first + size)
        ]
        body = json.dumps({"messages": messages}).encode()
        head = (
            f"POST /v1/messages/batch HTTP/1.1\r\nHost: 127.0.0.1:{api}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    return request


def requests(kind: str, api: int, key: str, did: str) -> tuple[Callable[[int], bytes], bytes]:
    """The requests of one API, and what its good answers have in them; ``key`` may be a password."""
    text = quote_plus(TEXT.decode())
    number = did.removeprefix("+")
    rest = {"api_username": "bench", "api_password": key, "method": "sendSMS", "did": number}
    match kind:
        case "VoIP.ms, GET":
            login = f"{urlencode(rest)}&dst=NUMBER"
            return query(api, "/api/v1/rest.php", login, "", f"message={text}"), b'"success"'
        case "VoIP.ms, multipart":
            fields = {**rest, "dst": "NUMBER", "message": TEXT.decode()}
            return form(api, "/api/v1/rest.php", fields), b'"success"'
        case "Kannel":
            login = f"username=bench&password={key}&to=NUMBER&from="
            return query(api, "/cgi-bin/sendsms", login, number, f"text={text}"), b"0: Accepted"
        case "Jasmin":
            login = f"username=bench&password={key}&to=NUMBER&from="
            return query(api, "/send", login, number, f"content={text}"), b"Success"
        case "Acrobits":
            login = f"username=bench&password={key}&to=NUMBER&from="
            return query(api, "/acrobits/send", login, number, f"body={text}"), b"message_id"
    return post(api, key, did, TEXT.decode()), b""


def percentile(values: list[float], fraction: float) -> float:
    """In milliseconds."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] * 1000, 2) if ordered else 0.0


def measure(peer: Peer, source: MoPump | Clients, arrived: Callable[[], int], n: int, warm: int) -> None:
    """Warm up, then time ``n`` from the first request to the last arrival."""
    source.pump(warm)
    if not peer.run(lambda: source.answered >= warm and arrived() >= warm):
        sys.exit("the warm-up did not end in time")
    source.latencies.clear()
    say(event="start")
    began = time.monotonic()
    source.pump(n)
    finished = peer.run(lambda: source.answered >= warm + n)
    answered_s = time.monotonic() - began
    finished = peer.run(lambda: arrived() >= warm + n) and finished
    seconds = time.monotonic() - began
    say(
        event="done",
        finished=finished,
        n=n,
        answered_s=round(answered_s, 3),
        seconds=round(seconds, 3),
        answered_per_s=round(n / answered_s),
        per_s=round(n / seconds),
        p50_ms=percentile(source.latencies, 0.5),
        p99_ms=percentile(source.latencies, 0.99),
        refused=peer.refused + getattr(source, "refused", 0),
    )


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("mo", "mt", "batch", "http"))
    for name in ("smsc", "sink", "api"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--warm", type=int, default=500)
    parser.add_argument("--window", type=int, default=200)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--key", default="")
    parser.add_argument("--did", default="+12025550100")
    parser.add_argument("--requests", default="native")
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--keyed", action="store_true")
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    peer = Peer(options.seconds)
    if options.smsc:
        peer.listen(options.smsc, peer.smpp)
    if options.sink:
        peer.listen(options.sink, peer.sink)
    say(event="listening")
    if options.smsc and not peer.run(lambda: peer.smsc is not None):
        sys.exit("nobody bound in time")
    say(event="bound")
    if options.mode == "mo":
        pump = MoPump(peer, options.window, options.did.removeprefix("+").encode())
        arrived = (lambda: peer.callbacks) if options.sink else (lambda: pump.answered)
        measure(peer, pump, arrived, options.n, options.warm)
    else:
        sys.stdin.readline()  # the API is listening
        given = (options.api, options.key, options.did)
        request, good = requests(options.requests, *given)
        size = 1
        if options.mode == "batch":
            request, size = post_batch(*given, TEXT.decode(), options.batch), options.batch
        if options.keyed:
            request = keyed(request)
        clients = Clients(peer, options.api, options.connections, request, good)
        sent = (lambda: peer.submits // size) if options.smsc else (lambda: clients.answered)
        measure(peer, clients, sent, options.n, options.warm)


if __name__ == "__main__":
    main()
