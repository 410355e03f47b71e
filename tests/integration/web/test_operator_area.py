"""Settings and the operator's area over a real server with its simulator, by plain forms and no script."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from edge.cli import trunkline
from edge.contacts import vcard
from tests.provision import provision
from tests.server import Server, free_port, until
from tests.unit.edge.web.harness import Form

pytestmark = pytest.mark.integration

DID, FREE = "+12025550100", "+12025550190"
PASSWORD = "a long password"
PAGES = (
    "", "/accounts", "/dids", "/orders", "/offers", "/binds", "/upstreams", "/queue", "/in-doubt",
    "/deliveries", "/dead-letters", "/targets", "/phones", "/bans", "/audit",
)  # fmt: skip


class Person:
    """A browser without scripts: cookies, links, forms."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, str]:
        """Status, and where it leads to or what it shows."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        for written in answer.headers.get_all("set-cookie") or []:
            name, _, value = written.partition("=")
            self.cookies[name] = value.partition(";")[0]
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers.get("location") or text

    def get(self, path: str) -> str:
        """The page, which must be there."""
        status, text = self.ask("GET", path)
        assert status == 200, (path, status, text)
        return text

    def do(self, page: str, what: str, **fields: str) -> tuple[int, str]:
        """Send a form of a page."""
        token = Form("/logout", self.get(page)).fields["csrf"]
        given = {name.rstrip("_"): value for name, value in fields.items()}
        return self.ask("POST", page, urlencode({"csrf": token, "do": what, **given}))

    def log_in(self, login: str) -> "Person":
        """With the password that everybody has here."""
        form = Form("/login", self.get("/login")).fields
        body = urlencode({**form, "login": login, "password": PASSWORD})
        status, _ = self.ask("POST", "/login", body)
        assert status == 303
        return self


def add_users(server: Server, *users: tuple[str, ...]) -> None:
    """People of the account, by the command; each is a log-in with options."""
    for login, *options in users:
        command = ["user", "add", "--account", "test", *options, login, "--password-stdin"]
        environment = {"TRUNKLINE_CONFIG": str(server.config)}
        result = CliRunner().invoke(trunkline, command, input=f"{PASSWORD}\n", env=environment)
        assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("operator")
    url = f"sqlite:///{folder}/store.db"
    provision(url, [DID])
    smpp = free_port()
    tables: dict[str, dict[str, object]] = {
        "simulator": {
            "system_id": "trunk",
            "password": "secret",
            "smpp_listen": f"127.0.0.1:{smpp}",
            "receipt_delay_seconds": 0.1,
        },
        "sip": {"domain": "sip.test", "udp": [f"127.0.0.1:{free_port()}"], "tcp": []},
        "mail": {"domain": "sms.test", "reply_keys": f"1:{'0a' * 32}"},
    }
    with Server(folder, url, smpp, tables=tables) as running:
        add_users(running, ("boss", "--operator"), ("ann",), ("bob", "--role", "read-only"))
        running.start()
        yield running


def test_every_page_of_the_operator(server: Server) -> None:
    boss = Person(server.http_port).log_in("boss")
    for page in PAGES:
        assert "<h1>Operator</h1>" in boss.get(f"/operator{page}")
    assert 'href="/operator"' in boss.get("/account")


@pytest.mark.parametrize("login", ["ann", "bob"])
def test_nobody_else_is_there(server: Server, login: str) -> None:
    other = Person(server.http_port).log_in(login)
    assert 'href="/operator"' not in other.get("/account")
    for page in PAGES:
        assert other.ask("GET", f"/operator{page}")[0] == 404
        token = Form("/logout", other.get("/account")).fields["csrf"]
        assert other.ask("POST", f"/operator{page}", urlencode({"csrf": token, "do": "button-0"}))[0] == 404


def test_binds_are_stopped_and_started(server: Server) -> None:
    boss = Person(server.http_port).log_in("boss")
    binds = until(lambda: "BOUND" in boss.get("/operator/binds").upper(), "the simulator's bind")
    assert binds
    name = Form("/operator/binds", boss.get("/operator/binds")).fields["row_bind"]
    assert boss.do("/operator/binds", "button-1", row_bind=name) == (303, "/operator/binds?said=done")
    assert "stopped" in boss.get("/operator/binds")
    assert boss.do("/operator/binds", "button-0", row_bind=name)[0] == 303
    until(lambda: "stopped" not in boss.get("/operator/binds"), "the bind again")
    audit = boss.get("/operator/audit")
    assert "<bdi>operator boss</bdi>" in audit
    assert "bind stop" in audit
    status, page = boss.do("/operator/binds", "button-1", row_bind="nothing'; drain")
    assert (status, "There is no bind or upstream" in page) == (409, True), "quoted, so one parameter"


def test_the_switch_that_stops_all_sending(server: Server) -> None:
    boss = Person(server.http_port).log_in("boss")
    assert boss.do("/operator", "stop-sending")[0] == 303
    assert "All sending is stopped" in boss.get("/operator")
    assert boss.do("/operator", "let-send")[0] == 303
    assert "All sending is stopped" not in boss.get("/operator")


def test_a_number_is_offered_ordered_and_approved(server: Server) -> None:
    boss, ann = (Person(server.http_port).log_in(login) for login in ("boss", "ann"))
    status, page = boss.do("/operator/offers", "form-0", number=FREE, region="Nowhere, NW", sms="yes")
    assert (status, f"{FREE} is on offer" in page) == (200, True)
    assert "Nowhere, NW" in ann.get("/numbers/order")
    assert ann.do("/numbers/order", "order", number=FREE)[0] == 303
    assert FREE in boss.get("/operator/orders")
    assert boss.do("/operator/orders", "button-0", row_number=FREE)[0] == 303
    assert f'href="/numbers/{FREE}"' in ann.get("/numbers")
    assert FREE not in boss.get("/operator/orders")


def test_settings_by_plain_forms(server: Server) -> None:
    ann = Person(server.http_port).log_in("ann")
    page = f"/numbers/{DID}"
    assert ann.do(page, "handler", handler="email", email="on", email_to="ann@example.net")[0] == 303
    assert 'value="ann@example.net"' in ann.get(page)
    assert ann.do("/contacts/new", "save", name="Bo <b>", number="+12025550150")[0] == 303
    people = list(vcard.read(ann.get("/contacts/export/vcf")))
    assert [person.name for person in people] == ["Bo <b>"]
    assert ann.do("/account", "save", language="fr", timezone="Europe/Paris")[0] == 303
    assert '<html lang="fr"' in ann.get("/account")
    assert ann.do("/account", "save", language="en", timezone="")[0] == 303
    status, text = ann.do("/account/keys", "add", name="app", everything="on")
    assert (status, "tk_" in text) == (200, True)


def test_who_may_only_look(server: Server) -> None:
    bob = Person(server.http_port).log_in("bob")
    assert bob.do("/account", "save", language="en", timezone="UTC")[0] == 303, "his own"
    for page, what in ((f"/numbers/{DID}", "sms"), ("/contacts", "remove"), ("/account/opt-outs", "add")):
        assert bob.do(page, what)[0] == 403
    assert bob.ask("GET", "/account/users")[0] == 403
