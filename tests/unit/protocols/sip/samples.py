"""Messages that the tests of SIP begin with."""

from pathlib import Path

from protocols.sip.message import Request, Response, parse

TORTURE = Path(__file__).parents[3] / "data" / "rfc4475"

MESSAGE = (
    b"MESSAGE sip:+12025550100@sip.example.net SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5062;rport;branch=z9hG4bKPj4c1f6f0a2b7e4a9f8d1c\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice Example" <sip:alice@sip.example.net>;tag=9a1c2e3f4b5d6\r\n'
    b"To: <sip:+12025550100@sip.example.net>\r\n"
    b"Call-ID: 3848276298220188511@192.0.2.10\r\n"
    b"CSeq: 4711 MESSAGE\r\n"
    b"Contact: <sip:alice@192.0.2.10:5062;ob>\r\n"
    b"User-Agent: PJSUA v2.15 Linux\r\n"
    b'Authorization: Digest username="alice", realm="sip.example.net", nonce="b7c9036dbf3054ae", '
    b'uri="sip:+12025550100@sip.example.net", response="5d41402abc4b2a76b9719d911017c592", algorithm=MD5, '
    b'cnonce="0a4f113b", qop=auth, nc=00000001\r\n'
    b"Content-Type: text/plain;charset=UTF-8\r\n"
    b"Content-Length: 45\r\n"
    b"\r\n"
    b"Meet me at the north door at half past seven."
)
"""As a phone sends it."""

COMPACT = (
    b"REGISTER sip:sip.example.net SIP/2.0\r\n"
    b"v: SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bKa7\r\n"
    b"f: <sip:bob@sip.example.net>;tag=1\r\n"
    b"t: <sip:bob@sip.example.net>\r\n"
    b"i: c1\r\n"
    b"CSeq: 2 REGISTER\r\n"
    b'm: "Bob, at home" <sip:bob@[2001:db8::9]>;q=0.5, <sip:bob@192.0.2.7>;expires=60\r\n'
    b"l: 0\r\n"
    b"\r\n"
)

RESPONSE = (
    b"SIP/2.0 200 OK\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKus1\r\n"
    b"From: <sip:+12025550100@sip.example.net>;tag=us\r\n"
    b"To: <sip:alice@sip.example.net>;tag=them\r\n"
    b"Call-ID: out-1\r\n"
    b"CSeq: 1 MESSAGE\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)


def request(data: bytes = MESSAGE) -> Request:
    """A sample, read."""
    found = parse(data)
    assert isinstance(found, Request)
    return found


def response(data: bytes = RESPONSE) -> Response:
    """A sample, read."""
    found = parse(data)
    assert isinstance(found, Response)
    return found


def torture() -> dict[str, bytes]:
    """The messages of RFC 4475 by name."""
    return {path.stem: path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))}
