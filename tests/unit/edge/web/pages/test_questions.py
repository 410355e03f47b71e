"""What is asked before it is done: the question changes nothing, and its answer is the same form again."""

import re

import pytest
from twisted.internet.defer import Deferred, succeed

from edge.console.console import Operator, Reply
from storage import accounts, audit, contacts, users
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import PEER, Browser, Form, Scene
from tests.unit.edge.web.harness import Reply as Answer

ROW = {"upstream": "carrier <1>", "rate": 1, "burst": 1, "window": 1, "binds": 1, "backlog": 0}
ROW |= {"account": "demo", "id": 1, "added": ""}


class Console:
    """Knows one upstream, and what it was told to do; with ``refusal`` it does and shows nothing."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.refusal = ""

    def look(self, line: str) -> Deferred[Reply]:
        found = {} if line in ("status", "kill-switch") else [ROW]
        return succeed(Reply(not self.refusal, self.refusal, found))

    def execute(self, line: str, operator: Operator) -> Deferred[Reply]:
        self.done.append(line)
        return succeed(Reply(not self.refusal, self.refusal or f"{line}: done.", None))


@pytest.fixture
def console() -> Console:
    return Console()


@pytest.fixture
def operator(inline_store: InlineStore, time: Time, console: Console) -> Browser:
    scene = Scene(inline_store, time, console=console)
    with scene.store.engine.transaction() as conn:
        users.set_operator(conn, "demo", True)
    return scene.member()


def send(browser: Browser, page: str, **fields: str) -> Answer:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get(page).text)
    assert found is not None
    return browser.post(page, csrf=found[1], **fields)


def agreed(browser: Browser, page: str, question: Answer) -> Answer:
    """The question's own form, sent by its button."""
    form = Form(page, question.text)
    assert form.found
    (do,) = re.findall(r'<button class="danger" name="do" value="([^"]+)">', question.text)
    return browser.post(page, **{**form.fields, "do": do})


def test_all_sending_stops_after_a_question(operator: Browser, console: Console) -> None:
    assert 'name="ask" value="stop-sending"' in operator.get("/operator").text
    question = send(operator, "/operator", ask="stop-sending")
    assert (question.status, console.done) == (200, [])
    assert "No message of any account leaves any more" in question.text
    assert agreed(operator, "/operator", question).status == 303
    assert console.done == ["kill-switch on"]


def test_the_question_names_the_row(operator: Browser, console: Console) -> None:
    page = operator.get("/operator/upstreams").text
    assert re.search(r'name="do" value="button-0"[^>]*>Start<', page)
    assert re.search(r'name="ask" value="button-1"[^>]*>Stop<', page)
    question = send(operator, "/operator/upstreams", ask="button-1", row_upstream="carrier <1>")
    assert "Upstream carrier &lt;1&gt;. Nothing goes out" in question.text
    assert console.done == []
    agreed(operator, "/operator/upstreams", question)
    assert console.done == ["bind stop 'carrier <1>'"]


@pytest.mark.parametrize("ask", ["reload", "nothing", "let-send"])
def test_what_needs_no_question_has_none(operator: Browser, console: Console, ask: str) -> None:
    assert send(operator, "/operator", ask=ask).status == 400
    assert console.done == []


def test_what_an_operator_typed_stays_when_it_is_refused(operator: Browser, console: Console) -> None:
    console.refusal = "There is no such account."
    reply = send(operator, "/operator/accounts", do="form-1", account="acme", login="ann")
    assert reply.status == 409
    assert "There is no such account." in reply.text
    assert 'name="account" value="acme"' in reply.text
    assert 'name="login" value="ann"' in reply.text
    console.refusal = ""
    assert 'value="acme"' not in send(operator, "/operator/accounts", do="form-1", account="acme").text


def test_what_the_server_says_is_said_to_be_english_where_that_is_not_the_readers(
    operator: Browser, console: Console
) -> None:
    operator.headers["Accept-Language"] = "fr"
    told = send(operator, "/operator", do="reload").text
    assert "<p>Fait. Le serveur dit, en anglais :</p>" in told
    assert '<pre lang="en">reload: done.</pre>' in told
    console.refusal = "50% of <nothing>."
    said = 'Le serveur dit, en anglais : <q lang="en">50% of &lt;nothing&gt;.</q></p>'
    assert f"Le serveur ne l’a pas fait. {said}" in send(operator, "/operator", do="reload").text
    page = operator.get("/operator/accounts").text
    assert "<p>Cette liste ne peut pas être affichée pour le moment. Le serveur dit, en anglais :</p>" in page
    operator.headers["Accept-Language"] = "en"
    assert (
        '<p class="notice bad" role="alert">50% of &lt;nothing&gt;.</p>'
        in send(operator, "/operator", do="reload").text
    )
    assert "in English" not in operator.get("/operator/accounts").text


def test_a_row_that_is_gone_is_not_asked_about(operator: Browser, console: Console) -> None:
    answer = send(operator, "/operator/upstreams", ask="button-1", row_upstream="of yesterday")
    assert (answer.status, console.done) == (404, [])
    assert "This is not there, or not any more: nothing was changed." in answer.text


NOT_ASKED = 400


@pytest.mark.parametrize(
    ("page", "word", "asked", "fields"),
    [
        ("/account/users", "remove", 404, {"user": "5"}),
        ("/account/keys", "revoke", 404, {"key": "5"}),
        ("/contacts/5", "remove", 404, {}),
        ("/contacts", "remove", 404, {"contact": "5"}),
        ("/contacts/groups", "remove", NOT_ASKED, {"group": "5"}),
        ("/account/security", "revoke", NOT_ASKED, {"session": "5"}),
        ("/messages/5", "delete", None, {}),
    ],
)
def test_what_is_gone_is_neither_asked_about_nor_removed(
    scene: Scene, member: Browser, page: str, word: str, asked: int | None, fields: dict[str, str]
) -> None:
    csrf = Form("/logout", member.get("/contacts").text).fields["csrf"]
    if asked is not None:
        assert member.post(page, csrf=csrf, ask=word, **fields).status == asked
    done = member.post(page, csrf=csrf, do=word, **fields)
    assert (done.status, "nothing was changed." in done.text) == (404, True)
    assert '<header class="top">' in done.text, "a page of the portal"
    with scene.store.engine.snapshot() as conn:
        assert audit.listed(conn, scene.account.id) == []


def test_a_user_a_key_and_contacts_are_removed_after_a_question(scene: Scene, member: Browser) -> None:
    mine = scene.account.id
    with scene.store.engine.transaction() as conn:
        ann = accounts.add_user(conn, scene.store.ids.next, mine, "ann", "x", 0)
        (key,) = accounts.list_keys(conn, mine)
        friend = contacts.put(conn, scene.store.ids.next, mine, PEER, "50% <Ann>", 0)

    def left() -> tuple[int, int, int]:
        with scene.store.engine.snapshot() as conn:
            valid = [item for item in accounts.list_keys(conn, mine) if item.revoked_at is None]
            return len(accounts.list_users(conn, mine)), len(valid), len(contacts.listed(conn, mine))

    asked = [
        ("/account/users", {"ask": "remove", "user": str(ann.id)}, "ann is logged out everywhere", (1, 1, 1)),
        ("/account/keys", {"ask": "revoke", "key": str(key.id)}, "use the key key are refused", (1, 0, 1)),
        (f"/contacts/{friend.id}", {"ask": "remove", "name": "x"}, "50% &lt;Ann&gt; leaves", (1, 0, 0)),
    ]
    for page, fields, sentence, after in asked:
        before = left()
        question = send(member, page, **fields)
        assert (question.status, sentence in question.text, left()) == (200, True, before)
        assert agreed(member, page, question).status == 303
        assert left() == after


def test_several_contacts_are_counted_in_the_question(scene: Scene, member: Browser) -> None:
    with scene.store.engine.transaction() as conn:
        friend = contacts.put(conn, scene.store.ids.next, scene.account.id, PEER, "Ann", 0)
    question = send(member, "/contacts", ask="remove", contact=str(friend.id))
    assert "1 contact leaves the phone book." in question.text
    assert agreed(member, "/contacts", question).status == 303
    assert "Choose some contacts first." in send(member, "/contacts", ask="remove").text
