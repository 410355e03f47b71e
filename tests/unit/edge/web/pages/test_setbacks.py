"""A draft that is not taken: what is said, where, and that nothing typed is lost."""

import re

import pytest

from edge.config import Secret, UpstreamConfig
from edge.dialect import Dialect
from edge.errors import Refused, Unavailable
from edge.outbound import Draft, Planner
from edge.references import References
from storage.records import Did
from tests.unit.edge.web.harness import DID, PEER, Browser, Form, Scene

THREAD = f"/conversations/{DID}/{PEER}"


def said_at(html: str) -> dict[str, str]:
    """The sentences of the page's alerts, by the id of each ("" has none)."""
    found = re.findall(r'<p class="(?:problem|notice bad)"(?: id="([^"]*)")? role="alert">(.*?)</p>', html)
    return dict(found)


def described(html: str) -> dict[str, str]:
    """The fields that are marked as wrong, with the id of what describes each."""
    tags = re.findall(r'<(?:input|select|textarea) id="([^"]+)"([^>]*)aria-invalid="true"([^>]*)>', html)
    return {name: re.sub(r'.*aria-describedby="([^"]*)".*', r"\1", rest) for name, _, rest in tags}


@pytest.mark.parametrize("field", ["from", "to", "text"])
def test_a_refusal_stands_at_its_field(scene: Scene, member: Browser, field: str) -> None:
    scene.outbox.error = Refused("some_code", "That is <wrong>.", field, 422)
    reply = member.fill("/new", "/new", to=PEER, text="hello")
    assert reply.status == 422
    assert said_at(reply.text) == {f"{field}-problem": "That is &lt;wrong&gt;."}
    assert described(reply.text) == {field: f"{field}-problem"}
    assert Form("/new", reply.text).fields["text"] == "hello"


@pytest.mark.parametrize("field", [None, "status_callback"])
def test_a_refusal_of_no_field_stands_above_them(scene: Scene, member: Browser, field: str | None) -> None:
    scene.outbox.error = Refused("some_code", "Not now.", field, 403)
    reply = member.fill("/new", "/new", to=PEER, text="hello")
    assert (reply.status, said_at(reply.text), described(reply.text)) == (403, {"": "Not now."}, {})


@pytest.mark.parametrize(
    ("field", "said", "marked"),
    [
        ("text", {"text-problem": "No."}, {"text": "text-problem"}),
        ("to", {"": "No."}, {}),
        ("from", {"": "No."}, {}),
    ],
)
def test_in_a_conversation_only_the_text_is_a_field(
    scene: Scene, member: Browser, field: str, said: dict[str, str], marked: dict[str, str]
) -> None:
    scene.message()
    scene.outbox.error = Refused("some_code", "No.", field, 422)
    reply = member.fill(THREAD, THREAD, text="hello")
    assert (reply.status, said_at(reply.text), described(reply.text)) == (422, said, marked)


def test_a_form_without_a_setback_has_no_alert(scene: Scene, member: Browser) -> None:
    scene.message()
    for page in ("/new", THREAD):
        html = member.get(page).text
        assert (said_at(html), described(html)) == ({}, {})


@pytest.mark.parametrize(("seconds", "header"), [(7.0, "7"), (0.2, "1")])
def test_a_server_that_is_busy_keeps_the_draft_and_says_when(
    scene: Scene, member: Browser, seconds: float, header: str
) -> None:
    scene.message()
    scene.outbox.error = Unavailable("Too busy.", seconds)
    for page in ("/new", THREAD):
        more = {"to": PEER} if page == "/new" else {}
        reply = member.fill(page, page, text="my words", **more)
        assert (reply.status, reply.headers["retry-after"]) == (503, header)
        assert said_at(reply.text) == {"": "Too busy."}
        assert Form(page, reply.text).fields["text"] == "my words"


def test_a_refusal_of_a_did_that_is_gone_meanwhile_is_still_said(scene: Scene, member: Browser) -> None:
    form = Form("/new", member.get("/new").text).fields
    scene.outbox.error = Refused("unknown_did", "That is not yours.", "from", 404)
    with scene.store.engine.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM did")
    reply = member.post("/new", **{**form, "to": PEER, "text": "hello"})
    assert (reply.status, said_at(reply.text)) == (404, {"": "That is not yours."})


def refusal(scene: Scene, source: str, destination: str, text: str) -> Refused:
    """What the real pipeline says of a draft."""
    dialect = Dialect(UpstreamConfig(name="up", port=1, system_id="x", password=Secret("x")), "US")
    dids = {DID: Did(1, scene.account.id, DID, True, {})}
    planner = Planner({"up": dialect}, "US", dids.get, References(lambda: 0))
    with pytest.raises(Refused) as caught:
        planner.plan(Draft(scene.account.id, source, destination, text, "portal"))
    return caught.value


@pytest.mark.parametrize(
    ("source", "destination", "text", "field"),
    [
        ("+12025550123", PEER, "hello", "from"),
        (DID, "what?", "hello", "to"),
        (DID, PEER, "", "text"),
        (DID, PEER, "x" * 40_001, "text"),
    ],
)
def test_the_pipeline_names_the_fields_as_the_form_does(
    scene: Scene, member: Browser, source: str, destination: str, text: str, field: str
) -> None:
    error = scene.outbox.error = refusal(scene, source, destination, text)
    reply = member.fill("/new", "/new", to=destination, text=text)
    assert reply.status == error.http_status
    assert list(said_at(reply.text)) == [f"{field}-problem"]


@pytest.mark.parametrize(("part", "whole"), [("thread", False), ("", True)])
def test_a_script_gets_what_is_wrong_as_a_sentence_for_its_form(
    scene: Scene, member: Browser, part: str, whole: bool
) -> None:
    reply = member.post(THREAD, csrf="of a log-in before", text="hello", part=part)
    assert (reply.status, "<html" in reply.text) == (403, whole)
    assert ('<p class="problem" data-setback="stale">This form is too old' in reply.text) is not whole
    csrf = Form(THREAD, member.get(THREAD).text).fields["csrf"]
    gone = member.post(THREAD, csrf=csrf, do="no such thing", part=part)
    assert (gone.status, "<html" in gone.text, 'data-setback=""' in gone.text) == (404, whole, not whole)
