"""What a password costs whoever verifies it, and whoever guesses."""

from argon2 import extract_parameters
from argon2.low_level import Type
from twisted.internet.defer import maybeDeferred

from edge import passwords
from edge.web.pages.passwords import PasswordChecker
from tests.deferreds import success


def test_the_cost_is_19_mib_two_passes_one_lane() -> None:
    cost = extract_parameters(passwords.hash_password("x"))
    assert (cost.type, cost.memory_cost, cost.time_cost, cost.parallelism) == (Type.ID, 19_456, 2, 1)


def test_a_hash_of_another_cost_is_still_verified() -> None:
    stored = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$cHsrazR4YLJzq48K+JASJZxvgz1QWZnsvxThDumjAnU"
    assert passwords.verify(stored, "x")


def test_nobodys_password_is_verified_against_a_real_hash() -> None:
    asked: list[tuple[str, str]] = []

    def verify(password_hash: str, password: str) -> bool:
        asked.append((password_hash, password))
        return False

    checker = PasswordChecker(maybeDeferred, verify)
    stored = passwords.hash_password("right")
    for password_hash in (stored, None):
        assert not success(checker.check(password_hash, "guess"))
    assert asked == [(stored, "guess"), (passwords.NOBODY, "guess")]
