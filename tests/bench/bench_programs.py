"""Single sends by each API for programs, through to submit_sm: the server on one core, its peers on another.

As the MT row of `tests.bench.load`: a request → commit → the answer → submit_sm → its response → commit, by
32 connections that each wait for their answer. The native API is beside them, in the same run.

    python -m tests.bench.bench_programs [SQLite] [PostgreSQL]
"""

import sys
import tempfile
from pathlib import Path

from tests import postgresql
from tests.bench.load import fresh, report, run

APIS = ("native", "VoIP.ms, GET", "VoIP.ms, multipart", "Kannel", "Jasmin", "Acrobits")
MESSAGES = 20_000


def main() -> None:
    """A table of all of them."""
    stores = tuple(sys.argv[1:]) or ("SQLite", "PostgreSQL")
    found = []
    postgresql.begin_run()
    try:
        for store in stores:
            for api in APIS:
                with (
                    tempfile.TemporaryDirectory(prefix="trunkline-bench-") as folder,
                    fresh(store, Path(folder)) as url,
                ):
                    found.append(run(store, url, Path(folder), "MT", MESSAGES, requests=api))
    finally:
        postgresql.end_run()
    print(report(found))


if __name__ == "__main__":
    main()
