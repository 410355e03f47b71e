"""What `trunkline demo` sets up, the first time and again."""

import socket
import stat
from pathlib import Path

import pytest

from edge import demo
from edge.cli.desk import Desk, DeskError, DidChange, HandlerChange, open_desk, upgrade
from edge.config import Config, OutgoingConfig, StoreConfig, load
from edge.keys import token_hash
from edge.passwords import verify


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "smpp-password").write_text("secret\n")
    return tmp_path / "var"


def test_credentials_are_random_private_and_kept(folder: Path) -> None:
    file = folder / "credentials.json"
    first = demo.load_credentials(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert demo.load_credentials(file) == first
    file.unlink()
    second = demo.load_credentials(file)
    assert second.password != first.password
    assert second.key != first.key


@pytest.mark.parametrize("content", ["", "[]", '{"password": "x"}'])
def test_credentials_that_were_spoilt(folder: Path, content: str) -> None:
    file = folder / "credentials.json"
    file.write_text(content)
    with pytest.raises(DeskError, match="remove it"):
        demo.load_credentials(file)


def test_a_taken_port_is_passed_over_and_the_rest_of_the_file_kept(folder: Path) -> None:
    file = folder / "demo.toml"
    demo.write_config(file)
    file.write_text(file.read_text().replace("receipt_delay_seconds = 1.0", "receipt_delay_seconds = 3.0"))
    before = load(file)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", before.upstreams[0].port))
        taken.listen()
        demo.write_config(file)
    after = load(file)
    assert after.simulator is not None
    assert after.upstreams[0].port != before.upstreams[0].port
    assert after.simulator.smpp_listen == f"127.0.0.1:{after.upstreams[0].port}"
    assert after.simulator.receipt_delay_seconds == 3.0
    assert after.http.listen.startswith("127.0.0.1:")


def test_a_file_that_is_no_demo(folder: Path) -> None:
    (folder / "demo.toml").write_text("")
    with pytest.raises(DeskError, match="no \\[simulator\\]"):
        demo.write_config(folder / "demo.toml")


def test_the_account_is_furnished_once_and_mended_when_need_be(folder: Path) -> None:
    config = Config(
        store=StoreConfig(url=f"sqlite:///{folder}/t.db"),
        outgoing=OutgoingConfig(allow_networks=("127.0.0.0/8",)),
    )
    upgrade(config)
    credentials = demo.Credentials("the password", "tk_aaaa_bbbb")
    with open_desk(config) as desk:
        demo.furnish(desk, credentials, "http://127.0.0.1:8080")
        first = look(desk)
        demo.furnish(desk, credentials, "http://127.0.0.1:8080")
        assert look(desk) == first
        desk.set_did(
            demo.DIDS[0], DidChange(sms=False, handlers={"callback": HandlerChange(settings={"url": ""})})
        )
        fresh = demo.Credentials("another password", "tk_cccc_dddd")
        demo.furnish(desk, fresh, "http://127.0.0.1:9090")
        after = look(desk)
    assert first[1] == token_hash("tk_aaaa_bbbb")
    assert after[1] == token_hash("tk_cccc_dddd")
    assert verify(after[0], "another password")
    assert after[2] == [
        (number, True, True, f"http://127.0.0.1:9090{demo.CALLBACK}", True) for number in demo.DIDS
    ]


def look(desk: Desk) -> tuple[str, str, list[tuple[object, ...]]]:
    user = desk.find_user(demo.ACCOUNT, demo.LOGIN)
    assert user is not None
    (key,) = desk.keys(demo.ACCOUNT)
    found: list[tuple[object, ...]] = []
    for did, _ in desk.dids():
        callback = did.handlers["callback"]
        settings = callback.settings
        found.append((did.number, did.sms_enabled, callback.enabled, settings["url"], settings["retry"]))
    return user.password_hash, key.key_hash, found


def test_the_welcome_has_all_that_is_needed(folder: Path) -> None:
    demo.write_config(folder / "demo.toml")
    config = load(folder / "demo.toml")
    text = demo.welcome(config, demo.Credentials("the password", "tk_a_b"))
    for needed in (f"http://{config.http.listen}/simulator", "the password", "tk_a_b", *demo.DIDS, "curl -s"):
        assert needed in text


def test_one_demo_a_folder() -> None:
    file = Path("var/demo.lock")
    with demo._alone(file), pytest.raises(DeskError, match="already"), demo._alone(file):
        pass
    with demo._alone(file):
        pass
