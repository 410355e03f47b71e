"""trunkline did."""

from collections.abc import Callable
from pathlib import Path

import click

from edge.cli.common import config_option, desk, json_option, on_off, say, table
from edge.cli.desk import DidChange
from storage.records import Did

SWITCHES = {"on": True, "off": False}


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
    say(as_json, sentence, {**_document(added, account_name), "added": new})


@did.command("set")
@click.argument("number")
@click.argument("settings", nargs=-1, required=True, metavar="KEY=VALUE...")
@config_option
@json_option
def did_set(number: str, settings: tuple[str, ...], config_file: Path, as_json: bool) -> None:
    """Change what a number does.

    \b
    sms=on|off             take and send messages
    callback=on|off        call the URL for each message
    callback_url=URL       http(s), with {ID} {TIMESTAMP} {FROM} {TO} {MESSAGE} in path or query; empty: none
    callback_retry=on|off  ask again until the page says ok
    """
    change = parse_change(settings)
    with desk(config_file) as work:
        after, changed = work.set_did(number, change)
    sentence = f"DID {after.number} {'changed' if changed else 'unchanged'}: {_summary(after)}."
    say(as_json, sentence, {**_document(after), "changed": changed})


@did.command("list")
@click.option("--account", "account_name", help="Of one account only.")
@config_option
@json_option
def did_list(account_name: str | None, config_file: Path, as_json: bool) -> None:
    """Show the numbers and what they do."""
    with desk(config_file) as work:
        found = work.dids(account_name)
    rows = [("NUMBER", "ACCOUNT", "SMS", "CALLBACK", "RETRY", "URL")]
    for item, owner in found:
        callback = _callback(item)
        switches = (on_off(callback["enabled"]), on_off(callback["retry"]))
        rows.append((item.number, owner, on_off(item.sms_enabled), *switches, str(callback["url"] or "-")))
    say(as_json, table(rows), [_document(item, owner) for item, owner in found])


def parse_change(settings: tuple[str, ...]) -> DidChange:
    """``("sms=on", "callback_url=http://…")`` as a change. Raises UsageError."""
    readers: dict[str, Callable[[str], object]] = {
        "sms": _switch,
        "callback": _switch,
        "callback_url": str,
        "callback_retry": _switch,
    }
    values: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in readers:
            raise click.UsageError(f"{setting!r}: expected KEY=VALUE with a key of {', '.join(readers)}.")
        if key in values:
            raise click.UsageError(f"{key} is given twice.")
        try:
            values[key] = readers[key](value)
        except KeyError:
            raise click.UsageError(f"{setting!r}: expected {key}=on or {key}=off.") from None
    return DidChange(**values)  # type: ignore[arg-type]


def _switch(value: str) -> bool:
    return SWITCHES[value]


def _callback(item: Did) -> dict[str, object]:
    setting = item.handlers.get("callback")
    if setting is None:
        return {"enabled": False, "url": None, "retry": False}
    return {
        "enabled": setting.enabled,
        "url": setting.settings.get("url"),
        "retry": setting.settings.get("retry", False),
    }


def _document(item: Did, owner: str | None = None) -> dict[str, object]:
    account = {} if owner is None else {"account": owner}
    return {
        "id": item.id,
        "number": item.number,
        **account,
        "sms": item.sms_enabled,
        "callback": _callback(item),
    }


def _summary(item: Did) -> str:
    callback = _callback(item)
    url = f" to {callback['url']}, retry {on_off(callback['retry'])}" if callback["url"] else ""
    return f"sms {on_off(item.sms_enabled)}, callback {on_off(callback['enabled'])}{url}"
