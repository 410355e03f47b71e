"""Backup and restore: all or nothing, for the owner's eyes, never beside a server or a crash's leavings."""

import contextlib
import json
import os
import shutil
import sqlite3
import stat
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted
from sqlalchemy import select, text
from twisted.internet import reactor
from twisted.internet.task import deferLater

from storage import accounts, backup, messages, migrate, search
from storage.claims import claims_of, of_server
from storage.engines import Engine, open_engine
from storage.errors import Conflict, SchemaMismatch, StoreError, StoreUnavailable
from storage.placing import appearing
from storage.restore import restore
from storage.store import Store
from storage.tables import account, feed
from tests import postgresql
from tests.samples import NOW, ids, mo, mt
from tests.storing import done, indexed, read, stored

SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)


@pytest.fixture
def another_url(engine_name: str, tmp_path: Path) -> Iterator[str]:
    """Where there is no store yet."""
    if engine_name == "sqlite":
        yield f"sqlite:///{tmp_path / 'again.db'}"
        return
    with postgresql.database() as url:
        yield url


@pytest.fixture
def file(engine: Engine, tmp_path: Path) -> Path:
    """A backup of a store with enough in it to be damaged."""
    with engine.transaction() as connection:
        rows = [{"id": number, "name": os.urandom(40).hex(), "created_at": 1} for number in range(1, 3_001)]
        connection.execute(account.insert(), rows)
    made = tmp_path / "backup"
    backup.backup(engine, made)
    return made


def accounts_in(url: str) -> int:
    again = open_engine(url)
    with again.snapshot() as connection:
        found = len(connection.execute(select(account.c.id)).all())
    again.close()
    return found


def test_a_backup_put_back_has_every_row_and_can_be_searched(engine: Engine, tmp_path: Path) -> None:
    records = [mo(text="a café"), mt(text="tea")]
    stored(engine, *records)
    indexed(engine)
    file = tmp_path / "backup"
    backup.backup(engine, file)
    with pytest.raises(Conflict):
        backup.backup(engine, file)
    stored(engine, mo(text="after the backup"))
    with pytest.raises(Conflict):
        restore(engine.url.render_as_string(hide_password=False), file)
    if engine.name == "sqlite":
        put_back(f"sqlite:///{tmp_path / 'again.db'}", file)
    else:
        with postgresql.database() as url:
            put_back(url, file)


def put_back(url: str, file: Path) -> None:
    restore(url, file)
    again = open_engine(url)
    assert [view.message.text for view in read(again, messages.search, 1)] == ["tea", "a café"]
    assert len(read(again, search.find, 1, "cafe")) == 1
    stored(again, mo(text="goes on"))
    indexed(again)
    assert len(read(again, search.find, 1, "goes")) == 1
    again.close()


def test_what_is_no_backup_is_refused(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "no-backup"
    file.write_bytes(b"nothing of the kind" * 1_000)
    url = f"sqlite:///{tmp_path / 'new.db'}" if engine.name == "sqlite" else str(engine.url)
    with pytest.raises(StoreError):
        restore(url, file)
    assert not (tmp_path / "new.db").exists()


# -- for the owner's eyes -----------------------------------------------------------------------------------


def test_nobody_else_may_read_a_backup_or_what_is_made_of_it(
    engine: Engine, file: Path, another_url: str, tmp_path: Path
) -> None:
    file.unlink()
    before = os.umask(0o022)
    try:
        backup.backup(engine, file)
        restore(another_url, file)
    finally:
        os.umask(before)
    assert mode(file) == 0o600
    if engine.name == "sqlite":
        assert mode(tmp_path / "again.db") == 0o600


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_private_before_the_first_octet(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with appearing(tmp_path / "file") as partial:
            assert (mode(partial), partial.stat().st_size) == (0o600, 0)
    finally:
        os.umask(before)
    assert mode(tmp_path / "file") == 0o600


# -- all or nothing -----------------------------------------------------------------------------------------


@POSTGRESQL
def test_a_damaged_backup_is_told_in_a_line_and_makes_no_store(file: Path, another_url: str) -> None:
    bad = file.with_name("bad")
    with zipfile.ZipFile(file) as archive:
        member = archive.getinfo("account.copy")
    octets = bytearray(file.read_bytes())
    middle = member.header_offset + member.compress_size // 2
    for place in range(middle, middle + 8):
        octets[place] ^= 0xFF
    bad.write_bytes(octets)
    with pytest.raises(StoreError, match="damaged, and nothing") as found:
        restore(another_url, bad)
    assert "\n" not in str(found.value)
    restore(another_url, file)
    assert accounts_in(another_url) == 3_000


@POSTGRESQL
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"revision": "9999_future"}, "newer than this release"),
        ({"tables": {"no_such_table": ["id"]}}, "no table no_such_table"),
        ({"tables": {"account": ["no_such_column"]}}, "no_such_column"),
        ({"tables": None}, "no backup of"),
    ],
)
def test_a_manifest_that_does_not_fit_makes_no_store(
    file: Path, another_url: str, what: dict[str, object], said: str
) -> None:
    bad = file.with_name("bad")
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(bad, "w") as out:
        for name in archive.namelist():
            content = archive.read(name)
            if name == backup.MANIFEST:
                content = json.dumps({**json.loads(content), **what}).encode()
            out.writestr(name, content)
    with pytest.raises(StoreError, match=said):
        restore(another_url, bad)
    engine = open_engine(another_url)
    assert migrate.current(engine) is None
    engine.close()


@SQLITE
def test_a_damaged_file_or_one_of_a_newer_release_makes_no_store(file: Path, another_url: str) -> None:
    newer, damaged = file.with_name("newer"), file.with_name("damaged")
    shutil.copy(file, newer)
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_future'")
    pages = bytearray(file.read_bytes())
    half = len(pages) // 2 // 4_096 * 4_096
    pages[half : half + 16_384] = bytes(16_384)
    damaged.write_bytes(pages)
    with pytest.raises(SchemaMismatch, match="newer than this release"):
        restore(another_url, newer)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        restore(another_url, damaged)
    assert not [path for path in file.parent.iterdir() if "again" in path.name and path.suffix != ".lock"]


def test_a_restored_store_begins_a_new_epoch(engine: Engine, file: Path, another_url: str) -> None:
    restore(another_url, file)
    again = open_engine(another_url)
    epochs = [
        read(each, lambda connection: connection.scalar(select(feed.c.epoch))) for each in (engine, again)
    ]
    again.close()
    assert epochs[1] == epochs[0] + 1


# -- beside what a crash left, or a server ------------------------------------------------------------------


@SQLITE
@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_what_a_crash_left_beside_the_file_is_not_taken_for_a_part_of_the_backup(
    engine: Engine, file: Path, tmp_path: Path, end: str
) -> None:
    database = tmp_path / "store.db"
    held = sqlite3.connect(database)
    held.execute("SELECT count(*) FROM account").fetchone()
    done(engine, accounts.add_account, ids.next, "after the backup", NOW)
    left = tmp_path / f"left{end}"
    real = database.with_name(f"store.db{end}")
    left.write_bytes(real.read_bytes() if real.exists() else b"x" * 512)
    held.close()
    engine.close()
    database.rename(tmp_path / "store.db.broken")
    left.rename(real)
    with pytest.raises(Conflict, match=f"store.db{end}, which is part of the store"):
        restore(f"sqlite:///{database}", file)
    assert real.exists()
    assert not database.exists()
    real.rename(tmp_path / f"store.db.broken{end}")
    restore(f"sqlite:///{database}", file)
    assert accounts_in(f"sqlite:///{database}") == 3_000
    assert not real.exists()


def test_a_backup_is_not_put_where_a_server_works(file: Path, another_url: str) -> None:
    engine = open_engine(another_url)
    server = claims_of(engine)
    assert server.take(of_server(engine, 3))
    with pytest.raises(Conflict, match="A server works on this store"):
        restore(another_url, file)
    server.close()
    restore(another_url, file)
    assert server.take(of_server(engine, 3)), "the claim was given back"
    server.close()
    engine.close()
    assert accounts_in(another_url) == 3_000


@SQLITE
@pytest_twisted.ensureDeferred
async def test_a_file_that_is_moved_takes_nothing_more_until_it_is_back(store: Store, tmp_path: Path) -> None:
    database, aside = tmp_path / "store.db", tmp_path / "aside.db"
    await store.probe()
    database.rename(aside)
    for said in ("moved, deleted or replaced", "a moment ago|moved"):
        with pytest.raises(StoreUnavailable, match=said):
            await store.writer.run("add", lambda conn: accounts.add_account(conn, ids.next, "lost", NOW))
    assert not store.writer.available
    assert not database.exists(), "no empty store was made in its place"
    shutil.copy(aside, database)
    with pytest.raises(StoreUnavailable):
        await store.probe()
    database.unlink()
    aside.rename(database)

    for _ in range(100):
        await deferLater(reactor, 0.02)
        with contextlib.suppress(StoreUnavailable):
            await store.probe()
            break
    await store.probe()
    found = await store.read(lambda connection: connection.execute(text("SELECT name FROM account")).all())
    assert found == []
