"""A short, repeatable run of the fuzz target; `tests.fuzz.fuzz_smpp` runs it without end."""

import gc
import tracemalloc

import pytest

from protocols.smpp.codec import pack
from protocols.smpp.events import RequestReceived
from protocols.smpp.pdu import DeliverSm
from protocols.smpp.session import Role
from tests.fuzz import fuzz_smpp


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mutants_raise_nothing(seed: int) -> None:
    for octets in fuzz_smpp.mutants(seed, 2_000):
        fuzz_smpp.one_input(octets)


def test_a_campaign_counts_and_loses_no_bind() -> None:
    found = fuzz_smpp.campaign(7, 1_000)
    assert found["mutants"] == found["read"] + found["refused"] == 1_000
    assert found["sessions that must live"] + found["sessions that may end"] == 2_000
    assert found["sessions that must live"] > 500
    assert found["sessions lost"] == 0


def test_the_mutants_are_worth_it() -> None:
    read = [fuzz_smpp.codec_survives(octets) for octets in fuzz_smpp.mutants(4, 2_000)]
    assert 200 < sum(read) < 1_800


def test_seeds_are_well_formed() -> None:
    assert all(fuzz_smpp.codec_survives(octets) for octets in fuzz_smpp.seeds())


def test_a_true_length_never_costs_the_bind() -> None:
    """What is wrong within one PDU is answered; only lengths and unbinds end a session."""
    for octets in fuzz_smpp.mutants(5, 2_000):
        if fuzz_smpp.framed(octets):
            assert not fuzz_smpp.session_survives(Role.ESME, octets + pack(DeliverSm())).closed


def test_one_session_under_a_long_attack_keeps_its_memory() -> None:
    session = fuzz_smpp.bound_session(Role.SMSC)
    attack = [octets for octets in fuzz_smpp.mutants(6, 3_000) if fuzz_smpp.framed(octets)]
    assert len(attack) > 1_000

    def run() -> int:
        for octets in attack:
            for event in session.receive_data(octets, 1.0):
                if isinstance(event, RequestReceived):
                    session.respond(event.pdu.refuse(0))
            session.data_to_send()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    gc.disable()  # what is not freed at once would be freed late, on a busy server
    try:
        first, second = run(), run()
    finally:
        gc.enable()
        tracemalloc.stop()
    assert not session.closed
    assert second - first < 50_000
