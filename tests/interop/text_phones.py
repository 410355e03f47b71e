"""Phones that are driven by a terminal: commands in, text out. A process of its own each, on loopback."""

import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.server import free_port, until


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


def baresip(folder: Path, port: int, transport: str, user: str, password: str, peer: str) -> TextPhone:
    """baresip 1.0; ``peer`` is the one contact that it can write to."""
    home = folder / "baresip"
    home.mkdir()
    modules = "".join(f"module {name}.so\n" for name in ("stdio", "account"))
    late = "".join(f"module_app {name}.so\n" for name in ("contact", "menu"))
    (home / "config").write_text(
        f"sip_listen 127.0.0.1:0\nmodule_path /usr/lib/baresip/modules\n{modules}{late}"
    )
    where = f"127.0.0.1:{port};transport={transport}"
    (home / "accounts").write_text(
        f"<sip:{user}@127.0.0.1:{port};transport={transport}>;auth_user={user};auth_pass={password};regint=60;"
        f'outbound="sip:{where}"\n'
    )
    (home / "contacts").write_text(f'"gateway" <sip:{peer}@{where}>\n')
    return TextPhone(["baresip", "-f", str(home)], folder, {"HOME": str(folder), "PATH": "/usr/bin:/bin"})


def linphone(folder: Path) -> TextPhone:
    """linphonec 5.1, on UDP."""
    home = folder / "linphone"
    for sub in (".local/share/linphone", ".config/linphone"):
        (home / sub).mkdir(parents=True)
    rc = home / "rc"
    rc.write_text(f"[sip]\nsip_port={free_port()}\nsip_tcp_port=0\nsip_tls_port=0\nbind_address=127.0.0.1\n")
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return TextPhone(["linphonec", "-c", str(rc)], folder, environment)


def twinkle(folder: Path, port: int, transport: str, user: str, password: str) -> TextPhone:
    """twinkle-console 1.10; it wants a sound device, and is content with ALSA's null."""
    home = folder / "twinkle"
    (home / ".twinkle").mkdir(parents=True)
    (home / ".asoundrc").write_text("pcm.!default { type null }\nctl.!default { type null }\n")
    (home / ".twinkle" / "twinkle.sys").write_text(f"sip_udp_port={free_port()}\n")
    server = f"127.0.0.1:{port}"
    profile = {
        "user_name": user,
        "user_domain": "127.0.0.1",
        "auth_name": user,
        "auth_pass": password,
        "outbound_proxy": server,
        "all_requests_to_proxy": "yes",
        "registrar": server,
        "register_at_startup": "yes",
        "sip_transport": transport,
    }
    text = "".join(f"{key}={value}\n" for key, value in profile.items())
    (home / ".twinkle" / "phone.cfg").write_text(text)
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    return TextPhone(["twinkle-console", "phone.cfg"], folder, environment)
