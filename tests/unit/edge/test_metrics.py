"""What a bind counts."""

from edge.metrics import RESPONSE_SECONDS, BindMetrics, by_status
from protocols.smpp.commands import CommandId
from protocols.smpp.settings import MAX_ERRORS, OTHER, Counters, count_error

SUBMIT_SM_RESP = CommandId.SUBMIT_SM_RESP


def test_responses_by_time() -> None:
    metrics = BindMetrics()
    for elapsed in (0.001, 0.005, 0.02, 100.0):
        metrics.answered(elapsed)
    assert len(metrics.histogram) == len(RESPONSE_SECONDS) + 1
    assert (metrics.histogram[0], metrics.histogram[2], metrics.histogram[-1]) == (2, 1, 1)
    assert metrics.seconds == 100.026


def test_pdus_by_command_and_status() -> None:
    assert by_status(
        {SUBMIT_SM_RESP: 4, OTHER: 1}, {(SUBMIT_SM_RESP, 0x58): 1, (SUBMIT_SM_RESP, OTHER): 1}
    ) == {
        ("unknown", "ESME_ROK"): 1,
        ("submit_sm_resp", "ESME_ROK"): 2,
        ("submit_sm_resp", "ESME_RTHROTTLED"): 1,
        ("submit_sm_resp", "other"): 1,
    }


def test_statuses_that_a_carrier_makes_up_have_one_label() -> None:
    counters = Counters()
    for status in (0x58, 0x410, 0x411, 0xDEADBEEF):
        counters.received[SUBMIT_SM_RESP] += 1
        count_error(counters.errors_received, SUBMIT_SM_RESP, status)
    assert by_status(counters.received, counters.errors_received) == {
        ("submit_sm_resp", "ESME_RTHROTTLED"): 1,
        ("submit_sm_resp", "other"): 3,
    }


def test_an_smsc_cannot_fill_the_memory_with_statuses_in_any_number_of_sessions() -> None:
    metrics = BindMetrics()
    for session in range(10):
        counters = Counters()
        for status in range(1, 101):
            count_error(counters.errors_received, SUBMIT_SM_RESP, session * 100 + status)
        metrics.ended(counters)
    errors = metrics.totals(None).errors_received
    assert len(errors) == MAX_ERRORS + 1
    assert sum(errors.values()) == 1_000
    assert errors[SUBMIT_SM_RESP, OTHER] == 1_000 - MAX_ERRORS


def test_the_counters_of_sessions_add_up() -> None:
    metrics = BindMetrics()
    for _ in range(2):
        counters = Counters()
        counters.received[SUBMIT_SM_RESP] = 3
        counters.lost = 1
        metrics.ended(counters)
    current = Counters()
    current.received[SUBMIT_SM_RESP] = 1
    current.received[CommandId.DELIVER_SM] = 5
    total = metrics.totals(current)
    assert dict(total.received) == {SUBMIT_SM_RESP: 7, CommandId.DELIVER_SM: 5}
    assert total.lost == 2
    assert metrics.totals(None).received[SUBMIT_SM_RESP] == 6
