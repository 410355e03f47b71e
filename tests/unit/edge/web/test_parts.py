"""Small parts: passwords, back-off, fields, header lines."""

import pytest
from twisted.internet.task import Clock

from edge import passwords
from edge.web.fields import MAX_FIELDS, TooManyFields, parse_fields
from edge.web.headers import lines
from edge.web.pages import backoff
from edge.web.pages.backoff import Backoff


def test_a_password_and_its_hash() -> None:
    stored = passwords.hash_password("pässword 👍")
    assert stored.startswith("$argon2id$")
    assert passwords.verify(stored, "pässword 👍")
    assert not passwords.verify(stored, "password")


@pytest.mark.parametrize("stored", ["", "x", "$argon2id$v=19$m=65536,t=3,p=4$x", "pässword"])
def test_a_hash_that_cannot_be_read_is_nobodys(stored: str) -> None:
    assert not passwords.verify(stored, "")
    assert not passwords.verify(stored, stored)


@pytest.mark.parametrize("password", ["", "x" * 1001])
def test_passwords_that_are_none(password: str) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        passwords.hash_password(password)


def test_half_a_surrogate_pair_is_no_password() -> None:
    assert not passwords.verify(passwords.NOBODY, "\ud83d")


def test_nobodys_hash_costs_what_a_new_one_costs() -> None:
    stored = passwords.hash_password("x")
    assert stored.split("$")[:4] == passwords.NOBODY.split("$")[:4]
    assert [len(part) for part in stored.split("$")] == [len(part) for part in passwords.NOBODY.split("$")]
    assert not passwords.verify(passwords.NOBODY, "x")


def test_the_wait_doubles_and_ends_at_a_quarter_of_an_hour() -> None:
    clock = Clock()
    limit = Backoff(2, clock.seconds)
    waits = []
    for _ in range(16):
        limit.failed("k")
        waits.append(limit.wait("k"))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]
    clock.advance(899.5)
    assert limit.wait("k") == 0.5
    assert limit.wait("other") == 0
    limit.forget("k")
    assert limit.wait("k") == 0


def test_failures_are_forgotten_and_undone() -> None:
    clock = Clock()
    limit = Backoff(0, clock.seconds)
    limit.failed("k")
    assert limit.wait("k") == 1
    limit.undo("k")
    assert (limit.wait("k"), len(limit)) == (0, 0)
    for _ in range(20):
        limit.failed("k")
    clock.advance(backoff.FORGOTTEN_SECONDS)
    limit.failed("k")
    assert limit.wait("k") == 1


def test_the_memory_of_failures_is_bounded() -> None:
    limit = Backoff(0, Clock().seconds)
    for number in range(backoff.MAX_KEYS + 5):
        limit.failed(number)
    assert len(limit) == backoff.MAX_KEYS
    assert (limit.wait(4), limit.wait(5)) == (0, 1)


def test_fields() -> None:
    found = parse_fields(b"a=1&a=+2&b&&c=%26%3D%2B;x&%61=%FF&=v")
    assert found == {b"a": [b"1", b" 2", b"\xff"], b"b": [b""], b"c": [b"&=+;x"], b"": [b"v"]}
    assert parse_fields(b"") == {}
    assert len(parse_fields(b"&" * (MAX_FIELDS - 1))) == 0
    with pytest.raises(TooManyFields):
        parse_fields(b"&" * MAX_FIELDS)


def test_header_lines_are_one_line_each() -> None:
    assert lines(((b"A", b"b"), (b"C", b"d"))) == b"A: b\r\nC: d\r\n"
    for bad in (b"x\r\ny: z", b"x\ny", b"x\ry", b"x\0"):
        with pytest.raises(ValueError, match="one line"):
            lines(((b"A", bad),))
