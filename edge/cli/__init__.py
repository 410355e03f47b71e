"""The `trunkline` command."""

from pathlib import Path

import click

from edge import __version__, layout
from edge.cli.accounts import account, key, user
from edge.cli.api_access import api_access
from edge.cli.binds import binds
from edge.cli.common import Commands, config_option, json_option, load, say
from edge.cli.ctl import ctl, operator_hash, operator_key
from edge.cli.database import db
from edge.cli.deliveries import deliveries_group
from edge.cli.dids import did
from edge.cli.endpoints import endpoint
from edge.cli.inventory import number
from edge.cli.keeping import erase, export_command, retention_group
from edge.cli.messages import explain, send
from edge.cli.sip_accounts import sip_account
from edge.entry import main

__all__ = ["main", "trunkline"]  # main: scripts of an installation from before there was edge.entry


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="trunkline")
def trunkline() -> None:
    """The SMS edge of a telephone company."""
    layout.check()


COMMANDS = (
    db,
    account,
    user,
    did,
    number,
    key,
    api_access,
    sip_account,
    send,
    explain,
    binds,
    deliveries_group,
    endpoint,
    retention_group,
    erase,
    export_command,
    ctl,
    operator_hash,
    operator_key,
)
for command in COMMANDS:
    trunkline.add_command(command)


@trunkline.command()
@config_option
def run(config_file: Path) -> None:
    """Run the server until SIGTERM or Ctrl-C; the same as twistd -n trunkline -c FILE."""
    from edge.cli.processes import run_server

    run_server(config_file)


@trunkline.command()
@config_option
def sim(config_file: Path) -> None:
    """Run the simulator alone: an SMSC and phones, with their page at http.listen."""
    from edge.cli.processes import run_simulator

    run_simulator(load(config_file))


@trunkline.command()
def demo() -> None:
    """Set up everything in ./var and run it: server, simulator, an account with two numbers."""
    from edge.demo import run_demo

    run_demo()


@trunkline.command("check-config")
@config_option
@json_option
def check_config(config_file: Path, as_json: bool) -> None:
    """Read the configuration, say everything that is wrong with it, and start nothing."""
    config = load(config_file)
    names = [upstream.name for upstream in config.upstreams]
    sentence = f"{config_file} is good: {len(names)} upstream{'s' * (len(names) != 1)}"
    if not names:
        sentence += ", so nothing can be sent; add an [[upstream]] table"
    say(as_json, f"{sentence} ({', '.join(names) or 'none'}).", {"good": True, "upstreams": names})
