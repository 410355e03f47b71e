"""/contacts: people with several numbers and groups, found, changed, merged; files in and out."""

import re

import pytest

from edge.contacts import book, vcard
from edge.web.site import MAX_LARGE
from storage import contacts
from storage.contacts import Contact
from tests.unit.edge.web.harness import Browser, Form, Reply, Scene

ANN, WORK, BOB = "+12025550160", "+12025550161", "+12025550162"
HOSTILE = "<script>alert(1)</script>"


def csrf(browser: Browser) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/contacts/new").text)
    assert found is not None
    return found[1]


def do(browser: Browser, page: str, what: str, **fields: str) -> Reply:
    return browser.post(page, csrf=csrf(browser), do=what, **fields)


def people(scene: Scene) -> list[Contact]:
    with scene.store.engine.snapshot() as conn:
        return contacts.listed(conn, scene.account.id)


def add(browser: Browser, name: str, number: str, **more: str) -> None:
    assert do(browser, "/contacts/new", "save", name=name, number=number, **more).status == 303


def test_a_contact_with_everything(scene: Scene, member: Browser) -> None:
    do(member, "/contacts/groups", "add", name="Friends")
    with scene.store.engine.snapshot() as conn:
        (group,) = contacts.groups(conn, scene.account.id)
    more = "(202) 555-0161 at work\n+447911123456"
    whole = {"label": "<b>mobile", "more": more, "notes": "first\nsecond", "group": str(group.id)}
    add(member, HOSTILE, "202-555-0160", **whole)
    (ann,) = people(scene)
    assert (ann.number, ann.label, ann.notes) == (ANN, "<b>mobile", "first\nsecond")
    page = member.get("/contacts").text
    assert HOSTILE not in page
    assert "at work" in page
    assert "<bdi>&lt;b&gt;mobile</bdi>" in page
    assert "Friends" in page
    assert f"/conversations/+12025550100/{WORK}" in page
    form = Form(f"/contacts/{ann.id}", member.get(f"/contacts/{ann.id}").text).fields
    assert (form["label"], form["more"]) == ("<b>mobile", f"{WORK} at work\n+447911123456")
    wrong = do(member, f"/contacts/{ann.id}", "save", name="Ann", number="none", label="desk", more="")
    assert (wrong.status, 'value="desk"' in wrong.text) == (422, True), "as it was written"
    reply = do(member, f"/contacts/{ann.id}", "save", name="Ann", number=WORK, label="at work", more="")
    assert (reply.status, people(scene)[0].label) == (303, "at work")
    with scene.store.engine.snapshot() as conn:
        assert contacts.more_numbers(conn, scene.account.id, [ann.id]) == {}
        assert contacts.groups_of(conn, scene.account.id, [ann.id]) == {}
    assert "Ann" in member.get(f"/contacts?holding={WORK[-4:]}").text
    assert "Nobody like that." in member.get("/contacts?holding=zzz").text


def test_what_is_wrong_is_told_at_the_field(member: Browser) -> None:
    add(member, "Ann", ANN, more=f"{WORK} work")
    for fields, field in (
        ({"name": "", "number": BOB}, "name"),
        ({"name": "Bob", "number": "none"}, "number"),
        ({"name": "Bob", "number": WORK}, "number"),
        ({"name": "Bob", "number": BOB, "more": f"{BOB}\n{ANN}"}, "more"),
        ({"name": "Bob", "number": BOB, "more": "at home"}, "more"),
    ):
        reply = do(member, "/contacts/new", "save", **fields)
        assert reply.status in (409, 422)
        assert f'id="{field}-problem"' in reply.text
        assert f'value="{fields["number"]}"' in reply.text, "as it was written"


def test_several_become_one(scene: Scene, member: Browser) -> None:
    add(member, "Ann", ANN)
    add(member, "Ann (work)", WORK, notes="n", label="desk")
    one, two = people(scene)
    assert do(member, "/contacts", "merge").status == 422
    token = csrf(member)
    body = f"csrf={token}&do=merge&contact={one.id}&contact={two.id}".encode()
    reply = member._send("POST", "/contacts", body, {"Content-Type": "application/x-www-form-urlencoded"})
    page = member.follow(reply).text
    assert "Ann (work)" in page
    body += f"&kept={one.id}".encode()
    reply = member._send(
        "POST", "/contacts/merge", body, {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert reply.headers["location"] == "/contacts?said=merged"
    (kept,) = people(scene)
    assert (kept.id, kept.number, kept.label, kept.notes) == (one.id, ANN, "", "n")
    path = f"/contacts/{one.id}"
    assert Form(path, member.get(path).text).fields["more"] == f"{WORK} desk"
    assert WORK in member.get("/contacts").text


def test_no_more_are_merged_than_can_be_changed(scene: Scene, member: Browser) -> None:
    most = book.MAX_NUMBERS
    more = "\n".join(f"+12025551{number:03d}" for number in range(most))
    add(member, "Ann", ANN, more=more)
    add(member, "Bob", BOB)
    ann, bob = people(scene)
    fields = {"contact": str(ann.id), "kept": str(bob.id)}
    reply = do(member, "/contacts/merge", "merge", **fields)
    said = f"Together they have {most + 2} numbers; a contact has at most {most + 1}. Nothing was merged."
    assert (reply.status, said in reply.text) == (422, True)
    assert people(scene) == [ann, bob]
    one_less = more.rpartition("\n")[0]
    assert do(member, f"/contacts/{ann.id}", "save", name="Ann", number=ANN, more=one_less).status == 303
    assert do(member, "/contacts/merge", "merge", **fields).status == 303
    (both,) = people(scene)
    form = Form(f"/contacts/{both.id}", member.get(f"/contacts/{both.id}").text).fields
    assert member.post(f"/contacts/{both.id}", **{**form, "do": "save"}).status == 303


def test_one_alone_is_not_merged(scene: Scene, member: Browser) -> None:
    add(member, "Ann", ANN)
    (ann,) = people(scene)
    reply = do(member, "/contacts/merge", "merge", contact=str(ann.id), kept=str(ann.id))
    assert (reply.status, "Choose at least two contacts first." in reply.text) == (422, True)
    assert people(scene) == [ann]


def test_groups(scene: Scene, member: Browser) -> None:
    add(member, "Ann", ANN)
    (ann,) = people(scene)
    for name in ("Friends", "Work"):
        do(member, "/contacts/groups", "add", name=name)
    with scene.store.engine.snapshot() as conn:
        friends, work = contacts.groups(conn, scene.account.id)
    assert do(member, "/contacts", "join", contact=str(ann.id), into=str(friends.id)).status == 303
    assert do(member, "/contacts", "join", contact=str(ann.id), into="").status == 422
    assert "Ann" in member.get(f"/contacts?group={friends.id}").text
    assert ">Ann<" not in member.get(f"/contacts?group={work.id}").text
    reply = do(member, "/contacts/groups", "rename", group=str(work.id), name="Friends")
    assert (reply.status, "Another group" in reply.text) == (409, True)
    assert do(member, "/contacts/groups", "remove", group=str(friends.id)).status == 303
    assert people(scene) == [ann]


def upload(browser: Browser, name: str, content: bytes) -> Reply:
    boundary = b"----frontier"
    parts = [
        b'Content-Disposition: form-data; name="%b"\r\n\r\n%b' % (key, value)
        for key, value in ((b"csrf", csrf(browser).encode()), (b"do", b"import"), (b"text", b""))
    ]
    head = (
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/vcard\r\n\r\n'
    )
    parts.append(head.encode() + content)
    body = (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    return browser._send("POST", "/contacts/import", body, kind)


def test_what_a_cell_says_makes_no_vcard_of_a_table(scene: Scene, member: Browser) -> None:
    rows = "name,number,notes\nBEGIN:VCARD,+12025550401,see BEGIN:VCARD\nBen,+12025550402,\n"
    assert "2 contacts added" in upload(member, "people.csv", rows.encode()).text


def test_letters_of_windows_and_no_nul(scene: Scene, member: Browser) -> None:
    rows = "name,number\nO\u2019Brien \u2013 \u20ac,+12025550401\nA\0b,+12025550402\n"
    assert "2 contacts added" in upload(member, "people.csv", rows.encode("cp1252")).text
    assert sorted(item.name for item in people(scene)) == ["Ab", "O\u2019Brien \u2013 \u20ac"]


@pytest.mark.parametrize("letters", ["utf-16", "utf-16-le", "utf-16-be"])
def test_files_of_two_octets_a_letter(scene: Scene, member: Browser, letters: str) -> None:
    rows = "name;Номер;tel\r\nОльга;;+12025550401\r\n"
    assert "1 contact added" in upload(member, "people.csv", rows.encode(letters)).text
    assert [item.name for item in people(scene)] == ["Ольга"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name,number\nAnn,+12025550401\n"Bob,+12025550402\nCid,+12025550403\n', "begins at line 3 a quot"),
        (b'name,number\n"Ann,+12025550401\n' + b"Bob,+12025550402\n" * 8_000, "more than 131,072 characters"),
        (b'name,number\n"Ann,+12025550401\nBob",+12025550402\n', "begins at line 2 a name or a number has"),
        (b"BEGIN:VCARD\nFN:Ann\nTEL:+12025550401\n", "line 1 has no END:VCARD"),
        (b"BEGIN:VCARD\nFN:Ann\nTEL:+12025550401\nEND:VCARD\nEND:VCARD\n", "the END:VCARD of line 5"),
        (b'BEGIN:VCARD\nFN:Ann\nTEL;TYPE="x:+12025550401\nEND:VCARD\n', "(TEL) in line 3 cannot be read"),
        (b"name,number\nAnn,\n", "Nobody in this file has a number."),
        (b"BEGIN:VCARD\nFN:Ann\nEND:VCARD\n", "Nobody in this file has a number."),
    ],
)
def test_a_file_of_which_people_would_be_lost_is_told(
    scene: Scene, member: Browser, content: bytes, said: str
) -> None:
    reply = upload(member, "x", content)
    (sentence,) = re.findall(r'id="file-problem" role="alert">([^<]+)<', reply.text)
    assert (reply.status, said in sentence, people(scene)) == (422, True, []), sentence


def test_a_file_comes_in_and_goes_out(scene: Scene, member: Browser) -> None:
    card = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Zoé\r\nTEL;TYPE=work:+12025550160\r\nTEL:none\r\nEND:VCARD\r\n"
    reply = upload(member, "people.vcf", card.encode())
    assert (reply.status, "1 contact added" in reply.text) == (200, True)
    assert "<bdi>none</bdi>" in reply.text
    reply = upload(member, "again.csv", "Nom;Numéro\nZoé B.;2025550160\n".encode("latin-1"))
    assert "1 changed" in reply.text, reply.text
    assert [item.name for item in people(scene)] == ["Zoé B."]
    exported = member.get("/contacts/export/vcf")
    assert exported.headers["content-type"] == "text/vcard; charset=utf-8"
    assert 'filename="contacts.vcf"' in exported.headers["content-disposition"]
    assert [person.name for person in vcard.read(exported.text)] == ["Zoé B."]
    assert "Zoé B.,+12025550160" in member.get("/contacts/export/csv").text
    assert member.get("/contacts/export/exe").status == 404


@pytest.mark.parametrize("form", ["csv", "vcf"])
def test_an_export_makes_the_same_people_elsewhere(scene: Scene, member: Browser, form: str) -> None:
    cards = "".join(
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\n{numbers}CATEGORIES:{groups}\r\nNOTE:{note}\r\nEND:VCARD\r\n"
        for name, numbers, groups, note in (
            (
                "Ann",
                "TEL;TYPE=cell:+12025550160\r\nTEL;TYPE=work:+12025550161\r\n",
                "Family\\, close,Work",
                "=two\\nlines",
            ),
            ("Ann", "item1.TEL:+12025550162\r\nitem1.X-ABLabel:=two words\r\n", "'=x", "of another name"),
            ("'Zoé'", "TEL:+12025550163\r\nTEL;TYPE=home:+12025550164\r\nTEL:+12025550165\r\n", "Work", ""),
        )
    )
    assert "3 contacts added" in upload(member, "people.vcf", cards.encode()).text
    exported = member.get(f"/contacts/export/{form}").text
    other = scene.member("other")
    assert "3 contacts added" in upload(other, f"people.{form}", exported.encode()).text
    assert other.get(f"/contacts/export/{form}").text == exported
    with scene.store.engine.snapshot() as conn:
        mine, theirs = (list(book.people(conn, owner.id)) for owner in (scene.account, scene.other))
    assert mine == theirs
    ann = next(person for person in mine if len(person.numbers) == 2)
    assert (ann.name, ann.groups, ann.notes) == ("Ann", ("Family, close", "Work"), "=two\nlines")
    assert sorted(person.numbers for person in mine) == [
        ((ANN, "cell"), (WORK, "work")),
        ((BOB, "=two words"),),
        (("+12025550163", ""), ("+12025550164", "home"), ("+12025550165", "")),
    ]


def test_a_file_that_is_none(scene: Scene, member: Browser) -> None:
    for content in (b"", b"\0\xff" * 100, b"only,words\n1,2\n"):
        reply = upload(member, "x", content)
        assert (reply.status, 'id="file-problem"' in reply.text) == (422, True)
    pasted = do(member, "/contacts/import", "import", text="name,number\nAnn,+12025550160\n")
    assert "1 contact added" in pasted.text
    token = csrf(member)
    broken = {"Content-Type": "multipart/form-data"}
    assert member._send("POST", "/contacts/import", f"csrf={token}".encode(), broken).status == 400


def test_a_large_file_is_taken_and_a_larger_one_told_on_a_page(scene: Scene, member: Browser) -> None:
    photo = "PHOTO:" + "A" * 5_000_000
    card = f"BEGIN:VCARD\r\nFN:Ann\r\nTEL:+12025550160\r\n{photo}\r\nEND:VCARD\r\n"
    assert "1 contact added" in upload(member, "people.vcf", card.encode()).text
    link = scene.link()
    head = b"POST /contacts/import HTTP/1.1\r\nHost: h\r\nAccept-Language: fr\r\n"
    link.send(head + b"Content-Length: 10485761\r\n\r\n")
    (reply,) = link.replies()
    assert (reply.status, reply.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert ('<html lang="fr"' in reply.text, "10 Mo" in reply.text) == (True, True)
    assert "content-security-policy" in reply.headers


def test_only_some_large_files_come_at_once(scene: Scene) -> None:
    head = b"POST /contacts/import HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
    waiting = [scene.link() for _ in range(MAX_LARGE)]
    for link in waiting:
        link.send(head % (2 << 20))
    late = scene.link()
    late.send(head % (2 << 20))
    assert [reply.status for reply in late.replies()] == [413]
    assert [link.replies() for link in waiting] == [[]] * MAX_LARGE
    waiting[0].send(b"x" * (2 << 20))  # is there, and answered
    assert len(waiting[0].replies()) == 1
    again = scene.link()
    again.send(head % (2 << 20))
    assert again.replies() == []


def test_the_contacts_of_another_account(scene: Scene, member: Browser) -> None:
    add(member, "Ann", ANN)
    (ann,) = people(scene)
    stranger = scene.member("other")
    assert stranger.get(f"/contacts/{ann.id}").status == 404
    assert do(stranger, f"/contacts/{ann.id}", "remove").status == 404
    assert do(stranger, f"/contacts/{ann.id}", "save", name="x", number=BOB).status == 404
    do(stranger, "/contacts", "remove", contact=str(ann.id))
    assert people(scene) == [ann]
    assert "Ann" not in stranger.get("/contacts/export/csv").text
