"""trunkline db."""

from dataclasses import asdict
from pathlib import Path

import click

from edge.cli.common import FAILED, Failed, config_option, desk, json_option, load, say
from edge.cli.desk import upgrade
from storage import backup, check, retention
from storage.engines import Engine
from storage.restore import restore
from storage.retention import DAY_MS, Kept
from storage.tables_people import EVERY_ACCOUNT


@click.group()
def db() -> None:
    """The store."""


@db.command("upgrade")
@config_option
@json_option
def db_upgrade(config_file: Path, as_json: bool) -> None:
    """Bring the store's schema to this release's; a new store gets all of it."""
    before, after = upgrade(load(config_file))
    sentence = (
        f"The store is at {after} already."
        if before == after
        else f"The store went from {before or 'nothing'} to {after}."
    )
    say(as_json, sentence, {"before": before, "after": after, "changed": before != after})


_FILE = click.Path(dir_okay=False, path_type=Path)


@db.command("backup")
@click.argument("file", type=_FILE)
@config_option
@json_option
def db_backup(file: Path, config_file: Path, as_json: bool) -> None:
    """Copy the store into FILE while the server works."""
    with desk(config_file) as opened:
        backup.backup(opened.engine, file)
    size = file.stat().st_size
    say(as_json, f"The store is in {file} ({size} bytes).", {"file": str(file), "bytes": size})


@db.command("restore")
@click.argument("file", type=_FILE)
@config_option
@json_option
def db_restore(file: Path, config_file: Path, as_json: bool) -> None:
    """Make the store of the backup FILE, where there is none."""
    try:
        revision = restore(load(config_file).store.url, file)
    except OSError as error:
        raise Failed(f"The backup cannot be put back: {error}") from error
    say(as_json, f"The store is back, at {revision}.", {"file": str(file), "revision": revision})


@db.command("check")
@config_option
@json_option
def db_check(config_file: Path, as_json: bool) -> None:
    """Verify the store's invariants; name the rows that break them, and fail if there are any."""
    with desk(config_file) as opened, opened.engine.snapshot() as connection:
        problems = check.check(connection)
    lines = [
        f"{item.name}: {item.sentence}: {', '.join(item.named)}"
        + (f" and {item.rows - len(item.named)} more" if item.rows > len(item.named) else "")
        for item in problems
    ]
    sound = "Every invariant of the store holds."
    say(as_json, "\n".join(lines) or sound, {"problems": [asdict(item) for item in problems]})
    if problems:
        raise click.exceptions.Exit(FAILED)


@db.command("purge")
@config_option
@json_option
def db_purge(config_file: Path, as_json: bool) -> None:
    """Remove what the rules of retention no longer keep, in small transactions."""
    gone: dict[str, int] = {}
    with desk(config_file) as opened:
        with opened.engine.snapshot() as connection:
            steps = list(retention.steps(connection, opened.clock_ms()))
        for name, step in steps:
            while count := _one(opened.engine, step):
                gone[name] = gone.get(name, 0) + count
    listed = ", ".join(f"{count} {name}" for name, count in gone.items())
    say(as_json, f"Removed: {listed}." if gone else "There was nothing to remove.", {"removed": gone})


def _one(engine: Engine, step: retention.Step) -> int:
    with engine.transaction() as connection:
        return step(connection)


@db.command("keep")
@click.argument("kind", required=False, type=click.Choice([kind.value for kind in Kept]))
@click.argument("days", required=False)
@click.option("--account", help="In this account only; else in every one that has no rule of its own.")
@config_option
@json_option
def db_keep(
    kind: str | None, days: str | None, account: str | None, config_file: Path, as_json: bool
) -> None:
    """How many DAYS things of a KIND are kept, or "forever"; without them the rules that there are.

    What is older goes within the hour, or with `trunkline db purge`.
    """
    if kind is not None and days is None:
        raise Failed("Say for how many days, or forever.")
    with desk(config_file) as opened:
        account_id = EVERY_ACCOUNT if account is None else opened.account(account).id
        with opened.engine.transaction() as connection:
            if kind is not None:
                try:
                    retention.set_rule(connection, account_id, Kept(kind), _milliseconds(days))
                except ValueError as error:
                    raise Failed(f"{error}.") from error
            rules = retention.rules_of(connection, account_id)
    kept = {item.value: keep_ms // DAY_MS for item, keep_ms in sorted(rules.items())}
    lines = [f"{name}: {count} days" for name, count in kept.items()]
    say(as_json, "\n".join(lines) or "There are no rules.", {"days": kept})


def _milliseconds(days: str | None) -> int | None:
    if days == "forever":
        return None
    if days is None or not (days.isascii() and days.isdigit() and len(days) < 6):
        raise Failed(f"{days!r} is no number of days: expected 1 to 99999, or forever.")
    return int(days) * DAY_MS
