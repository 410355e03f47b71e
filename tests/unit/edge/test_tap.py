"""The start, as far as it can be seen without a server."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config import Config
from edge.tap import Options, makeService


@pytest.fixture(autouse=True)
def _sighup_as_before() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def options_with(config: Path) -> Options:
    options = Options()
    options["config"] = str(config)
    return options


def test_sighup_does_not_end_a_start(tmp_path: Path) -> None:
    """Whoever has just put a configuration there and says so may be early."""
    with pytest.raises(SystemExit):
        makeService(options_with(tmp_path / "none.toml"))
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_the_configuration_is_known_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who reads of it, in `version` or when a reload is refused, is in another folder."""
    monkeypatch.chdir(tmp_path)
    file = Path("trunkline.toml")
    file.write_text("nonsense = 1\n")
    with pytest.raises(SystemExit):
        makeService(options_with(file))
    assert f"trunkline: {tmp_path / file}: nonsense" in capfd.readouterr().err
    file.write_text("")
    built: list[Config] = []
    monkeypatch.setattr("edge.tap.build", built.append)
    makeService(options_with(file))
    assert [config.path for config in built] == [tmp_path / file]
