"""Kamailio as a PBX: a process of its own, on an address of its own on loopback."""

import shutil
import signal
import subprocess
from pathlib import Path

from tests.interop.sip_phones import HERE, certificate, need
from tests.server import free_port, until

DOMAIN, PASSWORD, NUMBER = "pbx.example.net", "secret", "+12025550100"


class Kamailio:
    """I run Kamailio with kamailio.cfg; ``said`` is its log.

    ``trunk`` is the server's port for ``way`` (udp, tcp or tls). With ``via_contact`` texts go to where the
    server has registered; with ``refuse`` every text gets 503.
    """

    def __init__(
        self,
        folder: Path,
        trunk: int,
        way: str = "udp",
        address: str = "127.0.0.2",
        *,
        via_contact: bool = False,
        refuse: bool = False,
    ) -> None:
        program = shutil.which("kamailio", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        need("kamailio is not installed (run tests/install.sh)", program is not None)
        assert program is not None
        self.address, self.port, self.tls_port = address, free_port(), free_port()
        self._folder = folder / f"kamailio-{address}-{self.port}"
        self._folder.mkdir()
        certificate(self._folder, DOMAIN)
        words = {
            "ADDRESS": address,
            "TLSPORT": str(self.tls_port),
            "PORT": str(self.port),
            "CERTIFICATE": str(self._folder / "sip.pem"),
            "KEY": str(self._folder / "sip.key"),
            "PASSWORD": PASSWORD,
            "VIA_CONTACT": "1" if via_contact else "0",
            "REFUSE": "1" if refuse else "0",
            "TRUNK": str(trunk),
            "WAY": way,
        }
        text = (HERE / "kamailio.cfg").read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        config = self._folder / "kamailio.cfg"
        config.write_text(text)
        self._log = self._folder / "log"
        command = [program, "-f", str(config), "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(self._folder)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    @property
    def said(self) -> str:
        """What it logged."""
        return self._log.read_text("utf-8", "replace")

    @property
    def certificate(self) -> Path:
        """Its certificate, which it signed itself."""
        return self._folder / "sip.pem"

    def says(self, words: str) -> None:
        """Wait until it has logged this."""
        until(lambda: words in self.said, f"Kamailio says {words}: {self.said[-3000:]}", 20)

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
