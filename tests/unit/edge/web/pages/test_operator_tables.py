"""Lists of the operator's area: so many rows, and the way to the rest."""

import re

import pytest
from twisted.internet.defer import Deferred, succeed

from edge.console.console import Operator, Reply
from edge.web.pages.operator import tables
from storage import users
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import Browser, Scene

NAMES = [f"+1202555010{digit}" for digit in range(5)]


class Console:
    """Knows five of everything, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def look(self, line: str) -> Deferred[Reply]:
        self.asked.append(line)
        named = dict(re.findall(r"'?(limit|after)=([+\w]+)'?", line))
        found = [name for name in NAMES if name > named.get("after", "")][: int(named.get("limit", 99))]
        rows = [
            {"number": name, "account": name, "id": 1, "added": "", "sms": True, "handlers": []}
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
