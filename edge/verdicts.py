"""What the answer to a submit_sm means for the part: try again, perhaps elsewhere, or give up.

SMPP 3.4 §5.1.3 names the statuses, and every carrier has its own idea of them; so an upstream's
configuration may say otherwise for each.
"""

from collections.abc import Callable, Mapping
from enum import Enum

from edge.config_upstreams import status_number
from protocols.smpp.errors import CommandStatus as Status


class Verdict(Enum):
    """``RETRY`` pauses the bind, ``REBIND`` ends it and tries on the next one, ``ELSEWHERE`` is FAIL
    where the route has no other upstream."""

    RETRY = "retry"
    REBIND = "rebind"
    ELSEWHERE = "elsewhere"
    FAIL = "fail"


DEFAULTS: Mapping[int, Verdict] = {
    Status.ESME_RTHROTTLED: Verdict.RETRY,
    Status.ESME_RMSGQFUL: Verdict.RETRY,
    Status.ESME_RSYSERR: Verdict.RETRY,
    Status.ESME_RX_T_APPN: Verdict.RETRY,
    Status.ESME_RINVBNDSTS: Verdict.REBIND,  # it has forgotten our bind: the fault is not the message's
    Status.ESME_RSUBMITFAIL: Verdict.ELSEWHERE,
    Status.ESME_RSERTYPUNAUTH: Verdict.ELSEWHERE,
    Status.ESME_RPROHIBITED: Verdict.ELSEWHERE,
    Status.ESME_RSERTYPUNAVAIL: Verdict.ELSEWHERE,
    Status.ESME_RSERTYPDENIED: Verdict.ELSEWHERE,
}


def table(overrides: Mapping[str, str]) -> Callable[[int], Verdict]:
    """The verdict on each command_status; ``overrides`` are those of the configuration."""
    verdicts = {**DEFAULTS, **{status_number(name): Verdict(word) for name, word in overrides.items()}}

    def verdict(status: int) -> Verdict:
        return verdicts.get(status, Verdict.FAIL)

    return verdict
