"""trunkline number."""

from pathlib import Path

import click

from edge.cli.common import config_option, desk, json_option, on_off, say
from edge.tabular import table, when
from storage.inventory import FreeNumber


@click.group()
def number() -> None:
    """Numbers that customers can order."""


@number.command("add")
@click.argument("numbers", nargs=-1, required=True)
@click.option("--region", default="", help='Such as "New York"; what its digits tell.')
@click.option("--sms/--calls-only", default=True, show_default=True, help="Can it do SMS?")
@config_option
@json_option
def number_add(numbers: tuple[str, ...], region: str, sms: bool, config_file: Path, as_json: bool) -> None:
    """Offer numbers."""
    with desk(config_file) as work:
        done = [work.offer(item, region, sms) for item in numbers]
    lines = [f"{item.number} {'is on offer' if new else 'was on offer before'}." for item, new in done]
    say(as_json, "\n".join(lines), [{**_document(item), "added": new} for item, new in done])


@number.command("list")
@config_option
@json_option
def number_list(config_file: Path, as_json: bool) -> None:
    """Show what is on offer, and what somebody waits for."""
    with desk(config_file) as work:
        found = work.offers()
        owners = {item.id: item.name for item in work.accounts()}
    rows = [("NUMBER", "COUNTRY", "REGION", "SMS", "ASKED FOR BY", "SINCE")]
    for item in found:
        owner = owners.get(item.account_id or 0, "-")
        rows.append(
            (item.number, item.country, item.region, on_off(item.sms), owner, when(item.asked_at) or "-")
        )
    say(as_json, table(rows), [_document(item) for item in found])


@number.command("withdraw")
@click.argument("number")
@config_option
@json_option
def number_withdraw(number: str, config_file: Path, as_json: bool) -> None:
    """Offer a number no more."""
    with desk(config_file) as work:
        e164, was = work.withdraw(number)
    sentence = f"{e164} is on offer no more." if was else f"{e164} was not on offer."
    say(as_json, sentence, {"number": e164, "changed": was})


def _document(item: FreeNumber) -> dict[str, object]:
    return {
        "number": item.number,
        "country": item.country,
        "region": item.region,
        "sms": item.sms,
        "account": item.account_id,
        "asked_at": when(item.asked_at),
        "asked_by": item.asked_by,
    }
