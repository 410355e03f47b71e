"""One-time passwords, against the RFC's own values; spare codes."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from edge import totp

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [  # RFC 6238 appendix B, SHA-1; of its eight digits the last six
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_values_of_the_rfc(seconds: int, code: str) -> None:
    assert totp.code_at(RFC_SECRET, seconds // 30) == code
    assert totp.step_of(RFC_SECRET, code, seconds * 1000) == seconds // 30


def test_a_code_is_taken_a_step_early_and_late_and_no_further() -> None:
    secret, now_ms = totp.new_secret(), 3_000_000_000
    step = now_ms // 30_000
    taken = [totp.step_of(secret, totp.code_at(secret, step + off), now_ms) for off in (-2, -1, 0, 1, 2)]
    assert taken == [None, step - 1, step, step + 1, None]


@pytest.mark.parametrize("written", ["", "12345", "1234567", "abcdef", "éééééé", "\0" * 6])
def test_what_is_no_code(written: str) -> None:
    assert totp.step_of(RFC_SECRET, written, 59_000) is None


def test_at_the_beginning_of_time() -> None:
    assert totp.step_of(RFC_SECRET, totp.code_at(RFC_SECRET, 0), 0) == 0


def test_secrets_have_160_bits_and_are_never_the_same() -> None:
    made = {totp.new_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(base64.b32decode(secret)) for secret in made} == {20}


def test_the_address_for_an_app() -> None:
    parts = urlsplit(totp.address("ABC", "Trunk line", "ann@example.net"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Trunk%20line:ann@example.net")
    assert parse_qs(parts.query) == {"secret": ["ABC"], "issuer": ["Trunk line"]}


def test_spare_codes() -> None:
    codes = totp.new_codes()
    assert len(set(codes)) == 10
    first = codes[0]
    assert [len(group) for group in first.split("-")] == [4, 4, 4, 4]
    assert totp.code_hash(f" {first.replace('-', ' ').lower()} ") == totp.code_hash(first)
    assert len({totp.code_hash(code) for code in codes}) == 10
    assert first not in totp.code_hash(first)
