"""The commands that stay: the server, and the simulator alone."""

import time
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.logger import globalLogBeginner
from twisted.scripts import twistd

from edge import log as logging
from edge.cli.desk import DeskError
from edge.config import Config
from edge.simulator import make_service


def run_server(config_file: Path) -> None:
    """What ``twistd -n trunkline -c FILE`` does, in this process, until it is told to stop."""
    options: Any = twistd.ServerOptions()  # type: ignore[attr-defined]
    logger = "--logger=edge.log.TwistedObserver"
    options.parseOptions(["--nodaemon", "--pidfile=", logger, "trunkline", "--config", str(config_file)])
    twistd.runApp(options)


def run_simulator(config: Config) -> None:
    """The simulator and its page, until this process is told to stop."""
    if config.simulator is None:
        raise DeskError(f"{config.path} has no [simulator] table.")
    logging.configure(config.log)
    globalLogBeginner.beginLoggingTo([logging.TwistedObserver()], redirectStandardIO=False)

    def main(reactor: Any) -> "Deferred[None]":
        reactor.seconds = time.monotonic  # timers must not follow the steps of the wall clock
        service = make_service(config, reactor)
        service.privilegedStartService()
        service.startService()
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        return Deferred()

    task.react(main, ())
