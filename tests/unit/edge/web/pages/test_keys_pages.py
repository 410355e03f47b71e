"""/account/keys: a form makes one token however often it is sent, and none ends one in use unasked."""

import re

import pytest

from edge.keys import PREVIOUS_MS, token_of
from storage import accounts
from storage.records import ApiKey
from storage.tables import metadata
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import TOKEN, Browser, Form, Reply, Scene

PATH = "/account/keys"


def key_of(scene: Scene, name: str = "key") -> ApiKey:
    with scene.store.engine.snapshot() as conn:
        found = accounts.find_key(conn, scene.account.id, name)
    assert found is not None
    return found


def filled(member: Browser, scene: Scene) -> dict[str, str]:
    """The fields that every form of a key on the page has."""
    fields = Form(PATH, member.get(PATH).text).fields
    return {"csrf": fields["csrf"], "form": fields["form"], "key": str(key_of(scene).id)}


def shown(reply: Reply) -> str:
    found = re.search(r"<code>(tk_[0-9a-f]{8}_[0-9a-f]{40})</code>", reply.text)
    assert found is not None, reply.text
    return found[1]


def good(scene: Scene, token: str) -> bool:
    return scene.call("GET", "/v1/messages", token=token).status == 200


def test_a_form_that_is_sent_twice_makes_one_token(scene: Scene, member: Browser) -> None:
    fields = {**filled(member, scene), "do": "rotate"}
    first, second = (shown(member.post(PATH, **fields)) for _ in range(2))
    assert first == second
    assert good(scene, first)
    assert good(scene, TOKEN), "it is in use"


def test_a_form_that_makes_a_key_shows_it_again(scene: Scene, member: Browser) -> None:
    fields = {**filled(member, scene), "do": "add", "name": "web", "everything": "on"}
    first, second = (shown(member.post(PATH, **fields)) for _ in range(2))
    assert first == second
    assert good(scene, first)
    revoked = {**filled(member, scene), "do": "revoke", "key": str(key_of(scene, "web").id)}
    assert member.post(PATH, **revoked).status == 303
    again = member.post(PATH, **fields)
    assert (again.status, "This form was sent before." in again.text) == (409, True)
    assert not good(scene, first), "what was revoked stays so"


def test_another_token_asks_and_leaves_the_one_in_use(scene: Scene, member: Browser, time: Time) -> None:
    old = {**filled(member, scene), "do": "rotate"}
    lost = shown(member.post(PATH, **old))
    stale = {**filled(member, scene), "do": "rotate"}
    refused = member.post(PATH, **stale)
    assert (refused.status, "another one was not made" in refused.text) == (409, True)
    assert 'name="ask" value="replace"' in refused.text
    asked = member.post(PATH, **{**filled(member, scene), "ask": "replace"})
    assert "The token of key that was made last is refused from now on." in asked.text
    assert good(scene, lost), "until that is answered"
    answer = Form(PATH, asked.text).fields
    fresh = shown(member.post(PATH, **{**answer, "do": "replace"}))
    assert (good(scene, fresh), good(scene, lost), good(scene, TOKEN)) == (True, False, True)
    gone = member.post(PATH, **old)
    assert (gone.status, good(scene, lost)) == (409, False)
    time.advance(PREVIOUS_MS / 1000 + 1)
    member = scene.member()
    assert 'name="do" value="rotate"' in member.get(PATH).text
    next_one = shown(member.post(PATH, **{**filled(member, scene), "do": "rotate"}))
    assert (good(scene, next_one), good(scene, fresh), good(scene, TOKEN)) == (True, True, False)


@pytest.mark.parametrize("language", ["fr", "es"])
def test_what_is_asked_is_said_in_the_readers_language(scene: Scene, member: Browser, language: str) -> None:
    member.post(PATH, **{**filled(member, scene), "do": "rotate"})
    member.headers["Accept-Language"] = language
    asked = member.post(PATH, **{**filled(member, scene), "ask": "replace"}).text
    assert ("refused from now on" in asked, "%(" in asked, "key" in asked) == (False, False, True)


def test_only_a_key_that_has_two_tokens_is_asked_about(scene: Scene, member: Browser) -> None:
    assert member.post(PATH, **{**filled(member, scene), "ask": "replace"}).status == 404
    assert member.post(PATH, **{**filled(member, scene), "ask": "rotate"}).status == 400


def test_a_token_does_not_follow_from_what_the_store_has(scene: Scene, member: Browser) -> None:
    token = shown(member.post(PATH, do="rotate", **filled(member, scene)))
    with scene.store.engine.snapshot() as conn:
        texts = {
            value
            for table in metadata.sorted_tables
            for row in conn.execute(table.select())
            for value in row
            if isinstance(value, str)
        }
    assert len(texts) > 20
    assert not any(token in text for text in texts)
    purposes = {text for text in texts if " " in text}
    assert token not in {token_of(text, purpose) for text in texts for purpose in purposes}


def test_a_form_that_comes_again_for_other_rights_makes_no_key(scene: Scene, member: Browser) -> None:
    fields = Form(PATH, member.get(PATH).text).fields
    given = {"csrf": fields["csrf"], "form": fields["form"], "do": "add", "name": "bot"}
    shown(member.post(PATH, **given, everything="on"))
    narrower = member.post(PATH, **given, scope="messages:read")
    assert (narrower.status, "There is a key of this name already." in narrower.text) == (409, True)
