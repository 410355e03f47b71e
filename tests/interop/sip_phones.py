"""Foreign phones, each a process of its own on loopback, and a server with an account for them."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from storage import registrations
from storage.engines import open_engine
from tests.interop.jsonlines import JsonLinesPeer
from tests.server import Server, free_port

HERE = Path(__file__).resolve().parent
DOMAIN, USER, PASSWORD = "sip.example.net", "alice", "secret"


def need(reason: str, there: bool) -> None:
    """Skip the test, loudly, where a phone is not installed; with CI=true that is a failure."""
    if there:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


def need_program(name: str) -> None:
    """A phone that is a program of the system."""
    need(f"{name} is not installed (run tests/install.sh)", shutil.which(name) is not None)


def need_module(name: str) -> None:
    """A phone that is a Python package."""
    need(f"{name} is not installed", find_spec(name) is not None)


def need_npm(name: str) -> None:
    """A phone that is an npm package."""
    there = shutil.which("node") is not None and (HERE / "node_modules" / name).is_dir()
    need(f"the npm package {name} is not installed (run `npm ci` in tests/interop)", there)


class Phone(JsonLinesPeer):
    """A phone that is driven by JSON lines: see pjsua2_phone.py and webphone.js."""

    def __init__(self, command: list[str]) -> None:
        super().__init__(command, HERE)
        self.wait_for("ready")

    def register(self, password: str = PASSWORD, **where: Any) -> int:
        """Register; the final status."""
        known = len(self.matching("registered"))
        self.send("register", user=USER, password=password, domain=DOMAIN, **where)
        status: int = self.wait_for("registered", count=known + 1)[-1]["status"]
        return status

    def register_at(self, user: str, domain: str, host: str, port: int) -> int:
        """Register elsewhere, by UDP; the final status."""
        known = len(self.matching("registered"))
        self.send(
            "register", user=user, password=PASSWORD, domain=domain, host=host, port=port, transport="udp"
        )
        status: int = self.wait_for("registered", count=known + 1)[-1]["status"]
        return status

    def unregister(self) -> int:
        """Take the registration away; the final status."""
        known = len(self.matching("registered"))
        self.send("unregister")
        status: int = self.wait_for("registered", count=known + 1)[-1]["status"]
        return status

    def text(self, to: str, text: str) -> int:
        """Send a text; the final status."""
        self.send("send", to=to, text=text)
        status: int = self.wait_for("sent", text=text)[-1]["status"]
        return status


def pjsua2() -> Phone:
    """PJSIP."""
    need_module("pjsua2")
    return Phone([sys.executable, "pjsua2_phone.py"])


def webphone(kind: str) -> Phone:
    """JsSIP or SIP.js."""
    need_npm("jssip" if kind == "jssip" else "sip.js")
    need_npm("ws")
    return Phone(["node", "webphone.js", kind])


class SipServer(Server):
    """The server with every SIP transport, on ports of its own, by IPv4 and IPv6."""

    def __init__(
        self, folder: Path, store_url: str, smsc_port: int, domain: str = DOMAIN, **sip: Any
    ) -> None:
        super().__init__(folder, store_url, smsc_port)
        self.ports = {kind: free_port() for kind in ("udp", "tcp", "tls", "ws", "wss")}
        certificate(folder)
        lines = [f'domain = "{domain}"', 'certificate = "sip.pem"', 'private_key = "sip.key"']
        lines += [f'{kind} = ["127.0.0.1:{port}", "[::1]:{port}"]' for kind, port in self.ports.items()]
        lines += [f"{key} = {value}" for key, value in sip.items()]
        with self.config.open("a") as file:
            file.write("[sip]\n" + "\n".join(lines) + "\n")

    def add_phone(self, did: str, *more: str, user: str = USER) -> None:
        """Give the account ``test`` a phone."""
        add_phone(self, did, *more, user=user)


def add_phone(server: Server, did: str, *more: str, user: str = USER) -> None:
    """Give the account ``test`` of a server's store a phone."""
    command = [str(Path(sys.executable).parent / "trunkline"), "sip-account", "add", "--account", "test"]
    subprocess.run(
        [*command, "--did", did, *more, "--password-stdin", "-c", str(server.config), user],
        input=PASSWORD.encode(),
        check=True,
        capture_output=True,
        cwd=server.folder,
    )


def registered(url: str) -> list[registrations.BindingRecord]:
    """Where phones are registered, by the store."""
    engine = open_engine(url)
    try:
        with engine.transaction() as connection:
            return registrations.bindings(connection, int(time.time() * 1000))
    finally:
        engine.close()


def certificate(folder: Path, name: str = DOMAIN) -> None:
    """A key and a certificate of our own, as sip.key and sip.pem."""
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
        "-addext",
        f"subjectAltName=DNS:{name}",
    ]
    files = ["-keyout", str(folder / "sip.key"), "-out", str(folder / "sip.pem")]
    subprocess.run([*made, *files], check=True, capture_output=True)
