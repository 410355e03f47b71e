"""A contact's name where a number is wanted: exact before alike, all numbers of a person, and no guessing."""

import csv
import re

import pytest

from storage import contacts
from storage.contacts import MoreNumber
from tests.unit.edge.conftest import START_MS
from tests.unit.edge.web.harness import DID, PEER, Browser, Form, Reply, Scene
from tests.unit.edge.web.pages.test_center import texts

FIRST, SECOND, THIRD = "+12025550160", "+12025550161", "+12025550162"


def contact(scene: Scene, name: str, number: str, *more: tuple[str, str]) -> None:
    with scene.store.engine.transaction() as conn:
        made = contacts.put(conn, scene.store.ids.next, scene.account.id, number, name, START_MS)
        numbers = [MoreNumber(number, label) for number, label in more]
        contacts.set_more_numbers(conn, scene.account.id, made.id, numbers)


def write(member: Browser, to: str, **fields: str) -> Reply:
    return member.fill("/new", "/new", from_=DID, to=to, text="secret", **fields)


def sent_to(scene: Scene) -> list[str]:
    return [draft.destination for draft in scene.outbox.drafts]


def asked(reply: Reply) -> list[str]:
    """The numbers among which one is to be chosen."""
    return re.findall(r'type="radio" name="number" value="([^"]+)"', reply.text)


# -- a new message -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("to", "number"), [("José Díaz", SECOND), ("Jose\u0301 Di\u0301az", SECOND)])
def test_an_exact_name_comes_before_one_that_is_alike(
    scene: Scene, member: Browser, to: str, number: str
) -> None:
    contact(scene, "Jose Diaz", FIRST)
    contact(scene, "José Díaz", SECOND)
    assert write(member, to).status == 303
    assert sent_to(scene) == [number]


def test_a_name_that_is_alike_will_do_when_there_is_one(scene: Scene, member: Browser) -> None:
    contact(scene, "José Díaz", FIRST)
    assert write(member, "jose diaz").status == 303
    assert sent_to(scene) == [FIRST]


def test_which_of_several_is_asked_and_the_chosen_one_gets_it(scene: Scene, member: Browser) -> None:
    contact(scene, "John Smith", FIRST, (THIRD, "work <b>"))
    contact(scene, "John Smith", SECOND)
    reply = write(member, "John Smith")
    assert (reply.status, sent_to(scene)) == (422, [])
    assert "This name stands for several numbers. Choose one of them." in reply.text
    assert asked(reply) == [FIRST, THIRD, SECOND]
    assert "work &lt;b&gt;" in reply.text
    form = Form("/new", reply.text).fields
    assert (form["to"], form["text"]) == ("John Smith", "secret")
    sent = member.post("/new", **{**form, "number": SECOND})
    assert (sent.status, sent_to(scene)) == (303, [SECOND])


def test_a_choice_is_kept_and_is_none_for_another_name(scene: Scene, member: Browser) -> None:
    for name, number in (("John Smith", FIRST), ("John Smith", SECOND), ("Ann", THIRD)):
        contact(scene, name, number)
    form = Form("/new", write(member, "John Smith").text).fields
    scene.outbox.refuses = {SECOND}
    again = member.post("/new", **{**form, "number": SECOND})
    assert f'value="{SECOND}" checked' in again.text
    for to, number in (("Ann", SECOND), ("John Smith", THIRD)):
        assert member.post("/new", **{**form, "number": number, "to": to}).status == 422
    assert sent_to(scene) == [SECOND]


def test_a_number_that_was_chosen_and_is_gone_is_asked_for_again(scene: Scene, member: Browser) -> None:
    contact(scene, "Ann", FIRST, (SECOND, "work"))
    form = Form("/new", write(member, "Ann").text).fields
    contact(scene, "Ann", FIRST)  # a colleague takes the other number away
    reply = member.post("/new", **{**form, "number": SECOND})
    assert (reply.status, asked(reply), sent_to(scene)) == (422, [FIRST], [])
    assert member.post("/new", **{**Form("/new", reply.text).fields, "number": FIRST}).status == 303
    assert sent_to(scene) == [FIRST]


@pytest.mark.parametrize("to", ["Ann", "Ann ", " Ann\u200b"])
def test_a_draft_is_known_again_however_its_recipient_is_written(
    scene: Scene, member: Browser, to: str
) -> None:
    """The script keeps what stands in the field, the form what may stand there."""
    contact(scene, "Ann", FIRST)
    csrf = Form("/new", member.get("/new").text).fields["csrf"]
    begun = f"{to}\n{DID}\nsec"
    assert member.post("/new", csrf=csrf, do="draft", from_=DID, to=to, text="sec").status == 204
    more = {"from_": DID, "to": to, "text": "secret", "begun": begun}
    assert member.post("/new", csrf=csrf, do="draft", **more).status == 204
    form = Form("/new", member.get("/new").text).fields
    sent = member.post(
        "/new", **{**form, **more, "text": "secret, and more", "begun": f"{to}\n{DID}\nsecret"}
    )
    assert sent.status == 303
    assert Form("/new", member.get("/new").text).fields["text"] == ""


def test_a_draft_to_a_name_that_means_somebody_by_now_goes_with_what_is_sent(
    scene: Scene, member: Browser
) -> None:
    csrf = Form("/new", member.get("/new").text).fields["csrf"]
    written = {"from_": DID, "to": "Bob", "text": "secret"}
    assert member.post("/new", csrf=csrf, do="draft", **written).status == 204
    contact(scene, "Bob", FIRST)
    form = Form("/new", member.get("/new").text).fields
    more = {**form, "from_": DID, "text": "secret, and more"}
    assert member.post("/new", **{**more, "do": "draft"}).status == 204
    assert member.post("/new", **{**more, "begun": f"Bob\n{DID}\nsecret, and more"}).status == 303
    assert Form("/new", member.get("/new").text).fields["text"] == ""


def test_a_name_that_many_others_hold_can_be_written_to(scene: Scene, member: Browser) -> None:
    for number in range(25):
        contact(scene, f"A{number:02d} Zoe", f"+120255540{number:02d}")
    contact(scene, "Zoe", FIRST)
    assert write(member, "Zoe").status == 303
    assert sent_to(scene) == [FIRST]


def test_a_draft_to_a_name_of_several_goes_with_what_is_sent(scene: Scene, member: Browser) -> None:
    contact(scene, "John Smith", FIRST)
    contact(scene, "John Smith", SECOND)
    csrf = Form("/new", member.get("/new").text).fields["csrf"]
    written = {"from_": DID, "to": "John Smith", "text": "secret"}
    assert member.post("/new", csrf=csrf, do="draft", **written).status == 204
    kept = member.get("/new")
    assert (Form("/new", kept.text).fields["to"], asked(kept)) == ("John Smith", [FIRST, SECOND])
    assert member.post("/new", **{**Form("/new", kept.text).fields, "number": FIRST}).status == 303
    assert Form("/new", member.get("/new").text).fields["text"] == ""


def test_each_number_of_a_person_is_proposed_with_its_label(scene: Scene, member: Browser) -> None:
    contact(scene, "Anna", FIRST, (SECOND, "home"))
    assert [(item["number"], item["label"]) for item in member.get("/new/people?q=ann").json] == [
        (FIRST, ""),
        (SECOND, "home"),
    ]


# -- the list ------------------------------------------------------------------------------------------------


def test_all_numbers_of_a_name_are_shown_exported_and_named_before_they_are_deleted(
    scene: Scene, member: Browser
) -> None:
    contact(scene, "Anna", FIRST, (SECOND, "home"))
    for number, text in ((FIRST, "mobile"), (SECOND, "home"), (PEER, "somebody else")):
        scene.message(peer=number, text=text)
    assert texts(member.get("/messages?peer=Anna").text) == ["home", "mobile"]
    link = scene.link()
    cookie = "; ".join(f"{name}={value}" for name, value in member.cookies.items())
    link.send(f"GET /messages/export.csv?peer=Anna HTTP/1.0\r\nCookie: {cookie}\r\n\r\n".encode())
    body = link.transport.value().decode().partition("\r\n\r\n")[2]
    assert [row["text"] for row in csv.DictReader(body.splitlines())] == ["mobile", "home"]
    path = "/messages/delete-all?peer=Anna"
    page = member.get(path).text
    assert f"<bdi>{FIRST}</bdi>, <bdi>{SECOND}</bdi> (<bdi>home</bdi>)" in page
    member.post(path, **{**Form(path, page).fields, "word": "delete"})
    assert texts(member.get("/messages").text) == ["somebody else"]


def test_delete_all_of_a_name_takes_no_others(scene: Scene, member: Browser) -> None:
    contact(scene, "Jose Diaz", FIRST)
    contact(scene, "José Díaz", SECOND)
    scene.message(peer=FIRST, text="Jose")
    scene.message(peer=SECOND, text="José")
    path = "/messages/delete-all?peer=Jos%C3%A9+D%C3%ADaz"
    page = member.get(path).text
    assert (SECOND in page, FIRST in page) == (True, False)
    member.post(path, **{**Form(path, page).fields, "word": "delete"})
    assert texts(member.get("/messages").text) == ["Jose"]


def test_delete_all_asks_again_when_the_name_stands_for_others_by_now(scene: Scene, member: Browser) -> None:
    contact(scene, "Anna", FIRST)
    scene.message(peer=FIRST, text="one")
    path = "/messages/delete-all?peer=Anna"
    fields = {**Form(path, member.get(path).text).fields, "word": "delete"}
    contact(scene, "Anna", SECOND)
    scene.message(peer=SECOND, text="two")
    reply = member.post(path, **fields)
    assert (reply.status, SECOND in reply.text) == (409, True)
    assert "The contact has other numbers by now." in reply.text
    assert texts(member.get("/messages").text) == ["two", "one"]


def test_the_filter_proposes_the_numbers_of_a_name_that_stands_for_several(
    scene: Scene, member: Browser
) -> None:
    contact(scene, "Ann", PEER)
    contact(scene, "John", FIRST)
    contact(scene, "John", SECOND, (THIRD, "work"))
    page = member.get("/messages").text
    offered = re.search(r'<datalist id="contacts">(.*?)</datalist>', page)
    assert offered is not None
    assert re.findall(r'value="([^"]+)"(?: label="([^"]+)")?', offered[1]) == [
        ("Ann", ""),
        ("John", ""),
        (FIRST, "John"),
        (SECOND, "John"),
        (THIRD, "John work"),
    ]
