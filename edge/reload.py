"""What reading the configuration again can change in a running server, and what it came to.

A table or key that is not named here takes a restart; the page of the configuration says so at each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from edge.config import Config, HTTPConfig, OutboxConfig, OutgoingConfig


def _all_but(kind: type[Any], *names: str) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind)) - set(names)


LIVE: Mapping[str, frozenset[str] | None] = {
    "server": frozenset({"drain_seconds"}),
    "store": frozenset({"min_free_mib"}),
    "http": _all_but(HTTPConfig, "listen"),
    "lookalikes": None,
    "log": None,
    "callback": None,
    "webhook": None,
    "outgoing": _all_but(OutgoingConfig, "nameservers"),
    "outbox": _all_but(OutboxConfig, "lease_seconds"),
    "upstreams": None,
    "routes": None,
    "metrics": None,
    "tracing": None,
    "console": frozenset({"operators", "api_keys"}),
    "sip": frozenset(
        {
            "address_requests_per_second",
            "account_messages_per_second",
            "ban_after_wrong_passwords",
            "ban_seconds",
            "ban_max_seconds",
            "trusted",
        }
    ),
}
"""The fields of `Config` that a reload applies, and which of their keys; None: all of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """``config`` is what will be in force, ``tables`` the fields in which it differs from what is;
    ``needs_restart`` the keys whose new values wait for one."""

    config: Config
    tables: frozenset[str]
    needs_restart: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """``changed`` upstreams bind again (or are new, or gone); ``applied`` are the tables that are otherwise
    now, ``needs_restart`` the keys that stay as they were; with ``problems`` nothing was changed at all."""

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()


def change(current: Config, fresh: Config) -> Change:
    """What of a fresh configuration can be in force at once."""
    config, tables, waiting = current, set(), []
    for field in fields(Config):
        name = field.name
        old, new = getattr(current, name), getattr(fresh, name)
        if old == new or name == "path":
            continue
        mixed, left = _mixed(name, old, new)
        waiting += left
        if mixed != old:
            tables.add(name)
            config = replace(config, **{name: mixed})
    return Change(config, frozenset(tables), tuple(waiting))


def _mixed(name: str, old: Any, new: Any) -> tuple[Any, list[str]]:
    """The new value as far as it can be applied, and the keys for which the old one stays."""
    live = LIVE.get(name, frozenset())
    if live is None:
        return new, []
    if not (is_dataclass(old) and is_dataclass(new)):
        return old, [name]
    differing = list(_differing(old, new))
    applied = {key: getattr(new, key) for key in differing if key in live}
    return replace(old, **applied), [f"{name}.{key}" for key in differing if key not in live]  # type: ignore[type-var]


def _differing(old: Any, new: Any) -> Iterator[str]:
    return (field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name))
