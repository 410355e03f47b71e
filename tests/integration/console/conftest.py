"""A server with its simulator, and every way into its console."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.console.ctl import Client
from edge.keys import token_hash
from edge.passwords import hash_password
from tests.provision import provision
from tests.server import Server, free_port

DID, OTHER = "+12025550100", "+12025550101"
PHONE = "+12025550150"
PASSWORD = "open sesame"
FOREIGNER, FOREIGN_PASSWORD = "jürgen", "schlüssel €"
OPERATOR_KEY = "op_" + "5" * 40


@dataclass(frozen=True)
class Ways:
    """Where the console of this server listens; ``key`` is the operator's, ``stranger`` nobody's."""

    server: Server
    socket: Path
    telnet: int
    ssh: int
    manhole: int
    key: Path
    stranger: Path

    def client(self) -> Client:
        """A new connection to the UNIX socket."""
        return Client(self.socket)


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    folder = tmp_path_factory.mktemp("console")
    url = f"sqlite:///{folder}/store.db"
    provision(url, [DID, OTHER])
    for name in ("alice", "mallory"):
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            f"{name}@ops",
            "-f",
            str(folder / name),
        ]
        subprocess.run(command, check=True)
    (folder / "authorized_keys").write_text(
        f"# operators\nssh-ed25519 A\n{(folder / 'alice.pub').read_text()}\n"
        f'command="ls" {(folder / "mallory.pub").read_text()}\n'
    )
    smpp, telnet, ssh, manhole = free_port(), free_port(), free_port(), free_port()
    tables: dict[str, dict[str, object]] = {
        "console": {
            "socket": str(folder / "console.sock"),
            "telnet": f"127.0.0.1:{telnet}",
            "ssh": f"127.0.0.1:{ssh}",
            "manhole": f"127.0.0.1:{manhole}",
            "authorized_keys": str(folder / "authorized_keys"),
            "host_key": str(folder / "keys" / "host_key"),
        },
        "console.operators": {
            "alice": hash_password(PASSWORD),
            FOREIGNER: hash_password(FOREIGN_PASSWORD),
        },
        "console.api_keys": {"bob": token_hash(OPERATOR_KEY)},
        "simulator": {
            "system_id": "trunk",
            "password": "secret",
            "smpp_listen": f"127.0.0.1:{smpp}",
            "receipt_delay_seconds": 0.1,
        },
        "sip": {"domain": "sip.test", "udp": [f"127.0.0.1:{free_port()}"], "tcp": []},
    }
    with Server(folder, url, smpp, tables=tables) as server:
        server.start()
        yield Ways(
            server, folder / "console.sock", telnet, ssh, manhole, folder / "alice", folder / "mallory"
        )
