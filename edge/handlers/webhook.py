"""The webhook: each message as a JSON POST to the DID's URL, in one of two forms.

`format=voipms`: the document that VoIP.ms posts (after Telnyx' `message.received`), numbers in its spelling:

    {"data": {"id": 7, "event_type": "message.received", "record_type": "event", "payload":
     {"id": 7, "record_type": "message", "type": "SMS", "from": {"phone_number": "2025550150"},
      "to": [{"phone_number": "2025550100", "status": "webhook_delivered"}], "text": "…", "media": [],
      "received_at": "2026-01-31T12:00:00.000000+00:00"}}}

`format=standard`: an event of Standard Webhooks, numbers in E.164. Either is signed (see
`edge.handlers.signing`) when the DID has keys; the standard form always has one. Two keys are active at a
time: a new one comes beside the one before, so that a receiver can change over at leisure.
"""

from datetime import UTC, datetime

import orjson
from twisted.internet.defer import Deferred

from edge.handlers import Job, Outcome, origin
from edge.handlers.base import DIDHandler, Key, Rules, SettingError, Settings, Tools, main_text
from edge.handlers.callback import NUMBERS, check_numbers, spelled
from edge.handlers.endpoints import bare
from edge.handlers.posting import Poster
from edge.handlers.signing import key_octets, new_key
from storage.endpoints import Endpoint
from storage.records import MessageFlag, MessageRecord

FORMATS = ("voipms", "standard")
ACTIVE_KEYS = 2


class WebhookHandler(DIDHandler):
    """I post messages."""

    name = "webhook"
    testable = True
    main = "url"
    keys = (
        Key("url", "text", "http(s); nothing in it is replaced", "URL"),
        Key("format", "text", "voipms (the default) or standard (Standard Webhooks, signed)"),
        NUMBERS,
        Key("secret", "secret", "new or whsec_…: comes beside the one before; retire: drop the older one"),
    )

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    @classmethod
    def build(cls, tools: Tools) -> "WebhookHandler":
        """See `DIDHandler`."""
        return cls(Poster.build(tools))

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        """The URL is judged; the standard form gets a key if there is none."""
        check_numbers(settings, "webhook_numbers")
        url, form = settings.get("url"), settings.get("format", "")
        if isinstance(url, str) and url:
            rules.check_url(url, "webhook_url")
            if not url.isascii():
                raise SettingError("webhook_url", "write the URL in ASCII (percent-encoded).")
        if form not in ("", *FORMATS):
            raise SettingError("webhook_format", f"expected {' or '.join(FORMATS)}, not {form}.")
        if form == "standard" and not settings.get("secrets"):
            cls.settle_secret(settings, "new", rules)
        return settings

    @classmethod
    def settle_secret(cls, settings: dict[str, object], written: str, rules: Rules) -> None:
        """The newest is first; the third last is dropped."""
        active = secrets_of(settings)
        if written == "retire":
            settings["secrets"] = active[:1]
            return
        if written == "new":
            written = new_key(rules.new_secret())
        try:
            key_octets(written)
        except ValueError as error:
            raise SettingError("webhook_secret", f"{error}.") from error
        settings["secrets"] = [written, *(key for key in active if key != written)][:ACTIVE_KEYS]

    @classmethod
    def secrets(cls, settings: Settings) -> list[str]:
        """See `DIDHandler`."""
        return secrets_of(settings)

    @classmethod
    def moved(cls, settings: Settings, peer: str, target: str) -> str:
        """See `DIDHandler`: the URL that is set now."""
        return main_text(cls, settings, target)

    def target_key(self, target: str) -> str:
        """See `DIDHandler`."""
        return origin(target)

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        form = job.settings.get("format")
        body = standard(job.message) if form == "standard" else voipms(job.message, job.settings)
        which = Endpoint(job.delivery.account_id, self.name, bare(job.delivery.target))
        return self._poster.post(job, which, body, secrets_of(job.settings))


def secrets_of(settings: Settings) -> list[str]:
    """The active keys, the newest first."""
    found = settings.get("secrets")
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


def voipms(message: MessageRecord, settings: Settings) -> bytes:
    """See the module's docstring; `received_at` has microseconds and an offset, as there."""
    at = datetime.fromtimestamp(message.created_at / 1000, UTC).isoformat(timespec="microseconds")
    payload = {
        "id": message.id,
        "record_type": "message",
        "type": "SMS",
        "from": {"phone_number": spelled(message.peer, settings)},
        "to": [{"phone_number": spelled(message.did, settings), "status": "webhook_delivered"}],
        "text": message.text,
        "media": [],
        "received_at": at,
    }
    event = {"id": message.id, "event_type": "message.received", "record_type": "event", "payload": payload}
    return orjson.dumps({"data": event})


def standard(message: MessageRecord) -> bytes:
    """An event with its type, its time and the message."""
    at = iso(message.created_at)
    data = {
        "id": message.id,
        "from": message.peer,
        "to": message.did,
        "text": message.text,
        "media": [],
        "received_at": at,
        "parts": message.parts_total,
        "flags": [flag.name.lower() for flag in MessageFlag(message.flags) if flag.name],
    }
    return orjson.dumps({"type": "message.received", "timestamp": at, "data": data})


def iso(ms: int) -> str:
    """Milliseconds since the epoch as "2026-01-31T12:00:00.000Z"."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec='milliseconds')[:23]}Z"
