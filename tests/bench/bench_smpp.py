"""What SMPP costs: µs for each PDU in the codec, the framing and the session, beside others in the same run.

Best of several rounds on one core. Only ratios travel between machines. The others are smpplib (Python) and
smpp34 (Rust; it decodes fields when they are read, so the usual ones are), each in a process of its own, and
left out, with a word, where it is not installed.

    python -m tests.bench.bench_smpp [--rounds N]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from protocols.smpp.codec import Framer, pack, unpack
from protocols.smpp.events import RequestReceived
from protocols.smpp.pdu import BindTransceiver, DeliverSm, DeliverSmResp, SubmitSm, SubmitSmResp
from protocols.smpp.session import Role, Session, SessionSettings
from tests.server import ROOT

ROUNDS = 5
TEXT = b"x" * 100
RECEIPT = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2610221200 done date:2610221201"
    b" stat:DELIVRD err:000 text:hello"
)

SMPPLIB = """
import json, sys, time
from smpplib import smpp

class Client:
    sequence = 0
    def next_sequence(self):
        self.sequence += 1
        return self.sequence

client, rounds, count = Client(), int(sys.argv[1]), 2000
submit, deliver, response = (bytes.fromhex(octets) for octets in sys.argv[2:5])

def build():
    smpp.make_pdu("submit_sm", client=client, source_addr_ton=1, source_addr_npi=1, source_addr="12025550100",
                  dest_addr_ton=1, dest_addr_npi=1, destination_addr="447700900123", registered_delivery=1,
                  short_message=b"x" * 100).generate()

def best(do):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            do()
        seconds.append(time.perf_counter() - start)
    return min(seconds) / count * 1e6

def parse(octets):
    return lambda: smpp.parse_pdu(octets, client=client, allow_unknown_opt_params=True)

print(json.dumps({"pack submit_sm": best(build), "unpack submit_sm": best(parse(submit)),
                  "unpack deliver_sm": best(parse(deliver)), "unpack submit_sm_resp": best(parse(response))}))
"""


SMPP34 = """
import json, sys, time
import smpp34

rounds, count = int(sys.argv[1]), 20000
submit, deliver, response = (bytes.fromhex(octets) for octets in sys.argv[2:5])

def build():
    smpp34.SubmitSm("12025550100", "447700900123", b"x" * 100, source_addr_ton=1, source_addr_npi=1,
                    dest_addr_ton=1, dest_addr_npi=1, registered_delivery=1).encode()

def best(do):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            do()
        seconds.append(time.perf_counter() - start)
    return min(seconds) / count * 1e6

def parse(octets):
    def read():
        pdu = smpp34.decode(octets)
        pdu.source_addr, pdu.destination_addr, pdu.esm_class, pdu.data_coding, pdu.short_message, pdu.tlvs
    return read

def raw():
    smpp34.decode(response).body

print(json.dumps({"pack submit_sm": best(build), "unpack submit_sm": best(parse(submit)),
                  "unpack deliver_sm": best(parse(deliver)), "unpack submit_sm_resp": best(raw)}))
"""

OTHERS = {
    "smpplib": (sys.executable, SMPPLIB),
    "smpp34": (str(ROOT / "tests" / "interop" / "venv-peers" / "bin" / "python"), SMPP34),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: µs an operation, ours and those of the others that have the like."""

    name: str
    microseconds: float
    others: tuple[tuple[str, float], ...] = ()

    def line(self) -> str:
        """For people."""
        beside = "".join(
            f"{theirs:>9.2f} {who} {theirs / self.microseconds:>5.1f}x" for who, theirs in self.others
        )
        return f"{self.name:<44}{self.microseconds:>8.2f} µs{beside}"


def submit_sm() -> SubmitSm:
    """A usual submit_sm of 100 octets."""
    return SubmitSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="12025550100",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="447700900123",
        registered_delivery=1,
        short_message=TEXT,
    )


def deliver_sm() -> DeliverSm:
    """A usual receipt with its two TLVs."""
    return DeliverSm(
        sequence_number=7,
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="447700900123",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="12025550100",
        esm_class=4,
        short_message=RECEIPT,
        tlvs=((0x001E, b"0123456789\0"), (0x0427, b"\2")),
    )


def best(do: Callable[[], object], count: int, rounds: int, each: int = 1) -> float:
    """µs for one of `each` operations in `do`: the best of `rounds` times `count`."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            do()
        seconds.append(time.perf_counter() - start)
    return min(seconds) / count / each * 1e6


def bound_pair() -> tuple[Session, Session]:
    """An ESME and an SMSC, bound to each other."""
    settings = SessionSettings()
    esme, smsc = Session(Role.ESME, settings, 0.0), Session(Role.SMSC, settings, 0.0)
    esme.request(BindTransceiver(system_id="me", password="secret"), 0.0)
    smsc.receive_data(esme.data_to_send(), 0.0)
    smsc.accept_bind(0.0, "smsc")
    esme.receive_data(smsc.data_to_send(), 0.0)
    return esme, smsc


def mt_pair(batch: int) -> Callable[[], None]:
    """`batch` submit_sm built, sent, read and answered, and their answers read, in one turn of each side."""
    esme, smsc = bound_pair()

    def turn() -> None:
        for context in range(batch):
            esme.request(submit_sm(), 1.0, context)
        for event in smsc.receive_data(esme.data_to_send(), 1.0):
            if isinstance(event, RequestReceived):
                number = event.pdu.sequence_number
                smsc.respond(SubmitSmResp(sequence_number=number, message_id="0123456789"))
        smsc.timer()
        esme.receive_data(smsc.data_to_send(), 1.0)
        esme.timer()

    return turn


def mo_side(batch: int) -> Callable[[], None]:
    """`batch` deliver_sm read and answered by an ESME: our side alone."""
    esme, _ = bound_pair()
    octets = pack(deliver_sm()) * batch

    def turn() -> None:
        for event in esme.receive_data(octets, 1.0):
            if isinstance(event, RequestReceived):
                esme.respond(DeliverSmResp(sequence_number=event.pdu.sequence_number))
        esme.data_to_send()
        esme.timer()

    return turn


def mt_side(batch: int, turns: int) -> Callable[[], None]:
    """`batch` submit_sm built and sent, and their answers read: the ESME alone, `turns` times at most."""
    esme, _ = bound_pair()
    answers = [
        pack(SubmitSmResp(sequence_number=number, message_id="0123456789"))
        for number in range(2, 2 + batch * turns)
    ]
    at = 0

    def turn() -> None:
        nonlocal at
        for context in range(batch):
            esme.request(submit_sm(), 1.0, context)
        esme.data_to_send()
        esme.receive_data(b"".join(answers[at : at + batch]), 1.0)
        esme.timer()
        at += batch

    return turn


def framing(pdus: int, piece: int) -> Callable[[], None]:
    """A stream of `pdus` submit_sm, cut, fed in pieces of `piece` octets."""
    stream = pack(submit_sm()) * pdus
    pieces = [stream[start : start + piece] for start in range(0, len(stream), piece)]

    def feed() -> None:
        framer = Framer()
        for octets in pieces:
            for _ in framer.feed(octets):
                pass

    return feed


def figures_of(who: str, rounds: int) -> dict[str, float]:
    """What another implementation takes, from a process of its own; empty when it is not installed."""
    python, script = OTHERS[who]
    arguments = [
        pack(pdu).hex() for pdu in (submit_sm(), deliver_sm(), SubmitSmResp(message_id="0123456789"))
    ]
    command = [python, "-W", "ignore", "-c", script, str(rounds), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{who} left out: {getattr(error, 'stderr', '') or error}", file=sys.stderr)
        return {}
    figures: dict[str, float] = json.loads(finished.stdout)
    return figures


def measure(rounds: int = ROUNDS) -> list[Figure]:
    """All figures, in the order of the table."""
    beside = {who: figures_of(who, rounds) for who in OTHERS}
    submit, deliver, response = submit_sm(), deliver_sm(), SubmitSmResp(message_id="0123456789")
    in_octets = [pack(pdu) for pdu in (submit, deliver, response)]
    lines: list[tuple[str, Callable[[], object], int, int]] = [
        ("pack submit_sm", lambda: pack(submit_sm()), 20_000, 1),
        ("pack submit_sm, already built", lambda: pack(submit), 20_000, 1),
        ("unpack submit_sm", lambda: unpack(in_octets[0]), 20_000, 1),
        ("unpack deliver_sm", lambda: unpack(in_octets[1]), 20_000, 1),
        ("pack submit_sm_resp", lambda: pack(response), 20_000, 1),
        ("unpack submit_sm_resp", lambda: unpack(in_octets[2]), 20_000, 1),
        ("framing a PDU, 200 in one buffer", framing(200, 1 << 20), 50, 200),
        ("framing a PDU, 20,000 in one buffer", framing(20_000, 1 << 24), 1, 20_000),
        ("framing a PDU, pieces of 1,448 octets", framing(20_000, 1448), 1, 20_000),
        ("framing a PDU, one octet at a time", framing(1_000, 1), 1, 1_000),
        ("session, MT pair, our side", mt_side(10, 500 * rounds), 500, 10),
        ("session, MO pair, our side", mo_side(10), 500, 10),
        ("session, MT pair, both sides", mt_pair(10), 500, 10),
        ("session, MT pair, both sides, window of 1", mt_pair(1), 2_000, 1),
    ]

    def others(name: str) -> tuple[tuple[str, float], ...]:
        return tuple((who, figures[name]) for who, figures in beside.items() if name in figures)

    return [Figure(name, best(do, count, rounds, each), others(name)) for name, do, count, each in lines]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What SMPP costs.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    figures = measure(parser.parse_args().rounds)
    print(
        f"SMPP, Python {platform.python_version()}, {os.cpu_count()} cores; µs for each PDU, or pair of PDUs"
    )
    for figure in figures:
        print(figure.line())


if __name__ == "__main__":
    main()
