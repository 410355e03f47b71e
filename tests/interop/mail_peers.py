"""A server with mail and a simulator, and foreign mail programs beside it, each in a folder of its own."""

import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from protocols.mail import dkim
from storage import numbers
from storage.engines import open_engine
from storage.ids import IdSource
from storage.tables import delivery, mail_notice
from tests.interop.needs import need
from tests.provision import provision
from tests.server import Server, free_port, until

DOMAIN, HOST = "sms.example.net", "localhost"
DID, PHONE = "+12025550100", "+12025550150"
OWNER, GONE = "owner@example.org", "gone@example.org"
KEY = "1" * 64


def need_program(name: str) -> None:
    """Skips loudly where a mail program is not installed; fails with CI=true."""
    there = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is not None
    need(None if there else f"NOT TESTED: {name} is not installed (run tests/install.sh)")


def need_root() -> None:
    """Postfix changes to users of its own, so it has to begin as root."""
    need(None if os.getuid() == 0 else "NOT TESTED: Postfix starts as root only")


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = [x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def dkim_key(folder: Path) -> tuple[Path, rsa.RSAPrivateKey]:
    """A key that signs mail."""
    key = rsa.generate_private_key(65537, 2048)
    path = folder / "dkim.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path, key


def load_dkim(folder: Path) -> rsa.RSAPrivateKey:
    """The key that `dkim_key` made."""
    return dkim.load_key((folder / "dkim.pem").read_bytes())


def set_email(url: str, number: str, **settings: object) -> None:
    """The e-mail handler of a DID."""
    ids = IdSource(15, lambda: time.time_ns() // 1_000_000)
    engine = open_engine(url)
    try:
        with engine.transaction() as conn:
            numbers.set_did(conn, ids.next, number, handler="email", enabled=True, settings=settings)
    finally:
        engine.close()


class MailServer(Server):
    """The server with a phone on its simulator, or with an SMSC at ``smsc``, and a DID whose e-mail goes to
    ``to``. ``more`` are other tables of the configuration."""

    def __init__(
        self,
        folder: Path,
        store_url: str,
        to: str = OWNER,
        number: str = DID,
        smsc: int | None = None,
        imap: dict[str, object] | None = None,
        more: Mapping[str, Mapping[str, object]] | None = None,
        **mail: Any,
    ) -> None:
        smpp = smsc or free_port()
        self.smtp_port = free_port()
        self.number = number
        self.url = store_url
        settings = {
            "domain": DOMAIN,
            "reply_keys": f"1:{KEY}",
            "listen": [f"127.0.0.1:{self.smtp_port}"],
            "replies": "sender",
            "new_mail": "sender",
            **mail,
        }
        simulator = {
            "smpp_listen": f"127.0.0.1:{smpp}",
            "system_id": "trunk",
            "password": "secret",
            "phones": [PHONE],
            "receipt_delay_seconds": 0.0,
        }
        tables = {"mail": settings} if smsc else {"mail": settings, "simulator": simulator}
        if imap is not None:
            tables["mail.imap"] = imap
            settings["listen"] = []
        super().__init__(folder, store_url, smpp, tables={**tables, **(more or {})})
        self.account_id = provision(store_url, [number])
        self.sets(to=to)

    def sets(self, **settings: object) -> None:
        """The e-mail handler of the DID."""
        set_email(self.url, self.number, **settings)

    def texts(self, text: str, phone: str = PHONE) -> None:
        """The phone writes to the DID."""
        body = {"phone": phone, "did": self.number, "text": text}
        assert self.call("POST", "/simulator/messages", body)[0] == 202

    def received(self, phone: str = PHONE) -> list[str]:
        """What the phone got, oldest first."""
        _, phones = self.call("GET", "/simulator/phones")
        found = next((item for item in phones if item["number"] == phone), None)
        messages = [] if found is None else found["messages"]
        return [item["text"] for item in messages if item["direction"] == "in"]

    def notices(self) -> list[str]:
        """The codes of what people are told, oldest first."""
        engine = open_engine(self.url)
        try:
            with engine.snapshot() as conn:
                return list(conn.scalars(select(mail_notice.c.code).order_by(mail_notice.c.id)))
        finally:
            engine.close()

    def outcomes(self, handler: str = "email") -> list[tuple[str, str, str]]:
        """State, outcome and target of each delivery of the handler."""
        engine = open_engine(self.url)
        try:
            with engine.snapshot() as conn:
                query = select(delivery.c.state, delivery.c.last_outcome, delivery.c.target)
                rows = conn.execute(query.where(delivery.c.handler == handler).order_by(delivery.c.id)).all()
        finally:
            engine.close()
        return [(row.state, row.last_outcome or "", row.target) for row in rows]


MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/postfix.log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.org
mydestination =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtp_tls_security_level = {out}
smtp_tls_CAfile = {believed}
smtp_tls_secure_cert_match = hostname
smtp_dns_support_level = disabled
smtp_host_lookup = native
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}/boxes
virtual_mailbox_maps = inline:{{ {{owner@example.org = owner/}}, {{gone@example.org = gone/}} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
transport_maps = inline:{{ {{gone@example.org = gone:}}, {{{domain} = {us}}} }}
smtputf8_enable = yes
maximal_backoff_time = 2s
minimal_backoff_time = 1s
queue_run_delay = 1s
"""
MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
gone unix - n n - - pipe flags=q user=nobody argv=/bin/false
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """The mail server of example.org. Mail for our domain goes to ``us``, a transport of Postfix;
    with ``believes`` it is encrypted, and to who has this certificate."""

    def __init__(self, us: str, believes: Path | None = None) -> None:
        need_program("postfix")
        need_root()
        # Not in pytest's folders, which nobody else may enter: its programs run as other users.
        self._temporary = tempfile.TemporaryDirectory(prefix="postfix-", ignore_cleanup_errors=True)
        self.folder = folder = Path(self._temporary.name)
        folder.chmod(0o755)
        self.port = free_port()
        self.certificate, key = certificate(folder)
        user = pwd.getpwnam("postfix")
        for name in ("conf", "queue", "data", "boxes"):
            (folder / name).mkdir()
        for name in ("data", "boxes"):
            os.chown(folder / name, user.pw_uid, user.pw_gid)
        text = MAIN_CF.format(
            folder=folder, certificate=self.certificate, key=key, uid=user.pw_uid, gid=user.pw_gid,
            domain=DOMAIN, us=us, out="may" if believes is None else "secure",
            believed=believes or self.certificate,
        )  # fmt: skip
        (folder / "conf" / "main.cf").write_text(text)
        (folder / "conf" / "master.cf").write_text(MASTER_CF.format(port=self.port))

    def run(self, command: str) -> None:
        """One of the commands of postfix(1)."""
        done = subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.folder / "conf"), command],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stderr}{self.log()}"

    def __enter__(self) -> "Postfix":
        self.run("start")
        until(lambda: listens(self.port), "Postfix listens")
        return self

    def __exit__(self, *_: object) -> None:
        self.run("stop")
        self._temporary.cleanup()

    def log(self) -> str:
        """What it says."""
        path = self.folder / "postfix.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def octets(self, box: str = "owner") -> list[bytes]:
        """The mails that were delivered, as they lie there, oldest first."""
        folder = self.folder / "boxes" / box / "new"
        files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns) if folder.exists() else []
        return [path.read_bytes() for path in files]

    def mails(self, box: str = "owner") -> list[EmailMessage]:
        """The same, parsed."""
        return [message_from_bytes(octets, policy=default) for octets in self.octets(box)]


DOVECOT_CONF = """\
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
mail_location = maildir:{folder}/box
first_valid_uid = 1
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/home
}}
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
"""


class Dovecot:
    """A mailbox that is read by IMAP over TLS; user `sms`, password `secret`."""

    def __init__(self) -> None:
        need_program("dovecot")
        need_root()
        self._temporary = tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True)
        self.folder = folder = Path(self._temporary.name)
        folder.chmod(0o755)
        self.port = free_port()
        self.certificate, key = certificate(folder)
        user = pwd.getpwnam("mail")
        for name in ("home", "box", "box/new", "box/cur", "box/tmp"):
            (folder / name).mkdir()
            os.chown(folder / name, user.pw_uid, user.pw_gid)
        self._user = user
        text = DOVECOT_CONF.format(folder=folder, certificate=self.certificate, key=key, port=self.port)
        (folder / "dovecot.conf").write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Dovecot":
        command = ["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until(lambda: listens(self.port), f"Dovecot listens (log: {self.folder})")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        self._temporary.cleanup()

    def deliver(self, name: str, octets: bytes) -> None:
        """Put a mail into the box, as a local delivery does."""
        path = self.folder / "box" / "tmp" / name
        path.write_bytes(octets)
        os.chown(path, self._user.pw_uid, self._user.pw_gid)
        path.rename(self.folder / "box" / "new" / name)

    def flags(self) -> dict[str, str]:
        """The flags of each mail, in Maildir's letters: S seen, F flagged."""
        found = [*(self.folder / "box" / "new").iterdir(), *(self.folder / "box" / "cur").iterdir()]
        parts = (path.name.partition(":2,") for path in found)
        return {name.partition(",")[0]: flags for name, _, flags in parts}


def listens(port: int) -> bool:
    """Does somebody take connections on this port?"""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Started, and stopped in good order."""
    with server:
        server.start()
        yield server
        assert server.stop() == 0


def swaks(port: int, *options: str, data: str | None = None) -> "subprocess.CompletedProcess[str]":
    """One session of swaks; its transcript is stdout."""
    need_program("swaks")
    command = ["swaks", "--server", "127.0.0.1", "--port", str(port), "--timeout", "30", *options]
    if data is not None:
        command += ["--data", data.replace("\n", "\\n")]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def trusting(path: Path) -> ssl.SSLContext:
    """A client that believes one certificate."""
    return ssl.create_default_context(cafile=str(path))
