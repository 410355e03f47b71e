"""`trunkline demo`: everything in one process and one folder, set up once and found again at the next run."""

import fcntl
import json
import os
import re
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge import config as configuration
from edge import layout
from edge.cli.desk import Desk, DeskError, DidChange, HandlerChange, open_desk, upgrade
from edge.config import Config
from edge.endpoints import host_and_port
from edge.keys import new_token, token_hash
from edge.passwords import verify

FOLDER = Path("var")
ACCOUNT = LOGIN = KEY = "demo"
DIDS = ("+12025550100", "+12025550101")
LOOPBACK = "127.0.0.1"
PORTS_TRIED = 100
READY_SECONDS = 300.0
CALLBACK = "/simulator/callback?id={ID}&timestamp={TIMESTAMP}&from={FROM}&to={TO}&message={MESSAGE}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the demo's visitor needs; kept in the folder, readable for its owner only."""

    password: str
    key: str


def run_demo() -> None:
    """Set up, say where everything is, and run until Ctrl-C. Raises DeskError."""
    from edge.cli.processes import run_server

    begun = time.monotonic()
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    with _alone(FOLDER / "demo.lock"):
        _private(FOLDER / "smpp-password", secrets.token_hex(8) + "\n")
        credentials = load_credentials(FOLDER / "credentials.json")
        file = FOLDER / "demo.toml"
        write_config(file)
        config = configuration.load(file)
        upgrade(config)
        with open_desk(config) as desk:
            furnish(desk, credentials, base_url(config))
        text = welcome(config, credentials)
        threading.Thread(target=_announce, args=(base_url(config), text, begun), daemon=True).start()
        run_server(file)


def load_credentials(file: Path) -> Credentials:
    """Those of the last run, or new ones."""
    fresh = Credentials(secrets.token_urlsafe(9), new_token())
    document = json.dumps({"login": LOGIN, "password": fresh.password, "key": fresh.key}, indent=1)
    try:
        kept = json.loads(_private(file, document + "\n"))
        return Credentials(str(kept["password"]), str(kept["key"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DeskError(f"{file} cannot be read ({error}); remove it to get a new log-in.") from error


def write_config(file: Path) -> None:
    """The configuration: the one that is there or conf/demo.toml, with free ports in place of taken ones."""
    if file.exists():
        content = file.read_text("utf-8")
    else:
        folder = layout.conf_folder()
        if folder is None:
            raise DeskError("conf/demo.toml is not where trunkline was installed; install it again.")
        content = (folder / "demo.toml").read_text("utf-8")
    before = configuration.parse(content.encode(), file)
    if before.simulator is None:
        raise DeskError(f"{file} has no [simulator] table; remove the file to start afresh.")
    _, http = host_and_port(before.http.listen)
    _, smpp = host_and_port(before.simulator.smpp_listen)
    file.write_text(with_ports(content, free_port(http), free_port(smpp)), "utf-8")


def with_ports(content: str, http: int, smpp: int) -> str:
    """The file's text with these ports."""
    for key, value in (
        ("listen", f'"{LOOPBACK}:{http}"'),
        ("smpp_listen", f'"{LOOPBACK}:{smpp}"'),
        ("port", str(smpp)),
    ):
        content = re.sub(rf"^{key} = .*$", f"{key} = {value}", content, flags=re.MULTILINE)
    return content


def free_port(wanted: int) -> int:
    """This port, or the next one that is free."""
    for port in range(wanted, min(wanted + PORTS_TRIED, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((LOOPBACK, port))
                return port
    raise DeskError(f"None of the ports {wanted} to {wanted + PORTS_TRIED - 1} is free.")


def furnish(desk: Desk, credentials: Credentials, base: str) -> None:
    """The account with its user, key and DIDs; what is there already stays."""
    desk.add_account(ACCOUNT)
    user = desk.find_user(ACCOUNT, LOGIN)
    if user is None or not verify(user.password_hash, credentials.password):
        desk.set_user(ACCOUNT, LOGIN, credentials.password)
    if desk.put_key(ACCOUNT, KEY, credentials.key).key_hash != token_hash(credentials.key):
        desk.revoke_key(ACCOUNT, KEY)
        desk.put_key(ACCOUNT, KEY, credentials.key)
    callback = HandlerChange(settings={"url": base + CALLBACK, "retry": True})
    for number in DIDS:
        desk.add_did(ACCOUNT, number)
        desk.set_did(number, DidChange(sms=True, handlers={"callback": callback}))


def base_url(config: Config) -> str:
    """Where the demo's HTTP answers."""
    return f"http://{config.http.listen}"


def welcome(config: Config, credentials: Credentials) -> str:
    """What the visitor reads."""
    base = base_url(config)
    phone = (
        config.simulator.phones[0] if config.simulator is not None and config.simulator.phones else DIDS[1]
    )
    body = json.dumps({"from": DIDS[0], "to": phone, "text": "Hello from Trunkline"})
    return f"""\
Portal       {base}/            log in as {LOGIN}, password {credentials.password}
Phones       {base}/simulator   text {DIDS[0]} or {DIDS[1]}, see what comes back
API key      {credentials.key}
Log          {config.log.file}

Send a text:
  curl -s -H 'Authorization: Bearer {credentials.key}' -H 'Content-Type: application/json' \\
    -d '{body}' {base}/v1/messages
See all:
  curl -s -H 'Authorization: Bearer {credentials.key}' {base}/v1/messages

Ctrl-C ends it; `trunkline demo` finds it all again in ./{FOLDER}.
"""


def _announce(base: str, text: str, begun: float) -> None:
    """In a thread of its own: say that it is up when it is."""
    out = sys.__stdout__
    deadline = begun + READY_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{base}/readyz", timeout=5):
            print(
                f"\nTrunkline is up after {time.monotonic() - begun:.1f} s.\n\n{text}", file=out, flush=True
            )
            return
        time.sleep(0.1)
    print(f"\nTrunkline did not get ready within {READY_SECONDS:.0f} s; see {FOLDER}/trunkline.log", file=out)


def _private(file: Path, content: str) -> str:
    """What the file holds; if there is none it is made with ``content``, for its owner's eyes only."""
    with (
        suppress(FileExistsError),
        os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new,
    ):
        new.write(content)
    return file.read_text("utf-8")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One demo a folder. Raises DeskError."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DeskError(f"A demo runs in ./{FOLDER} already.") from error
        yield
