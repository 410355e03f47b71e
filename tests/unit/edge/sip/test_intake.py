"""MESSAGE from phones: what is taken, as whom, to whom; once, whatever is lost on the way."""

import zlib

import pytest

from protocols.sip.cpim import make_cpim
from protocols.sip.imdn import make_imdn
from protocols.sip.message import Request
from protocols.sip.transaction import TIMER_J
from storage import numbers
from storage.records import Did
from storage.testing import InlineStore
from tests.unit.edge.sip.net import DID, DOMAIN, PEER, Net, Phone, Stream

SECOND = "+12025550101"


def test_a_text_is_taken(net: Net, phone: Phone, did: Did) -> None:
    assert phone.message(text="Grüße 👍🏽").status == 202
    [stored] = net.stored(did)
    assert (stored.did, stored.peer, stored.text, stored.leg) == (DID, PEER, "Grüße 👍🏽", "sip")
    assert [what for what, _ in net.carrier.told] == ["expect", "committed"]


def test_202_waits_for_the_commit(net: Net, phone: Phone, did: Did) -> None:
    challenged = phone.send(phone.request("MESSAGE", f"sip:{PEER}@{DOMAIN}", {}, b"hi"))[0]
    request = phone.authorised(challenged, "MESSAGE", f"sip:{PEER}@{DOMAIN}", {}, b"hi")
    net.store.writer.held = True
    before = len(net.sent)
    assert phone.send(request) == []
    assert phone.send(request) == []
    net.store.writer.release()
    assert [answer.status for answer in net.answers(before, phone.address)] == [202]
    assert len(net.stored(did)) == 1


def test_retransmissions_are_absorbed_for_32_seconds(net: Net, phone: Phone, did: Did) -> None:
    challenged = phone.send(phone.request("MESSAGE", f"sip:{PEER}@{DOMAIN}", {}, b"hi"))[0]
    request = phone.authorised(challenged, "MESSAGE", f"sip:{PEER}@{DOMAIN}", {}, b"hi")
    for _ in range(10):
        assert [answer.status for answer in phone.send(request)] == [202]
        net.reactor.advance(TIMER_J / 11)
    assert len(net.stored(did)) == 1


URI = f"sip:{PEER}@{DOMAIN}"


def taken(phone: Phone) -> Request:
    """A request with credentials that has been answered 202."""
    [challenged] = phone.send(phone.request("MESSAGE", URI, {}, b"hi"))
    request = phone.authorised(challenged, "MESSAGE", URI, {}, b"hi")
    assert [answer.status for answer in phone.send(request)] == [202]
    return request


def test_a_retransmission_after_a_restart_is_not_challenged(net: Net, phone: Phone, did: Did) -> None:
    """A phone answers a challenge by itself, with the next CSeq: that would be another text."""
    request = taken(phone)
    net.boot()
    assert [answer.status for answer in phone.send(request)] == [202]
    assert len(net.stored(did)) == 1
    assert phone.message().status == 202
    assert len(net.stored(did)) == 2


def test_a_request_that_was_not_taken_before_the_restart_is(net: Net, phone: Phone, did: Did) -> None:
    [challenged] = phone.send(phone.request("MESSAGE", URI, {}, b"hi"))
    request = phone.authorised(challenged, "MESSAGE", URI, {}, b"hi")
    net.boot()
    [stale] = phone.send(request)
    assert (stale.status, "stale=true" in (stale.headers.get("WWW-Authenticate") or "")) == (401, True)
    assert phone.send(phone.authorised(stale, "MESSAGE", URI, {}, b"hi"))[0].status == 202
    assert len(net.stored(did)) == 1


@pytest.mark.parametrize("changed", [{"Call-ID": "another"}, {"CSeq": "99 MESSAGE"}])
def test_another_text_under_the_branch_of_the_last_is_taken(
    net: Net, phone: Phone, did: Did, changed: dict[str, str]
) -> None:
    """A phone that makes no new branch is no reason to lose its text."""
    first = taken(phone)
    [challenged] = phone.send(phone.request("MESSAGE", URI, {}, b"ho"))
    via = {
        "Via": first.headers.get("Via") or "",
        "Call-ID": first.call_id,
        "CSeq": f"{first.cseq.number} MESSAGE",
    }
    second = phone.authorised(challenged, "MESSAGE", URI, {**via, **changed}, b"ho")
    assert [answer.status for answer in phone.send(second)] == [202]
    assert [answer.status for answer in phone.send(second)] == [202]
    assert [message.text for message in net.stored(did)] == ["hi", "ho"]


@pytest.mark.parametrize("how", ["z9hG4bKnew", "connection"])
def test_the_same_octets_by_another_branch_or_connection(net: Net, phone: Phone, did: Did, how: str) -> None:
    request = taken(phone)
    if how == "connection":
        stream = Stream(net, phone)
        before = len(net.sent)
        net.sip.agent.received(request.serialise().replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP"), stream)
        answers = list(net.answers(before, phone.address))
    else:
        octets = request.serialise().replace(request.via.branch.encode(), how.encode())
        answers = net.put(octets, phone.address)
    assert [answer.status for answer in answers] == [202]
    assert len(net.stored(did)) == 1


@pytest.mark.parametrize(
    ("uri", "body", "messages"),
    [
        (URI, b"hi", 1),
        (f"sip:{PEER}@192.0.2.1", b"hi", 1),
        (URI, b"ho", 2),
        (f"sip:40404@{DOMAIN}", b"hi", 2),
    ],
)
def test_another_text_or_number_under_the_same_ids_is_another_message(
    net: Net, phone: Phone, did: Did, uri: str, body: bytes, messages: int
) -> None:
    fields: dict[str, str | list[str]] = {
        "Call-ID": "one",
        "CSeq": "7 MESSAGE",
        "From": f"<{phone.aor}>;tag=same",
    }
    assert phone.ask("MESSAGE", URI, fields, b"hi").status == 202
    assert phone.ask("MESSAGE", uri, fields, body).status == 202
    assert len(net.stored(did)) == messages


def test_the_same_request_by_two_ways_is_one_message(net: Net, phone: Phone, did: Did) -> None:
    fields: dict[str, str | list[str]] = {
        "Call-ID": "one",
        "CSeq": "7 MESSAGE",
        "From": f"<{phone.aor}>;tag=same",
    }
    uri = f"sip:{PEER}@{DOMAIN}"
    challenged = [phone.send(phone.request("MESSAGE", uri, fields, b"hi"))[0] for _ in range(2)]
    requests = [phone.authorised(each, "MESSAGE", uri, fields, b"hi") for each in challenged]
    net.store.writer.held = True
    before = len(net.sent)
    for request in requests:
        phone.send(request)
    net.store.writer.release()
    assert [answer.status for answer in net.answers(before, phone.address)] == [202, 202]
    assert len(net.stored(did)) == 1
    assert net.sip.intake is not None
    assert net.sip.intake.counters.repeated == 1


def test_what_was_not_stored_may_come_again(net: Net, phone: Phone, did: Did) -> None:
    fields: dict[str, str | list[str]] = {
        "Call-ID": "one",
        "CSeq": "7 MESSAGE",
        "From": f"<{phone.aor}>;tag=same",
    }
    net.store.writer.failing = True
    answer = phone.ask("MESSAGE", f"sip:{PEER}@{DOMAIN}", fields, b"hi")
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
    net.store.writer.failing = False
    assert phone.ask("MESSAGE", f"sip:{PEER}@{DOMAIN}", fields, b"hi").status == 202
    assert len(net.stored(did)) == 1


def test_a_server_that_stops_says_so(net: Net, phone: Phone) -> None:
    net.outbound.draining = True
    answer = phone.message()
    assert answer.status == 503
    assert answer.headers.get("Retry-After")


@pytest.mark.parametrize(
    ("uri", "peer"),
    [
        (f"sip:+12025550150@{DOMAIN}", "+12025550150"),
        (f"sip:2025550150@{DOMAIN}", "+12025550150"),
        (f"sip:12025550150@{DOMAIN};user=phone", "+12025550150"),
        (f"sip:(202)555-0150@{DOMAIN}", "+12025550150"),
        (f"sip:%2B442079460123@{DOMAIN}", "+442079460123"),
        (f"sip:+12025550150;phone-context=x@{DOMAIN}", "+12025550150"),
        ("tel:+1-202-555-0150", "+12025550150"),
        (f"sip:40404@{DOMAIN}", "40404"),
    ],
)
def test_numbers_in_any_spelling(net: Net, phone: Phone, did: Did, uri: str, peer: str) -> None:
    assert phone.message(uri).status == 202
    assert net.stored(did)[0].peer == peer


@pytest.mark.parametrize(
    ("uri", "peer"),
    [
        ("tel:7700900123;phone-context=+44", "+447700900123"),
        (f"sip:7700900123;phone-context=+44@{DOMAIN};user=phone", "+447700900123"),
        ("tel:2025550150;phone-context=+44", "+442025550150"),
        ("tel:0150;phone-context=+1202555", "+12025550150"),
        ("tel:40404;phone-context=+1", "40404"),
        (f"tel:2025550150;phone-context={DOMAIN}", "+12025550150"),
        (f"sip:40404;phone-context={DOMAIN.upper()}@{DOMAIN}", "40404"),
        ("tel:+12025550150;phone-context=+44", "+12025550150"),
        ("tel:+12025550150;phone-context=other.example", "+12025550150"),
        ("tel:40404;phone-context=+44", None),
        ("tel:2025550150;phone-context=other.example", None),
        (f"sip:2025550150;phone-context=other.example@{DOMAIN}", None),
    ],
)
def test_a_local_number_goes_to_nobody_of_another_place(
    net: Net, phone: Phone, did: Did, uri: str, peer: str | None
) -> None:
    assert phone.message(uri).status == (404 if peer is None else 202)
    assert [message.peer for message in net.stored(did)] == ([] if peer is None else [peer])


def test_a_place_of_another_number_is_another_text(net: Net, phone: Phone, did: Did) -> None:
    fields: dict[str, str | list[str]] = {
        "Call-ID": "one",
        "CSeq": "7 MESSAGE",
        "From": f"<{phone.aor}>;tag=same",
    }
    for leading in ("+44", "+1", "+44"):
        assert phone.ask("MESSAGE", f"tel:2025550150;phone-context={leading}", fields, b"hi").status == 202
    assert [message.peer for message in net.stored(did)] == ["+442025550150", "+12025550150"]


OWN = [
    (f"tel:{DID[2:]}", True),
    (f"tel:{DID[2:]};phone-context=+1", True),
    (f"tel:{DID[-4:]};phone-context={DID[:-4]}", True),
    (f"sip:{DID[-4:]};phone-context={DID[:-4]}@{DOMAIN}", True),
    (f"tel:{DID[2:]};phone-context={DOMAIN}", True),
    (f"tel:{DID};phone-context=+44", True),
    (f"tel:{DID[2:]};phone-context=+44", False),
    (f"sip:{DID[2:]};phone-context=+44@{DOMAIN}", False),
    (f"tel:{DID[2:]};phone-context=other.example", False),
]


@pytest.mark.parametrize(("uri", "own"), OWN)
def test_the_place_of_the_number_that_it_sends_as(
    inline_store: InlineStore, did: Did, uri: str, own: bool
) -> None:
    net = Net(inline_store, trusted=("192.0.2.0/24",))
    net.account(did)
    phone = Phone(net)
    for number, fields in enumerate(({"From": f"<{uri}>;tag=1"}, {"P_Asserted_Identity": f"<{uri}>"})):
        answer = phone.message(Call_ID=f"call-{number}", **fields)
        assert (answer.status, len(net.stored(did))) == ((202, number + 1) if own else (403, 0))


def test_the_country_of_a_phone(net: Net, phone: Phone, did: Did) -> None:
    net.account(did, region="GB")
    assert phone.message(f"sip:07911123456@{DOMAIN}").status == 202
    assert net.stored(did)[0].peer == "+447911123456"
    assert phone.message(f"sip:12025550150@{DOMAIN}", From=f"<sip:{DID}@{DOMAIN}>;tag=x").status == 404


@pytest.mark.parametrize(
    ("region", "user"), [("", "011442079460123"), ("GB", "00442079460123"), ("GB", "02079460123")]
)
def test_the_international_prefix_of_a_phones_country(
    net: Net, phone: Phone, did: Did, region: str, user: str
) -> None:
    net.account(did, region=region)
    assert phone.message(f"sip:{user}@{DOMAIN}").status == 202
    assert net.stored(did)[0].peer == "+442079460123"


@pytest.mark.parametrize(
    ("fields", "body", "reason"),
    [
        ({}, b"\xff\xff", "Bad body (is not utf-8)"),
        ({"Content_Type": "message/imdn+xml"}, b"<x/>", "Bad body (an imdn without message-id or status)"),
    ],
)
def test_what_cannot_be_read_says_why(phone: Phone, fields: dict[str, str], body: bytes, reason: str) -> None:
    answer = phone.message(text=body, **fields)
    assert (answer.status, answer.reason.lower()) == (400, reason.lower())


@pytest.mark.parametrize("host", [DOMAIN, "other.example", "192.0.2.1:5060", "[2001:db8::1]"])
def test_numbers_at_any_host_end_here(net: Net, phone: Phone, did: Did, host: str) -> None:
    assert phone.message(f"sip:{PEER}@{host}", Max_Forwards="0").status == 202
    assert [message.peer for message in net.stored(did)] == [PEER]


def test_the_number_in_a_header_of_its_own(net: Net, phone: Phone, did: Did) -> None:
    assert phone.message(f"sip:{DOMAIN}", X_SMS_To="2025550150").status == 202
    assert net.stored(did)[0].peer == "+12025550150"


@pytest.mark.parametrize("uri", [f"sip:bob@{DOMAIN}", f"sip:{DOMAIN}", f"sip:555-0150@{DOMAIN}"])
def test_numbers_that_cannot_be(net: Net, phone: Phone, did: Did, uri: str) -> None:
    answer = phone.message(uri)
    assert answer.status == 404
    assert "not a telephone number" in answer.reason
    assert net.stored(did) == []


def test_the_number_that_it_sends_as(net: Net, did: Did) -> None:
    with net.store.engine.transaction() as connection:
        numbers.add_did(connection, net.store.ids.next, did.account_id, SECOND, 0)
    net.account(did, "bob", dids=(DID, SECOND))
    bob = Phone(net, "bob")
    for sender in (bob.aor, f"sip:{SECOND}@{DOMAIN}", f"tel:{SECOND}", f"sip:2025550101@{DOMAIN}"):
        assert bob.message(From=f"<{sender}>;tag=1").status == 202
    assert [message.did for message in net.stored(did)] == [DID, SECOND, SECOND, SECOND]


@pytest.mark.parametrize(
    "sender",
    [f"sip:bob@{DOMAIN}", f"sip:{SECOND}@{DOMAIN}", "sip:alice@other.example", f"sip:{DID}@other.example"],
)
def test_senders_that_are_not_its_own(phone: Phone, net: Net, did: Did, sender: str) -> None:
    answer = phone.message(From=f"<{sender}>;tag=1")
    assert answer.status == 403
    assert "From" in answer.reason
    assert net.stored(did) == []


def test_asserted_identities_of_trusted_networks_only(inline_store: object, did: Did) -> None:
    for trusted, expected in (((), DID), (("192.0.2.0/24",), SECOND)):
        net = Net(inline_store, trusted=trusted)  # type: ignore[arg-type]
        with net.store.engine.transaction() as connection:
            numbers.add_did(connection, net.store.ids.next, did.account_id, SECOND, 0)
        net.account(did, "carol", dids=(DID, SECOND))
        carol = Phone(net, "carol")
        carol.call_id = f"trust-{bool(trusted)}"
        assert carol.message(P_Asserted_Identity=f"<sip:{SECOND}@pbx.example>").status == 202
        assert net.stored(did)[-1].did == expected


@pytest.mark.parametrize(
    ("asserted", "did_used"),
    [
        (f"<sip:dave@pbx.example>, <tel:{SECOND}>", SECOND),
        (["<sip:dave@pbx.example>", f"<tel:{SECOND}>"], SECOND),
        (f"<tel:{SECOND}>, <tel:{DID}>", SECOND),
        ("<sip:dave@pbx.example>, <tel:+12025550177>", None),
    ],
)
def test_of_several_asserted_identities_the_first_of_its_own(
    inline_store: InlineStore, did: Did, asserted: str | list[str], did_used: str | None
) -> None:
    net = Net(inline_store, trusted=("192.0.2.0/24",))
    with net.store.engine.transaction() as connection:
        numbers.add_did(connection, net.store.ids.next, did.account_id, SECOND, 0)
    net.account(did, "carol", dids=(DID, SECOND))
    answer = Phone(net, "carol").ask("MESSAGE", URI, {"P-Asserted-Identity": asserted}, b"hi")
    assert answer.status == (403 if did_used is None else 202)
    assert [message.did for message in net.stored(did)] == ([] if did_used is None else [did_used])


CPIM = make_cpim(
    [("From", "<sip:a@b>")], [("Content-Type", "text/plain;charset=utf-8")], "wrapped ✓".encode()
)
MIXED = (
    b"--B\r\nContent-Type: text/html\r\n\r\n<p>\r\n--B\r\nContent-Type: text/plain\r\n\r\ninner\r\n--B--\r\n"
)


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain;charset=iso-8859-1", "café".encode("latin-1"), "café"),
        ("message/cpim", CPIM, "wrapped ✓"),
        ("multipart/mixed;boundary=B", MIXED, "inner"),
    ],
)
def test_text_in_many_wrappings(
    net: Net, phone: Phone, did: Did, content_type: str, body: bytes, text: str
) -> None:
    assert phone.message(text=body, Content_Type=content_type).status == 202
    assert net.stored(did)[0].text == text


IMDN = make_imdn("1", "2026-01-02T03:04:05Z", delivered=True)


@pytest.mark.parametrize(
    ("content_type", "fields", "body"),
    [
        ("message/imdn+xml", {}, IMDN),
        ("message/imdn+xml", {"Content_Encoding": "deflate"}, zlib.compress(IMDN)),
        ("application/im-iscomposing+xml", {}, b"<isComposing/>"),
    ],
)
def test_control_payloads_are_consumed(
    net: Net, phone: Phone, did: Did, content_type: str, fields: dict[str, str], body: bytes
) -> None:
    assert phone.message(text=body, Content_Type=content_type, **fields).status == 200
    assert net.stored(did) == []


@pytest.mark.parametrize(
    ("fields", "body", "status", "field"),
    [
        ({"Content_Type": "application/vnd.3gpp.sms"}, b"\0", 415, "Accept"),
        ({"Content_Type": "text/html"}, b"<p>", 415, "Accept"),
        ({"Content_Encoding": "gzip"}, b"x", 415, "Accept-Encoding"),
        ({"Content_Type": "nonsense"}, b"x", 400, None),
        ({}, b"\xff\xff", 400, None),
        ({}, b"", 400, None),
        ({}, b"x" * 40_001, 413, None),
    ],
)
def test_what_cannot_be_taken(
    net: Net, phone: Phone, did: Did, fields: dict[str, str], body: bytes, status: int, field: str | None
) -> None:
    answer = phone.message(text=body, **fields)
    assert answer.status == status
    assert field is None or answer.headers.get(field)
    assert net.stored(did) == []


def test_a_number_whose_sms_is_off(net: Net, phone: Phone, did: Did) -> None:
    with net.store.engine.transaction() as connection:
        numbers.set_did(connection, net.store.ids.next, DID, sms_enabled=False)
    answer = phone.message()
    assert (answer.status, answer.reason) == (403, f"SMS is switched off for {DID}.")


def test_one_account_cannot_send_without_end(net: Net, phone: Phone, did: Did) -> None:
    statuses = [phone.message().status for _ in range(62)]
    assert statuses == [202] * 60 + [503] * 2
    net.reactor.advance(1)
    assert phone.message().status == 202


def test_what_the_sender_wants_to_know_is_kept(net: Net, phone: Phone, did: Did) -> None:
    body = make_cpim(
        [
            ("NS", "imdn <urn:ietf:params:imdn>"),
            ("imdn.Message-ID", "m1"),
            ("imdn.Disposition-Notification", "positive-delivery"),
        ],
        [("Content-Type", "text/plain")],
        b"hi",
    )
    assert phone.message(text=body, Content_Type="message/cpim").status == 202
    assert (
        net.stored(did)[0].status_callback == 'imdn:{"user":"alice","id":"m1","wants":["positive-delivery"]}'
    )
