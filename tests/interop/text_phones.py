"""Phones that are driven by a terminal: commands in, text out. A process of its own each, on loopback."""

import re
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.server import free_port, until

PEER = "+12025550150"
"""The number that the phones write to."""


class TextPhone:
    """I start a program, write commands to it, and keep what it says."""

    def __init__(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self._said = ""
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, command: str) -> None:
        """One command."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())

    def says(self, pattern: str, ask: str = "", seconds: float = 20.0) -> None:
        """Wait until it has said this; a phone that does not tell by itself is asked again and again."""

        def heard() -> bool:
            if ask:
                self.tell(ask)
            return re.search(pattern, self._said) is not None

        try:
            until(heard, pattern, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said {self._said[-3000:]}") from error

    def stop(self, command: str = "quit") -> None:
        """End it, by its own command or else by force."""
        try:
            self.tell(command)
            self._process.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(5)
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while octets := self._process.stdout.read(4096):
            self._said += octets.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Where:
    """The registrar, by one of its transports, and who registers there."""

    port: int
    transport: str
    user: str
    password: str


class Softphone(ABC):
    """A phone that is switched on and off: on, it registers; off, it goes away and its process ends.

    ``registered`` and ``refused`` are patterns of what it says; ``ask`` is what makes it tell whether it is
    registered, where it does not by itself; ``bye`` ends it.
    """

    registered: str
    refused: str
    ask = ""
    bye = "quit"

    def __init__(self, folder: Path, where: Where) -> None:
        self.folder, self.where = folder, where
        self.phone: TextPhone | None = None

    def on(self) -> TextPhone:
        """A new process, which registers; does not wait for the answer."""
        self.phone = self.start()
        return self.phone

    def off(self) -> None:
        """De-register, then end."""
        if self.phone is not None:
            self.phone.stop(self.bye)
            self.phone = None

    @abstractmethod
    def start(self) -> TextPhone:
        """Start the program, and have it register."""

    @abstractmethod
    def send(self, to: str, text: str) -> None:
        """A text to a number."""


class Baresip(Softphone):
    """baresip 1.0, which writes to the one contact of its phone book."""

    registered = r"200 OK"
    refused = r"403 "
    bye = "/quit"

    def start(self) -> TextPhone:
        """Its configuration anew, and the process."""
        home, where = self.folder / "baresip", self.where
        home.mkdir(exist_ok=True)
        modules = "".join(f"module {name}.so\n" for name in ("stdio", "account"))
        late = "".join(f"module_app {name}.so\n" for name in ("contact", "menu"))
        (home / "config").write_text(
            f"sip_listen 127.0.0.1:0\nmodule_path /usr/lib/baresip/modules\n{modules}{late}"
        )
        address = f"127.0.0.1:{where.port};transport={where.transport}"
        (home / "accounts").write_text(
            f"<sip:{where.user}@{address}>;auth_user={where.user};auth_pass={where.password};regint=60;"
            f'outbound="sip:{address}"\n'
        )
        (home / "contacts").write_text(f'"gateway" <sip:{PEER}@{address}>\n')
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return TextPhone(["baresip", "-f", str(home)], self.folder, environment)

    def send(self, to: str, text: str) -> None:
        """To the contact."""
        assert self.phone is not None
        assert to == PEER
        self.phone.tell("/contact_next")
        self.phone.tell(f"/message {text}")


class Linphone(Softphone):
    """linphonec 5.1."""

    registered = r"registered, identity"
    ask = "status register"
    refused = r"Password for alice on"

    def start(self) -> TextPhone:
        """Its configuration anew, and the process, told to register."""
        home, where = self.folder / "linphone", self.where
        for sub in (".local/share/linphone", ".config/linphone"):
            (home / sub).mkdir(parents=True, exist_ok=True)
        ports = {kind: free_port() if kind == where.transport else 0 for kind in ("udp", "tcp", "tls")}
        rc = home / "rc"
        rc.write_text(
            f"[sip]\nsip_port={ports['udp']}\nsip_tcp_port={ports['tcp']}\nsip_tls_port={ports['tls']}\n"
            "bind_address=127.0.0.1\n"
        )
        environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        phone = TextPhone(["linphonec", "-c", str(rc)], self.folder, environment)
        proxy = f"sip:127.0.0.1:{where.port};transport={where.transport}"
        phone.tell(f"register sip:{where.user}@127.0.0.1:{where.port} {proxy} {where.password}")
        return phone

    def send(self, to: str, text: str) -> None:
        """By its chat."""
        assert self.phone is not None
        address = f"sip:{to}@127.0.0.1:{self.where.port};transport={self.where.transport}"
        self.phone.tell(f"chat {address} {text}")


class Twinkle(Softphone):
    """twinkle-console 1.10; it wants a sound device, and is content with ALSA's null."""

    registered = r"registration succeeded"
    refused = r"registration failed: 403"

    def start(self) -> TextPhone:
        """Its configuration anew, and the process."""
        home, where = self.folder / "twinkle", self.where
        (home / ".twinkle").mkdir(parents=True, exist_ok=True)
        (home / ".asoundrc").write_text("pcm.!default { type null }\nctl.!default { type null }\n")
        (home / ".twinkle" / "twinkle.sys").write_text(f"sip_udp_port={free_port()}\n")
        server = f"127.0.0.1:{where.port}"
        profile = {
            "user_name": where.user,
            "user_domain": "127.0.0.1",
            "auth_name": where.user,
            "auth_pass": where.password,
            "outbound_proxy": server,
            "all_requests_to_proxy": "yes",
            "registrar": server,
            "register_at_startup": "yes",
            "sip_transport": where.transport,
        }
        text = "".join(f"{key}={value}\n" for key, value in profile.items())
        (home / ".twinkle" / "phone.cfg").write_text(text)
        environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        return TextPhone(["twinkle-console", "phone.cfg"], self.folder, environment)

    def send(self, to: str, text: str) -> None:
        """By its command."""
        assert self.phone is not None
        self.phone.tell(f'message sip:{to}@127.0.0.1 "{text}"')
