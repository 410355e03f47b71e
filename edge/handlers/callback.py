"""The URL callback: a GET to the DID's URL template; the page says `ok`, or is asked again.

With retry on, any other answer means the same message again every 30 minutes (± jitter) until the
page says `ok` or the message is too old. With retry off there is one attempt.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import ClassVar
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, succeed

from edge.handlers import EXCERPT_CHARACTERS, Delivered, Failed, Job, Outcome, Retry, origin
from edge.handlers.http import Answer, HTTPSender, heard
from edge.handlers.template import TemplateError, fill
from storage.records import MessageRecord

OK_OCTETS = 4096  # a longer body is not an `ok`, whatever stands in it
NANP_E164_LENGTH = 12
UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """``retry_seconds`` ± ``jitter`` (a fraction) between attempts, for ``give_up_seconds`` after the message
    came; {TIMESTAMP} is wall-clock time in ``zone``."""

    retry_seconds: float = 1800.0
    jitter: float = 0.1
    give_up_seconds: float = 7 * 86400.0
    zone: ZoneInfo = UTC_ZONE


class CallbackHandler:
    """I make callbacks."""

    name = "callback"
    ordered: ClassVar[bool] = False

    def __init__(
        self, http: HTTPSender, settings: CallbackSettings, random: Random, wall_ms: Callable[[], int]
    ) -> None:
        self._http = http
        self._settings = settings
        self._random = random
        self._wall_ms = wall_ms

    def target_key(self, target: str) -> str:
        """See `edge.handlers.Handler`."""
        return origin(target)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        try:
            url = fill(job.delivery.target, variables(job.message, self._settings.zone))
        except TemplateError as error:
            return succeed(Failed("bad_template", excerpt=str(error)[:EXCERPT_CHARACTERS]))
        return heard(
            self._http.get(url),
            lambda answer: self._answered(answer, job),
            lambda reason, detail: self._again(job, reason, None, detail),
        )

    def _answered(self, answer: Answer, job: Job) -> Outcome:
        if says_ok(answer):
            return Delivered("ok", answer.status, answer.excerpt)
        outcome = "not_ok" if answer.successful else "http_error"
        return self._again(job, outcome, answer.status, answer.excerpt)

    def _again(self, job: Job, outcome: str, status: int | None, excerpt: str) -> Outcome:
        settings = self._settings
        if not job.settings.get("retry", False):
            return Failed(outcome, status, excerpt)
        after = settings.retry_seconds * self._random.uniform(1 - settings.jitter, 1 + settings.jitter)
        age_ms = self._wall_ms() - job.message.created_at
        if age_ms + after * 1000 > settings.give_up_seconds * 1000:
            return Failed("gave_up", status, excerpt)
        return Retry(outcome, after, status, excerpt)


def says_ok(answer: Answer) -> bool:
    """True for a 2xx whose body is `ok`, in any case, with white space around it."""
    return (
        200 <= answer.status < 300 and len(answer.body) <= OK_OCTETS and answer.body.strip().lower() == b"ok"
    )


def variables(message: MessageRecord, zone: ZoneInfo) -> dict[str, str]:
    """The values of the template's variables, unencoded."""
    at = datetime.fromtimestamp(message.created_at / 1000, UTC).astimezone(zone)
    return {
        "ID": str(message.id),
        "TIMESTAMP": at.strftime("%Y-%m-%d %H:%M:%S"),
        "FROM": plain(message.peer),
        "TO": plain(message.did),
        "MESSAGE": message.text,
    }


def plain(number: str) -> str:
    """A number as callback pages know it: ten digits in North America, else E.164 without the "+"."""
    if number.startswith("+1") and len(number) == NANP_E164_LENGTH:
        return number[2:]
    return number.removeprefix("+")
