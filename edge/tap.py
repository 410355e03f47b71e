"""The composition root: options, the service, and the only place that names the global reactor."""

import contextlib
import gc
import os
import signal
import sys
import time
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TextIO

import structlog
from twisted.application.service import IService
from twisted.python import usage
from twisted.python.failure import Failure

from edge import config as configuration
from edge import layout, supervisor
from edge import log as logging
from edge.config import Config, ConfigError
from edge.holder import Taken
from edge.service import TrunklineService
from edge.wallclock import WallClock, wall_ms
from storage import migrate
from storage.engines import missing_file, open_engine
from storage.errors import StoreError, StoreUnavailable
from storage.ids import IdSource
from storage.store import Store

log = structlog.get_logger(__name__)

EXIT_BAD_CONFIG = 78  # EX_CONFIG of sysexits.h: starting again helps nobody, see the systemd unit
EXIT_FAILED = 1
GARBAGE_THRESHOLDS = (50_000, 20, 50)
PRIVATE = 0o077  # the store and the log hold what people wrote to each other


class Options(usage.Options):
    """The options of `twistd trunkline`."""

    synopsis = "[options]"
    longdesc = "The SMS edge of a telephone company: SMPP upstream, people and programs behind each DID."
    optParameters: ClassVar = [["config", "c", "trunkline.toml", "the configuration file (TOML)"]]


def makeService(options: Options) -> IService:
    """Everything that can be found wrong before the start ends the process here: a configuration that is
    not valid with status 78, a store that is not durable or not at this release's schema with status 1. For a
    store that is away and will be back the service waits."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again; see _take_signals
    layout.check()
    try:
        config = configuration.load(Path(options["config"]).absolute())  # said to people elsewhere, too
    except ConfigError as error:
        _give_up([str(problem) for problem in error.problems], EXIT_BAD_CONFIG)
    return build(config)


def build(config: Config) -> TrunklineService:
    """The service for a valid configuration, on the global reactor."""
    from twisted.internet import reactor as global_reactor

    reactor: Any = global_reactor
    # Twisted's timers run on the wall clock unless told otherwise: one step of the clock would fire or
    # freeze them all, and every response timer with them.
    reactor.seconds = time.monotonic
    os.umask(PRIVATE)
    logging.configure(config.log)
    missing = missing_file(config.store.url)
    if missing is not None:
        _refuse_to_start(f"There is no store at {missing} yet. Run: trunkline db upgrade")
    try:
        engine = open_engine(config.store.url, allow_non_durable=config.store.allow_non_durable)
        engine.check_durable()
        migrate.check(engine)
    except StoreUnavailable as error:
        if not engine.may_return(error):
            _refuse_to_start(str(error))
    except StoreError as error:
        _refuse_to_start(str(error))

    def fatal(failure: Failure) -> None:
        if isinstance(failure.value, Taken | StoreError):
            log.error("start_refused", reason=str(failure.value))
        else:
            log.error("start_failed", error=failure.getTraceback())
        _tell([failure.getErrorMessage()], sys.__stderr__)  # sys.stderr may be Twisted's log by now
        # twistd ends with 0 however the reactor stopped; a supervisor must see that this was no success.
        reactor.addSystemEventTrigger("after", "shutdown", os._exit, EXIT_FAILED)
        reactor.stop()

    clock = WallClock(wall_ms, time.monotonic)
    store = Store(engine, reactor, IdSource(config.server.node, clock))
    told = supervisor.from_environment()
    service = TrunklineService(config, store, reactor, clock, Random(), fatal, told)
    _take_signals(reactor, service)
    _collect_garbage_seldom(reactor)
    return service


def _collect_garbage_seldom(reactor: Any) -> None:
    """Nothing on the message path makes cycles, but it makes objects by the thousand.

    With the stock thresholds the collector goes through everything that waits in memory again and again: a
    tenth of the CPU under load.
    """

    def tune() -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)

    reactor.callWhenRunning(tune)


def _take_signals(reactor: Any, service: TrunklineService) -> None:
    """SIGHUP reads the configuration again; left alone it would end the process. SIGTERM and SIGINT drain and
    end with status 0; a second one ends the process at once."""
    asked_to_stop = False

    def hangup(signum: int, frame: object) -> None:
        reactor.callFromThread(service.reloading.run)

    def terminate(signum: int, frame: object) -> None:
        nonlocal asked_to_stop
        if asked_to_stop:
            os._exit(EXIT_FAILED)
        asked_to_stop = True
        reactor.callFromThread(reactor.stop)

    def install() -> None:
        signal.signal(signal.SIGHUP, hangup)
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, terminate)

    # After the reactor has installed its own.
    reactor.callWhenRunning(install)


def _refuse_to_start(reason: str) -> Any:
    """Where the log goes, and where whoever started us looks."""
    log.error("start_refused", reason=reason)
    _give_up([reason], EXIT_FAILED)


def _give_up(problems: list[str], status: int) -> Any:
    _tell(problems, sys.stderr)
    raise SystemExit(status)


def _tell(problems: list[str], stderr: TextIO | None) -> None:
    if stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):  # nobody may be listening, which must not keep us here
        for problem in problems:
            print(f"trunkline: {problem}", file=stderr, flush=True)
