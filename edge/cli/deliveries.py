"""trunkline deliveries: the delivery matrix and the dead letters, and what may be done about them.

The store is changed directly, by the functions that the API uses; a server that runs looks each second.
"""

from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy import Connection

from edge.cli.common import config_option, desk, json_option, say
from edge.cli.desk import Desk, DeskError
from edge.matrix import Cell, cell, matrix
from edge.tabular import table, when
from storage import dead_letters, deliveries, messages
from storage.deliveries import REPLAYED_AT_ONCE
from storage.records import DeliveryState, DeliveryView

LIMIT = 50


@click.group("deliveries")
def deliveries_group() -> None:
    """What handlers owe: try it now, try it no more, try again what failed."""


@deliveries_group.command("ls")
@click.option("--message", "message_id", type=int, help="Everything that is owed for this message.")
@click.option("--state", type=click.Choice([state.value for state in DeliveryState]), default="failed")
@click.option("--account", "account_name", help="Of one account only.")
@click.option("--handler", help="Of one handler only.")
@click.option("--from", "first_id", type=int, default=0, help="From this delivery on.")
@click.option("--to", "last_id", type=int, default=2**53, help="Up to this delivery.")
@click.option("--limit", type=click.IntRange(1, dead_letters.MAX_LIMIT), default=LIMIT, show_default=True)
@config_option
@json_option
def ls(
    message_id: int | None,
    state: str,
    account_name: str | None,
    handler: str | None,
    first_id: int,
    last_id: int,
    limit: int,
    config_file: Path,
    as_json: bool,
) -> None:
    """Show the dead letters, what is in another state, or the matrix of one message."""
    with desk(config_file) as work:
        account_id = None if account_name is None else work.account(account_name).id
        with work.engine.snapshot() as conn:
            if message_id is not None:
                cells = [(message_id, one) for one in _matrix(conn, account_id, message_id)]
            else:
                records = dead_letters.some(
                    conn, account_id, DeliveryState(state), handler, first_id, last_id, limit
                )
                cells = [(record.message_id, cell(DeliveryView(record, ()))) for record in records]
    rows = [("DELIVERY", "MESSAGE", "HANDLER", "STATE", "TRIES", "OUTCOME", "NEXT TRY", "TARGET")]
    rows += [
        (
            str(one.delivery_id or "-"),
            str(message),
            one.handler if one.event is None else f"{one.handler} ({one.event})",
            one.state,
            str(one.attempts),
            one.outcome or "-",
            when(one.next_try_at) or "-",
            one.target,
        )
        for message, one in cells
    ]
    say(as_json, table(rows), [_document(message, one) for message, one in cells])


@deliveries_group.command("retry")
@click.argument("delivery_id", type=int)
@config_option
@json_option
def retry(delivery_id: int, config_file: Path, as_json: bool) -> None:
    """Try a pending delivery now."""
    with desk(config_file) as work, work.transaction() as conn:
        if not deliveries.retry_now(conn, delivery_id, None, work.clock_ms()):
            raise _not_in(conn, delivery_id, DeliveryState.PENDING)
    say(as_json, f"Delivery {delivery_id} is due now.", {"delivery": delivery_id})


@deliveries_group.command("skip")
@click.option("--why", default="skipped by the operator", show_default=True, help="Kept with it.")
@click.argument("delivery_id", type=int)
@config_option
@json_option
def skip(why: str, delivery_id: int, config_file: Path, as_json: bool) -> None:
    """Try a pending delivery no more: it becomes a dead letter."""
    if not why.isprintable() or not 1 <= len(why) <= 200:
        raise click.UsageError("--why has 1 to 200 printable characters.")
    with desk(config_file) as work, work.transaction() as conn:
        if not deliveries.skip(conn, delivery_id, None, why, work.clock_ms()):
            raise _not_in(conn, delivery_id, DeliveryState.PENDING)
    say(as_json, f"Delivery {delivery_id} is not tried any more.", {"delivery": delivery_id, "why": why})


@deliveries_group.command("replay")
@click.option("--all", "everything", is_flag=True, help="All that failed.")
@click.option("--account", "account_name", help="Of one account only.")
@click.option("--handler", help="Of one handler only.")
@click.option("--from", "first_id", type=int, help="From this delivery on.")
@click.option("--to", "last_id", type=int, help="Up to this delivery.")
@click.argument("delivery_ids", type=int, nargs=-1)
@config_option
@json_option
def replay(
    everything: bool,
    account_name: str | None,
    handler: str | None,
    first_id: int | None,
    last_id: int | None,
    delivery_ids: tuple[int, ...],
    config_file: Path,
    as_json: bool,
) -> None:
    """Try dead letters again, under their ids: some by their ids, a range, or all (of a handler)."""
    narrowed = (account_name, handler, first_id, last_id) != (None,) * 4
    if bool(delivery_ids) == (everything or narrowed):
        raise click.UsageError("Say which: ids of deliveries, or --from, --to, --handler, --account, --all.")
    with desk(config_file) as work:
        if delivery_ids:
            count = _replay_these(work, delivery_ids)
        else:
            account_id = None if account_name is None else work.account(account_name).id
            count = _replay_range(work, account_id, handler, first_id or 0, last_id or 2**53)
    say(as_json, f"{count} deliver{'y' if count == 1 else 'ies'} to be tried again.", {"replayed": count})


def _replay_these(work: Desk, delivery_ids: Sequence[int]) -> int:
    with work.transaction() as conn:
        count = deliveries.replay(conn, delivery_ids, None, work.clock_ms())
        if len(delivery_ids) == 1 and not count:
            raise _not_in(conn, delivery_ids[0], DeliveryState.FAILED)
    return count


def _replay_range(
    work: Desk, account_id: int | None, handler: str | None, first_id: int, last_id: int
) -> int:
    """In transactions of a bounded size, so that a server beside is not held up."""
    total = 0
    while True:
        with work.transaction() as conn:
            found = deliveries.replay_failed(
                conn, account_id, work.clock_ms(), first_id=first_id, last_id=last_id, handler=handler
            )
        total += len(found)
        if len(found) < REPLAYED_AT_ONCE:
            return total
        first_id = found[-1] + 1


def _matrix(conn: Connection, account_id: int | None, message_id: int) -> tuple[Cell, ...]:
    view = messages.find(conn, message_id)
    if view is None or account_id not in (None, view.message.account_id):
        raise DeskError(f"There is no message {message_id}.")
    return matrix(view)


def _not_in(conn: Connection, delivery_id: int, state: DeliveryState) -> DeskError:
    record = dead_letters.find(conn, None, delivery_id)
    if record is None:
        return DeskError(f"There is no delivery {delivery_id}.")
    return DeskError(f"Delivery {delivery_id} is {record.state}, not {state}.")


def _document(message_id: int, one: Cell) -> dict[str, object]:
    return {
        "delivery": one.delivery_id,
        "message": message_id,
        "handler": one.handler,
        "target": one.target,
        "event": one.event,
        "state": one.state,
        "outcome": one.outcome,
        "attempts": one.attempts,
        "next_try_at": when(one.next_try_at),
        "last_attempt": None
        if one.last is None
        else {
            "number": one.last.number,
            "started_at": when(one.last.started_at),
            "duration_ms": one.last.duration_ms,
            "outcome": one.last.outcome,
            "status_code": one.last.status_code,
            "excerpt": one.last.excerpt,
        },
    }
