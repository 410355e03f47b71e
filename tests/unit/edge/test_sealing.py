"""Secrets in the store: sealed with a key that is not there."""

from pathlib import Path

import pytest

from edge.errors import Unavailable
from edge.sealing import Seal, Unopened, is_sealed

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def test_what_is_sealed_is_opened_where_it_belongs_only(tmp_path: Path) -> None:
    seal = Seal(tmp_path / "var" / "key")
    kept = seal.close(SECRET, "here")
    assert is_sealed(kept)
    assert SECRET not in kept
    assert seal.open(kept, "here") == SECRET
    assert seal.close(SECRET, "here") != kept, "twice the same secret is not seen to be the same"
    with pytest.raises(Unopened):
        seal.open(kept, "there")


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "key"
    kept = Seal(file).close(SECRET, "here")
    assert file.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["key"], "nothing else is left"
    assert Seal(file).open(kept, "here") == SECRET
    with pytest.raises(Unopened):
        Seal(tmp_path / "another").open(kept, "here")


def test_a_new_key_on_top_opens_what_the_old_one_sealed(tmp_path: Path) -> None:
    file = tmp_path / "key"
    old = Seal(file).close(SECRET, "here")
    before = file.read_text()
    file.write_text(f"{'ab' * 32}\n{before}")
    renewed = Seal(file)
    assert renewed.open(old, "here") == SECRET
    fresh = renewed.close(SECRET, "here")
    file.write_text(before)
    with pytest.raises(Unopened):
        Seal(file).open(fresh, "here")


def test_what_was_kept_before_there_was_a_seal(tmp_path: Path) -> None:
    assert Seal(tmp_path / "key").open(SECRET, "here") == SECRET


@pytest.mark.parametrize("damage", ["", "!", "AAAA", "A" * 120])
def test_what_is_damaged(tmp_path: Path, damage: str) -> None:
    with pytest.raises(Unopened):
        Seal(tmp_path / "key").open(f"sealed1:{damage}", "here")


@pytest.mark.parametrize("content", ["", "ab", "no digits at all", "ab" * 31])
def test_a_file_without_a_key(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with pytest.raises(Unavailable):
        Seal(file).close(SECRET, "here")
    assert file.read_text() == content


def test_a_place_where_no_key_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Seal(tmp_path / "file" / "key").close(SECRET, "here")
