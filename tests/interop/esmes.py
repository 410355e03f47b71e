"""The foreign ESMEs: which there are, how each is started, and what its library does by itself.

The programs take the same commands and say the same events; `lines` lists them.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gsm0338
from twisted.internet.threads import deferToThread

from tests.interop import node_smsc
from tests.interop.jsonlines import Event, JsonLinesPeer
from tests.interop.needs import need

HERE = Path(__file__).resolve().parent
MODERN = HERE / "venv-peers"
UDHI, UCS2 = 0x40, 8
SYSTEM_ID, PASSWORD = "trunk", "secret"


@dataclass(frozen=True, slots=True)
class Library:
    """One foreign ESME.

    ``whole``: it cuts and joins texts itself and tells of whole ones only. ``persistent``: it binds anew by
    itself. ``repeats``: it sends what was throttled again by itself.
    """

    name: str
    command: tuple[str, ...]
    whole: bool = False
    persistent: bool = False
    repeats: bool = False

    def require(self) -> None:
        """Skip the test, loudly, where it is not installed; with CI=true that is a failure."""
        need(self._missing())

    def _missing(self) -> str | None:
        if self.command[0] == "node":
            return node_smsc.missing()
        if (
            self.name == "kannel"
            and shutil.which("bearerbox", path=f"/usr/sbin:{os.environ['PATH']}") is None
        ):
            return "Kannel is not installed (Debian: kannel)"
        if not Path(self.command[0]).exists():
            return f"{self.name} is not installed (run tests/install.sh)"
        return None


LIBRARIES = (
    Library("node", ("node", "esme.js")),
    Library("smpplib", (sys.executable, "smpplib_esme.py")),
    Library("aiosmpplib", (str(MODERN / "bin/python"), "aiosmpplib_esme.py"), whole=True, persistent=True),
    Library("smpp34", (str(MODERN / "bin/python"), "smpp34_esme.py")),
    Library("kannel", (sys.executable, "kannel_esme.py"), whole=True, persistent=True, repeats=True),
)


class Esme(JsonLinesPeer):
    """The process of one foreign ESME; its waits do not hold up the reactor."""

    def __init__(self, library: Library) -> None:
        super().__init__(library.command, HERE)
        self.library = library

    async def until(self, event: str, count: int = 1, **wanted: Any) -> list[Event]:
        """`wait_for`, in a thread."""
        found: list[Event] = await deferToThread(self.wait_for, event, count=count, **wanted)
        return found

    async def bind(self, port: int, kind: str = "transceiver", password: str = PASSWORD) -> int:
        """Bind; the command_status."""
        known = len(self.matching("bound"))
        self.send("bind", port=port, kind=kind, system_id=SYSTEM_ID, password=password)
        status: int = (await self.until("bound", count=known + 1))[-1]["status"]
        return status

    def submit(self, did: str, phone: str, text: str) -> None:
        """A text to a phone; numbers without +."""
        self.send("submit", text=text, to=phone, **{"from": did})


def text_of(delivers: Sequence[Event]) -> str:
    """The text of one or more deliver_sm, in the order of their parts."""
    if "text" in delivers[0]:
        return "".join(str(found["text"]) for found in delivers)
    parts = sorted(delivers, key=_number)
    octets = [_without_header(found) for found in parts]
    if parts[0]["data_coding"] == UCS2:
        return b"".join(octets).decode("utf-16-be")
    return "".join(gsm0338.Codec().decode(piece)[0] for piece in octets)


def _number(found: Event) -> int:
    return bytes.fromhex(found["octets"])[5] if found["esm_class"] & UDHI else 1


def _without_header(found: Event) -> bytes:
    octets = bytes.fromhex(found["octets"])
    return octets[octets[0] + 1 :] if found["esm_class"] & UDHI else octets
