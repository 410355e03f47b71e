"""REGISTER: who may, for how long, with how many phones; nothing is answered 200 before its commit."""

import pytest

from edge.sip.agent import MAX_GROWTH
from edge.sip.registrar import MOST_WAITING
from protocols.sip import digest
from protocols.sip.digest import Algorithm
from protocols.sip.headers import parse_address_list
from protocols.sip.message import Response
from storage import registrations
from storage.records import Did
from storage.testing import InlineStore
from tests.unit.edge.sip.net import DOMAIN, Net, Phone


def contacts(response: Response) -> dict[str, int]:
    """Contacts of a 200 with their seconds."""
    found = parse_address_list(response.headers.all("Contact"), "Contact")
    return {address.uri: int(address.params["expires"] or 0) for address in found}


def test_a_phone_registers(net: Net, phone: Phone) -> None:
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", {"Contact": phone.contact}))
    assert challenged.status == 401
    assert len(challenged.headers.all("WWW-Authenticate")) == 1
    assert "algorithm=MD5" in challenged.headers.all("WWW-Authenticate")[0]
    answer = phone.register()
    assert answer.status == 200
    assert contacts(answer) == {"sip:alice@192.0.2.7:5070": 3600}
    assert answer.headers.get("Date")
    with net.store.engine.snapshot() as connection:
        [stored] = registrations.bindings(connection, net.reactor.wall_ms())
    assert (stored.host, stored.port, stored.transport) == ("192.0.2.7", 5070, "UDP")


def test_the_answer_waits_for_the_commit(net: Net, phone: Phone) -> None:
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", {"Contact": phone.contact}))
    request = phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", {"Contact": phone.contact})
    net.store.writer.held = True
    assert phone.send(request) == []
    assert phone.send(request) == []  # absorbed
    before = len(net.sent)
    net.store.writer.release()
    [answer] = net.answers(before, phone.address)
    assert answer.status == 200
    assert [again.status for again in phone.send(request)] == [200]


def test_a_store_that_fails(net: Net, phone: Phone) -> None:
    net.store.writer.failing = True
    answer = phone.register()
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
    net.store.writer.failing = False
    assert phone.register().status == 200


@pytest.mark.parametrize(
    ("fields", "contact", "seconds"),
    [
        ({"Expires": "600"}, "<sip:a@h>", 600),
        ({"Expires": "600"}, "<sip:a@h>;expires=120", 120),
        ({"Expires": "999999"}, "<sip:a@h>", 7200),
        ({"Expires": "nonsense"}, "<sip:a@h>", 3600),
        ({}, "sip:a@h", 3600),
        ({}, "sip:a@h;expires=90", 90),
    ],
)
def test_how_long(phone: Phone, fields: dict[str, str], contact: str, seconds: int) -> None:
    assert contacts(phone.register(contact, **fields)) == {"sip:a@h": seconds}


def test_too_short(phone: Phone) -> None:
    answer = phone.register(Expires="59")
    assert (answer.status, answer.headers.get("Min-Expires")) == (423, "60")


def test_it_expires(net: Net, phone: Phone) -> None:
    phone.register(Expires="60")
    net.reactor.advance(59)
    assert contacts(phone.ask("REGISTER", f"sip:{DOMAIN}", {}))
    net.reactor.advance(2)
    assert contacts(phone.ask("REGISTER", f"sip:{DOMAIN}", {})) == {}


def test_going_away(phone: Phone) -> None:
    phone.register()
    assert contacts(phone.register("<sip:other@h>")) == {
        "sip:alice@192.0.2.7:5070": 3600,
        "sip:other@h": 3600,
    }
    assert contacts(phone.register("<sip:other@h>", Expires="0")) == {"sip:alice@192.0.2.7:5070": 3600}
    assert phone.register("*").status == 400
    assert contacts(phone.register("*", Expires="0")) == {}
    assert phone.register("*", Expires="0").status == 200


def test_the_same_instance_comes_back_from_elsewhere(phone: Phone) -> None:
    instance = '+sip.instance="<urn:uuid:1>";reg-id=1'
    phone.register(f"<sip:a@192.0.2.7:1111>;{instance}")
    answer = phone.register(f"<sip:a@192.0.2.8:2222>;{instance}")
    [contact] = parse_address_list(answer.headers.all("Contact"), "Contact")
    assert contact.uri == "sip:a@192.0.2.8:2222"
    assert contact.params["+sip.instance"] == "<urn:uuid:1>"


def test_the_oldest_of_eleven_gives_way(net: Net, phone: Phone) -> None:
    for number in range(11):
        answer = phone.register(f"<sip:a@192.0.2.{number}>")
        net.reactor.advance(1)
    assert set(contacts(answer)) == {f"sip:a@192.0.2.{number}" for number in range(1, 11)}
    assert phone.register([f"<sip:b@192.0.2.{number}>" for number in range(11)]).status == 403
    assert phone.register([f"<sip:b@192.0.2.{number}>;expires=0" for number in range(20)]).status == 200
    assert phone.register([f"<sip:b@192.0.2.{number}>;expires=0" for number in range(21)]).status == 403


def test_an_old_register_changes_nothing(phone: Phone) -> None:
    phone.register(CSeq="50 REGISTER")
    assert phone.register(CSeq="50 REGISTER").status == 500
    assert phone.register("*", Expires="0", CSeq="49 REGISTER").status == 500
    assert phone.register(CSeq="51 REGISTER").status == 200


def test_a_path_comes_back(phone: Phone) -> None:
    answer = phone.register(Path="<sip:p.example.net;lr>")
    assert answer.headers.all("Path") == ["<sip:p.example.net;lr>"]


@pytest.mark.parametrize("to", ["<sip:bob@sip.example.net>", "<sip:alice@other.example>"])
def test_only_ones_own_address(phone: Phone, to: str) -> None:
    assert phone.register(To=to).status == 403


@pytest.mark.parametrize(
    ("contact", "to"),
    [("<tel:1>", ""), ("<sip:a@b", ""), ("<sip:a@b>", "<isbn:2983792873>"), ("*, <sip:a@b>", "")],
)
def test_addresses_that_cannot_be(phone: Phone, contact: str, to: str) -> None:
    fields = {"To": to} if to else {}
    assert phone.register(contact, **fields).status == 400


def test_wrong_user_and_wrong_password_look_the_same(net: Net) -> None:
    wrong, unknown = Phone(net, password="wrong"), Phone(net, "nobody")
    first, second = wrong.register(), unknown.register()
    assert (first.status, first.reason) == (second.status, second.reason) == (403, "Wrong user or password")
    assert [name for name, _ in first.headers.items] == [name for name, _ in second.headers.items]


def test_five_wrong_answers_ban_this_user_at_this_address(net: Net, phone: Phone) -> None:
    wrong = Phone(net, password="wrong", port=5071)
    for _ in range(5):
        assert wrong.register().reason == "Wrong user or password"
    assert wrong.register().reason.startswith("Too many wrong passwords")
    assert phone.register().status == 403  # the same address and user, with the right password
    net.reactor.advance(61)
    assert phone.register().status == 200


def test_answers_to_nonces_that_are_not_ours_are_not_counted(net: Net, phone: Phone) -> None:
    """Whoever forges an address by UDP could ban its phones otherwise."""
    forged = digest.Challenge(DOMAIN, "x", Algorithm.MD5)
    for number in range(60):
        value = digest.answer(forged, f"user{number % 3}", "wrong", "REGISTER", f"sip:{DOMAIN}", "c")
        [answer] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", {"Authorization": value}))
        assert answer.status == 401
        net.reactor.advance(1)
    assert net.sip.guard.counters.wrong == 0
    assert phone.register().status == 200


def test_a_nonce_is_for_the_address_that_asked(net: Net, phone: Phone) -> None:
    fields = {"Contact": phone.contact}
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", fields))
    victim = Phone(net, password="wrong", port=5090)
    victim.address = ("192.0.2.8", 5090)
    for count in range(1, 10):
        [answer] = victim.send(
            victim.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", fields, count=count)
        )
        assert answer.status == 401
    assert net.sip.guard.counters.wrong == 0


def test_a_challenge_does_not_tell_who_is_there(net: Net, did: Did) -> None:
    """Names that are not there are challenged as those that are; one who sends as his number as himself."""

    def offered(user: str) -> tuple[str, ...]:
        asking = Phone(net, user)
        [answer] = asking.send(asking.request("REGISTER", f"sip:{DOMAIN}", {}))
        values = answer.headers.all("WWW-Authenticate")
        return tuple(sorted(digest.parse_challenge(value).algorithm.value for value in values))

    strangers = [f"nobody{number}" for number in range(60)]
    assert {offered(name) for name in strangers} == {("MD5",)}
    net.account(did, "bob", "sha-256", dids=("+12025550101",))
    net.reactor.advance(60)
    before = [offered(name) for name in strangers]
    assert set(before) == {("MD5",), ("SHA-256",)}
    net.reactor.advance(60)
    assert [offered(name) for name in strangers] == before
    assert [offered(name) for name in ("alice", "2025550100", "bob", "+12025550101")] == [
        ("MD5",),
        ("MD5",),
        ("SHA-256",),
        ("SHA-256",),
    ]


def test_a_burst_of_one_phone_is_decided_one_after_the_other(net: Net, phone: Phone) -> None:
    requests = []
    for _ in range(4):
        fields = {"Contact": phone.contact}
        [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", fields))
        requests.append(phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", fields))
    net.store.writer.held = True
    before = len(net.sent)
    for request in requests:
        assert phone.send(request) == []
    net.store.writer.release()
    assert [answer.status for answer in net.answers(before, phone.address)] == [200] * 4
    assert len(net.sip.bindings) == 1
    fields = {"Contact": phone.contact}
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", fields))
    burst = [
        phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", fields, count=count)
        for count in range(1, MOST_WAITING + 3)
    ]
    net.store.writer.held = True
    answers = [answer for request in burst for answer in phone.send(request)]
    assert [answer.status for answer in answers] == [503]
    net.store.writer.release()


@pytest.mark.parametrize("length", [1, 10])
def test_two_challenges_that_are_too_large_become_one(net: Net, did: Did, length: int) -> None:
    """A datagram's answer is at most half as long again; what is left fits every phone."""
    net.account(did, "bob", "both")
    bob = Phone(net, "bob")
    fields = {"Contact": bob.contact, "User-Agent": "x" * length, "Max-Forwards": "9"}
    request = bob.request("REGISTER", f"sip:{DOMAIN}", fields)
    [challenged] = bob.send(request)
    assert len(challenged.serialise()) <= MAX_GROWTH * len(request.serialise())
    [value] = challenged.headers.all("WWW-Authenticate")
    assert "algorithm=MD5" in value
    assert bob.send(bob.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", fields))[0].status == 200


@pytest.mark.parametrize("how", ["md5", "both"])
@pytest.mark.parametrize("user", ["carol", "c"])
def test_the_shortest_register_gets_a_challenge(net: Net, did: Did, how: str, user: str) -> None:
    """246 octets and fewer: nothing but what must be there, in compact form."""
    net.account(did, user, how)  # type: ignore[arg-type]
    phone = Phone(net, user)
    fields = (
        f"v:SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK{user}{how};rport",
        f"f:<sip:{user}@{DOMAIN}>;tag=1",
        f"t:<sip:{user}@{DOMAIN}>",
        f"i:{user}",
        "CSeq:1 REGISTER",
        "Max-Forwards:70",
        f"m:<sip:{user}@192.0.2.7:5070>",
        "l:0",
    )
    data = "\r\n".join((f"REGISTER sip:{DOMAIN} SIP/2.0", *fields, "", "")).encode()
    [challenged] = net.put(data, phone.address)
    octets, _ = net.sent[-1]
    assert (challenged.status, len(octets) <= MAX_GROWTH * len(data)) == (401, True)
    [value] = challenged.headers.all("WWW-Authenticate")
    assert digest.parse_challenge(value).algorithm is Algorithm.MD5
    answered = phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", {"Contact": phone.contact})
    assert [answer.status for answer in phone.send(answered)] == [200]


@pytest.mark.parametrize(("how", "names"), [("sha-256", ["SHA-256"]), ("both", ["SHA-256", "MD5"])])
def test_other_algorithms(net: Net, did: Did, how: str, names: list[str]) -> None:
    net.account(did, "bob", how)  # type: ignore[arg-type]
    bob = Phone(net, "bob")
    [challenged] = bob.send(bob.request("REGISTER", f"sip:{DOMAIN}", {"Contact": bob.contact}))
    values = challenged.headers.all("WWW-Authenticate")
    assert [name for value in values for name in names if f"algorithm={name}," in value] == names
    for which in range(len(names)):
        request = bob.authorised(
            challenged, "REGISTER", f"sip:{DOMAIN}", {"Contact": bob.contact}, which=which, count=which + 1
        )
        assert [answer.status for answer in bob.send(request)] == [200]


def test_an_algorithm_that_was_not_offered_is_challenged_again(net: Net, phone: Phone) -> None:
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", {"Contact": phone.contact}))
    value = challenged.headers.all("WWW-Authenticate")[0].replace("MD5", Algorithm.SHA256.value)
    challenged.headers.set_first("WWW-Authenticate", value)
    [answer] = phone.send(
        phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", {"Contact": phone.contact})
    )
    assert answer.status == 401


def test_legacy_answers_by_setting_only(inline_store: InlineStore, did: Did) -> None:
    for allowed, status in ((False, 401), (True, 200)):
        net = Net(inline_store, allow_legacy_digest=allowed)
        net.account(did)
        phone = Phone(net)
        fields = {"Contact": phone.contact, "Call-ID": f"legacy-{allowed}"}
        [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", fields))
        request = phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN};transport=UDP", fields, legacy=True)
        assert [answer.status for answer in phone.send(request)] == [status]


def test_a_stale_nonce_is_no_wrong_password(net: Net, phone: Phone) -> None:
    fields = {"Contact": phone.contact}
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", fields))
    net.reactor.advance(301)
    [answer] = phone.send(phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", fields))
    assert answer.status == 401
    assert "stale=true" in answer.headers.all("WWW-Authenticate")[0]
    assert net.sip.guard.counters.wrong == 0


def test_a_replayed_answer_is_not_taken(net: Net, phone: Phone) -> None:
    fields = {"Contact": phone.contact}
    [challenged] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", fields))
    request = phone.authorised(challenged, "REGISTER", f"sip:{DOMAIN}", fields)
    assert [answer.status for answer in phone.send(request)] == [200]
    copied = phone.request(
        "REGISTER", f"sip:{DOMAIN}", {**fields, "Authorization": request.headers.get("Authorization") or ""}
    )
    assert [answer.status for answer in phone.send(copied)] == [401]


def test_other_schemes_and_realms_are_not_ours(phone: Phone) -> None:
    for value in (
        "NoOneKnowsThisScheme opaque-data=here",
        'Digest username="alice", realm="elsewhere", nonce="n", uri="u", response="r"',
        'Digest username="alice", realm="elsewhere", nonce="n", uri="u", response="r", qop=auth',
        'Digest username="alice", realm="elsewhere", nonce="n", uri="u", response="r", algorithm=SHA-512-256',
        """Digest username*=UTF-8''alice, realm="elsewhere", nonce="n", uri="u", response="r\"""",
    ):
        [answer] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", {"Authorization": value}))
        assert answer.status == 401
    [bad] = phone.send(
        phone.request("REGISTER", f"sip:{DOMAIN}", {"Authorization": 'Digest username="alice"'})
    )
    assert bad.status == 400


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("qop=auth-int, nc=00000001, cnonce=c", "Bad Authorization (qop 'auth-int' was not offered)"),
        ("qop=auth", "Bad Authorization (qop without nc or cnonce)"),
    ],
)
def test_answers_to_what_was_not_asked_are_told_so(net: Net, phone: Phone, more: str, reason: str) -> None:
    value = f'Digest username="alice", realm="{DOMAIN}", nonce="n", uri="u", response="r", {more}'
    [bad] = phone.send(phone.request("REGISTER", f"sip:{DOMAIN}", {"Authorization": value}))
    assert (bad.status, bad.reason) == (400, reason)
    assert net.sip.guard.counters.wrong == 0


def test_bindings_survive_a_restart(net: Net, phone: Phone) -> None:
    phone.register()
    net.boot()
    assert contacts(phone.ask("REGISTER", f"sip:{DOMAIN}", {}))


@pytest.mark.parametrize("between", ["asked", "untouched", "restart", "restart before"])
def test_a_phone_comes_back_after_its_time(net: Net, phone: Phone, did: Did, between: str) -> None:
    """Memory forgets what has expired before the store does."""
    phone.register(Expires="60")
    if between == "restart before":
        net.boot()
    net.reactor.advance(61)
    waiting = [net.arrives(did, text) for text in ("one", "two", "three")]
    if between == "asked":
        phone.ask("REGISTER", f"sip:{DOMAIN}", {})
    if between == "restart":
        now = net.reactor.seconds()
        net.boot()
        net.reactor.advance(now)
    answer = phone.register()
    assert (answer.status, contacts(answer)) == (200, {"sip:alice@192.0.2.7:5070": 3600})
    net.reactor.pump([0.1] * 5)
    assert phone.texts == ["one", "two", "three"]
    assert {net.state(delivery)[0] for delivery in waiting} == {"delivered"}


def test_what_another_server_has_stored_gives_way(net: Net, inline_store: InlineStore, phone: Phone) -> None:
    """Two servers on one store: what the one knows nothing of is in nobody's way at the other."""
    phone.register()
    other = Net(inline_store)
    elsewhere = Phone(other)
    elsewhere.call_id = "another"
    other.reactor.advance(1)
    for who in (elsewhere, phone, elsewhere, phone):
        assert who.register("*", Expires="0").status == 200
        for _ in range(2):
            assert who.register().status == 200
    with net.store.engine.snapshot() as connection:
        assert len(registrations.bindings(connection, net.reactor.wall_ms())) == 1


def test_a_contact_that_is_written_twice_is_one(phone: Phone) -> None:
    """In one REGISTER: the last counts."""
    answer = phone.register(["<sip:a@h>;expires=300", "<sip:a@h>;expires=600"])
    assert (answer.status, contacts(answer)) == (200, {"sip:a@h": 600})
    assert contacts(phone.register(["<sip:a@h>;expires=0", "<sip:b@h>, <SIP:%62@H>"])) == {"SIP:%62@H": 3600}
    assert contacts(phone.register(["<sip:b@h>;expires=0", "<sip:b@h>;expires=300"])) == {"sip:b@h": 300}
    assert contacts(phone.register(["<sip:b@h>;expires=300", "<sip:b@h>;expires=0"])) == {}


def test_two_contacts_of_one_instance_are_one(phone: Phone) -> None:
    instance = '+sip.instance="<urn:uuid:1>";reg-id=1'
    answer = phone.register([f"<sip:a@h>;{instance}", f"<sip:b@h>;{instance}", f"<sip:c@h>;{instance[:-1]}2"])
    assert contacts(answer) == {"sip:b@h": 3600, "sip:c@h": 3600}
    assert contacts(phone.register([f"<sip:d@h>;{instance}", "<sip:b@h>;expires=0"])) == {
        "sip:c@h": 3600,
        "sip:d@h": 3600,
    }


@pytest.mark.parametrize(("flow", "left"), [("", {"sip:b@h": 3600}), (";reg-id=1", {})])
def test_who_has_moved_takes_his_old_contact_away_afterwards(
    phone: Phone, flow: str, left: dict[str, int]
) -> None:
    """By its URI; one that names its flow means that, wherever it is."""
    instance = f'+sip.instance="<urn:uuid:1>"{flow}'
    phone.register(f"<sip:b@h>;{instance}")
    answer = phone.register(f"<sip:a@h>;expires=0;{instance}")
    assert contacts(answer) == left


def test_a_contact_in_other_words_is_the_same(net: Net, phone: Phone) -> None:
    phone.register("<sip:alice@192.0.2.7:5070;ob;transport=udp>")
    answer = phone.register("<SIP:%61lice@192.0.2.7:5070;Transport=UDP;ob>")
    assert contacts(answer) == {"SIP:%61lice@192.0.2.7:5070;Transport=UDP;ob": 3600}
    with net.store.engine.snapshot() as connection:
        assert len(registrations.bindings(connection, net.reactor.wall_ms())) == 1
    assert len(contacts(phone.register("<sip:Alice@192.0.2.7:5070;ob;transport=udp>"))) == 2


def test_contacts_of_an_older_release_become_one(net: Net, phone: Phone) -> None:
    """It told them apart by their letters."""
    phone.register("<sip:a@h>")
    with net.store.engine.transaction() as connection:
        [stored] = registrations.bindings(connection, 0)
        registrations.change(connection, (), [stored._replace(id=stored.id + 1, contact="SIP:a@H")])
    net.boot()
    assert contacts(phone.ask("REGISTER", f"sip:{DOMAIN}", {})).keys() == {"sip:a@h", "SIP:a@H"}
    assert contacts(phone.register("<sip:%61@h>")).keys() == {"sip:%61@h"}
    net.boot()
    assert contacts(phone.ask("REGISTER", f"sip:{DOMAIN}", {})).keys() == {"sip:%61@h"}
