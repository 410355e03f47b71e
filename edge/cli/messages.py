"""trunkline send and explain."""

import time
import unicodedata
from pathlib import Path
from random import SystemRandom

import click

from edge.cli.common import FAILED, config_option, json_option, load, say
from edge.cli.desk import Desk, DeskError, open_desk
from edge.config import Config
from edge.dialect import Dialect
from edge.outbound import Draft, Planner, records
from edge.policy import numbers as spelling
from edge.references import References
from edge.routing import choose, route_for, routes_of
from edge.tabular import when
from protocols.sms import SegmentOptions, count
from storage import messages, numbers, opt_outs
from storage.records import Did, MessageRecord, MessageStatus, MessageView, PartState
from storage.statements import execute_all

LEG = "cli"
POLL_SECONDS = 0.2
ENDED = frozenset({MessageStatus.DELIVERED, MessageStatus.FAILED})


@click.command()
@click.option("--from", "source", required=True, help="The DID that the message comes from.")
@click.option("--to", "destination", required=True, help="The number that it goes to.")
@click.option("--wait", is_flag=True, help="Wait until it is delivered or has failed.")
@click.option("--timeout", "seconds", type=click.FloatRange(0), default=60.0, help="How long --wait waits.")
@click.argument("text")
@config_option
@json_option
def send(
    source: str, destination: str, wait: bool, seconds: float, text: str, config_file: Path, as_json: bool
) -> None:
    """Send a message: it is stored now, and goes out as soon as a server runs on this store."""
    config = load(config_file)
    with open_desk(config) as desk:
        message = submit(desk, config, source, destination, text)
        view = wait_for(desk, message, seconds if wait else 0.0)
    status = messages.status_of(view.message, view.parts)
    document = {
        "id": message.id,
        "from": message.did,
        "to": message.peer,
        "status": str(status),
        "encoding": message.encoding,
        "parts": message.parts_total,
        "upstream": message.upstream,
        "created_at": when(message.created_at),
    }
    say(
        as_json,
        f"Message {message.id} to {message.peer} in {_parts(message.parts_total)}: {status}.",
        document,
    )
    if wait and status is not MessageStatus.DELIVERED:
        raise SystemExit(FAILED)


@click.command()
@click.option("--from", "source", help="The number that it would come from.")
@click.option("--to", "destination", help="The number that it would go to.")
@click.argument("text")
@config_option
@json_option
@click.pass_context
def explain(
    ctx: click.Context,
    source: str | None,
    destination: str | None,
    text: str,
    config_file: Path,
    as_json: bool,
) -> None:
    """Show what a text becomes on the wire: encoding, parts, and the characters that make it dear.

    Nothing is sent, no store is read. Without a configuration file the defaults are shown.
    """
    given = ctx.get_parameter_source("config_file") is not click.core.ParameterSource.DEFAULT
    config = load(config_file) if given or config_file.exists() else Config()
    region = config.numbers.region
    document: dict[str, object] = {}
    if source is not None:
        document["from"] = spelling.destination(source, region, "from")
    if destination is not None:
        document["to"] = spelling.destination(destination, region)
    options = SegmentOptions()
    if config.upstreams:
        by_name = {upstream.name: upstream for upstream in config.upstreams}
        route = route_for(
            routes_of(config.routes, tuple(by_name)),
            str(document.get("to", "")),
            str(document.get("from", "")),
            None,
        )
        name = choose(route, lambda _: True, lambda: 0.0)
        options = Dialect(by_name[name], region).segmentation
        document["upstream"] = name
    found = count(text, options)
    document |= {
        "encoding": found.encoding.name,
        "characters": len(text),
        "units": found.units,
        "parts": found.parts,
        "units_left": found.units_left,
        "offending": [describe(character) for character in found.offending or ""],
    }
    say(as_json, "\n".join(f"{key:<11} {_shown(value)}" for key, value in document.items()), document)


def submit(desk: Desk, config: Config, source: str, destination: str, text: str) -> MessageRecord:
    """Plan a message and store it with its parts queued, in one transaction. Raises Refused."""
    region = config.numbers.region
    with desk.transaction() as conn:

        def find(number: str) -> Did | None:
            return numbers.find_did(conn, number)

        dialects = {upstream.name: Dialect(upstream, region) for upstream in config.upstreams}
        chance = SystemRandom()
        references = References(lambda: chance.randrange(0x10000))

        def opted_out(account_id: int, did: str, peer: str) -> bool:
            return opt_outs.find(conn, account_id, did, peer) is not None

        planner = Planner(
            dialects,
            region,
            find,
            references,
            config.routes,
            draw=chance.random,
            opted_out=opted_out,
        )
        owner = find(spelling.destination(source, region, "from"))
        if owner is None:
            raise DeskError(f"{source} is not a DID of this server.")
        draft = Draft(owner.account_id, source, destination, text, LEG)
        message, parts = records(planner.plan(draft), draft, desk.ids.next, desk.clock_ms(), PartState.QUEUED)
        execute_all(conn, messages.insert(message, parts))
    return message


def wait_for(desk: Desk, message: MessageRecord, seconds: float) -> MessageView:
    """The message when its state is final, or as it is after this time."""
    deadline = time.monotonic() + seconds
    while True:
        with desk.engine.snapshot() as conn:
            view = messages.get(conn, message.account_id or 0, message.id)
        assert view is not None
        if messages.status_of(view.message, view.parts) in ENDED or time.monotonic() >= deadline:
            return view
        time.sleep(POLL_SECONDS)


def describe(character: str) -> str:
    """``"…" U+2026 HORIZONTAL ELLIPSIS``, and nothing that a terminal could take for a command."""
    shown = f'"{character}" ' if character.isprintable() else ""
    return f"{shown}U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _parts(number: int) -> str:
    return f"{number} part{'s' * (number != 1)}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
