"""What phones report of the texts that they got (RFC 5438): matched to the delivery, and kept with it.

A phone names the text by the Message-ID of its envelope, or, where there was none, by our Call-ID, as
Linphone does: both begin with the delivery's id.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from edge.sip.agent import Reply
from protocols.sip.imdn import Receipt
from storage import deliveries
from storage.sip_accounts import SipAccount
from storage.store import Store

log = structlog.get_logger(__name__)

_ID = re.compile(r"([0-9a-f]{1,14})(?:[.@].*)?", re.ASCII | re.DOTALL)
_OUTCOMES = {
    ("delivery", "delivered"): "received",
    ("delivery", "failed"): "reported_failed",
    ("delivery", "forbidden"): "reported_failed",
    ("delivery", "error"): "reported_failed",
    ("display", "displayed"): "displayed",
}


@dataclass(slots=True)
class Counters:
    """What phones reported since the start, for operators."""

    matched: int = 0
    unmatched: int = 0
    not_stored: int = 0


class Reports:
    """I take receipts from phones."""

    def __init__(self, store: Store, wall_ms: Callable[[], int]) -> None:
        self.counters = Counters()
        self._store = store
        self._wall_ms = wall_ms

    def take(self, receipt: Receipt, account: SipAccount) -> Deferred[Reply]:
        """Keep one; the answer comes after the commit. One that fits nothing is answered all the same."""
        outcome = _OUTCOMES.get((receipt.kind, receipt.status))
        found = _ID.fullmatch(receipt.message_id)
        if outcome is None or found is None:
            return succeed(self._matched(False, receipt, account))
        identity, word, now_ms = int(found[1], 16), outcome, self._wall_ms()
        done = self._store.writer.run(
            "SIP report",
            lambda connection: deliveries.reported(
                connection, identity, account.account_id, account.aor, word, now_ms
            ),
        )
        return done.addCallbacks(self._matched, self._not_stored, callbackArgs=(receipt, account))

    def _matched(self, matched: bool, receipt: Receipt, account: SipAccount) -> Reply:
        if matched:
            self.counters.matched += 1
        else:
            self.counters.unmatched += 1
            log.info("sip_report_unmatched", user=account.username, kind=receipt.kind, status=receipt.status)
        return Reply(200)

    def _not_stored(self, failure: Failure) -> Reply:
        self.counters.not_stored += 1
        log.error("sip_report_not_stored", error=failure.getErrorMessage())
        return Reply(503, None, (("Retry-After", "5"),))
