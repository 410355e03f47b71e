"""getBalance and getIP: what clients ask first, to see whether they are let in."""

from twisted.internet.defer import Deferred, succeed

from edge.web.voipms import answers
from edge.web.voipms.call import Call

NOTHING = "0.000000"
STATISTICS = {
    "spent_total": NOTHING,
    "calls_total": "0",
    "time_total": "0:00",
    "spent_today": NOTHING,
    "calls_today": "0",
    "time_today": "0:00",
}


def get_balance(call: Call) -> Deferred[bytes]:
    """Nothing is billed here, and no calls are made: zeros. With `advanced` the statistics, too."""
    advanced = call.parameters.flag("advanced", "missing_params") or False
    balance = {"current_balance": NOTHING, **(STATISTICS if advanced else {})}
    return succeed(answers.success(balance=balance))


def get_ip(call: Call) -> Deferred[bytes]:
    """Where the call comes from, for whoever has to put it on the list of allowed addresses."""
    return succeed(answers.success(ip=call.address))
