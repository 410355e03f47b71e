"""aiosmtpd in a process of its own: python aiosmtpd_peer.py PORT FOLDER [starttls|auth-plain|auth-login]

It writes each mail as a line of JSON to FOLDER/mails before it says 250; FOLDER has certificate and key.
A recipient named say-<code> is answered with that code.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Box:
    """Takes what is not refused."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """See aiosmtpd."""
        if address.startswith("say-"):
            return f"{address[4:7]} 0.0.0 As asked"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """See aiosmtpd."""
        mail = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "octets": envelope.original_content.decode("latin-1"),
            "encrypted": session.ssl is not None,
        }
        with self._file.open("a") as file:
            file.write(json.dumps(mail) + "\n")
        return "250 OK"


def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Only me."""
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"secret")
    return AuthResult(success=good, handled=False)


async def main(port: int, folder: Path, way: str) -> None:
    """Until the process is ended."""
    options: dict[str, Any] = {}
    if way:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        options["tls_context"] = context
    if way.startswith("auth-"):
        other = {"auth-plain": "LOGIN", "auth-login": "PLAIN"}[way]
        options |= {"auth_required": True, "authenticator": known, "auth_exclude_mechanism": [other]}
    loop = asyncio.get_running_loop()
    box = Box(folder / "mails")
    server = await loop.create_server(lambda: SMTP(box, hostname="peer", **options), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), "".join(sys.argv[3:])))
