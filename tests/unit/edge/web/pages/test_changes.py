"""The account's log: words for what was done, names for whom, from where; in the reader's language."""

import re
from pathlib import Path

import pytest

from edge import web
from edge.console.console import ACTION, PYTHON
from edge.web.pages.changes import WORDS, actor_word
from edge.web.pages.locales import locale_of
from storage import accounts, audit, deletion
from tests.unit.edge.conftest import START_MS
from tests.unit.edge.web.harness import Browser, Form, Scene

NOTED = re.compile(r'(?:self\.change\(\s*request,\s*visitor|call\.write\(),?\s*"([a-z_.]+)"')


def rows(browser: Browser) -> list[list[str]]:
    """The log's cells: who, what, of what, details, from."""
    page = browser.get("/account/log").text
    found = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in cells[1:]] for cells in found if cells]


def test_everything_that_is_noted_has_a_word() -> None:
    sources = Path(web.__file__).parent.rglob("*.py")
    noted = {action for path in sources for action in NOTED.findall(path.read_text("utf-8"))}
    noted |= {ACTION, PYTHON, deletion.ACTION, "person.erase", "retention.set"}
    assert "endpoint.resume" in noted, "what programs do, too"
    assert len(noted) > 20
    assert noted - set(WORDS) == set()


def test_the_log_has_words_and_names(scene: Scene, member: Browser) -> None:
    message = scene.message()
    with scene.store.engine.transaction() as conn:
        ann = accounts.add_user(conn, scene.store.ids.next, scene.account.id, "ann", "x", START_MS)
        old = (scene.store.ids.next, scene.account.id, "command", "user.role", str(ann.id), START_MS)
        audit.note(conn, *old)
    csrf = Form("/messages", member.get("/messages").text).fields.get("csrf", "")
    csrf = csrf or Form("/logout", member.get("/messages").text).fields["csrf"]
    member.headers["Accept-Language"] = "fr"
    assert member.post("/messages", csrf=csrf, do="delete", message=str(message.id)).status == 303
    change = {"csrf": csrf, "do": "role", "user": str(ann.id), "role": "read-only"}
    role = re.search(r'<option value="(read[^"]*)"', member.get("/account/users").text)
    assert role is not None
    change["role"] = role[1]
    assert member.post("/account/users", **change).status == 303
    assert member.post("/account/users", csrf=csrf, do="remove", user=str(ann.id)).status == 303
    assert rows(member) == [
        ["demo", "utilisateur supprimé", "ann", "", "192.0.2.1"],
        ["demo", "rôle modifié", "ann", "rôle: lecture seule", "192.0.2.1"],
        ["demo", "messages supprimés", "1", "", "192.0.2.1"],
        ["une commande sur le serveur", "rôle modifié", str(ann.id), "", "–"],
    ]


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("user:ann:b", "ann:b"),
        ("key:billing", "API key billing"),
        ("command", "a command on the server"),
        ("of tomorrow", "of tomorrow"),
        ("robot:x", "robot:x"),
    ],
)
def test_who_did_it(actor: str, said: str) -> None:
    assert actor_word(actor, locale_of("en", "UTC")) == said
