"""What a bind counts."""

from edge import metrics as module
from edge.metrics import RESPONSE_SECONDS, BindMetrics, by_status
from protocols.smpp.commands import CommandId
from protocols.smpp.settings import Counters

SUBMIT_SM_RESP = CommandId.SUBMIT_SM_RESP


def test_responses_by_time_and_status() -> None:
    metrics = BindMetrics()
    for elapsed, status in ((0.001, 0), (0.005, 0), (0.02, 0x58), (100.0, 0x58)):
        metrics.answered(SUBMIT_SM_RESP, status, elapsed)
    assert len(metrics.histogram) == len(RESPONSE_SECONDS) + 1
    assert (metrics.histogram[0], metrics.histogram[2], metrics.histogram[-1]) == (2, 1, 1)
    assert metrics.seconds == 100.026
    assert by_status({SUBMIT_SM_RESP: 4, 0x999: 1}, metrics.errors_in) == {
        ("0x00000999", "ESME_ROK"): 1,
        ("submit_sm_resp", "ESME_ROK"): 2,
        ("submit_sm_resp", "ESME_RTHROTTLED"): 2,
    }


def test_an_smsc_cannot_fill_the_memory_with_statuses() -> None:
    metrics = BindMetrics()
    for status in range(1, 1_000):
        metrics.refused(SUBMIT_SM_RESP, status)
    assert len(metrics.errors_out) == module.MOST_STATUSES + 1
    assert sum(metrics.errors_out.values()) == 999
    counted = by_status({SUBMIT_SM_RESP: 999}, metrics.errors_out)
    assert counted["submit_sm_resp", "other"] == 999 - module.MOST_STATUSES


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
