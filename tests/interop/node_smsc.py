"""The npm package `smpp` as the SMSC (see `smsc.js` for its commands and events).

with NodeSMSC(system_id="trunk", password="secret") as smsc:
    smsc.wait_for("bind", status=0)
    smsc.mo("12025550150", "12025550100", "hello", ref="a")
    smsc.wait_for("answered", ref="a", status=0)
    submit = smsc.wait_for("submit")[0]
    smsc.receipt(submit["message_id"], submit["to"], submit["from"])
"""

import shutil
from pathlib import Path
from typing import Any

from tests.interop.jsonlines import JsonLinesPeer
from tests.interop.needs import need

HERE = Path(__file__).resolve().parent


def missing() -> str | None:
    """Why the foreign SMSC cannot run here; None when it can."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (HERE / "node_modules" / "smpp").is_dir():
        return "the npm package smpp is not installed (run `npm ci` in tests/interop)"
    return None


def require() -> None:
    """Skip the test, loudly, where the foreign SMSC cannot run; with CI=true that is a failure."""
    need(missing())


class NodeSMSC(JsonLinesPeer):
    """I am the process; ``port`` is where it listens on 127.0.0.1."""

    def __init__(self, *, port: int = 0, system_id: str = "", password: str = "") -> None:
        command = ["node", "smsc.js", "--port", str(port)]
        command += ["--system-id", system_id, "--password", password]
        super().__init__(command, HERE)
        self.port: int = self.wait_for("listening")[0]["port"]

    def __enter__(self) -> "NodeSMSC":
        return self

    def mo(self, source: str, destination: str, text: str, ref: str, **more: Any) -> None:
        """A phone writes; each part ends in an `answered` event with ``ref``, ``part`` and ``status``."""
        self.send("mo", **{"from": source, "to": destination, "text": text, "ref": ref, **more})

    def receipt(self, message_id: str, source: str, destination: str, ref: str = "", **more: Any) -> None:
        """A delivery receipt for ``message_id``, from the phone to the DID."""
        self.send(
            "receipt", **{"message_id": message_id, "from": source, "to": destination, "ref": ref, **more}
        )

    def settings(self, **changes: Any) -> None:
        """receipts, throttle_every, hold_submits, submit_status, id_base."""
        self.send("set", **changes)
