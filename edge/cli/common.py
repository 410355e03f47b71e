"""What the commands share: options, answers as text or JSON, errors as one line and an exit code."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from traceback import walk_tb
from typing import Any, TypeVar

import click

from edge import config as configuration
from edge.cli.desk import Desk, DeskError, open_desk
from edge.config import Config, ConfigError
from edge.errors import Refused, Unavailable
from edge.layout import MixedInstallation
from edge.visible import escaped, escaped_lines
from storage.errors import StoreError

F = TypeVar("F", bound=Callable[..., Any])

FAILED = 1
MISUSED = 2
CONFIG = ("-c", "--config")


class Failed(click.ClickException):
    """The end of a command that could not do its work: lines for standard error."""

    exit_code = FAILED

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines

    def show(self, file: Any = None) -> None:
        """See `click.ClickException`."""
        for line in self.lines:
            click.echo(f"trunkline: {line}", err=True)


class Misused(Failed):
    """The end of a command that was not begun: what it was told is wrong."""

    exit_code = MISUSED


class Commands(click.Group):
    """A group whose commands may raise our own errors."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Group`."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _too_early(error) or error from error

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See `click.Group`. A reader that has gone is Click's; a disk that is full is told in a sentence."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if not _while_answering(error):
                raise
            _say_no_more()
            why = error.strerror or str(error)
            with suppress(OSError):  # it may be standard error itself
                Failed(f"The answer could not be written: {why}.").show()
            sys.exit(FAILED)

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Group`."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            raise _too_early(error) or error from error
        except ConfigError as error:
            raise Misused(*map(str, error.problems)) from error
        except (Refused, Unavailable) as error:
            raise Failed(error.sentence) from error
        except (StoreError, DeskError, MixedInstallation) as error:
            raise Failed(str(error)) from error


def _too_early(error: click.NoSuchOption) -> click.UsageError | None:
    """Where the configuration is named, when somebody did so before the command."""
    ctx = error.ctx
    if error.option_name not in CONFIG or ctx is None or not isinstance(ctx.command, click.Group):
        return None
    sentence = f"{error.option_name} goes after the command: trunkline account add NAME -c FILE"
    return click.UsageError(sentence, ctx)


def _while_answering(error: OSError) -> bool:
    """Was it standard output, or error, that did not take what a command, or its help, says?"""
    return any(frame.f_code is click.echo.__code__ for frame, _ in walk_tb(error.__traceback__))


def _say_no_more() -> None:
    """What is left of the answer would fail once more at the end of the process, and change its status."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def config_option(command: F) -> F:
    """-c FILE, handed to the command as ``config_file``."""
    option = click.option(
        *CONFIG,
        "config_file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("trunkline.toml"),
        show_default=True,
        envvar="TRUNKLINE_CONFIG",
        help="The configuration file.",
    )
    return option(command)


def json_option(command: F) -> F:
    """--json, handed to the command as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


@contextmanager
def desk(config_file: Path) -> Iterator[Desk]:
    """The store of a configuration, for one command."""
    with open_desk(configuration.load(config_file)) as opened:
        yield opened


def load(config_file: Path) -> Config:
    """The configuration. Raises ConfigError."""
    return configuration.load(config_file)


def say(as_json: bool, sentence: str, document: object) -> None:
    """Answer, in one of the two ways; what others wrote cannot move the cursor of a terminal."""
    click.echo(escaped(json.dumps(document, ensure_ascii=False)) if as_json else escaped_lines(sentence))


def on_off(switch: object) -> str:
    """A switch for people."""
    return "on" if switch else "off"


def without_none(document: Mapping[str, object]) -> dict[str, object]:
    """The same without the keys that have no value."""
    return {key: value for key, value in document.items() if value is not None}
