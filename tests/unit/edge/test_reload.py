"""What of a fresh configuration can be in force at once, and what waits for a restart."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from edge.config import Config, parse
from edge.reload import LIVE, change

FILE = Path("t.toml")


def read(text: str) -> Config:
    return parse(text.encode(), FILE, {})


SIP = '[sip]\ndomain = "a.example"\n'
MAIL = f'[mail]\ndomain = "sms.example.net"\nreply_keys = "1:{"0" * 64}"\n'
UPSTREAM = '[[upstream]]\nname = "a"\nport = 1\nsystem_id = "x"\npassword = "y"\n'
CASES = [
    ("", "", set(), ()),
    ("", "[server]\ndrain_seconds = 5\nnode = 3\n", {"server"}, ("server.node",)),
    ("", '[http]\nlisten = "127.0.0.1:9"\n', set(), ("http.listen",)),
    ("", "[http]\nmax_streams = 3\n", {"http"}, ()),
    ("", '[log]\nlevel = "debug"\n', {"log"}, ()),
    ("", "[metrics]\n", {"metrics"}, ()),
    ("[metrics]\n", "", {"metrics"}, ()),
    ("", "[tracing]\n", {"tracing"}, ()),
    ("[tracing]\n", "[tracing]\nsample = 0.5\n", {"tracing"}, ()),
    ("", SIP, set(), ("sip",)),
    (SIP, SIP + "ban_seconds = 5\nkeep_hours = 1\n", {"sip"}, ("sip.keep_hours",)),
    ("", MAIL, set(), ("mail",)),
    ("", UPSTREAM, {"upstreams"}, ()),
    (UPSTREAM, UPSTREAM + "window = 3\n", {"upstreams"}, ()),
    ("", '[numbers]\nregion = "GB"\n', set(), ("numbers.region",)),
    ("", "[store]\nmin_free_mib = 5\nallow_non_durable = true\n", {"store"}, ("store.allow_non_durable",)),
]


@pytest.mark.parametrize(("before", "after", "tables", "waiting"), CASES)
def test_what_a_reload_can_do(before: str, after: str, tables: set[str], waiting: tuple[str, ...]) -> None:
    current, fresh = read(before), read(after)
    wanted = change(current, fresh)
    assert (set(wanted.tables), wanted.needs_restart) == (tables, waiting)
    again = change(wanted.config, fresh)
    assert (again.tables, again.needs_restart) == (frozenset(), waiting), "it is in force, but for those"


def test_a_key_that_waits_is_not_said_to_be_in_force() -> None:
    wanted = change(read(""), read("[server]\ndrain_seconds = 5\nnode = 3\n"))
    assert (wanted.config.server.drain_seconds, wanted.config.server.node) == (5.0, 0)


def test_every_key_that_is_said_to_be_live_is_there() -> None:
    config = read(SIP)
    for table, keys in LIVE.items():
        assert table in get_type_hints(Config)
        if keys is not None:
            value = getattr(config, table)
            assert is_dataclass(value)
            assert keys <= {field.name for field in fields(value)}, table
