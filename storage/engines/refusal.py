"""Whether a PostgreSQL lets us in, told by SQLSTATE and not by what it says in its own language.

libpq has no function for the SQLSTATE of a connection that was not made, and its sentence is in the language
of the server (`lc_messages`). But it writes down what it was sent, if asked to: so the connection is tried
once more, and read is what libpq traces of the server's ErrorResponse.
"""

import os
import re
import select
import sys
import time

from psycopg import pq
from psycopg.conninfo import make_conninfo

ATTEMPT_SECONDS = 5.0

_ERROR = re.compile(rb'^B\t\d+\tErrorResponse\t S ".*?" V ".*?" C "(\w{5})" ', re.MULTILINE)
_POLLING = pq.PollingStatus.READING, pq.PollingStatus.WRITING

INVALID_AUTHORIZATION, NO_SUCH_DATABASE, NOT_PERMITTED = "28", "3D000", "42501"


def refused(failed: pq.abc.PGconn) -> bool:
    """Will this connection, which was not made, never be, unless somebody changes something? ``failed`` is
    what psycopg's error has of it. Blocks for at most `ATTEMPT_SECONDS`."""
    if failed.needs_password:
        return True
    code = sqlstate(failed)
    return code is not None and (
        code.startswith(INVALID_AUTHORIZATION) or code in (NO_SUCH_DATABASE, NOT_PERMITTED)
    )


def sqlstate(failed: pq.abc.PGconn) -> str | None:
    """The SQLSTATE with which the server refuses this connection; None when it takes it now, or none answers
    (or where libpq traces nothing: it does on Linux)."""
    if sys.platform != "linux":
        return None
    parameters = {each.keyword.decode(): each.val.decode() for each in failed.info if each.val}
    traced = os.memfd_create("postgresql")
    try:
        if _attempt(make_conninfo("", **parameters), traced):
            return None
        found: list[bytes] = _ERROR.findall(os.pread(traced, os.fstat(traced).st_size, 0))
    finally:
        os.close(traced)
    return found[-1].decode() if found else None


def _attempt(conninfo: str, traced: int) -> bool:
    """Was a connection made? What the two said to each other is in the file ``traced``."""
    give_up = time.monotonic() + ATTEMPT_SECONDS
    conn = pq.PGconn.connect_start(conninfo.encode())
    tracing = False
    try:
        while conn.status != pq.ConnStatus.BAD:
            if not tracing and conn.status != pq.ConnStatus.STARTED:
                tracing = True  # not before there is a server: psycopg never frees what this takes
                conn.trace(traced)
                conn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
            wanted = conn.connect_poll()
            if wanted not in _POLLING:
                return wanted == pq.PollingStatus.OK
            sockets = [conn.socket]
            reading = wanted == pq.PollingStatus.READING
            left = give_up - time.monotonic()
            if left <= 0 or not any(
                select.select(sockets if reading else [], [] if reading else sockets, [], left)
            ):
                return False
        return False
    finally:
        if tracing:
            conn.untrace()
        conn.finish()
