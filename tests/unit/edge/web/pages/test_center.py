"""The Message Center's requests, one by one: sending twice, marks, deleting and bringing back, exporting."""

import csv
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from twisted.internet.defer import Deferred, succeed

from edge.carrier_errors import first_error
from edge.errors import Refused, Unavailable
from edge.web.pages.locales import locale_of
from storage import contacts, conversations, drafts, messages, numbers, search
from storage.deletion import UNDO_MS
from storage.ids import time_of
from storage.records import DeliveryState, PartState
from storage.tables import draft
from storage.testing import InlineStore
from tests.samples import delivery_of
from tests.unit.edge.conftest import START_MS, Time
from tests.unit.edge.web.harness import DID, OTHER_DID, PEER, Browser, Form, Scene

THREAD = f"/conversations/{DID}/{PEER}"


def texts(html: str) -> list[str]:
    return re.findall(r'<p class="text" dir="auto">(.*?)</p>', html, re.DOTALL)


def view_of(scene: Scene) -> conversations.ConversationView:
    with scene.store.engine.snapshot() as conn:
        found = conversations.get(conn, scene.account.id, DID, PEER)
    assert found is not None
    return found


# -- sending -------------------------------------------------------------------------------------------------


def test_a_form_that_is_sent_twice_sends_once(scene: Scene, member: Browser) -> None:
    scene.message()
    fields = {**Form(THREAD, member.get(THREAD).text).fields, "text": "once"}
    fields.pop("do", None)
    first, second = member.post(THREAD, **fields), member.post(THREAD, **fields)
    assert (first.status, first.headers["location"]) == (303, f"{THREAD}#m42")
    assert (second.status, second.headers["location"]) == (303, f"{THREAD}?said=once#m42")
    assert "This message was sent already, and goes once." in member.follow(second).text
    assert [draft.text for draft in scene.outbox.drafts] == ["once"]
    scene.restart()
    assert member.post(THREAD, **fields).headers["location"] == f"{THREAD}?said=once#m42"
    assert len(scene.outbox.drafts) == 1, "kept in the store, with the message"


def test_without_a_script_a_form_has_its_key_until_something_is_sent(
    scene: Scene, member: Browser, time: Time
) -> None:
    scene.message()

    def fields(page: str, browser: Browser = member) -> dict[str, str]:
        html = browser.get(page).text
        found = Form(page, html).fields
        (of_the_script, steady) = re.findall(r'name="key" value="([^"]+)"', html)
        assert f'<noscript><input type="hidden" name="key" value="{steady}"></noscript>' in html
        assert (found["key"], of_the_script in seen) == (steady, False), "with a script each form has its own"
        seen.add(of_the_script)
        return found

    seen: set[str] = set()
    first, again = fields("/new"), fields("/new")
    assert first["key"] == again["key"] == fields(THREAD)["key"]
    assert fields("/new", scene.member("other"))["key"] != first["key"]
    written = {"from": DID, "to": PEER, "text": "hello"}
    scene.outbox.error = Unavailable("Just starting.", 2)
    assert member.post("/new", **{**first, **written}).status == 503
    scene.outbox.error = None
    assert fields("/new")["key"] == first["key"], "nothing was sent yet"
    assert "Sent last:" not in member.get("/new").text
    assert member.post("/new", **{**again, **written}).headers["location"] == f"{THREAD}#m42"
    late = member.post("/new", **{**first, **written})
    assert late.headers["location"] == f"{THREAD}?said=once#m42"
    assert [draft.text for draft in scene.outbox.drafts[1:]] == ["hello"]
    assert f'Sent last: <a href="{THREAD}#m42">' in member.get("/new").text
    time.advance(1)
    for _ in range(2):  # who means it again loads the form anew
        assert "said" not in member.post("/new", **{**fields("/new"), **written}).headers["location"]
        time.advance(1)
    assert [draft.text for draft in scene.outbox.drafts[1:]] == ["hello"] * 3


def test_another_text_under_the_same_key_is_another_message(scene: Scene, member: Browser) -> None:
    scene.message()
    fields = Form(THREAD, member.get(THREAD).text).fields
    for text in ("one", "two"):
        assert member.post(THREAD, csrf=fields["csrf"], key=fields["key"], text=text).status == 303
    assert [draft.text for draft in scene.outbox.drafts] == ["one", "two"]


def test_the_keys_of_two_users_are_their_own(scene: Scene, member: Browser) -> None:
    other = scene.member("other")
    for browser in (member, other):
        csrf = Form("/new", browser.get("/new").text).fields["csrf"]
        browser.post("/new", csrf=csrf, key="the-same", from_=DID, to=PEER, text="hello")
    assert [draft.account_id for draft in scene.outbox.drafts] == [scene.account.id, scene.other.id]


def test_what_was_refused_can_be_sent_again_under_its_key(scene: Scene, member: Browser) -> None:
    scene.message()
    fields = Form(THREAD, member.get(THREAD).text).fields
    given = {"csrf": fields["csrf"], "key": fields["key"], "text": "hello"}
    scene.outbox.error = Unavailable("Just starting.", 2)
    assert member.post(THREAD, **given).status == 503
    scene.outbox.error = None
    assert member.post(THREAD, **given).status == 303


def test_a_script_gets_the_thread_or_the_refusal_alone(scene: Scene, member: Browser) -> None:
    scene.message(text="question")
    csrf = Form(THREAD, member.get(THREAD).text).fields["csrf"]
    sent = member.post(THREAD, csrf=csrf, key="k1", text="hello", part="thread")
    assert (sent.status, texts(sent.text), "<html" in sent.text) == (200, ["question"], False)
    scene.outbox.error = Refused("text_empty", "The message has no text.", "text")
    refused = member.post(THREAD, csrf=csrf, key="k2", text="", part="thread")
    said = '<p class="problem" data-setback="">The message has no text.</p>'
    assert (refused.status, refused.text.strip()) == (422, said)


def test_refusals_in_the_readers_language(scene: Scene, member: Browser) -> None:
    scene.message()
    scene.outbox.error = Refused("sms_disabled", "SMS is switched off for +1.", "from", 403)
    member.headers["Accept-Language"] = "fr"
    assert "Les SMS sont désactivés pour ce numéro." in member.fill(THREAD, THREAD, text="x").text
    scene.outbox.error = Refused("a_new_code", "Nobody has translated this.", None, 422)
    assert "Nobody has translated this." in member.fill(THREAD, THREAD, text="x").text


def test_a_failed_message_is_sent_again_once(scene: Scene, member: Browser) -> None:
    message = scene.message()._replace(id=scene.store.ids.next(), direction="mt", text="again")
    scene.write(messages.insert(message, [scene.part(message, state=PartState.FAILED)]))
    path = f"/messages/{message.id}"
    csrf = Form(path, member.get(path).text).fields["csrf"]
    first, second = (member.post(path, csrf=csrf, do="resend") for _ in range(2))
    assert first.headers["location"] == f"{THREAD}#m42"
    assert second.headers["location"] == f"{THREAD}?said=again#m42"
    assert "This message was sent again before" in member.follow(second).text
    assert "This message was sent again before" not in member.follow(first).text
    (draft,) = scene.outbox.drafts
    assert (draft.source, draft.destination, draft.text, draft.leg) == (DID, PEER, "again", "portal")


def test_a_message_that_was_given_up_says_so(scene: Scene, member: Browser) -> None:
    message = scene.message()._replace(id=scene.store.ids.next(), direction="mt")
    parts = [
        scene.part(message, state=PartState.FAILED),
        scene.part(message)._replace(number=2, state=PartState.FAILED, command_status=0x0B),
    ]
    scene.write(messages.insert(message, parts[:1]))
    page = member.get(f"/messages/{message.id}").text
    assert "failed, it was given up, and is not sent any more</span>" in page
    assert "<td>it was given up, and is not sent any more</td>" in page
    assert "given_up" not in page
    assert (first_error(parts[:1]), first_error(parts)) == ("given_up", "ESME_RINVDSTADR (0x0000000B)")


def test_the_matrix_speaks_the_readers_language(scene: Scene, member: Browser) -> None:
    seed = scene.message()
    received = seed._replace(id=scene.store.ids.next(), leg="smpp")
    delivery = delivery_of(received, account_id=scene.account.id, handler="email")
    scene.write(messages.insert(received, (), [delivery]))
    sent = seed._replace(id=scene.store.ids.next(), direction="mt", leg="forward")
    scene.write(messages.insert(sent, [scene.part(sent, state=PartState.IN_DOUBT)]))
    member.headers["Accept-Language"] = "es"
    page = member.get(f"/messages/{received.id}").text
    assert "<dd>el operador de telefonía</dd>" in page
    assert '<th scope="row">Correo<br>' in page
    page = member.get(f"/messages/{sent.id}").text
    assert '<td><span class="badge in_doubt">en duda</span></td>' in page
    assert "<dd>el teléfono al que se reenvió</dd>" in page


def test_a_form_that_is_sent_twice_is_one_deletion(scene: Scene, member: Browser, time: Time) -> None:
    for text in ("one", "two", "three"):
        scene.message(text=text)
    fields = Form("/messages", member.get("/messages").text).fields
    path = "/messages/delete-all"
    one, other = (Form(path, member.get(path).text).fields for _ in range(2))
    chosen = {**fields, "do": "delete", "message": one["up_to"]}
    time.advance(
        time_of(scene.store.ids.next()) / 1000 - time.wall_ms() / 1000
    )  # ids are made on the real clock
    first, again = (member.post("/messages", **chosen) for _ in range(2))
    assert again.headers["location"] == first.headers["location"]
    assert "1 message was deleted." in member.follow(again).text
    first, again = (member.post(path, **{**one, "word": "delete"}) for _ in range(2))
    assert again.headers["location"] == first.headers["location"]
    page = member.follow(again).text
    assert "2 messages were deleted." in page
    elsewhere = member.post(path, **{**other, "word": "delete"})
    assert "No message was deleted: none was there any more" in member.follow(elsewhere).text
    undo = Form("/messages", page).fields["deletion"]
    member.post("/messages", csrf=fields["csrf"], do="undo", deletion=undo)
    assert texts(member.get("/messages").text) == ["two", "one"]
    log = member.get("/account/log").text
    assert ("messages deleted" in log, one["key"] in log) == (True, False)


def test_a_first_message_is_kept_on_the_server_until_it_is_sent(scene: Scene, member: Browser) -> None:
    csrf = Form("/new", member.get("/new").text).fields["csrf"]

    def keep(**written: str) -> None:
        assert member.post("/new", csrf=csrf, do="draft", part="draft", **written).status == 204

    keep(to="Ann", from_=DID, text="Dear")
    keep(to="(202) 555-0150", from_=DID, text="Dear\nAnn", begun=f"Ann\n{DID}\nDear")
    with scene.store.engine.snapshot() as conn:
        kept = conn.execute(draft.select()).all()
    assert [row.peer for row in kept] == ["+12025550150"], "one, which is found when the person is erased"
    elsewhere = scene.member()
    fields = Form("/new", elsewhere.get("/new").text).fields
    assert (fields["to"], fields["from"], fields["text"]) == ("+12025550150", DID, "Dear\nAnn")
    assert Form("/new", elsewhere.get(f"/new?to={PEER}").text).fields["text"] == "", "a link means another"
    assert Form("/new", scene.member("other").get("/new").text).fields["to"] == ""
    assert elsewhere.post("/new", **fields).status == 303
    assert Form("/new", member.get("/new").text).fields["text"] == ""
    keep(to=PEER, from_=DID, text=" ")
    with scene.store.engine.snapshot() as conn:
        assert conn.execute(draft.select()).all() == []


def test_a_first_message_takes_no_draft_of_another_window_away(scene: Scene, member: Browser) -> None:
    scene.member("other")
    one, other = (Form("/new", member.get("/new").text).fields for _ in range(2))
    begun = {"to": "202-555-0150", "from": DID, "text": "begun"}
    was = "\n".join(begun[name] for name in ("to", "from", "text"))

    def keep(fields: dict[str, str], *known: str, text: str, to: str = PEER) -> tuple[int, str]:
        """The answer to a draft of this form, which may have had these kept before, and what is kept then."""
        given = {"csrf": fields["csrf"], "do": "draft", "part": "draft", "to": to, "from": DID, "text": text}
        body = urlencode([*given.items(), *(("begun", item) for item in (fields["begun"], *known))]).encode()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status = member._send("POST", "/new", body, form).status
        return status, Form("/new", member.get("/new").text).fields["text"]

    assert keep(one, to=begun["to"], text="begun") == (204, "begun")
    assert keep(other, text="of another window") == (409, "begun")
    assert keep(other, "\n\nbegun", text="of another window") == (409, "begun"), "that was to somebody else"
    assert keep(other, text="begun", to=begun["to"]) == (204, "begun"), "the same is no other"
    assert keep(other, text=" ") == (204, "begun"), "who has written nothing has nothing to forget"
    assert keep(one, "unheard of", was, text="begun, and more") == (204, "begun, and more")
    assert keep(one, was, text="begun, and not known") == (409, "begun, and more")
    member.headers["Accept-Language"] = "fr"
    fields = {"csrf": one["csrf"], "do": "draft", "to": PEER, "from": DID, "text": "a third"}
    refused = member.post("/new", **fields)
    assert re.fullmatch(
        r'<p class="problem" data-setback="">Un autre nouveau message .*</p>', refused.text.strip()
    )
    assert member.post("/new", **{**other, **begun, "text": "of another window"}).status == 303
    assert Form("/new", member.get("/new").text).fields["text"] == "begun, and more", "it was not that one"


def test_the_header_leads_to_the_contact(scene: Scene, member: Browser) -> None:
    scene.message()
    scene.message(peer="ACME")
    link = f"/contacts/new?number={PEER.replace('+', '%2B')}"
    assert link in member.get(THREAD).text
    assert f'value="{PEER}"' in member.get(link).text
    assert "/contacts/new" not in member.get(f"/conversations/{DID}/ACME").text
    with scene.store.engine.transaction() as conn:
        ann = contacts.put(conn, scene.store.ids.next, scene.account.id, "+12025550151", "Ann", START_MS)
        contacts.set_more_numbers(conn, scene.account.id, ann.id, [contacts.MoreNumber(PEER, "")])
    page = member.get(THREAD).text
    assert (f'href="/contacts/{ann.id}"' in page, link in page, "<bdi>Ann</bdi>" in page) == (
        True,
        False,
        True,
    )


def test_what_is_said_of_an_error_may_have_a_percent_sign(scene: Scene, member: Browser) -> None:
    message = scene.message()._replace(id=scene.store.ids.next(), direction="mt")
    scene.write(messages.insert(message, [scene.part(message, state=PartState.FAILED)]))
    path = f"/messages/{message.id}"
    scene.outbox.error = Unavailable("100% busy (%s).", 3)
    reply = member.fill(path, path, do="resend")
    assert (reply.status, reply.headers["retry-after"]) == (503, "3")
    assert "100% busy (%s)." in reply.text
    member.headers["Accept-Language"] = "es"
    assert "Esta página no responde a PUT." in member.get("/messages", "PUT").text


def test_only_what_failed_is_sent_again(scene: Scene, member: Browser) -> None:
    path = f"/messages/{scene.message('mt').id}"
    csrf = Form(path, member.get(path).text).fields["csrf"]
    assert member.post(path, csrf=csrf, do="resend").status == 409
    assert scene.outbox.drafts == []


# -- drafts and states ---------------------------------------------------------------------------------------


def test_a_draft_is_kept_for_its_user_and_gone_when_it_is_sent(scene: Scene, member: Browser) -> None:
    scene.message(text="question")
    fields = Form(THREAD, member.get(THREAD).text).fields
    kept = member.post(THREAD, csrf=fields["csrf"], do="draft", text="begun\nhere", part="draft")
    assert (kept.status, kept.body) == (204, b"")
    assert Form(THREAD, member.get(THREAD).text).fields["text"] == "begun\nhere"
    assert "begun here" in member.get("/conversations").text
    with scene.store.engine.snapshot() as conn:
        assert drafts.get(conn, scene.other.id, 1, DID, PEER) == ""
    theirs = f"/conversations/{OTHER_DID}/{PEER}"
    member.post(theirs, csrf=fields["csrf"], do="draft", text="not mine", part="draft")
    with scene.store.engine.snapshot() as conn:
        assert [row.text for row in conn.execute(draft.select())] == ["begun\nhere"]
    member.post(THREAD, csrf=fields["csrf"], key=fields["key"], text="another one", begun="")
    fields = Form(THREAD, member.get(THREAD).text).fields
    assert (fields["text"], fields["begun"]) == ("begun\nhere", "begun\nhere"), "that one was not sent"
    member.post(THREAD, **{**fields, "text": "begun\r\nhere, and sent", "begun": "begun\r\nhere"})
    assert Form(THREAD, member.get(THREAD).text).fields["text"] == ""


def test_a_first_message_that_is_sent_takes_no_other_draft_with_it(scene: Scene, member: Browser) -> None:
    fields = Form("/new", member.get("/new").text).fields
    csrf, other = fields["csrf"], {"from": DID, "to": "+447911999999", "text": "the same words"}
    member.post("/new", csrf=csrf, do="draft", part="draft", **other)
    sent = {**fields, "from": DID, "to": PEER, "text": "the same words"}
    assert member.post("/new", **sent).status == 303
    member.post("/new", csrf=csrf, do="draft", part="draft", begun="", **{**other, "text": ""})
    kept = Form("/new", member.get("/new").text).fields
    assert {name: kept[name] for name in other} == other
    assert member.post("/new", **{**kept, "text": "the same words, mended"}).status == 303
    assert Form("/new", member.get("/new").text).fields["text"] == ""


def test_a_form_that_comes_back_keeps_its_key(scene: Scene, member: Browser) -> None:
    scene.message(text="question")
    for page, more in ((THREAD, {}), ("/new", {"to": PEER})):
        scene.outbox.error = Unavailable("The server is shutting down.", 3)
        fields = {**Form(page, member.get(page).text).fields, "text": "once", "begun": "o", **more}
        reply = member.post(page, **fields)
        again = Form(page, reply.text).fields
        assert (reply.status, again["key"], again["begun"]) == (503, fields["key"], "o")
        scene.outbox.error = None
        assert member.post(page, **again).status == 303
    assert Form("/new", member.get(f"/new?to={PEER}&key=mine").text).fields["key"] != "mine", (
        "a link has none"
    )


def test_a_page_that_refuses_says_so_to_scripts_and_one_that_failed_does_not(
    scene: Scene, member: Browser
) -> None:
    assert '<p data-setback="page">' in member.get("/messages", "PUT").text
    message = scene.message()._replace(id=scene.store.ids.next(), direction="mt")
    scene.write(messages.insert(message, [scene.part(message, state=PartState.FAILED)]))
    path = f"/messages/{message.id}"
    scene.outbox.error = Unavailable("The server is shutting down.", 3)
    reply = member.fill(path, path, do="resend")
    assert (reply.status, "data-setback" in reply.text) == (503, False)


@pytest.mark.parametrize(
    ("do", "undo", "name"), [("pin", "unpin", "pinned"), ("archive", "unarchive", "archived")]
)
def test_states_there_and_back(scene: Scene, member: Browser, do: str, undo: str, name: str) -> None:
    scene.message()
    csrf = Form(THREAD, member.get(THREAD).text).fields["csrf"]
    for step, wanted in ((do, True), (undo, False)):
        assert member.post(THREAD, csrf=csrf, do=step).status == 303
        assert getattr(view_of(scene), name) is wanted


def test_what_stands_above_a_conversation_is_a_part(scene: Scene, member: Browser) -> None:
    scene.message()
    bar = f"{THREAD}?part=bar&show=unread"
    assert f'data-part="{THREAD}?part=bar&amp;show=unread"' in member.get(f"{THREAD}?show=unread").text
    html = member.get(bar).text
    assert ("<html" in html, 'value="pin"' in html, 'href="/conversations?show=unread"' in html) == (
        False,
        True,
        True,
    )
    member.fill(THREAD, THREAD, do="pin")
    with scene.store.engine.transaction() as conn:
        contacts.put(conn, scene.store.ids.next, scene.account.id, PEER, "Ann <b>", START_MS)
    html = member.get(bar).text
    assert ('value="unpin"' in html, "<bdi>Ann &lt;b&gt;</bdi>" in html) == (True, True)


def test_read_and_unread(scene: Scene, member: Browser) -> None:
    first, second = scene.message(), scene.message()
    csrf = Form(THREAD, member.get(THREAD).text).fields["csrf"]
    assert view_of(scene).unread == 0
    assert member.post(THREAD, csrf=csrf, do="unread").headers["location"] == "/conversations"
    assert view_of(scene).unread == 1
    member.post(THREAD, csrf=csrf, do="read", message=str(first.id), part="read")
    assert view_of(scene).unread == 1
    member.post(THREAD, csrf=csrf, do="read", message=str(second.id), part="read")
    assert view_of(scene).unread == 0


def test_states_need_the_token_and_a_known_word(scene: Scene, member: Browser) -> None:
    scene.message()
    csrf = Form(THREAD, member.get(THREAD).text).fields["csrf"]
    assert member.post(THREAD, do="archive").status == 403
    assert member.post(THREAD, csrf=csrf, do="explode").status == 404
    assert not view_of(scene).archived


def test_the_habits_of_the_keyboard(scene: Scene, member: Browser) -> None:
    page = member.get("/conversations").text
    assert 'data-single="on"' in page
    csrf = Form("/keys", page).fields["csrf"]
    assert member.post("/keys", csrf=csrf, enter="1").headers["location"] == "/conversations"
    assert 'data-single="off"' in member.get("/conversations").text


# -- finding -------------------------------------------------------------------------------------------------


def test_a_search_shows_conversations_by_name_and_messages_by_word(scene: Scene, member: Browser) -> None:
    scene.message(text="nothing here")
    with scene.store.engine.transaction() as conn:
        contacts.put(conn, scene.store.ids.next, scene.account.id, PEER, "Zoë", START_MS)
    page = member.get("/conversations?q=zoe").text
    assert page.count("<bdi>Zoë</bdi>") == 1
    assert "No message was found." in page
    assert "<bdi>Zoë</bdi>" not in member.get("/conversations?q=somebody").text


@pytest.mark.parametrize(("query", "said"), [("hel", False), ("he", True), ("lunch he", True), ("!", False)])
def test_what_a_short_word_finds(scene: Scene, member: Browser, query: str, said: bool) -> None:
    scene.message(text="hello")
    for path in ("/messages", "/conversations"):
        page = member.get(f"{path}?q={query.replace(' ', '+')}").text
        assert ("beginnings of words count from three letters on" in page) == said


def test_days_of_a_filter_are_the_readers(scene: Scene, time: Time) -> None:
    scene.message(text="now")
    member = scene.member()
    east, west = locale_of("en", "Pacific/Kiritimati"), locale_of("en", "Pacific/Pago_Pago")
    today, yesterday = (zone.date_of(time.wall_ms()) for zone in (east, west))
    assert today > yesterday, "they are 25 hours apart"
    member.cookies["trunkline-zone"] = east.zone
    assert texts(member.get(f"/messages?since={today}&until={today}").text) == ["now"]
    member.cookies["trunkline-zone"] = west.zone
    assert texts(member.get(f"/messages?since={today}").text) == []
    assert texts(member.get(f"/messages?since={yesterday}&until={yesterday}").text) == ["now"]
    assert texts(member.get("/messages?since=nonsense").text) == ["now"]


def test_suggestions_for_whom_to_write_to(scene: Scene, member: Browser) -> None:
    scene.message()
    with scene.store.engine.transaction() as conn:
        contacts.put(conn, scene.store.ids.next, scene.account.id, PEER, "Ann", START_MS)
        contacts.put(conn, scene.store.ids.next, scene.other.id, PEER, "Annie", START_MS)
    reply = member.get("/new/people?q=an")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == [{"number": PEER, "name": "Ann", "label": "", "did": DID}]
    assert member.get("/new/people?q=").json == []
    assert scene.browser().get("/new/people?q=an").status == 303


def test_suggestions_of_who_is_no_contact(scene: Scene, member: Browser) -> None:
    scene.message()
    scene.message(peer="+447911123457")
    scene.message(peer="+12025550188", owner=scene.other)
    unknown = {"number": PEER, "name": "", "label": "", "did": DID}
    for typed in ("011447911123456", "7911%20123456", "123456"):
        assert member.get(f"/new/people?q={typed}").json == [unknown], typed
    newest_first = [item["number"] for item in member.get("/new/people?q=%2B44").json]
    assert newest_first == ["+447911123457", PEER]
    for typed in ("0188", "ann+44", "-"):
        assert member.get(f"/new/people?q={typed}").json == []
    with scene.store.engine.transaction() as conn:
        bob = contacts.put(conn, scene.store.ids.next, scene.account.id, "+12025550151", "Bob", START_MS)
        contacts.set_more_numbers(conn, scene.account.id, bob.id, [contacts.MoreNumber(PEER, "")])
    found = member.get("/new/people?q=123456").json
    first = {"number": bob.number, "name": "Bob", "label": "", "did": None}
    assert found == [first, {**unknown, "name": "Bob"}]


# -- the list ------------------------------------------------------------------------------------------------


def test_delete_and_undo_within_half_a_minute(scene: Scene, member: Browser, time: Time) -> None:
    first, second = scene.message(text="one"), scene.message(text="two")
    theirs = scene.message(owner=scene.other, text="theirs")
    csrf = Form("/messages", member.get("/messages").text).fields["csrf"]
    reply = member.post("/messages", csrf=csrf, do="delete", message=str(first.id))
    member.post("/messages", csrf=csrf, do="delete", message=str(theirs.id))
    assert re.fullmatch(r"/messages\?deleted=\d+", reply.headers["location"])
    page = member.follow(reply).text
    assert ("1 message was deleted." in page, texts(page)) == (True, ["two"])
    deletion = re.search(r'name="deletion" value="(\d+)"', page)
    assert deletion is not None
    reply = member.post("/messages", csrf=csrf, do="undo", deletion=deletion[1])
    assert "They are back." in member.follow(reply).text
    twice = member.post("/messages", csrf=csrf, do="undo", deletion=deletion[1])
    assert "They are back." in member.follow(twice).text
    assert "was deleted." not in member.get(f"/messages?deleted={deletion[1]}").text
    assert texts(member.get("/messages").text) == ["two", "one"]
    reply = member.post("/messages", csrf=csrf, do="delete", message=str(second.id))
    made_at = time_of(int(reply.headers["location"].rpartition("=")[2]))  # ids are made on the real clock
    time.advance((made_at + UNDO_MS - time.wall_ms()) / 1000 + 1)
    page = member.follow(reply).text
    assert "was deleted." not in page
    found = re.search(r"deleted=(\d+)", reply.headers["location"])
    assert found is not None
    late = member.post("/messages", csrf=csrf, do="undo", deletion=found[1])
    assert "It was too late" in member.follow(late).text
    assert texts(scene.member("other").get("/messages").text) == ["theirs"]


def test_delete_all_takes_what_was_shown_after_the_word(scene: Scene, member: Browser) -> None:
    scene.message(text="in")
    scene.message("mt", text="out")
    path = "/messages/delete-all?direction=mo"
    fields = Form(path, member.get(path).text).fields
    scene.message(text="came meanwhile")
    assert member.post(path, **{**fields, "word": "no"}).status == 422
    reply = member.post(path, **{**fields, "word": " DELETE "})
    assert "1 message was deleted." in member.follow(reply).text
    assert texts(member.get("/messages").text) == ["came meanwhile", "out"]


@pytest.mark.parametrize("query", ["since=25/10/2026", "until=2026-02-30", "direction=x", "since=0001-01-01"])
def test_what_cannot_be_read_of_a_filter_deletes_nothing(scene: Scene, member: Browser, query: str) -> None:
    scene.message(text="stays")
    page = member.get(f"/messages/delete-all?{query}")
    assert (page.status, "This part of the filter cannot be read:" in page.text) == (422, True)
    assert query.partition("=")[2] in page.text
    fields = Form("/messages/delete-all", member.get("/messages/delete-all").text).fields
    assert member.post(f"/messages/delete-all?{query}", **{**fields, "word": "delete"}).status == 422
    assert texts(member.get("/messages").text) == ["stays"]


def test_delete_all_says_that_it_is_all_when_only_conversations_are_narrowed(
    scene: Scene, member: Browser
) -> None:
    page = member.get("/messages/delete-all?show=unread").text
    assert ("All messages of this account will be deleted." in page, "<bdi>unread" in page) == (True, False)


def test_a_conversation_of_a_number_that_was_given_up(scene: Scene, member: Browser) -> None:
    scene.message(text="old")
    fields = Form(THREAD, member.get(THREAD).text).fields
    assert member.post(THREAD, csrf=fields["csrf"], do="draft", text="begun").status == 303
    with scene.store.engine.transaction() as conn:
        numbers.remove_did(conn, scene.account.id, DID)
    page = member.get(THREAD).text
    assert f"{DID} is not one of this account’s numbers any more" in page
    assert ("SMS is switched off" in page, "<em>Draft:</em> begun" in page) == (False, True)
    assert member.post(THREAD, csrf=fields["csrf"], do="draft").status == 303
    assert "Draft:" not in member.get(THREAD).text
    for path in ("/messages", "/conversations"):
        listed = member.get(f"{path}?did={DID.replace('+', '%2B')}").text
        assert f'<option value="{DID}" selected>' in listed, "what it is narrowed to stays"
        assert listed.count(f'<option value="{OTHER_DID}"') == 0
    assert member.post(THREAD, csrf=fields["csrf"], do="draft", text="anew").status == 303
    assert "Draft:" not in member.get(THREAD).text


def test_delete_all_of_a_search_takes_what_it_found(
    scene: Scene, member: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("a lunch today", "Lunch?", "dinner", "lunch, again"):
        scene.message(text=text)
    scene.message("mt", text="no lunch")
    with scene.store.engine.transaction() as conn:
        while search.index_next(conn, 100):
            pass
    monkeypatch.setattr(messages, "MAX_LIMIT", 2)  # so that it takes several steps
    path = "/messages/delete-all?q=lunc&direction=mo"
    page = member.get(path).text
    assert ("<bdi>lunc</bdi>" in page, "All messages of this account" in page) == (True, False)
    reply = member.post(path, **{**Form(path, page).fields, "word": "delete"})
    assert "3 messages were deleted." in member.follow(reply).text
    assert texts(member.get("/messages").text) == ["no lunch", "dinner"]


def test_the_export_is_the_filtered_list_oldest_first(scene: Scene, member: Browser) -> None:
    for number in range(3):
        scene.message(text=f"text {number}")
    scene.message("mt", text="out")
    scene.message(owner=scene.other, text="theirs")
    link = scene.link()
    cookie = "; ".join(f"{name}={value}" for name, value in member.cookies.items())
    link.send(f"GET /messages/export.csv?direction=mo HTTP/1.0\r\nCookie: {cookie}\r\n\r\n".encode())
    head, _, body = link.transport.value().decode().partition("\r\n\r\n")
    assert 'Content-Disposition: attachment; filename="messages.csv"' in head
    assert [row["text"] for row in csv.DictReader(body.splitlines())] == ["text 0", "text 1", "text 2"]
    assert scene.browser().get("/messages/export.csv").status == 303


# -- deliveries ----------------------------------------------------------------------------------------------


class Actions:
    """Notes what it is asked to do."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def retry_now(self, delivery_id: int) -> Deferred[bool]:
        self.done.append(("retry", delivery_id))
        return succeed(True)

    def skip(self, delivery_id: int, why: str) -> Deferred[bool]:
        self.done.append(("skip", delivery_id, why))
        return succeed(True)

    def replay(self, delivery_ids: Any) -> Deferred[int]:
        self.done.append(("replay", *delivery_ids))
        return succeed(1)


def test_what_can_be_done_about_deliveries(inline_store: InlineStore, time: Time) -> None:
    actions = Actions()
    scene = Scene(inline_store, time, deliveries=actions)
    member = scene.member()
    message = scene.message()._replace(id=scene.store.ids.next())
    owner = {"account_id": scene.account.id}
    pending = delivery_of(message, **owner)._replace(id=scene.store.ids.next())
    failed = delivery_of(message, **owner, state=DeliveryState.FAILED)._replace(id=scene.store.ids.next())
    done = delivery_of(message, **owner, state=DeliveryState.DELIVERED)._replace(id=scene.store.ids.next())
    scene.write(messages.insert(message, (), [pending, failed, done]))
    path = f"/messages/{message.id}"
    page = member.get(f"{path}?part=matrix").text
    assert [page.count(f'value="{word}"') for word in ("retry", "skip", "replay")] == [1, 1, 1]
    csrf = Form(path, page).fields["csrf"]
    for do, delivery in (("retry", pending), ("skip", pending), ("replay", failed)):
        reply = member.post(path, csrf=csrf, do=do, delivery=str(delivery.id), part="matrix")
        assert reply.status == 204
    assert actions.done == [
        ("retry", pending.id),
        ("skip", pending.id, "skipped by demo"),
        ("replay", failed.id),
    ]
    assert member.post(path, csrf=csrf, do="retry", delivery=str(done.id)).status == 409
    elsewhere = scene.message()
    assert (
        member.post(f"/messages/{elsewhere.id}", csrf=csrf, do="retry", delivery=str(pending.id)).status
        == 404
    )
    assert member.post(path, csrf=csrf, do="retry", delivery="1").status == 404
    assert len(actions.done) == 3
