"""Reloads of a running server: what is applied without a restart, and that a wrong one changes nothing."""

import socket
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.console.ctl import Client
from tests.integration.test_upstream_tls import Identity, identity
from tests.provision import KEY, provision
from tests.server import Server, free_port, until

pytestmark = pytest.mark.integration

DID = "+12025550100"


class Rig:
    """A server without a carrier, with phones by TLS, whose file can be changed."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.tls = free_port()
        self.certificate, self.key = folder / "c.pem", folder / "k.pem"
        self.show(identity("one", None, "127.0.0.1"))
        tables: dict[str, dict[str, object]] = {
            "console": {"socket": str(folder / "console.sock")},
            "sip": {
                "domain": "sip.test",
                "udp": [],
                "tcp": [],
                "tls": [f"127.0.0.1:{self.tls}"],
                "certificate": str(self.certificate),
                "private_key": str(self.key),
            },
        }
        self.server = Server(folder, url, free_port(), tables=tables)
        self._good = self.server.config.read_text()

    def show(self, found: Identity) -> None:
        self.certificate.write_bytes(found.pem)
        self.key.write_bytes(found.key_pem)

    def start(self) -> None:
        self.server.start(ready=False)
        until(self._started, "it has started")

    def _started(self) -> bool:
        try:
            return bool(self.server.call("GET", "/startupz")[0] == 200)
        except OSError:
            return False

    def reload(self, more: str = "", old: str = "", new: str = "") -> dict[str, Any]:
        """The answer of the console to a file with more in it, or something in it changed."""
        self.server.config.write_text(more + self._good.replace(old, new) if old else more + self._good)
        return self.ask("reload")

    def ask(self, line: str) -> dict[str, Any]:
        """What the console answers."""
        client = Client(self.folder / "console.sock")
        answer = client.ask({"line": line})
        client.close()
        return answer

    def shown(self) -> bytes | None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.tls), timeout=30) as plain,
            context.wrap_socket(plain) as secured,
        ):
            return secured.getpeercert(binary_form=True)


@pytest.fixture
def rig(sqlite_url: str, tmp_path: Path) -> Iterator[Rig]:
    provision(sqlite_url, [DID])
    made = Rig(tmp_path, sqlite_url)
    with made.server:
        made.start()
        yield made


def test_what_is_applied_without_a_restart(rig: Rig) -> None:
    metrics = free_port()
    assert rig.server.call("GET", "/cgi-bin/sendsms")[0] == 404
    before = rig.shown()
    rig.show(identity("two", None, "127.0.0.1"))
    answer = rig.reload(
        f'[lookalikes]\nkannel = true\n[metrics]\nlisten = "127.0.0.1:{metrics}"\n[server]\nnode = 3\n'
        "drain_seconds = 3\n[callback]\nretry_minutes = 1\n[outbox]\nper_target = 3\n"
    )
    assert answer["ok"], answer["text"]
    assert answer["document"]["applied"] == ["callback", "lookalikes", "metrics", "outbox", "server"]
    assert answer["document"]["needs_restart"] == ["server.node"]
    assert "A restart is needed for: server.node" in answer["text"]
    assert rig.server.call("GET", "/cgi-bin/sendsms")[0] == 403, "the program is there, and wants a password"
    assert rig.server.call("GET", "/v1/dids", key=KEY)[0] == 200
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30) as page:
        shown = page.read()
    assert b"trunkline_bind_bound" in shown
    for begun in ('messages_refused_total{leg="api"}', 'messages_accepted_total{leg="portal"}'):
        assert f"trunkline_{begun} 0.0\n".encode() in shown, "the first one is an increase"
    for result in ("delivered", "retried", "failed"):
        begun = f'delivery_attempts_total{{handler="callback",result="{result}"}}'
        assert f"trunkline_{begun} 0.0\n".encode() in shown
    assert rig.shown() != before, "the renewed certificate"
    answer = rig.reload()
    assert answer["ok"], answer["text"]
    assert rig.server.call("GET", "/cgi-bin/sendsms")[0] == 404
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30)


def test_a_file_without_any_upstream_is_taken_for_a_mistake(rig: Rig) -> None:
    """Half written, or an empty one: nobody ends every link that way."""
    kannel = "[lookalikes]\nkannel = true\n"
    without = rig.server.config.read_text().partition("[[upstream]]")[0]
    for content in ("", kannel + without):
        rig.server.config.write_text(content)
        answer = rig.ask("reload")
        assert not answer["ok"]
        assert "has no [[upstream]], and carrier runs" in answer["text"]
        assert "restart" in answer["text"], "how to do it all the same"
    assert rig.server.call("GET", "/cgi-bin/sendsms")[0] == 404
    assert [bind["bind"].partition("/")[0] for bind in rig.ask("binds")["document"]] == ["carrier"]
    assert rig.server.log.read_text().count('"config_not_reloaded"') == 2


def test_a_reload_that_cannot_be_carried_out_changes_nothing(rig: Rig) -> None:
    shown = rig.shown()
    kannel = "[lookalikes]\nkannel = true\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = rig.reload(f'{kannel}[metrics]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')
        assert not answer["ok"]
        assert "Couldn't listen on 127.0.0.1" in answer["text"]
    answer = rig.reload(kannel, 'name = "carrier"', 'name = "carrier"\ntls = true\ntls_ca_file = "/nowhere"')
    assert "/nowhere" in answer["text"]
    rig.certificate.write_text("no certificate")
    answer = rig.reload(kannel)
    assert not answer["ok"]
    assert rig.server.call("GET", "/cgi-bin/sendsms")[0] == 404
    assert rig.shown() == shown
    log = rig.server.log.read_text()
    assert log.count('"config_not_reloaded"') == 3
    assert '"config_reloaded"' not in log
