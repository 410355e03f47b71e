"""Lists of the operator's area: so many rows, and the way to the rest."""

import re

import pytest
from twisted.internet.defer import Deferred, succeed

from edge.console.console import Operator, Reply
from edge.web.pages.locales import locale_of
from edge.web.pages.operator import tables, words
from storage import users
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import Browser, Scene

NAMES = [f"+1202555010{digit}" for digit in range(5)]


class Console:
    """Knows five of everything, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.added = ""

    def look(self, line: str) -> Deferred[Reply]:
        self.asked.append(line)
        named = dict(re.findall(r"'?(limit|after)=([+\w]+)'?", line))
        found = [name for name in NAMES if name > named.get("after", "")][: int(named.get("limit", 99))]
        rows = [
            {"number": name, "account": name, "id": 1, "added": self.added, "sms": True, "handlers": []}
            | {"address": name, "username": "", "seconds_left": 1}
            for name in found
        ]
        return succeed(Reply(True, "", rows))

    def execute(self, line: str, operator: Operator) -> Deferred[Reply]:
        raise NotImplementedError


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def operator(
    inline_store: InlineStore, time: Time, console: Console, monkeypatch: pytest.MonkeyPatch
) -> Browser:
    monkeypatch.setattr(tables, "ROWS", 2)
    scene = Scene(inline_store, time, console=console)
    with scene.store.engine.transaction() as conn:
        users.set_operator(conn, "demo", True)
    return scene.member()


def shown(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><bdi>([^<]+)</bdi>', page)


@pytest.mark.parametrize("path", ["/operator/accounts", "/operator/dids"])
def test_all_rows_come_page_by_page(operator: Browser, console: Console, path: str) -> None:
    found, link = [], path
    while link:
        page = operator.get(link).text
        found.append(shown(page))
        more = re.search(rf'href="({path}\?after=[^"]+)"', page)
        link = more[1] if more else ""
    assert found == [NAMES[:2], NAMES[2:4], NAMES[4:]]
    assert all("limit=3" in line for line in console.asked), "one more, to know whether there is a next page"


def test_of_a_list_that_has_no_pages_it_is_said_that_there_is_more(operator: Browser) -> None:
    page = operator.get("/operator/bans").text
    assert shown(page) == NAMES[:2]
    assert "Only the first 2 are shown" in page


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("state", "bound_trx", "liée, envoie et reçoit (transceiver)"),
        ("state", "of tomorrow", "of tomorrow"),
        ("rate", 0.0, "sans limite"),
        ("rate", 5.0, 5.0),
        ("window", 0, 0),
        ("other", "bound_trx", "bound_trx"),
        ("state", "in_doubt", "incertain"),
        ("action", "console", "commande donnée"),
        ("who", "operator:ann", "opérateur ann"),
        (
            "detail",
            {"command": "bind ls", "outcome": "done", "form": "k"},
            {"commande": "bind ls", "résultat": "fait"},
        ),
    ],
)
def test_states_and_numbers_that_mean_more_are_words(name: str, value: object, said: object) -> None:
    assert words.cell(name, value, locale_of("fr", "UTC")) == said


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T00:00:01.500Z", 1_500),
        ("1970-01-01", None),
        ("at 1970-01-01T00:00:01Z", None),
        (1, None),
        (None, None),
    ],
)
def test_times_of_the_console(written: object, at: int | None) -> None:
    assert words.moment(written) == at


def test_times_are_on_the_readers_clock(operator: Browser, console: Console) -> None:
    console.added = "2027-01-15T12:00:00Z"
    operator.cookies["trunkline-zone"] = "Asia/Tokyo"
    assert "Jan 15, 2027, 9:00:00\u202fPM</time>" in operator.get("/operator/accounts").text


def test_the_figures_of_the_server_have_names_and_units() -> None:
    document = {
        "ready": True,
        "up_seconds": 93_784,
        "store": "ok",
        "store_commit_mean_seconds": 0.368,
        "parts": {"carrier in_doubt": 1200},
        "deliveries": {},
        "of_tomorrow": None,
        "not_ready": "",
    }
    assert words.figures(document, locale_of("es", "UTC")) == {
        "Acepta tráfico": "sí",
        "En marcha desde hace": "1 d 2 h",
        "Almacén": "funciona",
        "Duración media de una confirmación del almacén": "0,368 s",
        "Partes en espera": "carrier en duda: 1.200",
        "Entregas en espera o fallidas": "–",
        "of_tomorrow": "–",
        "Por qué no lo acepta": "–",
    }
