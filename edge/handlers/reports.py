"""Delivery reports as the callers of Kannel's and Jasmin's APIs know them: a request to the URL that they
gave.

The delivery's target says of which kind, and what is wanted:

    kannel:MASK:URL            a GET; escapes such as %d in the URL are filled, MASK is a sum of 1, 2, 8, 16
    jasmin:LEVEL:METHOD:URL    a GET or POST with parameters, answered ACK/Jasmin; LEVEL 1, 2 or 3

What is not wanted is settled without asking anybody. Else it is tried again as a webhook is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import ClassVar
from urllib.parse import quote, urlencode

from twisted.internet.defer import Deferred, succeed

from edge.carrier_errors import deciding, error_of
from edge.handlers import Delivered, Failed, Job, Outcome, Retry, origin
from edge.handlers.answers import heard
from edge.handlers.base import Tools
from edge.handlers.posting import wait_after
from edge.http.answer import Answer
from edge.http.client import HTTPClient
from storage import messages
from storage.records import MessageStatus, MessageView, PartRecord
from storage.store import Store

KANNEL, JASMIN = "kannel", "jasmin"
DELIVERED, UNDELIVERED, SUBMITTED, REJECTED = 1, 2, 8, 16
WANTED = DELIVERED | UNDELIVERED | SUBMITTED | REJECTED
SMSC_LEVEL, TERMINAL_LEVEL = 1, 2
ACKNOWLEDGED = b"ACK/Jasmin"
FIRST_CHARACTERS = 20
HEXADECIMAL = "abcdefABCDEF"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n"
_ESCAPE = re.compile(r"%([A-Za-z%])")


@dataclass(frozen=True, slots=True)
class Report:
    """What is told: one of the four kinds above, of this message."""

    kind: int
    view: MessageView
    at_ms: int

    @property
    def part(self) -> PartRecord | None:
        """The one that decided: with an error, else the first."""
        parts = self.view.parts
        return deciding(parts) or (parts[0] if parts else None)


class ReportHandler:
    """I make reports: the delivery's event is the state that is told."""

    name = "report"
    ordered: ClassVar[bool] = False

    def __init__(self, http: HTTPClient, store: Store, random: Random, wall_ms: Callable[[], int]) -> None:
        self._http = http
        self._store = store
        self._random = random
        self._wall_ms = wall_ms

    @classmethod
    def build(cls, tools: Tools) -> "ReportHandler":
        """With what the server has."""
        return cls(tools.http, tools.store, tools.random, tools.wall_ms)

    def target_key(self, target: str) -> str:
        """See `edge.handlers.Handler`."""
        return origin(target[target.lower().find("http") :])

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        if job.delivery.event == MessageStatus.QUEUED:  # neither of the two tells of that
            return succeed(Delivered("not_wanted"))
        reading = self._store.read(messages.get, job.delivery.account_id, job.delivery.message_id)
        return reading.addCallback(self._tell, job)

    def _tell(self, view: MessageView | None, job: Job) -> Outcome | Deferred[Outcome]:
        if view is None:
            return Failed("message_gone")
        report = Report(_kind(job.delivery.event, view), view, job.delivery.created_at)
        gateway, _, rest = job.delivery.target.partition(":")
        return self._kannel(report, job, rest) if gateway == KANNEL else self._jasmin(report, job, rest)

    def _kannel(self, report: Report, job: Job, target: str) -> Outcome | Deferred[Outcome]:
        mask, _, url = target.partition(":")
        if not int(mask) & report.kind:
            return Delivered("not_wanted")
        return self._ask(self._http.get(kannel_url(url, report)), job, lambda answer: answer.successful)

    def _jasmin(self, report: Report, job: Job, target: str) -> Outcome | Deferred[Outcome]:
        level, method, url = target.split(":", 2)
        at_smsc = report.kind in (SUBMITTED, REJECTED)
        if not int(level) & (SMSC_LEVEL if at_smsc else TERMINAL_LEVEL):
            return Delivered("not_wanted")
        values = urlencode(jasmin_values(report, int(level)))
        if method == "get":
            asking = self._http.get(f"{url}{'&' if '?' in url else '?'}{values}")
        else:
            asking = self._http.send(url, "POST", FORM % len(values), values.encode("ascii"))
        return self._ask(asking, job, lambda answer: answer.body.strip() == ACKNOWLEDGED)

    def _ask(
        self, asking: Deferred[Answer], job: Job, is_good: Callable[[Answer], bool]
    ) -> Deferred[Outcome]:
        def answered(answer: Answer) -> Outcome:
            if answer.successful and is_good(answer):
                return Delivered("accepted", answer.status, answer.excerpt)
            outcome = "not_acknowledged" if answer.successful else "http_error"
            return self._again(job, outcome, answer.status, answer.excerpt)

        return heard(asking, answered, lambda reason, detail: self._again(job, reason, None, detail))

    def _again(self, job: Job, outcome: str, status: int | None, excerpt: str) -> Outcome:
        wait = wait_after(job, self._random)
        if wait is None:
            return Failed("gave_up", status, excerpt)
        return Retry(outcome, wait, status, excerpt)


def _kind(event: str | None, view: MessageView) -> int:
    match event:
        case MessageStatus.SENT:
            return SUBMITTED
        case MessageStatus.DELIVERED:
            return DELIVERED
    taken = any(part.smsc_message_id is not None for part in view.parts)
    return UNDELIVERED if taken else REJECTED


def kannel_url(template: str, report: Report) -> str:
    """The URL with its escapes filled, percent-encoded; an escape that a report has not becomes nothing."""
    message, part = report.view.message, report.part
    at = datetime.fromtimestamp(report.at_ms / 1000, UTC)
    error = None if part is None else error_of(part)
    values = {
        "d": str(report.kind),
        "p": message.peer,
        "P": message.did,
        "t": f"{at:%Y-%m-%d %H:%M:%S}",
        "T": str(report.at_ms // 1000),
        "a": message.text,
        "A": error or _status(report),
        "i": message.upstream or "",
        "I": str(message.id),
        "F": "" if part is None else part.smsc_message_id or "",
    }

    def filled(found: re.Match[str]) -> str:
        letter = found[1]
        if letter not in values:
            # What is percent-encoded already may begin with a letter, too.
            return found[0] if letter in HEXADECIMAL else "%" if letter == "%" else ""
        return quote(values[letter], safe="", errors="replace")

    return _ESCAPE.sub(filled, template)


def jasmin_values(report: Report, level: int) -> dict[str, str]:
    """The parameters of a report at this level."""
    message, part = report.view.message, report.part
    common = {
        "id": str(message.id),
        "message_status": _status(report),
        "level": str(level),
        "connector": message.upstream or "",
    }
    if level == SMSC_LEVEL:
        return common
    submitted, done = (
        f"{datetime.fromtimestamp(at_ms / 1000, UTC):%y%m%d%H%M}"
        for at_ms in (message.created_at, report.at_ms)
    )
    return {
        **common,
        "id_smsc": "" if part is None else part.smsc_message_id or "",
        "subdate": submitted,
        "donedate": done,
        "sub": "001",
        "dlvrd": "001" if report.kind == DELIVERED else "000",
        "err": "000" if part is None or part.receipt_error is None else part.receipt_error,
        "text": message.text[:FIRST_CHARACTERS],
    }


def _status(report: Report) -> str:
    match report.kind:
        case 1:
            return "DELIVRD"
        case 2:
            return "UNDELIV"
        case 8:
            return "ESME_ROK"
    error = None if report.part is None else error_of(report.part)
    name = "" if error is None else error.partition(" ")[0]
    return name if name.startswith("ESME_") else "ESME_RSUBMITFAIL"
