"""trunkline endpoint."""

from pathlib import Path

import click

from edge.cli.common import config_option, desk, json_option, say
from edge.cli.desk import DeskError
from edge.handlers.endpoints import known_as
from edge.tabular import table, when
from storage import accounts, endpoints
from storage.endpoints import EndpointRecord


@click.group()
def endpoint() -> None:
    """Where webhooks and status callbacks fail, and how they go on."""


@endpoint.command("ls")
@click.option("--account", "account_name", help="Of one account only.")
@config_option
@json_option
def endpoint_list(account_name: str | None, config_file: Path, as_json: bool) -> None:
    """Show those that fail, since when, and whether they are paused."""
    with desk(config_file) as work:
        account_id = None if account_name is None else work.account(account_name).id
        with work.engine.snapshot() as conn:
            found = endpoints.failing(conn, account_id)
            names = {item.id: item.name for item in accounts.list_accounts(conn)}
    rows = [("ACCOUNT", "HANDLER", "URL", "FAILING SINCE", "PAUSED", "LAST")]
    rows += [
        (
            names.get(item.account_id, "?"),
            item.handler,
            item.url,
            when(item.failing_since) or "",
            when(item.paused_at) or "-",
            item.last_outcome,
        )
        for item in found
    ]
    say(as_json, table(rows), [_document(item, names.get(item.account_id)) for item in found])


@endpoint.command("resume")
@click.option("--account", "account_name", help="Of one account only.")
@click.option("--handler", help="Of one handler only: webhook or status.")
@click.argument("url")
@config_option
@json_option
def endpoint_resume(
    account_name: str | None, handler: str | None, url: str, config_file: Path, as_json: bool
) -> None:
    """Ask an endpoint again, from now on; what failed meanwhile can be replayed (trunkline deliveries)."""
    with desk(config_file) as work:
        account_id = None if account_name is None else work.account(account_name).id
        with work.transaction() as conn:
            found = [
                item
                for item in endpoints.failing(conn, account_id)
                if item.url == known_as(item.handler, url) and handler in (None, item.handler)
            ]
            for item in found:
                endpoints.forget(conn, item.endpoint)
    if not found:
        raise DeskError(f"No endpoint at {url} fails. See: trunkline endpoint ls")
    names = ", ".join(sorted({item.handler for item in found}))
    say(as_json, f"{found[0].url} is asked again ({names}).", [_document(item) for item in found])


def _document(item: EndpointRecord, account: str | None = None) -> dict[str, object]:
    return {
        **({} if account is None else {"account": account}),
        "handler": item.handler,
        "url": item.url,
        "failing_since": when(item.failing_since),
        "last_failed_at": when(item.last_failed_at),
        "last_outcome": item.last_outcome,
        "paused_at": when(item.paused_at),
    }
