"""trunkline db."""

from dataclasses import asdict
from pathlib import Path

import click

from edge.cli.common import FAILED, Failed, config_option, desk, json_option, load, say
from edge.cli.desk import upgrade
from storage import backup, check, retention
from storage.restore import restore


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
            after_id: int | None = 0
            while after_id is not None:
                with opened.engine.transaction() as connection:
                    count, after_id = step(connection, after_id)
                if count:
                    gone[name] = gone.get(name, 0) + count
    listed = ", ".join(f"{count} {name}" for name, count in gone.items())
    say(as_json, f"Removed: {listed}." if gone else "There was nothing to remove.", {"removed": gone})
