"""The portal's pages, as a browser without scripts sees them."""

import html
import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from edge.errors import Refused, Unavailable
from edge.web.pages.reading import PAGE
from protocols.sms import LongMessageMode, SegmentOptions, rules
from protocols.sms.transliteration import PUNCTUATION
from storage import deliveries, messages, numbers
from storage.endpoints import EndpointRecord
from storage.records import AttemptRecord, DeliveryState, MessageFlag, PartState
from storage.testing import InlineStore
from tests.samples import delivery_of
from tests.unit.edge.conftest import START_MS, Time
from tests.unit.edge.web.harness import DID, OTHER_DID, PEER, Browser, Form, Scene

NASTY = "<script>alert(1)</script><b>\"q\" & 'a'</b> {{ 7*7 }} é👍🏽\u202egnp\nline two"
THREAD = f"/conversations/{DID}/{PEER}"


def texts(html: str) -> list[str]:
    return re.findall(r'<p class="text" dir="auto">(.*?)</p>', html, re.DOTALL)


def test_the_list_is_newest_first_with_both_directions(scene: Scene, member: Browser) -> None:
    scene.message(text="came in")
    scene.message("mt", text="went out")
    page = member.get("/messages").text
    assert texts(page) == ["went out", "came in"]
    assert 'class="badge received"' in page
    assert 'class="badge queued"' in page
    assert f"/conversations/{DID}/{PEER}" in page


def test_what_came_in_is_unread_until_its_conversation_was_shown(scene: Scene, member: Browser) -> None:
    scene.message(text="one")
    scene.message("mt", text="went out")
    scene.message(text="other", peer="ACME")

    def unread() -> list[str]:
        return re.findall(r'<li class="row \w+ unread".*?<p class="text" dir="auto">(.*?)</p>', shown(), re.S)

    def shown() -> str:
        return member.get("/messages").text

    assert unread() == ["other", "one"]
    assert member.get(f"{THREAD}?part=list").status == 200  # nobody looked
    assert unread() == ["other", "one"]
    assert member.get(THREAD).status == 200
    assert unread() == ["other"]
    scene.message(text="two")
    assert unread() == ["two", "other"]


def test_a_thread_is_shown_though_it_cannot_be_marked_as_read(scene: Scene, member: Browser) -> None:
    scene.message(text="one")
    scene.store.writer.held = True
    assert texts(member.get(THREAD).text) == ["one"]


def test_the_owner_of_a_paused_endpoint_is_told(scene: Scene, member: Browser) -> None:
    hook = "https://example.net/<hook>"
    record = EndpointRecord(scene.account.id, "webhook", hook, START_MS, None, "http_error", START_MS)
    theirs = record._replace(account_id=scene.other.id, paused_at=START_MS)
    for put in (record, theirs):
        scene.put(put)
    assert "asked" not in member.get("/messages").text
    scene.put(record._replace(paused_at=START_MS))
    page = member.get("/messages").text
    assert page.count('<p class="notice bad" role="status">') == 1
    assert html.escape(hook) in page


def test_an_empty_list(member: Browser) -> None:
    assert "No messages here." in member.get("/messages").text


def test_the_list_page_by_page_there_and_back(scene: Scene, member: Browser) -> None:
    for number in range(2 * PAGE + 10):
        scene.message(text=f"text {number}")
    first = member.get("/messages").text
    assert (len(texts(first)), 'rel="prev"' in first) == (PAGE, False)
    second = follow(member, first, "next")
    assert texts(second)[0] == f"text {PAGE + 9}"
    third = follow(member, second, "next")
    assert (texts(third)[-1], 'rel="next"' in third) == ("text 0", False)
    assert texts(follow(member, third, "prev")) == texts(second)
    assert texts(follow(member, follow(member, third, "prev"), "prev")) == texts(first)


def follow(member: Browser, page: str, rel: str) -> str:
    found = re.search(rf'<a rel="{rel}" href="([^"]+)"', page)
    assert found is not None, rel
    return member.get(found[1].replace("&amp;", "&")).text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("direction=mo", ["named", "in"]),
        ("direction=mt", ["out"]),
        ("direction=nonsense", ["out", "named", "in"]),
        ("peer=ACME", ["named"]),
        ("peer=%2B447911123456", ["out", "in"]),
        ("peer=%2B44+7911+123456", ["out", "in"]),
        ("did=%2B12025550100&direction=mo", ["named", "in"]),
        ("did=%2B12025550177", []),
        ("peer=%00", ["out", "named", "in"]),
    ],
)
def test_filters(scene: Scene, member: Browser, query: str, shown: list[str]) -> None:
    scene.message(text="in")
    scene.message(text="named", peer="ACME")
    scene.message("mt", text="out")
    assert texts(member.get(f"/messages?{query}").text) == shown


def test_filters_are_kept_from_page_to_page(scene: Scene, member: Browser) -> None:
    for _ in range(PAGE + 1):
        scene.message(peer="A&B")
    page = member.get("/messages?peer=A%26B&direction=mo").text
    assert re.search(r'href="/messages\?peer=A%26B&amp;direction=mo&amp;before=\d+"', page)
    assert len(texts(follow(member, page, "next"))) == 1


@pytest.mark.parametrize("query", ["before=x", "after=-1", "before=99999999999999999999"])
def test_broken_cursors(member: Browser, query: str) -> None:
    assert member.get(f"/messages?{query}").status == 400
    assert member.get(f"{THREAD}?{query}").status == 400


def test_forms_in_another_encoding(member: Browser) -> None:
    assert member.get("/messages?peer=%E9").status == 400


def test_text_is_text_on_every_page(scene: Scene, member: Browser) -> None:
    message = scene.message(text=NASTY, peer="<i>x</i>")
    thread = f"/conversations/{DID}/{quote('<i>x</i>', safe='')}"
    for page in (
        "/messages",
        thread,
        f"/messages/{message.id}",
        "/messages?part=list",
        f"{thread}?part=list",
    ):
        html = member.get(page).text
        assert "<script>" not in html
        assert "<i>x" not in html
        assert "{{ 7*7 }}" in html
        assert "é👍🏽\u202egnp\nline two" in html


def test_what_was_typed_comes_back_as_typed(scene: Scene, member: Browser) -> None:
    scene.outbox.error = Refused("text_too_long", "It is <too> long.", "text", 422)
    typed = "\n</textarea><script>alert(1)</script>\n  end"
    reply = member.fill("/new", "/new", to='"><b>', text=typed.replace("\n", "\r\n"))
    assert reply.status == 422
    assert "It is &lt;too&gt; long." in reply.text
    form = Form("/new", reply.text)
    assert form.fields["to"] == '"><b>'
    assert "<script>alert" not in reply.text
    assert scene.outbox.drafts[0].text == typed
    assert 'name="text" rows="4" required dir="auto" aria-invalid="true"' in reply.text


def test_a_long_text_is_cut_in_the_list_only(scene: Scene, member: Browser) -> None:
    message = scene.message(text="x" * 40_000)
    assert len(member.get("/messages").body) < 10_000
    assert "x" * 40_000 in member.get(f"/messages/{message.id}").text


# -- conversations -------------------------------------------------------------------------------------------


def test_a_conversation_is_oldest_first(scene: Scene, member: Browser) -> None:
    scene.message(text="one")
    scene.message("mt", text="two")
    scene.message(text="somebody else", peer="+447911123457")
    page = member.get(THREAD).text
    assert texts(page) == ["one", "two"]
    assert 'class="bubble mo received"' in page
    assert 'class="bubble mt queued"' in page


@pytest.mark.parametrize("peer", ["ACME", "12345", "Ünïcode ☃", "a/b", "a?b#c%d", "+447911123456"])
def test_a_peer_is_whatever_it_is(scene: Scene, member: Browser, peer: str) -> None:
    scene.message(text="hello", peer=peer)
    page = member.get("/messages").text
    found = re.search(r'<a class="peer" href="([^"]+)"', page)
    assert found is not None
    assert texts(member.get(found[1]).text) == ["hello"]


def test_earlier_messages_of_a_conversation(scene: Scene, member: Browser) -> None:
    for number in range(PAGE + 3):
        scene.message(text=f"text {number}")
    page = member.get(THREAD).text
    assert (texts(page)[0], texts(page)[-1]) == ("text 3", f"text {PAGE + 2}")
    assert texts(follow(member, page, "next")) == ["text 0", "text 1", "text 2"]


def test_an_answer(scene: Scene, member: Browser) -> None:
    scene.message()
    reply = member.fill(THREAD, THREAD, text="two\r\nlines é👍")
    assert (reply.status, reply.headers["location"]) == (303, f"{THREAD}#m42")
    (draft,) = scene.outbox.drafts
    assert (draft.account_id, draft.source, draft.destination) == (scene.account.id, DID, PEER)
    assert (draft.text, draft.leg) == ("two\nlines é👍", "portal")


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (Refused("opted_out", "They said STOP.", "to", 403), 403, "They said STOP."),
        (Unavailable("The server is shutting down.", 3), 503, "The server is shutting down."),
    ],
)
def test_an_answer_that_is_not_taken(
    scene: Scene, member: Browser, error: Exception, status: int, shown: str
) -> None:
    scene.message(text="question")
    scene.outbox.error = error
    for page in (THREAD, "/new"):
        more = {"to": PEER} if page == "/new" else {}
        reply = member.fill(page, page, text="my answer", **more)
        assert (reply.status, shown in reply.text) == (status, True)
        assert Form(page, reply.text).fields["text"] == "my answer"


def test_a_conversation_that_begins(scene: Scene, member: Browser) -> None:
    page = member.get(f"/conversations/{DID}/+447911999999")
    assert (page.status, "Nothing has been said yet." in page.text) == (200, True)


@pytest.mark.parametrize(
    "path",
    [
        f"/conversations/{OTHER_DID}/{PEER}",
        f"/conversations/{DID}",
        f"/conversations/{DID}/",
        f"/conversations/{DID}/%00",
        f"/conversations/{DID}/%FF",
        f"/conversations/{DID}/a/b",
        "/messages/x",
        "/messages/1",
        "/messages/1/x",
        "/nowhere",
        "/static",
        "/static/",
        "/static/portal.css/x",
        "/static/..%2fportal.css",
        "/simulator",
        "/new/x",
    ],
)
def test_addresses_that_are_not_there(member: Browser, path: str) -> None:
    reply = member.get(path)
    assert reply.status == 404
    assert "<h1>Not Found</h1>" in reply.text


def test_a_slash_at_the_end_changes_nothing(member: Browser) -> None:
    for path in ("/messages/", "/new/", "/login/"):
        assert member.get(path).status == 200


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/messages"), ("POST", "/messages/"), ("DELETE", "/new")]
)
def test_methods_that_are_not_there(member: Browser, method: str, path: str) -> None:
    reply = member.get(path, method)
    if method == "POST":
        assert reply.status in (403, 405)
    else:
        assert (reply.status, "GET" in reply.headers["allow"]) == (405, True)


def test_head_of_a_page(member: Browser) -> None:
    reply = member.get("/messages", "HEAD")
    assert (reply.status, reply.body) == (200, b"")


# -- new message, one message --------------------------------------------------------------------------------


def test_a_new_message(scene: Scene, member: Browser) -> None:
    reply = member.fill("/new", "/new", to=" +44 7911 123456 ", text="hello")
    assert reply.status == 303
    (draft,) = scene.outbox.drafts
    assert (draft.source, draft.destination, draft.text) == (DID, "+44 7911 123456", "hello")


def test_the_pages_count_by_the_rules_of_the_route(scene: Scene, member: Browser) -> None:
    scene.message()
    for page, mode in (
        (f"/conversations/{quote(DID)}/{quote(PEER)}", LongMessageMode.UDH16),
        ("/new", LongMessageMode.UDH8),
    ):
        found = re.search(r'data-counts="text" data-rules="([^"]*)"', member.get(page).text)
        assert found is not None
        assert json.loads(html.unescape(found[1])) == {
            **rules(SegmentOptions(mode)),
            "replacements": PUNCTUATION,
        }


def test_a_link_fills_the_form(member: Browser) -> None:
    fields = Form("/new", member.get("/new?to=%2B447911123456&text=hi").text).fields
    assert (fields["from"], fields["to"], fields["text"]) == (DID, "+447911123456", "hi")


def test_dids_that_can_not_send(scene: Scene, member: Browser) -> None:
    with scene.store.engine.transaction() as conn:
        numbers.set_did(conn, scene.store.ids.next, DID, sms_enabled=False)
    page = member.get("/new").text
    assert "disabled>+12025550100 (SMS is off)</option>" in page
    assert OTHER_DID not in page


def test_a_message_received_with_its_delivery_matrix(scene: Scene, member: Browser) -> None:
    seed = scene.message()
    message = seed._replace(
        id=scene.store.ids.next(), flags=int(MessageFlag.POSSIBLE_DUPLICATE), duplicate_of=seed.id
    )
    delivery = delivery_of(message, target="http://sink/?m={MESSAGE}&a=<b>")
    scene.write(messages.insert(message, (), [delivery]))
    attempt = AttemptRecord(delivery.id, 1, message.created_at, 12, "not_ok", 200, "<h1>no</h1>")
    due = message.created_at + 1_800_000
    scene.write(deliveries.record_attempt(attempt, DeliveryState.PENDING, due, message.created_at))
    page = member.get(f"/messages/{message.id}").text
    for shown in (
        "received, possible duplicate",
        f'<a href="/messages/{seed.id}">',
        '<span class="badge pending">pending</span>',
        "http://sink/?m={MESSAGE}&amp;a=&lt;b&gt;",
        '<th scope="col">Next try</th>',
        "<td>12 ms</td>",
        '<td><span title="not_ok">the page did not answer ok</span></td>',
        "<td>200</td>",
        "&lt;h1&gt;no&lt;/h1&gt;",
    ):
        assert shown in page
    assert "URL callback: pending" in member.get("/messages").text


def test_a_message_sent_with_its_parts(scene: Scene, member: Browser) -> None:
    message = scene.message()._replace(id=scene.store.ids.next(), direction="mt")
    failed = scene.part(message, state=PartState.FAILED, command_status=0x0B, smsc_message_id="a1", sent_at=1)
    scene.write(messages.insert(message, [failed]))
    for path in (f"/messages/{message.id}", THREAD, "/messages"):
        page = member.get(path).text
        assert (
            '<span class="badge failed">failed, the number is not valid: ESME_RINVDSTADR (0x0000000B)</span>'
            in page
        )


def test_no_account_sees_what_is_anothers(scene: Scene, member: Browser) -> None:
    theirs = scene.message(owner=scene.other, text="their secret", peer="+447911000000")
    paths = [
        "/messages",
        f"/messages/{theirs.id}",
        f"/messages?did={quote(OTHER_DID)}",
        f"/conversations/{OTHER_DID}/+447911000000",
        f"/conversations/{OTHER_DID}/+447911000000?part=list",
        "/new",
    ]
    for path in paths:
        page = member.get(path).text
        assert "their secret" not in page
        assert path in (paths[2], paths[4]) or OTHER_DID not in page  # what was asked for, and no more
    assert "their secret" in scene.member("other").get("/messages").text


# -- what a script asks for ----------------------------------------------------------------------------------


def test_the_changing_part_alone(scene: Scene, member: Browser) -> None:
    scene.message(text="hello")
    for path in ("/messages", THREAD):
        found = re.search(r'data-part="\s*(?!/conversations\?)([^"]+(?<!part=bar))"', member.get(path).text)
        assert found is not None
        part = member.get(found[1].replace("&amp;", "&"))
        assert (part.status, texts(part.text), "<html" in part.text) == (200, ["hello"], False)


def test_older_pages_do_not_refresh_themselves(scene: Scene, member: Browser) -> None:
    identity = scene.message().id
    assert "data-part" not in member.get(f"/messages?before={identity}").text


# -- the rest ------------------------------------------------------------------------------------------------


def test_static_files_are_kept_as_long_as_they_do_not_change(scene: Scene) -> None:
    browser = scene.browser()
    for address in re.findall(r'"(/static/[^"]+)"', browser.get("/login").text):
        reply = browser.get(address)
        assert (reply.status, "immutable" in reply.headers["cache-control"]) == (200, True)
        assert browser.get(address.partition("?")[0]).headers["cache-control"] == "no-cache"
        assert browser.get(address, "HEAD").body == b""
    assert browser.post("/static/portal.css").status == 405


def test_pages_need_nothing_that_the_policy_forbids(scene: Scene, member: Browser) -> None:
    identity = scene.message().id
    for path in ("/login", "/messages", f"/messages/{identity}", THREAD, "/new", "/nowhere"):
        html = member.get(path).text
        assert not re.search(
            r"<style|style=|<script(?! type=\"(?:module\" src=|application/json\"))|\son\w+=|https?://(?!sink)",
            html,
        ), path


class Simulated:
    """As much of a simulator as its page needs to say where it is."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def test_the_simulator_is_there_only_when_it_runs(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, simulator=Simulated())
    member = scene.member()
    assert '<a href="/simulator">' in member.get("/messages").text
    reply = member.get("/simulator")
    assert (reply.status, "only for the machine" in reply.text) == (403, True)
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
