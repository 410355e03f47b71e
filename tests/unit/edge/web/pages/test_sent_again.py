"""*Send again*: one copy of a message that failed, for the whole account, and pages that say so."""

from storage import accounts, messages
from storage.records import MessageRecord, PartState
from tests.unit.edge.conftest import START_MS, Time
from tests.unit.edge.web.harness import CHEAP, DID, PASSWORD, PEER, Browser, Form, Reply, Scene

THREAD = f"/conversations/{DID}/{PEER}"
DAY_SECONDS = 86_400


def failed(scene: Scene) -> MessageRecord:
    message = scene.message()._replace(id=scene.store.ids.next(), direction="mt", text="again")
    scene.write(messages.insert(message, [scene.part(message, state=PartState.FAILED)]))
    return message


def colleague(scene: Scene) -> Browser:
    """Another user of the account `demo`."""
    with scene.store.engine.transaction() as conn:
        hashed = CHEAP.hash(PASSWORD)
        accounts.add_user(conn, scene.store.ids.next, scene.account.id, "colleague", hashed, START_MS)
    return scene.member("colleague")


def again(browser: Browser, message: MessageRecord) -> Reply:
    csrf = Form("/new", browser.get("/new").text).fields["csrf"]
    return browser.post(f"/messages/{message.id}", csrf=csrf, do="resend")


def test_two_people_send_it_again_once(scene: Scene, member: Browser) -> None:
    message, other = failed(scene), colleague(scene)
    assert again(member, message).headers["location"] == f"{THREAD}#m42"
    assert again(other, message).headers["location"] == f"{THREAD}?said=again#m42"
    scene.restart()
    assert again(other, message).headers["location"] == f"{THREAD}?said=again#m42"
    assert len(scene.outbox.drafts) == 1


def test_a_copy_is_known_when_keys_of_forms_are_forgotten(scene: Scene, time: Time) -> None:
    message = failed(scene)
    again(scene.member(), message)
    scene.restart()
    time.advance(30 * DAY_SECONDS)
    assert again(scene.member(), message).headers["location"] == f"{THREAD}?said=again#m42"
    assert len(scene.outbox.drafts) == 1


def test_the_button_gives_way_to_the_copy(scene: Scene, member: Browser) -> None:
    message, second = failed(scene), failed(scene)
    pages = (THREAD, f"{THREAD}?part=thread", f"/messages/{message.id}")
    for page in pages:
        assert 'href="/messages/42"' not in member.get(page).text
    again(member, message)
    for page in pages:
        html = member.get(page).text
        assert 'href="/messages/42"' in html
    assert html.count('value="resend"') == 0
    assert member.get(THREAD).text.count('value="resend"') == 1, "of the other one"
    assert member.get(f"/messages/{second.id}").text.count('value="resend"') == 1


def test_what_was_refused_is_no_copy(scene: Scene, member: Browser) -> None:
    message = failed(scene)
    scene.outbox.refuses = {PEER}
    assert again(member, message).status == 422
    assert 'value="resend"' in member.get(f"/messages/{message.id}").text
    scene.outbox.refuses = set()
    assert again(member, message).headers["location"] == f"{THREAD}#m42"
