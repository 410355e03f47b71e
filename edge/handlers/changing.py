"""How the handlers of a DID are changed, whoever asks: commands, programs."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from edge.handlers import registry
from edge.handlers.base import Rules
from edge.handlers.endpoints import bare
from storage import endpoints, numbers
from storage.endpoints import Endpoint
from storage.records import Did


def change(
    connection: Connection,
    next_id: Callable[[], int],
    did: Did,
    name: str,
    settings: Mapping[str, object],
    enabled: bool | None,
    rules: Rules,
) -> Did:
    """The DID with this handler changed; the handler judges its settings. On also ends a pause.

    ``enabled`` None: see `Registry.settle`. Raises SettingError.
    """
    handlers = registry.installed()
    setting = handlers.settle(did, name, settings, enabled, rules)
    if enabled:
        for target in handlers.targets_of(handlers.kinds[name], setting.settings, ""):
            if target is not None:
                endpoints.forget(connection, Endpoint(did.account_id, name, bare(target)))
    before = did.handlers.get(name)
    gone = dict.fromkeys(before.settings) if before is not None else {}
    return numbers.set_did(
        connection,
        next_id,
        did.number,
        handler=name,
        enabled=setting.enabled,
        settings={**gone, **setting.settings},
    )


def new_secrets(before: Did, after: Did) -> dict[str, str]:
    """The newest secret of each handler that has another one than before: to be shown this once."""
    made = {}
    for kind in registry.installed():
        has = [
            registry.installed().secrets(kind, item.handlers[kind.name].settings)
            if kind.name in item.handlers
            else []
            for item in (before, after)
        ]
        if has[1] and has[1][0] not in has[0]:
            made[kind.name] = has[1][0]
    return made
