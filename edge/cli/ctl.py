"""trunkline ctl: the console of the running server; and the hashes of its operators' passwords."""

import contextlib
import readline
import shlex
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from edge.cli.common import FAILED, Failed, config_option, load
from edge.console.ctl import Client
from edge.console.dialogue import LEAVING, json_text
from edge.console.language import LONGEST_LINE, TOO_LONG
from edge.keys import new_operator_token, token_hash
from edge.passwords import hash_password

PROMPT = "trunkline> "
HELP = ("--help", "-h", "--usage")


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.pass_context
def ctl(context: click.Context, words: tuple[str, ...], config_file: Path, as_json: bool) -> None:
    """Say a command of the console to the running server (`ctl help` lists them); without one, a prompt."""
    if words[:1] and words[0] in HELP:  # behind a command it is a word of it: a text may begin with -h
        click.echo(context.get_help())
        return
    config = load(config_file)
    if not config.console.socket:
        raise Failed("The console has no socket: console.socket is empty in the configuration.")
    path = Path(config.console.socket)
    try:
        client = Client(path)
    except OSError as error:
        raise Failed(f"No server answers at {path.absolute()} ({error.strerror or error}).") from error
    with contextlib.closing(client):
        if words:
            if not _say(client, shlex.join(words), as_json):
                raise SystemExit(FAILED)
        elif not _talk(client, as_json):
            raise SystemExit(FAILED)


@click.command("operator-hash")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
def operator_hash(password_stdin: bool) -> None:
    """Print the hash of a password, for [console.operators] in the configuration."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    try:
        click.echo(hash_password(password))
    except ValueError as error:
        raise Failed(str(error)) from error


@click.command("operator-key")
@click.argument("name")
def operator_key(name: str) -> None:
    """Make a key for the operators' HTTP API; what is printed first is the key, and never shown again."""
    made = new_operator_token()
    click.echo(made)
    click.echo(f'Put this into [console] api_keys: {{ "{name}" = "{token_hash(made)}" }}', err=True)


def _say(client: Client, line: str, as_json: bool) -> bool:
    try:
        if len(line) > LONGEST_LINE:
            raise ValueError(TOO_LONG)
        answer = client.ask({"line": line})
    except OSError as error:
        raise Failed(f"The server has not answered: {error.strerror or error}.") from error
    except ValueError as error:
        click.echo(f"error: {error}", err=True)
        return False
    if as_json:
        click.echo(json_text(answer["document"]))
    else:
        click.echo(answer["text"] if answer["ok"] else f"error: {answer['text']}", err=not answer["ok"])
    return bool(answer["ok"])


def _talk(client: Client, as_json: bool) -> bool:
    """A prompt with history and completion, as far as the terminal has them; or lines from a file: then
    False when one of them was refused. Who sits at a prompt has seen it.
    """

    def complete(text: str, state: int) -> str | None:
        begun = readline.get_line_buffer()[: readline.get_endidx()]
        try:
            words: list[Any] = client.ask({"complete": begun})["words"]
        except (OSError, ValueError):  # the next line tells
            return None
        return str(words[state]) if state < len(words) else None

    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a line of other octets is refused, the rest goes on
    readline.set_completer(complete)
    readline.set_completer_delims(" ")
    readline.parse_and_bind("tab: complete")
    refused = False
    while True:
        try:
            line = input(PROMPT if sys.stdin.isatty() else "").strip()
        except (EOFError, KeyboardInterrupt):
            break
        if line in LEAVING:
            break
        if line and not _say(client, line, as_json):
            refused = True
    return sys.stdin.isatty() or not refused
