"""SIP under fuzz: octets from a peer may be anything; they raise nothing undeclared and cost no time.

With atheris (coverage-guided, until stopped or for a number of runs):

python -m tests.fuzz.fuzz_sip -runs=1000000

Without it, `mutants` makes a repeatable stream of bad messages from good ones: the unit tests run a part of
it, and

python -m tests.fuzz.fuzz_sip --mutants 1000000

runs as many as one likes and says how long the slowest took.
"""

import random
import sys
import time
from collections.abc import Iterator

from protocols.sip.answers import response_to, stamp
from protocols.sip.body import read_body
from protocols.sip.digest import parse_challenge, parse_credentials
from protocols.sip.errors import BadValue, FramingLost, Malformed
from protocols.sip.framing import Framer
from protocols.sip.headers import parse_address_list, parse_tokens
from protocols.sip.message import MAX_HEADER, MAX_MESSAGE, Request, Response, parse
from protocols.sip.transaction import server_key
from protocols.sip.uri import parse_uri
from protocols.sip.validity import check_request, check_response
from tests.unit.protocols.sip.samples import COMPACT, MESSAGE, RESPONSE, torture

SLOWEST_MS = 10.0
GROWTH = 4_096
"""What canonical names may add to a message."""


def one_input(data: bytes) -> bool:
    """The target: the octets as a datagram and as a stream. Returns whether they were a message to
    process."""
    _stream_survives(data)
    try:
        message = parse(data)
        if isinstance(message, Response):
            check_response(message)
        else:
            server_key(message, check_request(message))
    except Malformed as error:
        if error.request is not None:
            _answer_survives(error.request)
        return False
    if len(data) < MAX_MESSAGE - GROWTH:
        _round_trip(message)
    if isinstance(message, Request):
        _fields_survive(message)
        _answer_survives(message)
    return True


def _round_trip(message: Request | Response) -> None:
    again = parse(message.serialise()).headers.items
    assert again[:-1] == [item for item in message.headers.items if item[0] != "Content-Length"]


def _stream_survives(data: bytes) -> None:
    framer, size = Framer(), 1 + len(data) // 3
    try:
        for start in range(0, len(data), size):
            for item in framer.feed(data[start : start + size]):
                assert item
    except FramingLost:
        pass


def _answer_survives(request: Request) -> None:
    octets = response_to(request, 400, "tag").serialise()
    if all(len(value) < MAX_HEADER - len(";tag=tag") for _, value in request.headers.items):
        assert isinstance(parse(octets), Response)


def _fields_survive(request: Request) -> None:
    headers = request.headers
    readers = (
        lambda: parse_uri(request.uri),
        lambda: [address.parsed() for address in parse_address_list(headers.all("Contact"), "Contact")],
        lambda: parse_tokens(headers.all("Require"), "Require"),
        lambda: parse_credentials(headers.get("Authorization") or ""),
        lambda: parse_challenge(headers.get("Authorization") or ""),
        lambda: read_body(headers.get("Content-Type"), headers.get("Content-Encoding"), request.body),
    )
    for reader in readers:
        try:
            reader()
        except BadValue:
            continue
    stamp(request, "192.0.2.1", 5060)


def seeds() -> list[bytes]:
    """The torture messages, and what phones send."""
    cpim = b"From: <sip:a@b>\r\nNS: imdn <urn:ietf:params:imdn>\r\n\r\nContent-Type: text/plain\r\n\r\nhi"
    wrapped = MESSAGE.replace(b"text/plain;charset=UTF-8", b"message/cpim")
    wrapped = wrapped.partition(b"Content-Length")[0] + b"\r\n" + cpim
    return [*torture().values(), MESSAGE, COMPACT, RESPONSE, wrapped]


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """`count` messages with a few octets changed, cut out, put in or said again."""
    chance = random.Random(seed)
    pool = seeds()
    for _ in range(count):
        octets = bytearray(chance.choice(pool))
        for _ in range(chance.randint(1, 4)):
            _mutate(chance, octets)
        yield bytes(octets)


_PIECES = (
    b"\r\n",
    b"\r\n ",
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b"\0",
    b"%00",
    b"\xff",
    b"\\",
    b": ",
    b"@",
    b"=",
    b"\t",
)
_LONG = (
    b" ",
    b"\t",
    b";",
    b",",
    b"a",
    b"\r\n ",
    b'"',
    b"<",
    b"\\",
    b"%41",
    b"a:b\r\n",
    b"\r\n",
    b"[",
    b"=a;b",
)


def _mutate(chance: random.Random, octets: bytearray) -> None:
    place = chance.randint(0, max(0, len(octets) - 1))
    match chance.randint(0, 5):
        case 0 if octets:
            octets[place] = chance.randint(0, 255)
        case 1:
            octets[place:place] = chance.choice(_PIECES)
        case 2:
            del octets[place : place + chance.randint(1, 40)]
        case 3:
            octets[place:place] = octets[place : place + chance.randint(1, 200)]
        case 4 if chance.random() < 0.02:
            octets[place:place] = chance.choice(_LONG) * chance.randint(1_000, 20_000)
        case _:
            octets[place:place] = chance.randbytes(chance.randint(1, 8))


def run(count: int) -> None:
    """As many mutants as asked, with the time of the slowest (CPU time of this process)."""
    accepted, slowest, slow, began = 0, 0.0, 0, time.process_time()
    for octets in mutants(0, count):
        start = time.process_time()
        accepted += one_input(octets)
        took = (time.process_time() - start) * 1e3
        slowest, slow = max(slowest, took), slow + (took > SLOWEST_MS)
    total = time.process_time() - began
    sys.stdout.write(
        f"{count} mutants, {accepted} processed, none raised; slowest {slowest:.2f} ms, "
        f"{slow} above {SLOWEST_MS:.0f} ms, {total:.0f} s in all\n"
    )


def main() -> None:
    """Run the mutants, or atheris with its own command line."""
    if "--mutants" in sys.argv:
        run(int(sys.argv[sys.argv.index("--mutants") + 1]))
        return
    import atheris  # type: ignore[import-untyped]  # the unit tests do without it

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
