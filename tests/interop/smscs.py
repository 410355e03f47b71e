"""The foreign SMSCs: which there are, and how each is started. They take the commands that `lines` lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interop import node_smsc
from tests.interop.jsonlines import Event, JsonLinesPeer
from tests.interop.needs import need
from tests.interop.node_smsc import NodeSMSC

HERE = Path(__file__).resolve().parent
UDHI, UCS2 = 0x40, 8


class ForeignSMSC(JsonLinesPeer):
    """The process of one foreign SMSC in Python; ``port`` is where it listens on 127.0.0.1."""

    def __init__(self, venv: str, script: str) -> None:
        python = HERE / venv / "bin/python"
        need(None if python.exists() else f"{script} has no environment to run in (run tests/install.sh)")
        super().__init__([str(python), script], HERE)
        self.port: int = self.wait_for("listening")[0]["port"]

    def mo(self, source: str, destination: str, text: str, ref: str) -> None:
        """A phone writes; each part ends in an `answered` event with ``ref`` and ``status``."""
        self.send("mo", **{"from": source, "to": destination, "text": text, "ref": ref})

    def settings(self, **changes: Any) -> None:
        """receipts, throttle_every."""
        self.send("set", **changes)


def node() -> NodeSMSC:
    """The npm package `smpp`."""
    node_smsc.require()
    return NodeSMSC(system_id="trunk", password="secret")


STARTERS: dict[str, Callable[[], Any]] = {
    "node": node,
    "smpp34": lambda: ForeignSMSC("venv-peers", "smpp34_smsc.py"),
    "twisted3": lambda: ForeignSMSC("venv-twisted3", "twisted3_smsc.py"),
}


def part_number(submit: Event) -> int:
    """Which part of a text it is: smpp34's server tells them in any order."""
    if "udh" in submit:
        return int(submit["udh"][0][-2:], 16) if submit["udh"] else 1
    return bytes.fromhex(submit["octets"])[5] if submit["esm_class"] & UDHI else 1


def text_of(submit: Event) -> str:
    """The text of one submit_sm: read by the library (node), or ASCII and UCS-2 octets behind a header."""
    if "text" in submit:
        return str(submit["text"])
    octets = bytes.fromhex(submit["octets"])
    if submit["esm_class"] & UDHI:
        octets = octets[octets[0] + 1 :]
    return octets.decode("utf-16-be" if submit["data_coding"] == UCS2 else "ascii")
