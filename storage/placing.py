"""A file that takes its name when it is whole, private from its first octet."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, by the end of the name. The first and the last hold pages of it."""


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """An empty file beside ``target``, its owner's alone, that takes the name, synced, when all went well."""
    target.parent.stat()  # SQLite does not say which folder is not there
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.rename(partial, target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        for path in (partial, *companions(partial)):
            path.unlink(missing_ok=True)


def companions(database: Path) -> list[Path]:
    """The files of SQLite's that are beside a database, whether that is there or not."""
    beside = [database.with_name(database.name + end) for end in COMPANIONS]
    return [path for path in beside if path.exists()]
