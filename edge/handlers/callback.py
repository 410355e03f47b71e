"""The URL callback: a GET to the DID's URL template; the page says `ok`, or is asked again.

With retry on, any other answer means the same message again every 30 minutes (± jitter) until the
page says `ok` or it has gone on for too long: then it is a dead letter (failed, `gave_up`), which can be
replayed. With retry off there is one attempt. The id is the same each time.
"""

from codecs import BOM_UTF8
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred, succeed

from edge.handlers import EXCERPT_CHARACTERS, Delivered, Failed, Job, Outcome, Retry, origin
from edge.handlers.answers import heard
from edge.handlers.base import (
    CallbackTimes,
    DIDHandler,
    Key,
    Rules,
    SettingError,
    Settings,
    Tools,
    main_text,
)
from edge.handlers.signing import callback_signature
from edge.handlers.template import VARIABLES, Template, TemplateError, parse
from edge.http.answer import Answer
from edge.http.client import HTTPClient
from storage.records import MessageRecord

OK_OCTETS = 4096  # a longer body is not an `ok`, whatever stands in it
NANP_E164_LENGTH = 12
SHORTEST_SECRET = 16
SPELLINGS = ("nanp", "e164")
NUMBERS = Key("numbers", "text", "nanp (ten digits, the default) or e164 (with + and the country's code)")


class CallbackHandler(DIDHandler):
    """I make callbacks."""

    name = "callback"
    testable = True
    main = "url"
    keys = (
        Key("url", "text", f"http(s), with {' '.join(f'{{{name}}}' for name in VARIABLES)}", "URL"),
        Key("retry", "switch", "ask again until the page says ok"),
        Key("secret", "secret", "for {SIGNATURE}: new, or a text of at least 16 characters"),
        NUMBERS,
    )

    def __init__(
        self, http: HTTPClient, times: CallbackTimes, random: Random, wall_ms: Callable[[], int]
    ) -> None:
        self._http = http
        self._times = times
        self.give_up_seconds = times.give_up_seconds
        self._zone = ZoneInfo(times.timezone)
        self._random = random
        self._wall_ms = wall_ms

    @classmethod
    def build(cls, tools: Tools) -> "CallbackHandler":
        """See `DIDHandler`."""
        return cls(tools.http, tools.callback, tools.random, tools.wall_ms)

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        """The template is parsed and its origin judged; one that is signed gets a secret if it has none."""
        check_numbers(settings, "callback_numbers")
        url, secret = settings.get("url"), settings.get("secret")
        if isinstance(url, str) and url:
            try:
                names = parse(url).names
            except TemplateError as error:
                raise SettingError("callback_url", f"{error}.") from error
            rules.check_url(url, "callback_url")
            if "SIGNATURE" in names and secret == "":
                raise SettingError("callback_secret", "the URL has {SIGNATURE}, which needs one: give new.")
            if "SIGNATURE" in names and secret is None:
                cls.settle_secret(settings, "new", rules)
        return settings

    @classmethod
    def settle_secret(cls, settings: dict[str, object], written: str, rules: Rules) -> None:
        """``new`` makes one; nothing takes it away, unless the URL needs it."""
        if written == "new":
            written = rules.new_secret().hex()
        elif 0 < len(written) < SHORTEST_SECRET:
            raise SettingError("callback_secret", f"a secret has at least {SHORTEST_SECRET} characters.")
        settings["secret"] = written

    @classmethod
    def moved(cls, settings: Settings, peer: str, target: str) -> str:
        """See `DIDHandler`: the URL that is set now."""
        return main_text(cls, settings, target)

    def target_key(self, target: str) -> str:
        """See `DIDHandler`."""
        return origin(target)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        try:
            template = parse(job.delivery.target)
        except TemplateError as error:
            return succeed(Failed("bad_template", excerpt=str(error)[:EXCERPT_CHARACTERS]))
        url = template.fill(variables(template, job.message, job.attempt, job.settings, self._zone))
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
        times = self._times
        if not job.settings.get("retry", False):
            return Failed(outcome, status, excerpt)
        after = times.retry_seconds * self._random.uniform(1 - times.jitter, 1 + times.jitter)
        age_ms = self._wall_ms() - job.delivery.begun_at
        if age_ms + after * 1000 > times.give_up_seconds * 1000:
            return Failed("gave_up", status, excerpt)
        return Retry(outcome, after, status, excerpt)


def says_ok(answer: Answer) -> bool:
    """True for a 2xx whose body is `ok`, in any case, with white space around it and perhaps a byte order
    mark before it, which editors put there unseen."""
    return (
        200 <= answer.status < 300
        and len(answer.body) <= OK_OCTETS
        and answer.body.removeprefix(BOM_UTF8).strip().lower() == b"ok"
    )


def variables(
    template: Template, message: MessageRecord, attempt: int, settings: Settings, zone: ZoneInfo
) -> dict[str, str]:
    """The values of the template's variables, unencoded; the costly ones only if they are in it."""
    values = {
        "ID": str(message.id),
        "FROM": spelled(message.peer, settings),
        "TO": spelled(message.did, settings),
        "MESSAGE": message.text,
        "MEDIA": "",
        "FROM_E164": message.peer,
        "TO_E164": message.did,
        "ATTEMPT": str(attempt),
    }
    names = template.names
    at = datetime.fromtimestamp(message.created_at / 1000, UTC)
    if "TIMESTAMP" in names:
        values["TIMESTAMP"] = at.astimezone(zone).isoformat(" ", "seconds")[:19]
    if "TIMESTAMP_UTC" in names or "SIGNATURE" in names:
        values["TIMESTAMP_UTC"] = f"{at.isoformat(timespec='seconds')[:19]}Z"
    if "SIGNATURE" in names:
        secret = settings.get("secret")
        values["SIGNATURE"] = callback_signature(secret, values) if isinstance(secret, str) else ""
    return values


def check_numbers(settings: Settings, field: str) -> None:
    """Raises SettingError for a spelling that is not known."""
    if settings.get("numbers") not in (None, "", *SPELLINGS):
        raise SettingError(field, f"expected {' or '.join(SPELLINGS)}, not {settings['numbers']}.")


def spelled(number: str, settings: Settings) -> str:
    """A number as the handler's settings want it."""
    return number if settings.get("numbers") == "e164" else plain(number)


def plain(number: str) -> str:
    """A number as callback pages know it: ten digits in North America, else E.164 without the "+"."""
    if number.startswith("+1") and len(number) == NANP_E164_LENGTH:
        return number[2:]
    return number.removeprefix("+")
