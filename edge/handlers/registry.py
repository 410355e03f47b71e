"""Which handlers there are: our own, and those that other distributions offer as entry points.

    [project.entry-points."trunkline.handlers"]
    pager = "pager_for_trunkline:PagerHandler"

Both are loaded the same way, once, when somebody first asks. A third party's handler that cannot be loaded or
built, or that takes a name that is taken, is left out and said so: the others serve on. One that raises when
it is asked for its targets owes a delivery all the same, which has failed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import structlog

from edge.handlers import Handler
from edge.handlers.absent import Absent
from edge.handlers.base import DIDHandler, Rules, SettingError, Settings, Tools
from edge.handlers.faults import Faults
from storage.records import Did, HandlerSetting

log = structlog.get_logger(__name__)

GROUP = "trunkline.handlers"
OURS = tuple(
    EntryPoint(name, f"edge.handlers.{name}:{kind}", GROUP)
    for name, kind in (
        ("portal", "PortalHandler"),
        ("callback", "CallbackHandler"),
        ("webhook", "WebhookHandler"),
        ("forward", "ForwardHandler"),
        ("sip", "SipHandler"),
        ("trunk", "TrunkHandler"),
        ("email", "EmailHandler"),
    )
)


class Registry:
    """I know the handlers by name."""

    def __init__(self, kinds: Iterable[type[DIDHandler]]) -> None:
        self.kinds: Mapping[str, type[DIDHandler]] = {kind.name: kind for kind in kinds}
        self._faults = Faults()

    def __iter__(self) -> Iterator[type[DIDHandler]]:
        return iter(self.kinds.values())

    def targets(self, did: Did, peer: str) -> list[tuple[str, str | None]]:
        """(handler, target) of each delivery that a message from ``peer`` owes, in the order of the names.

        The target is None for a handler that is broken: it cannot be said where the message would go.
        """
        on = [
            (kind, did.handlers[name].settings)
            for name, kind in sorted(self.kinds.items())
            if name in did.handlers and did.handlers[name].enabled
        ]
        alone = [(kind, settings) for kind, settings in on if self._claims(kind, settings, peer)]
        return [
            (kind.name, target)
            for kind, settings in alone[:1] or on
            for target in self.targets_of(kind, settings, peer)
        ]

    def targets_of(self, kind: type[DIDHandler], settings: Settings, peer: str) -> Sequence[str | None]:
        """Those of one handler; (None,) when it raises, or gives what can be none."""
        try:
            return _storable(kind.targets(settings, peer))
        except Exception as error:  # whatever it does: the message must be stored and answered
            self._faults.tell(kind.name, "targets", error)
            return (None,)

    def _claims(self, kind: type[DIDHandler], settings: Settings, peer: str) -> bool:
        try:
            return bool(kind.claims(settings, peer))
        except Exception as error:  # the others get the message
            self._faults.tell(kind.name, "claims", error)
            return False

    def settle(
        self, did: Did, name: str, change: Settings, enabled: bool | None, rules: Rules
    ) -> HandlerSetting:
        """How a handler serves the DID after a change. Raises SettingError.

        Without a word on it, the first value of the main setting switches the handler on, and taking it
        away switches it off.
        """
        kind = self.kinds[name]
        before = did.handlers.get(name) or HandlerSetting(name, False, {})
        after = self._settled(kind, before.settings, change, rules)
        if after.get(kind.main) != before.settings.get(kind.main):
            _suits(kind, did, after, rules)
        if kind.always_on and enabled is False:
            raise SettingError(name, "it is always on.")
        if enabled is None:
            had, has = kind.main in before.settings, kind.main in after
            enabled = before.enabled if had == has else has
        if enabled and kind.main and kind.main not in after:
            label = next((key.shown for key in kind.keys if key.name == kind.main), "") or kind.main
            raise SettingError(name, f"it has no {label}: give {name}_{kind.main}=… too.")
        return HandlerSetting(name, enabled, after)

    def _settled(
        self, kind: type[DIDHandler], before: Settings, change: Settings, rules: Rules
    ) -> dict[str, object]:
        try:
            return kind.settle(before, change, rules)
        except SettingError:
            raise
        except Exception as error:  # nothing is changed then
            raise SettingError(kind.name, f"the handler itself is at fault ({fault(error)}).") from error

    def shown(self, kind: type[DIDHandler], settings: Settings) -> dict[str, object]:
        """Every setting as anybody may see it; the handler's fault alone when it cannot say."""
        try:
            return dict(kind.shown(settings))
        except Exception as error:
            return {"fault": fault(error)}

    def secrets(self, kind: type[DIDHandler], settings: Settings) -> list[str]:
        """Those that are active, the newest first; none when it cannot say."""
        try:
            return list(kind.secrets(settings))
        except Exception:  # `shown`, which asks for them too, says so
            return []

    def build(self, tools: Tools) -> dict[str, Handler]:
        """Those that deliver, by name; `Absent` for one that this server is not configured for.

        Raises what one of our own raises: that is no server to run.
        """
        built = {kind.name: self._build(kind, tools) for kind in self if not kind.always_on}
        return {name: handler for name, handler in built.items() if handler is not None}

    def _build(self, kind: type[DIDHandler], tools: Tools) -> Handler | None:
        try:
            if not kind.available(tools):
                return Absent(kind.name, tools.wall_ms, kind.ordered, kind.line)
            return kind.build(tools)
        except Exception as error:
            if kind.name in {entry.name for entry in OURS}:
                raise
            self._faults.tell(kind.name, "build", error)
            return None


def _suits(kind: type[DIDHandler], did: Did, settings: Settings, rules: Rules) -> None:
    """Is the main setting one for this number, on this server? Raises SettingError."""
    if kind.main in settings and kind.name in rules.missing:
        why = f"this server has no {rules.missing[kind.name]} table in its configuration."
        raise SettingError(f"{kind.name}_{kind.main}", why)
    why_not = kind.unsuited(did.number, settings)
    if why_not is not None:
        raise SettingError(f"{kind.name}_{kind.main}", why_not)


def fault(error: Exception) -> str:
    """What a handler raised, in one line."""
    return f"{type(error).__name__}: {error}"


def _storable(targets: Any) -> Sequence[str]:
    """These, which every store takes. Raises TypeError or ValueError when they are none."""
    if isinstance(targets, str):
        raise TypeError("targets gave a text, not a sequence of them")
    found = tuple(targets)
    for target in found:
        if not isinstance(target, str) or not target or "\0" in target:
            raise TypeError(f"{target!r} is no target: it is no text, empty, or has a NUL in it")
        target.encode()
    return found


@lru_cache(1)
def installed() -> Registry:
    """Every handler of this installation."""
    return Registry(load(OURS, entry_points(group=GROUP)))


def load(ours: Iterable[EntryPoint], theirs: Iterable[EntryPoint]) -> list[type[DIDHandler]]:
    """The classes that the entry points name."""
    kinds: dict[str, type[DIDHandler]] = {entry.name: entry.load() for entry in ours}
    for entry in theirs:
        problem = _offered(entry, kinds)
        if problem is not None:
            log.error("handler_not_loaded", handler=entry.name, value=entry.value, error=problem)
    return list(kinds.values())


def _offered(entry: EntryPoint, kinds: dict[str, type[DIDHandler]]) -> str | None:
    """Take a third party's handler; why not, when it cannot be."""
    try:
        kind = entry.load()
    except Exception as error:  # whatever goes wrong there must not stop the server
        return fault(error)
    if not (isinstance(kind, type) and issubclass(kind, DIDHandler)) or kind.name != entry.name:
        return "it is not a DIDHandler of this name"
    if kind.name in kinds:
        return "the name is taken"
    kinds[kind.name] = kind
    return None
