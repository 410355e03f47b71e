"""SMPP under fuzz: octets from a peer may be anything; they raise nothing, leak nothing and cost no bind.

With atheris (coverage-guided, until stopped or for a number of runs; a FOLDER keeps the corpus):

    python -m tests.fuzz.fuzz_smpp -runs=1000000 [FOLDER]

Without it, `mutants` makes a repeatable stream of bad PDUs from good ones. The unit tests run a part of it;
this runs as many as one likes, and counts what became of them:

    python -m tests.fuzz.fuzz_smpp --mutants 1000000 [--seed N]
"""

import argparse
import importlib
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from protocols.smpp import receipt, tlv
from protocols.smpp.codec import HEADER_LENGTH, pack, unpack
from protocols.smpp.errors import RecoverableError, UnrecoverableError
from protocols.smpp.events import BindRequested, RequestReceived
from protocols.smpp.pdu import (
    PDU_CLASSES,
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    SubmitSm,
    make,
)
from protocols.smpp.session import Role, Session, SessionSettings

SEEDS = Path("build/fuzz/smpp")
SETTINGS = SessionSettings(window=5, response_timeout=3.0, enquire_link=5.0)


def codec_survives(data: bytes) -> bool:
    """One PDU through the codec: refused by one of the two errors, or read and written back unchanged.

    Returns whether it was read.
    """
    try:
        pdu = unpack(data)
    except (RecoverableError, UnrecoverableError):
        return False
    assert pack(pdu) == data
    repr(pdu)
    receipt.parse(pdu)
    tlv.sar(pdu.tlvs)
    tlv.network_error_code(pdu.tlvs)
    for tag, value in pdu.tlvs:
        tlv.decode(tag, value)
    return True


def bound_session(role: Role) -> Session:
    """A bound session with two requests outstanding."""
    session = Session(role, SETTINGS, 0.0)
    if role is Role.ESME:
        session.request(BindTransceiver(), 0.0)
        session.receive_data(pack(BindTransceiverResp(sequence_number=1)), 0.0)
        session.request(SubmitSm(), 0.0, 1)
        session.request(SubmitSm(), 0.0, 2)
    else:
        session.receive_data(pack(BindTransceiver(sequence_number=1)), 0.0)
        session.accept_bind(0.0)
    session.data_to_send()
    return session


def session_survives(role: Role, data: bytes) -> Session:
    """A stream through a bound session whose application answers everything; the session as it is then."""
    session = bound_session(role)
    size = 1 + len(data) // 3
    for now, start in enumerate(range(0, len(data), size)):
        for event in session.receive_data(data[start : start + size], float(now)):
            if isinstance(event, RequestReceived):
                session.respond(event.pdu.refuse(0))
            elif isinstance(event, BindRequested):
                session.accept_bind(float(now))
        session.handle_timer(float(now))
        session.timer()
        session.data_to_send()
    return session


def receipt_survives(data: bytes) -> None:
    """Octets as the text of a receipt, in octets or UCS-2."""
    coding = 8 * (len(data) & 1)
    tlvs = ((tlv.Tag.MESSAGE_PAYLOAD, data),)
    found = receipt.parse(DeliverSm(esm_class=4, data_coding=coding, tlvs=tlvs))
    assert found is not None
    assert found.final == found.state.final


def sealed(data: bytes) -> bytes:
    """The same with a true command_length, so that what is behind it is read."""
    return len(data).to_bytes(4) + data[4:] if len(data) >= HEADER_LENGTH else data


def one_input(data: bytes) -> None:
    """The target: the same octets as a PDU, as a stream to each role, and as the text of a receipt."""
    for octets in dict.fromkeys((data, sealed(data))):
        codec_survives(octets)
        for role in Role:
            session = session_survives(role, octets)
            session.connection_lost(9.0, "end")
            assert session.window.in_use == 0
    receipt_survives(data)


def seeds() -> list[bytes]:
    """One PDU of every class, by its defaults, one full submit_sm, and one receipt."""
    full = SubmitSm(
        source_addr="ACME",
        destination_addr="12025550100",
        esm_class=0x40,
        short_message=b"\5\0\3\7\2\1" + b"text",
        tlvs=((0x0424, b"payload"), (0x020C, b"\0\1"), (0x1403, b"vendor")),
    )
    told = DeliverSm(
        esm_class=4,
        short_message=b"id:0A1 sub:001 dlvrd:001 submit date:2601011200 done date:260101120100"
        b" stat:DELIVRD err:000 text:x",
        tlvs=((tlv.Tag.RECEIPTED_MESSAGE_ID, b"0A1\0"), (tlv.Tag.MESSAGE_STATE, b"\2")),
    )
    plain = [pack(make(pdu_class, pdu_class._field_defaults.values())) for pdu_class in PDU_CLASSES]
    return [*plain, pack(full), pack(told)]


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """`count` PDUs with a few octets changed, cut out or put in; two of three keep a true command_length."""
    chance = random.Random(seed)
    pool = seeds()
    for _ in range(count):
        octets = bytearray(chance.choice(pool))
        for _ in range(chance.randint(1, 4)):
            _mutate(chance, octets)
        if chance.random() < 0.67:
            octets[:4] = len(octets).to_bytes(4)
        yield bytes(octets)


def _mutate(chance: random.Random, octets: bytearray) -> None:
    place = chance.randint(4, len(octets) - 1)
    match chance.randint(0, 3):
        case 0:
            octets[place] = chance.choice((0, 1, 4, 0x7F, 0x80, 0xFE, 0xFF, chance.randint(0, 255)))
        case 1:
            octets[place:place] = chance.randbytes(chance.randint(1, 30))
        case 2 if len(octets) > 20:
            del octets[place : place + chance.randint(1, 8)]
        case _:
            octets += chance.choice((b"\0", b"\x04\x24\0\1x", b"\x04\x24\xff\xff", chance.randbytes(5)))


def framed(octets: bytes) -> bool:
    """Whether a mutant has its true length and is no unbind: then it must not cost the bind."""
    return int.from_bytes(octets[:4]) == len(octets) >= 16 and octets[7] != 6


def campaign(seed: int, count: int) -> Counter[str]:
    """`count` mutants through the codec and a session of each role, and what became of them.

    AssertionError, or whatever else was raised, ends it: there is nothing that a peer may raise.
    """
    found: Counter[str] = Counter()
    for octets in mutants(seed, count):
        found["read" if codec_survives(octets) else "refused"] += 1
        for role in Role:
            session = session_survives(role, octets)
            if framed(octets):
                found["sessions that must live"] += 1
                found["sessions lost"] += session.closed
            else:
                found["sessions that may end"] += 1
                found["sessions ended"] += session.closed
            session.connection_lost(9.0, "end")
            assert session.window.in_use == 0
        found["mutants"] += 1
    return found


def report(seed: int, count: int, chunks: int = 10) -> None:
    """Run a campaign in `chunks`, and print its counts and how much memory the process took after each."""
    total: Counter[str] = Counter()
    start = time.perf_counter()
    for chunk in range(chunks):
        total += campaign(seed + chunk, count // chunks)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"{total['mutants']:>9,} mutants, {time.perf_counter() - start:>6.0f} s, peak {peak:,} KiB",
            flush=True,
        )
    for name in (
        "read",
        "refused",
        "sessions that must live",
        "sessions lost",
        "sessions that may end",
        "sessions ended",
    ):
        print(f"{total[name]:>9,} {name}")


def main() -> None:
    """Run under atheris with its own command line, or `report` with --mutants."""
    parser = argparse.ArgumentParser(description="SMPP under fuzz.")
    parser.add_argument("--mutants", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options, _ = parser.parse_known_args()
    if options.mutants:
        report(options.seed, options.mutants)
        return
    fuzz()


def fuzz() -> None:
    """Coverage-guided. Only what is under test is watched: to watch the library too halves the speed."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    for name in [name for name in sys.modules if name.startswith("protocols.")]:
        del sys.modules[name]
    with atheris.instrument_imports(include=["protocols"]):
        target = importlib.import_module("tests.fuzz.fuzz_smpp").one_input
    SEEDS.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds()):
        (SEEDS / f"seed-{number}").write_bytes(octets)
    # libFuzzer writes to the first folder that it is given, and only reads the others.
    atheris.Setup([*sys.argv, str(SEEDS)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
