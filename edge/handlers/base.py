"""What a handler is to the rest of the server: its settings for a DID, its targets, its deliveries.

A third party's handler is a subclass of `DIDHandler`, named as an entry point of the group
`trunkline.handlers`. The class members answer for settings and targets without a server, so that commands
can use them; `build` makes the one that delivers.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from twisted.internet.defer import Deferred

from edge.handlers import GIVE_UP_SECONDS, Job, Outcome
from edge.http import urls
from edge.http.addresses import AddressPolicy
from edge.http.errors import URLRefused

if TYPE_CHECKING:
    from edge.handlers.email import EmailHandler
    from edge.handlers.endpoints import Endpoints
    from edge.http.client import HTTPClient
    from edge.outbound import Accepted, Draft
    from storage.records import Did
    from storage.store import Store

SWITCHES = {"on": True, "off": False}
MAX_SETTING = 4_000

Settings = Mapping[str, object]
Line = Literal["conversation", "number", "target"]


class SettingError(ValueError):
    """A setting that cannot be: ``field`` is its key, ``sentence`` is for the person who wrote it."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Key:
    """One setting, ``name`` as the store keeps it. ``shown`` is how people call it ("URL").

    A "secret" is never shown again, only that there is one.
    """

    name: str
    kind: Literal["switch", "text", "secret"]
    help: str
    shown: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What settings are judged by: the operator's configuration, and where new secrets come from.

    ``missing`` names, for each handler that this server is not configured for, the table that it wants.
    """

    addresses: AddressPolicy
    ports: urls.Ports
    region: str
    new_secret: Callable[[], bytes]
    missing: Mapping[str, str] = field(default_factory=dict)

    def check_url(self, url: str, field: str) -> str:
        """The URL, which may be asked as far as can be told without looking its name up."""
        try:
            origin, _ = urls.split(url, self.ports)
        except URLRefused as error:
            raise SettingError(field, f"{error.detail}.") from error
        why = self.addresses.refusal(origin.host) if origin.is_address else None
        if why is not None:
            raise SettingError(field, f"{origin.host} may not be called: {why}.")
        return url


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackTimes:
    """``retry_seconds`` ± ``jitter`` (a fraction) between attempts, for ``give_up_seconds`` after the message
    came; {TIMESTAMP} is wall-clock time in the zone of this name."""

    retry_seconds: float = 1800.0
    jitter: float = 0.1
    give_up_seconds: float = 7 * 86400.0
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What handlers deliver with. ``sip`` are the handlers of the server's SIP side, by name."""

    http: "HTTPClient"
    store: "Store"
    did: Callable[[str], "Did | None"]
    submit: Callable[["Draft"], "Deferred[Accepted]"]
    endpoints: "Endpoints"
    random: Random
    wall_ms: Callable[[], int]
    callback: CallbackTimes = field(default=CallbackTimes())
    sip: Mapping[str, object] = field(default_factory=dict)
    email: "EmailHandler | None" = None


class DIDHandler(ABC):
    """A handler that the owner of a DID can switch on.

    ``ordered``: deliveries to one target go out in order, one at a time; ``line`` says of which that holds:
    those of one conversation, of all conversations of one of our numbers, or of all that go to the target.
    ``main`` is the key without which there is nothing to do; ``always_on`` handlers need no switch. A
    delivery that is not over after ``give_up_seconds`` (since it was owed, or replayed) is a dead letter,
    whatever `deliver` says. A ``testable`` one can be given a message that no store has.
    """

    name: str
    ordered: ClassVar[bool] = False
    line: ClassVar[Line] = "conversation"
    always_on: ClassVar[bool] = False
    give_up_seconds: float = GIVE_UP_SECONDS
    testable: ClassVar[bool] = False
    keys: ClassVar[tuple[Key, ...]] = ()
    main: ClassVar[str] = ""

    @classmethod
    def available(cls, tools: Tools) -> bool:
        """False when this server is not configured for it: then nothing is delivered this way."""
        return True

    @classmethod
    def build(cls, tools: Tools) -> Self:
        """The one that delivers."""
        raise NotImplementedError(f"{cls.__name__} owes no deliveries")

    # -- settings ---------------------------------------------------------------------------------

    @classmethod
    def settle(cls, before: Settings, change: Settings, rules: Rules) -> dict[str, object]:
        """All settings after a change, normalised. A text that is empty takes its setting away.

        ``change`` has values as people write them ("on") or as programs do (true). Raises SettingError.
        """
        after = dict(before)
        kinds = {key.name: key.kind for key in cls.keys}
        for name, value in change.items():
            field = f"{cls.name}_{name}"
            match kinds.get(name):
                case None:
                    raise SettingError(field, f"is no setting; there are {', '.join(kinds)}.")
                case "switch":
                    after[name] = _switch(field, value)
                case "text":
                    after[name] = _text(field, value)
                case "secret":
                    cls.settle_secret(after, _text(field, value), rules)
        return {name: value for name, value in cls.check(after, rules).items() if value not in (None, "")}

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        """Judge settings that are of the right types, and normalise them. Raises SettingError."""
        return settings

    @classmethod
    def unsuited(cls, number: str, settings: Settings) -> str | None:
        """Why these settings cannot be this number's of ours, in a sentence; None when they can."""
        return None

    @classmethod
    def settle_secret(cls, settings: dict[str, object], written: str, rules: Rules) -> None:
        """Take a secret that somebody wrote."""
        settings["secret"] = written

    @classmethod
    def secrets(cls, settings: Settings) -> list[str]:
        """Those that are active, the newest first."""
        secret = settings.get("secret")
        return [secret] if isinstance(secret, str) else []

    @classmethod
    def shown(cls, settings: Settings) -> dict[str, object]:
        """Every setting as anybody may see it; of a secret, whether there is one."""
        values: dict[str, object] = {}
        for key in cls.keys:
            match key.kind:
                case "secret":
                    values[key.name] = bool(cls.secrets(settings))
                case "switch":
                    values[key.name] = settings.get(key.name, False)
                case "text":
                    values[key.name] = settings.get(key.name)
        return values

    # -- messages ---------------------------------------------------------------------------------

    @classmethod
    def targets(cls, settings: Settings, peer: str) -> Sequence[str]:
        """Where a message from ``peer`` goes: the deliveries that it owes."""
        target = settings.get(cls.main)
        return (target,) if isinstance(target, str) and target else ()

    @classmethod
    def moved(cls, settings: Settings, peer: str, target: str) -> str:
        """Where a delivery that was owed to ``target`` goes under the settings of now: there, unless the
        target is a setting that was corrected meanwhile."""
        return target

    @classmethod
    def claims(cls, settings: Settings, peer: str) -> bool:
        """True when a message from ``peer`` is for this handler alone."""
        return False

    def target_key(self, target: str) -> str:
        """What deliveries share a fate with: those to one key are slow or fail together."""
        return target

    @abstractmethod
    def deliver(self, job: Job) -> Deferred[Outcome]:
        """Make one attempt. Every trouble with the target is an Outcome; an errback is the handler's bug."""


def main_text(cls: type[DIDHandler], settings: Settings, target: str) -> str:
    """The main setting as it is now, for `DIDHandler.moved`; ``target`` when there is none."""
    now = settings.get(cls.main)
    return now if isinstance(now, str) and now else target


def _switch(field: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in SWITCHES:
        return SWITCHES[value]
    raise SettingError(field, f"expected {field}=on or {field}=off, not {value!r}.")


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_SETTING:
        raise SettingError(field, f"expected a text of at most {MAX_SETTING} characters.")
    return value
