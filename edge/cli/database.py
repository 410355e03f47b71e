"""trunkline db."""

from pathlib import Path

import click

from edge.cli.common import config_option, json_option, load, say
from edge.cli.desk import upgrade


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
