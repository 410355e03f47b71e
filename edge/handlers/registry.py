"""Which handlers there are: our own, and those that other distributions offer as entry points.

    [project.entry-points."trunkline.handlers"]
    pager = "pager_for_trunkline:PagerHandler"

Both are loaded the same way, once, when somebody first asks. A third party's handler that cannot be loaded,
or that takes a name that is taken, is left out and said so: the others serve on.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

import structlog

from edge.handlers import Handler
from edge.handlers.absent import Absent
from edge.handlers.base import DIDHandler, Rules, SettingError, Settings, Tools
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
    )
)


class Registry:
    """I know the handlers by name."""

    def __init__(self, kinds: Iterable[type[DIDHandler]]) -> None:
        self.kinds: Mapping[str, type[DIDHandler]] = {kind.name: kind for kind in kinds}

    def __iter__(self) -> Iterator[type[DIDHandler]]:
        return iter(self.kinds.values())

    def targets(self, did: Did, peer: str) -> list[tuple[str, str]]:
        """(handler, target) of each delivery that a message from ``peer`` owes, in the order of the names."""
        on = [
            (kind, did.handlers[name].settings)
            for name, kind in sorted(self.kinds.items())
            if name in did.handlers and did.handlers[name].enabled
        ]
        alone = [(kind, settings) for kind, settings in on if kind.claims(settings, peer)]
        return [
            (kind.name, target)
            for kind, settings in alone[:1] or on
            for target in kind.targets(settings, peer)
        ]

    def settle(
        self, did: Did, name: str, change: Settings, enabled: bool | None, rules: Rules
    ) -> HandlerSetting:
        """How a handler serves the DID after a change. Raises SettingError.

        Without a word on it, the first value of the main setting switches the handler on, and taking it
        away switches it off.
        """
        kind = self.kinds[name]
        before = did.handlers.get(name) or HandlerSetting(name, False, {})
        after = kind.settle(before.settings, change, rules)
        if kind.always_on and enabled is False:
            raise SettingError(name, "it is always on.")
        if enabled is None:
            had, has = kind.main in before.settings, kind.main in after
            enabled = before.enabled if had == has else has
        if enabled and kind.main and kind.main not in after:
            label = next((key.shown for key in kind.keys if key.name == kind.main), "") or kind.main
            raise SettingError(name, f"it has no {label}: give {name}_{kind.main}=… too.")
        return HandlerSetting(name, enabled, after)

    def build(self, tools: Tools) -> dict[str, Handler]:
        """Those that deliver, by name; `Absent` for one that this server is not configured for."""
        return {
            kind.name: kind.build(tools)
            if kind.available(tools)
            else Absent(kind.name, tools.wall_ms, kind.ordered, kind.line)
            for kind in self
            if not kind.always_on
        }


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
        return f"{type(error).__name__}: {error}"
    if not (isinstance(kind, type) and issubclass(kind, DIDHandler)) or kind.name != entry.name:
        return "it is not a DIDHandler of this name"
    if kind.name in kinds:
        return "the name is taken"
    kinds[kind.name] = kind
    return None
