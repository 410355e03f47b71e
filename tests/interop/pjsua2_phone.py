"""pjsua2 (PJSIP) as a phone, driven by JSON lines; a process of its own, never imported by anything of ours.

stdin:  {"cmd":"register","port":P,"transport":"udp|tcp|tls","user":U,"password":W,"domain":D[,"host":H]}
        {"cmd":"send","to":N,"text":T}   {"cmd":"unregister"}   {"cmd":"quit"}
stdout: ready   registered{status,active}   sent{text,status,reason}   message{from,to,text,content_type}
"""

import json
import os
import select
import sys
from typing import Any

import pjsua2

OUT = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # PJSIP writes its log there


def say(event: str, **fields: object) -> None:
    """One event."""
    OUT.write(json.dumps({"event": event, **fields}) + "\n")
    OUT.flush()


class Account(pjsua2.Account):  # type: ignore[misc]
    """I report what PJSIP tells."""

    def onRegState(self, prm: Any) -> None:
        say("registered", status=prm.code, active=self.getInfo().regIsActive)

    def onInstantMessage(self, prm: Any) -> None:
        say("message", **{"from": prm.fromUri}, to=prm.toUri, text=prm.msgBody, content_type=prm.contentType)

    def onInstantMessageStatus(self, prm: Any) -> None:
        say("sent", text=prm.msgBody, status=prm.code, reason=prm.reason)


class Phone:
    """One endpoint."""

    def __init__(self) -> None:
        self.endpoint = pjsua2.Endpoint()
        self.endpoint.libCreate()
        config = pjsua2.EpConfig()
        config.logConfig.level = config.logConfig.consoleLevel = 0
        config.uaConfig.threadCnt = 0
        config.medConfig.noVad = True
        self.endpoint.libInit(config)
        for kind in (pjsua2.PJSIP_TRANSPORT_UDP, pjsua2.PJSIP_TRANSPORT_TCP, pjsua2.PJSIP_TRANSPORT_TLS):
            transport = pjsua2.TransportConfig()
            transport.boundAddress = "127.0.0.1"
            transport.tlsConfig.verifyServer = False
            self.endpoint.transportCreate(kind, transport)
        self.endpoint.audDevManager().setNullDev()
        self.endpoint.libStart()
        self.account: Account | None = None
        self.domain = ""
        self.suffix = ""

    def register(
        self, port: int, transport: str, user: str, password: str, domain: str, host: str = "127.0.0.1"
    ) -> None:
        """Register; the outcome is an event."""
        self.domain, self.suffix = domain, f";transport={transport}"
        config = pjsua2.AccountConfig()
        config.idUri = f"sip:{user}@{domain}"
        config.regConfig.registrarUri = f"sip:{domain}"
        config.regConfig.timeoutSec = 600
        config.regConfig.retryIntervalSec = 0
        config.sipConfig.proxies.append(f"sip:{host}:{port};transport={transport};lr")
        config.sipConfig.authCreds.append(pjsua2.AuthCredInfo("digest", "*", user, 0, password))
        self.account = Account()
        self.account.create(config)

    def send(self, to: str, text: str) -> None:
        """Send a text; the outcome is an event."""
        buddy = pjsua2.Buddy()
        config = pjsua2.BuddyConfig()
        config.uri = f"sip:{to}@{self.domain}"
        buddy.create(self.account, config)
        parameters = pjsua2.SendInstantMessageParam()
        parameters.content = text
        parameters.contentType = "text/plain"
        buddy.sendInstantMessage(parameters)

    def unregister(self) -> None:
        """Take the registration away."""
        assert self.account is not None
        self.account.setRegistration(False)

    def run(self) -> None:
        """Until quit, or the end of standard input."""
        say("ready")
        while True:
            self.endpoint.libHandleEvents(20)
            if not select.select([sys.stdin], [], [], 0)[0]:
                continue
            line = sys.stdin.readline()
            command = json.loads(line) if line else {"cmd": "quit"}
            name = command.pop("cmd")
            if name == "quit":
                break
            getattr(self, name)(**command)
        self.endpoint.libDestroy()


if __name__ == "__main__":
    Phone().run()
