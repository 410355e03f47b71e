"""What a SIP message costs to read, answer and write; beside sipmessage in the same run.

Microseconds of one call, the best of several rounds. Figures of two machines do not compare; the ratios do.

    python -m tests.bench.bench_sip
"""

import platform
import sys
from contextlib import suppress

import sipmessage

from protocols.sip.answers import response_to, stamp
from protocols.sip.body import read_body
from protocols.sip.digest import Algorithm, is_right, parse_credentials
from protocols.sip.errors import Malformed
from protocols.sip.message import Request, parse
from protocols.sip.validity import KeyFields, check_request, key_fields
from tests.bench.bench_text import Figure, microseconds
from tests.unit.protocols.sip.samples import MESSAGE, request

FREEZER = (
    b"MESSAGE sip:a@b SIP/2.0\r\n" + b"".join(b"%x:\r\n" % n for n in range(4096, 4096 + 9267)) + b"\r\n"
)
"""65 KB, 9,267 headers."""


def _read() -> KeyFields:
    return key_fields(parse(MESSAGE))


def _checked() -> KeyFields:
    return check_request(request())


def _theirs() -> tuple[object, ...]:
    found = sipmessage.Message.parse(MESSAGE)
    return found.via, found.from_address, found.to_address, found.call_id, found.cseq


def _freeze() -> None:
    with suppress(Malformed):
        parse(FREEZER)


def _authenticate() -> bool:
    asked = request()
    credentials = parse_credentials(asked.headers.get("Authorization") or "")
    return is_right(credentials, asked.method, HA1)


HA1 = Algorithm.MD5.ha1("alice", "sip.example.net", "secret")


def figures() -> list[Figure]:
    """Measure everything; some seconds."""
    asked = request()
    answer = response_to(asked, 202, "tag")
    return [
        Figure("parse", microseconds(lambda: parse(MESSAGE)), {}),
        Figure("parse, key fields", microseconds(_read), {"sipmessage": microseconds(_theirs)}, 15.0),
        Figure("parse, check", microseconds(_checked), {}),
        Figure("parse, digest MD5", microseconds(_authenticate), {}),
        Figure("note the source", microseconds(lambda: _stamped(asked)), {}),
        Figure("answer 202, write", microseconds(lambda: response_to(asked, 202, "tag").serialise()), {}),
        Figure("write", microseconds(answer.serialise), {"sipmessage": _their_write()}),
        Figure(
            "read the text", microseconds(lambda: read_body("text/plain;charset=UTF-8", None, asked.body)), {}
        ),
        Figure("65 KB, 9,267 headers", microseconds(_freeze), {}, 5_000.0),
    ]


def _stamped(asked: Request) -> None:
    stamp(asked, "203.0.113.5", 40_000)


def _their_write() -> float:
    found = sipmessage.Message.parse(MESSAGE)
    return microseconds(lambda: bytes(found))


def main() -> None:
    """Print the table."""
    sys.stdout.write(f"µs a call; Python {platform.python_version()}, {platform.machine()}\n")
    sys.stdout.write(f"{'':24}{'ours':>9}{'aim':>9}{'sipmessage':>12}\n")
    for figure in figures():
        aim = "" if figure.aim is None else f"{figure.aim:.1f}"
        other = f"{figure.others['sipmessage']:.1f}" if figure.others else ""
        sys.stdout.write(f"{figure.name:24}{figure.ours:9.2f}{aim:>9}{other:>12}\n")


if __name__ == "__main__":
    main()
