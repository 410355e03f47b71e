"""trunkline did."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from edge.cli.common import config_option, desk, json_option, on_off, say
from edge.cli.desk import DidChange, HandlerChange
from edge.handlers import changing, registry
from edge.handlers.base import SWITCHES, DIDHandler
from edge.handlers.endpoints import bare
from edge.tabular import table, when
from storage.endpoints import Endpoint
from storage.records import Did, HandlerSetting


def _set_help() -> str:
    """The keys of every handler that is installed."""
    rows = [("sms=on|off", "take and send messages")]
    for kind in registry.installed():
        if not kind.always_on:
            rows.append((f"{kind.name}=on|off", "switch it; on also ends a pause"))
        for key in kind.keys:
            value = "on|off" if key.kind == "switch" else (key.shown or "VALUE").upper()
            rows.append((f"{kind.name}_{key.name}={value}", key.help))
    width = max(len(row[0]) for row in rows)
    lines = "\n".join(f"{key.ljust(width)}  {text}" for key, text in rows)
    return f"Change what a number does. An empty value takes a setting away.\n\n\b\n{lines}"


SET_HELP = _set_help()


@click.group()
def did() -> None:
    """Numbers of the accounts."""


@did.command("add")
@click.option("--account", "account_name", required=True, help="The account's name.")
@click.argument("number")
@config_option
@json_option
def did_add(account_name: str, number: str, config_file: Path, as_json: bool) -> None:
    """Add a number; SMS is on."""
    with desk(config_file) as work:
        added, new = work.add_did(account_name, number)
    sentence = f"DID {added.number} added." if new else f"DID {added.number} is there already."
    say(as_json, sentence, {**_document(added, set(), account_name), "added": new})


@did.command("set", help=SET_HELP)
@click.argument("number")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@config_option
@json_option
def did_set(number: str, settings: tuple[str, ...], config_file: Path, as_json: bool) -> None:
    """Change what a number does."""
    change = parse_change(settings)
    with desk(config_file) as work:
        before, after = work.set_did(number, change)
        paused = work.paused()
    sentence = (
        f"DID {after.number} {'changed' if after != before else 'unchanged'}: {_summary(after, paused)}."
    )
    made = changing.new_secrets(before, after)
    for name, secret in made.items():
        sentence += f"\nThe secret of its {name}, shown this once: {secret}"
    document = {**_document(after, paused), "changed": after != before}
    say(as_json, sentence, {**document, "secrets": made} if made else document)


@did.command("carriage")
@click.argument("number")
@click.option("--sms/--calls-only", default=True, show_default=True, help="Can it do SMS at all?")
@click.option(
    "--ported",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="When it came from another provider (UTC): its messages may be elsewhere for 48 hours more.",
)
@config_option
@json_option
def did_carriage(number: str, sms: bool, ported: datetime | None, config_file: Path, as_json: bool) -> None:
    """Say what the carrier does for a number."""
    ported_at = None if ported is None else round(ported.replace(tzinfo=UTC).timestamp() * 1000)
    with desk(config_file) as work:
        changed = work.set_carriage(number, sms, ported_at)
    ability = "can do SMS" if changed.sms_capable else "is for calls only"
    since = f", ported in at {when(ported_at)}" if ported_at is not None else ""
    document = {"number": changed.number, "sms_capable": changed.sms_capable, "ported_at": when(ported_at)}
    say(as_json, f"DID {changed.number} {ability}{since}.", document)


@did.command("forget-replies")
@click.argument("number")
@click.argument("peer")
@config_option
@json_option
def did_forget_replies(number: str, peer: str, config_file: Path, as_json: bool) -> None:
    """Make the reply tokens of one conversation void.

    Mails of it that are out cannot be answered any more; the next one begins a new thread.
    """
    with desk(config_file) as work:
        e164, other, there = work.forget_replies(number, peer)
    sentence = f"Mails of {e164} with {other} {'cannot be answered any more' if there else 'had no tokens'}."
    say(as_json, sentence, {"number": e164, "peer": other, "forgotten": there})


@did.command("list")
@click.option("--account", "account_name", help="Of one account only.")
@config_option
@json_option
def did_list(account_name: str | None, config_file: Path, as_json: bool) -> None:
    """Show the numbers and what they do."""
    with desk(config_file) as work:
        found = work.dids(account_name)
        paused = work.paused()
    rows = [("NUMBER", "ACCOUNT", "SMS", "HANDLERS")]
    rows += [
        (item.number, owner, on_off(item.sms_enabled), _handlers(item, paused) or "-")
        for item, owner in found
    ]
    say(as_json, table(rows), [_document(item, paused, owner) for item, owner in found])


def parse_change(settings: tuple[str, ...]) -> DidChange:
    """``("sms=on", "callback_url=http://…")`` as a change. Raises UsageError."""
    known = _known()
    values: dict[str, object] = {}
    for setting in settings:
        key, equals, written = setting.partition("=")
        if not equals or key not in known:
            raise click.UsageError(f"{setting!r}: expected KEY=VALUE with a key of {', '.join(known)}.")
        if key in values:
            raise click.UsageError(f"{key} is given twice.")
        is_switch = known[key][2]
        if is_switch and written not in SWITCHES:
            raise click.UsageError(f"{setting!r}: expected {key}=on or {key}=off.")
        values[key] = SWITCHES[written] if is_switch else written
    sms = values.pop("sms", None)
    handlers: dict[str, HandlerChange] = {}
    for key, value in values.items():
        name, member, _ = known[key]
        change = handlers.get(name, HandlerChange())
        handlers[name] = (
            replace(change, settings={**change.settings, member: value})
            if member
            else replace(change, enabled=bool(value))
        )
    return DidChange(sms=None if sms is None else bool(sms), handlers=handlers)


def may_be_shown(key: str) -> bool:
    """May the value of such a key be written down? Not of a secret, nor of what is no key: it may be a secret
    under a name that is misspelt."""
    return key in _known() and key not in {
        f"{kind.name}_{known.name}"
        for kind in registry.installed()
        for known in kind.keys
        if known.kind == "secret"
    }


def _known() -> dict[str, tuple[str, str, bool]]:
    """Every key: its handler, the handler's own key (none: its switch), and whether it takes on or off."""
    known: dict[str, tuple[str, str, bool]] = {"sms": ("", "", True)}
    for kind in registry.installed():
        known[kind.name] = (kind.name, "", True)
        known |= {f"{kind.name}_{key.name}": (kind.name, key.name, key.kind == "switch") for key in kind.keys}
    return known


def _document(item: Did, paused: set[Endpoint], owner: str | None = None) -> dict[str, object]:
    handlers: dict[str, dict[str, object]] = {}
    for kind in registry.installed():
        setting = item.handlers.get(kind.name, HandlerSetting(kind.name, kind.always_on, {}))
        handlers[kind.name] = {
            "enabled": setting.enabled,
            **registry.installed().shown(kind, setting.settings),
        }
        if _is_paused(item, kind, paused):
            handlers[kind.name]["paused"] = True
    account = {} if owner is None else {"account": owner}
    return {"id": item.id, "number": item.number, **account, "sms": item.sms_enabled, **handlers}


def _is_paused(item: Did, kind: type[DIDHandler], paused: set[Endpoint]) -> bool:
    setting = item.handlers.get(kind.name)
    targets = () if setting is None else registry.installed().targets_of(kind, setting.settings, "")
    return any(
        target is not None and Endpoint(item.account_id, kind.name, bare(target)) in paused
        for target in targets
    )


def _handlers(item: Did, paused: set[Endpoint]) -> str:
    """Those that are on, each with its target and its switches."""
    words = []
    for kind in registry.installed():
        setting = item.handlers.get(kind.name)
        if setting is not None and setting.enabled and not kind.always_on:
            on = [key.name for key in kind.keys if setting.settings.get(key.name) is True]
            mark = ["paused"] if _is_paused(item, kind, paused) else []
            words.append(" ".join([kind.name, str(setting.settings.get(kind.main, "")), *on, *mark]))
    return ", ".join(words)


def _summary(item: Did, paused: set[Endpoint]) -> str:
    return f"sms {on_off(item.sms_enabled)}, {_handlers(item, paused) or 'no handler but the portal'}"
