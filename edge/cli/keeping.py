"""trunkline retention, erase and export: how long things are kept, what goes at once, what is handed out."""

from collections.abc import Iterator
from pathlib import Path

import click

from edge.cli.common import Failed, config_option, desk, json_option, say
from edge.cli.desk import DAY_MS, Desk
from storage import audit, erasure, export, retention
from storage.history import Filter
from storage.placing import appearing
from storage.retention import Kept
from storage.tables_people import EVERY_ACCOUNT

ACTOR = "command"
FOREVER, DEFAULT = "forever", "default"
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("retention")
def retention_group() -> None:
    """How long things are kept."""


@retention_group.command("ls")
@config_option
@json_option
def retention_ls(config_file: Path, as_json: bool) -> None:
    """List the rules: of every account, and of single ones."""
    with desk(config_file) as opened, opened.engine.snapshot() as connection:
        found: dict[str | None, dict[Kept, int]] = {
            None: {**retention.DEFAULTS, **retention.rules_of(connection, EVERY_ACCOUNT)},
            **{owner.name: retention.rules_of(connection, owner.id) for owner in opened.accounts()},
        }
    rules = [
        {
            "account": name,
            "kind": kind.value,
            "days": keep_ms / DAY_MS if keep_ms < retention.FOREVER else None,
        }
        for name, of_it in found.items()
        for kind, keep_ms in of_it.items()
    ]
    lines = [
        f"{rule['account'] or 'every account'}: {rule['kind']} "
        + ("for ever" if rule["days"] is None else f"{rule['days']:g} days")
        for rule in rules
    ]
    say(as_json, "\n".join([*lines, "Everything else is kept for ever."]), {"rules": rules})


@retention_group.command("set")
@click.argument("kind", type=click.Choice([kind.value for kind in Kept]))
@click.argument("days")
@click.option("--account", help="Only this account's; it goes before the rule of every account.")
@config_option
@json_option
def retention_set(kind: str, days: str, account: str | None, config_file: Path, as_json: bool) -> None:
    """Keep KIND for so many DAYS, or "forever"; "default": as if there had never been such a rule."""
    keep_ms = _milliseconds(days)
    with desk(config_file) as opened:
        owner_id = EVERY_ACCOUNT if account is None else opened.account(account).id
        detail = {"days": days}
        with opened.transaction() as connection:
            try:
                retention.set_rule(connection, owner_id, Kept(kind), keep_ms)
            except ValueError as error:
                raise Failed(f"This cannot be kept so: {error}.") from error
            whose, now_ms = owner_id or None, opened.clock_ms()
            audit.note(
                connection, opened.ids.next, whose, ACTOR, "retention.set", kind, now_ms, detail=detail
            )
    whom = "every account" if account is None else account
    kept = "has no rule of its own any more" if keep_ms is None else f"is kept {_told(days)}"
    say(as_json, f"{whom}: {kind} {kept}.", {"account": account, "kind": kind, "days": days})


def _milliseconds(days: str) -> int | None:
    if days == DEFAULT:
        return None
    if days == FOREVER:
        return retention.FOREVER
    if not (days.isascii() and days.isdecimal() and len(days) < 6):
        expected = f'a whole number of days, "{FOREVER}" or "{DEFAULT}"'
        raise click.BadParameter(expected, param_hint="DAYS")
    return int(days) * DAY_MS


def _told(days: str) -> str:
    return "for ever" if days == FOREVER else f"for {days} days"


@click.command("erase")
@click.argument("account")
@click.argument("peer")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--forget-opt-out", is_flag=True, help="Forget too that the person wants no messages.")
@config_option
@json_option
def erase(account: str, peer: str, yes: bool, forget_opt_out: bool, config_file: Path, as_json: bool) -> None:
    """Erase a person: what ACCOUNT has about the number PEER, but for the count of the messages."""
    with desk(config_file) as opened:
        owner, number = opened.account(account), opened.peer_number(peer)
        _nothing_under_way(opened, owner.id, number)
        if not yes:
            typed = click.prompt(f"This cannot be undone. Type {number} to erase it from {account}", err=True)
            if typed.strip() != number:
                raise Failed("Nothing was erased.")
        count = _erased(opened, owner.id, number, keep_opt_out=not forget_opt_out)
    say(as_json, f"{number} is erased from {account}: {count} messages.", {"messages": count})


def _nothing_under_way(opened: Desk, account_id: int, number: str) -> None:
    with opened.engine.snapshot() as connection:
        busy = erasure.under_way(connection, account_id, number)
    if busy:
        raise Failed(
            f"{busy} messages of {number} are still to be sent or delivered; wait until they are, "
            "or cancel them (trunkline ctl queue cancel, trunkline ctl delivery skip)."
        )


def _erased(opened: Desk, account_id: int, number: str, *, keep_opt_out: bool) -> int:
    count, step = 0, 1
    while step:
        with opened.transaction() as connection:
            step = erasure.erase_step(connection, account_id, number)
        count += step
    with opened.transaction() as connection:
        place = (connection, opened.ids.next, account_id, number)
        erasure.erase_rest(*place, ACTOR, count, opened.clock_ms(), keep_opt_out=keep_opt_out)
    return count


@click.command("export")
@click.argument("account")
@click.option("--did", help="Only of this DID.")
@click.option("--peer", help="Only with this number.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("-o", "--output", type=_FILE, help="A file that only its owner can read, not standard output.")
@config_option
def export_command(
    account: str,
    did: str | None,
    peer: str | None,
    form: export.Format,
    output: Path | None,
    config_file: Path,
) -> None:
    """Write the messages of ACCOUNT, oldest first."""
    with desk(config_file) as opened:
        pieces = _pieces(opened, account, did, peer, form)
        if output is None:
            for piece in pieces:
                click.echo(piece.encode(), nl=False)
            return
        if output.exists():
            raise Failed(f"{output} is there already.")
        try:
            with appearing(output) as partial, partial.open("wb") as file:
                file.writelines(piece.encode() for piece in pieces)
        except OSError as error:
            raise Failed(f"The export {output} cannot be written: {error}") from error


def _pieces(
    opened: Desk, account: str, did: str | None, peer: str | None, form: export.Format
) -> Iterator[str]:
    owner_id = opened.account(account).id
    with opened.engine.snapshot() as connection:
        newest = export.newest_id(connection, owner_id)
    wanted = Filter(
        did=None if did is None else opened.did_number(did),
        peer=None if peer is None else opened.peer_number(peer),
        up_to_id=newest,
    )
    yield export.head(form)
    after_id: int | None = 0
    while after_id is not None:
        with opened.engine.snapshot() as connection:
            piece = export.batch(connection, owner_id, form, wanted, after_id)
        yield piece.text
        after_id = piece.next_id
