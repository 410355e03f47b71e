"""Upgrades of a store that die by `kill -9`, each in a process of its own, as often as they are asked for.

    python -m tests.fault.upgrading

reads the URL of a store and a number, or COMMIT, from each line. The upgrade dies before its statement of
that number, and the answer is "killed at <number>: <statement>"; "done" when it had no such statement.
"""

import os
import signal
import sys
from typing import Any, NoReturn

import sqlalchemy
from sqlalchemy import event

from storage import migrate
from storage.engines import open_engine


def upgrade_until(url: str, place: str, told: int) -> NoReturn:
    """Upgrade the store, but die before the statement at ``place``, having written it to ``told``."""
    done = 0

    def reached(statement: str) -> None:
        nonlocal done
        if place in (str(done), statement):
            os.write(told, f"killed at {done}: {' '.join(statement.split())[:80]}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1

    def executing(_: Any, __: Any, statement: str, *___: Any) -> None:
        reached(statement)

    event.listen(sqlalchemy.Engine, "before_cursor_execute", executing)
    event.listen(sqlalchemy.Engine, "commit", lambda _: reached("COMMIT"))
    engine = open_engine(url)
    migrate.upgrade(engine)
    engine.close()
    os._exit(0)


def attempt(url: str, place: str) -> str:
    """What became of one upgrade."""
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            upgrade_until(url, place, told)
        finally:
            os._exit(1)  # with its traceback on standard error
    os.close(told)
    with open(reading) as said:
        words = said.read().strip()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        return "done"
    return words if status == -signal.SIGKILL else f"failed with {status}"


def main() -> None:
    """See the module."""
    migrate.head()  # alembic is read once, before the forks
    for line in sys.stdin:
        print(attempt(*line.split()), flush=True)


if __name__ == "__main__":
    main()
