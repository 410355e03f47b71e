"""A foreign ESME for the interop tests: Kannel's bearerbox and smsbox, driven by JSON lines (see `lines`).

I start the two, send through smsbox's HTTP interface, and hear of texts and receipts by HTTP. Kannel splits
and joins texts itself, binds anew by itself when the link is lost, and sends again by itself what was
throttled. Of a submit_sm_resp it tells no more than that the first part was accepted, or not, without the id.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

from lines import say

LOOPBACK = "127.0.0.1"
DELIVERED, FAILED, ACCEPTED, REFUSED = "1", "2", "8", "16"  # the dlr-mask
UCS2 = "2"
RECEIPT = 0x04
STATES = {DELIVERED: 2, FAILED: 5}
DUMPED = re.compile(r"DEBUG: +(type_name|command_status): (\w+)")  # bearerbox logs each PDU field by field
CONF = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = secret
status-password = secret
smsbox-port = {smsbox}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
log-level = 0
sms-resend-freq = 1

group = smsc
smsc = smpp
smsc-id = smsc
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = {system_id}
smsc-password = {password}
system-type = ""
interface-version = 34
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
reconnect-delay = 1
msg-id-type = 0x00

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {smsbox}
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-level = 1

group = sendsms-user
username = tester
password = secret
max-messages = 10
concatenation = true

group = sms-service
keyword = default
get-url = "{url}/mo?from=%p&to=%P&text=%b&coding=%c"
accepted-smsc = smsc
max-messages = 0
catch-all = true
omit-empty = true
"""
BIND_RESPONSES = ("bind_transceiver_resp", "bind_transmitter_resp", "bind_receiver_resp")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


class Ear(BaseHTTPRequestHandler):
    """What Kannel tells by HTTP: /mo a text of a phone, /dlr what became of one of ours."""

    def do_GET(self) -> None:
        """One or the other."""
        asked = urlsplit(self.path)
        told = dict(parse_qsl(asked.query, keep_blank_values=True, encoding="latin-1"))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if asked.path == "/mo":
            text = told["text"].encode("latin-1").decode("utf-16-be" if told["coding"] == UCS2 else "utf-8")
            say("deliver", to=told["to"], text=text, esm_class=0, **{"from": told["from"]})
        elif told["type"] in (ACCEPTED, REFUSED):
            say("submit_resp", status=0 if told["type"] == ACCEPTED else -1, message_id=None)
        elif told["type"] in STATES:
            state = STATES[told["type"]]
            numbers = {"from": told["to"], "to": told["from"]}  # the receipt comes from whom the text went to
            say("deliver", esm_class=RECEIPT, message_state=state, text=told["answer"], **numbers)

    def log_message(self, *_: object) -> None:
        """Silence."""


class Kannel:
    """I am the two boxes and the commands for them."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kannel-"))
        self._ear = ThreadingHTTPServer((LOOPBACK, 0), Ear)
        self._url = f"http://{LOOPBACK}:{self._ear.server_address[1]}"
        self._boxes: list[subprocess.Popen[str]] = []
        self._admin = self._sendsms = 0
        threading.Thread(target=self._ear.serve_forever, daemon=True).start()

    def run(self) -> None:
        """Do what the input says, until it ends."""
        say("ready")
        try:
            for line in sys.stdin:
                command = json.loads(line)
                getattr(self, command.pop("cmd"))(**command)
        finally:
            self._end()

    def bind(self, port: int, kind: str, system_id: str, password: str) -> None:
        """Start both boxes, for a transceiver. Each answer to a bind is told, those after a lost link too."""
        self._admin, smsbox, self._sendsms = free_ports(3)
        conf = self._folder / "kannel.conf"
        conf.write_text(
            CONF.format(
                admin=self._admin,
                smsbox=smsbox,
                sendsms=self._sendsms,
                port=port,
                system_id=system_id,
                password=password,
                url=self._url,
            )
        )
        bearerbox = self._start("bearerbox", conf)
        threading.Thread(target=self._watch, args=(bearerbox,), daemon=True).start()
        self._until_connectable(smsbox)
        smsbox_process = self._start("smsbox", conf)
        threading.Thread(target=self._drain, args=(smsbox_process,), daemon=True).start()
        self._until_connectable(self._sendsms)
        self._until_boxes_talk()

    def submit(self, text: str, to: str, **more: str) -> None:
        """A text, through sendsms."""
        dlr = f"{self._url}/dlr?type=%d&from=%P&to=%p&answer=%A"
        query = {
            "username": "tester",
            "password": "secret",
            "from": more["from"],
            "to": to,
            "text": text,
            "charset": "UTF-8",
            "coding": "0" if text.isascii() else "2",
            "dlr-mask": "27",
            "dlr-url": dlr,
        }
        with urlopen(
            f"http://{LOOPBACK}:{self._sendsms}/cgi-bin/sendsms?{urlencode(query)}", timeout=10
        ) as got:
            say("sent", status=got.status)

    def unbind(self) -> None:
        """Stop bearerbox in order; it unbinds first."""
        with urlopen(f"http://{LOOPBACK}:{self._admin}/shutdown?password=secret", timeout=10):
            pass
        self._boxes[0].wait(20)
        say("unbound")

    def _start(self, name: str, conf: Path) -> "subprocess.Popen[str]":
        program = shutil.which(name, path=f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}")
        process = subprocess.Popen(
            [str(program), "-v", "0", str(conf)],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._boxes.append(process)
        return process

    def _watch(self, bearerbox: "subprocess.Popen[str]") -> None:
        assert bearerbox.stderr is not None
        answered = False
        for line in bearerbox.stderr:
            print(line, end="", file=sys.stderr)
            if found := DUMPED.search(line):
                if found[1] == "type_name":
                    answered = found[2] in BIND_RESPONSES
                elif answered:
                    say("bound", status=int(found[2]))

    def _drain(self, smsbox: "subprocess.Popen[str]") -> None:
        assert smsbox.stderr is not None
        for line in smsbox.stderr:
            print(line, end="", file=sys.stderr)

    def _until_connectable(self, port: int) -> None:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((LOOPBACK, port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _until_boxes_talk(self) -> None:
        """Before that smsbox takes a text and answers 503."""
        deadline = time.monotonic() + 20
        while True:
            with urlopen(f"http://{LOOPBACK}:{self._admin}/status.txt?password=secret", timeout=10) as got:
                said = got.read().decode("utf-8", "replace")
            if "smsbox" in said.partition("Box connections")[2].partition("SMSC connections")[0]:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(said)
            time.sleep(0.05)

    def _end(self) -> None:
        for box in self._boxes:  # there is nothing that they ought to save
            box.kill()
            box.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)


if __name__ == "__main__":
    Kannel().run()
