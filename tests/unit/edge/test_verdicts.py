"""What an answer to submit_sm means, by default and as a carrier has it."""

from edge.verdicts import Verdict, table
from protocols.smpp.errors import CommandStatus


def test_defaults() -> None:
    verdict = table({})
    assert verdict(CommandStatus.ESME_RTHROTTLED) is Verdict.RETRY
    assert verdict(CommandStatus.ESME_RMSGQFUL) is Verdict.RETRY
    assert verdict(CommandStatus.ESME_RSUBMITFAIL) is Verdict.ELSEWHERE
    assert verdict(CommandStatus.ESME_RINVDSTADR) is Verdict.FAIL
    assert verdict(0x410) is Verdict.FAIL
    assert verdict(CommandStatus.ESME_RINVBNDSTS) is Verdict.REBIND


def test_a_carrier_may_mean_something_else() -> None:
    verdict = table({"ESME_RTHROTTLED": "fail", "0x0410": "retry", "01041": "elsewhere"})
    assert verdict(0x58) is Verdict.FAIL
    assert verdict(0x410) is Verdict.RETRY
    assert verdict(0x411) is Verdict.ELSEWHERE
    assert verdict(CommandStatus.ESME_RMSGQFUL) is Verdict.RETRY
