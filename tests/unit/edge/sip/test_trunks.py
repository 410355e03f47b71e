"""Trunks: texts to them and from them, servers that fail, challenges, registration."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from twisted.python.failure import Failure

from edge.config import Secret, TrunkConfig
from edge.sip.client import MOST_REQUESTS
from edge.sip.registration import FIRST_WAIT, State
from edge.sip.servers import AGAIN_SECONDS, FAILED_SECONDS
from edge.sip.trunks import Trunk
from protocols.sip.answers import response_to
from protocols.sip.digest import Algorithm, Challenge, is_right, parse_credentials
from protocols.sip.locating import Naptr, Srv
from protocols.sip.message import Request, Response, parse
from storage import accounts, contacts, numbers
from storage.records import DeliveryRecord, Did
from storage.testing import InlineStore
from tests.deferreds import success
from tests.unit.edge.sip.net import DID, DOMAIN, PEER, Address, Net, Phone

PBX: Address = ("192.0.2.50", 5060)
OTHER: Address = ("192.0.2.51", 5062)
Answer = Callable[[Request], "int | Response | None"]


class Pbx(Phone):
    """A telephone system at an address; ``says`` is its answer to each request."""

    def __init__(self, net: Net, address: Address = PBX, says: Answer = lambda request: 202) -> None:
        super().__init__(net, "pbx")
        self.address = address
        net.phones[address] = self
        self.says = says

    def datagram(self, data: bytes) -> None:
        message = parse(data)
        if not isinstance(message, Request):
            return
        self.received.append(message)
        said = self.says(message)
        if said is not None:
            answer = said if isinstance(said, Response) else response_to(message, said, "pbx", "Said")
            self.net.socket.datagramReceived(answer.serialise(), self.address)


def network(store: InlineStore, **trunk: Any) -> Net:
    """A server with a trunk; its host is an address unless a test says otherwise."""
    config = TrunkConfig(name="pbx", **{"host": PBX[0], **trunk})
    return Net(store, trunks=(config,))


def trunk_of(net: Net) -> Trunk:
    found = net.sip.trunks.get("pbx")
    assert found is not None
    return found


def arrives(net: Net, did: Did, text: str = "hi", **more: Any) -> DeliveryRecord:
    return net.arrives(did, text, "pbx", handler="trunk", **more)


def challenge(request: Request, nonce: str, stale: bool = False, *algorithms: Algorithm) -> Response:
    fields = [
        ("WWW-Authenticate", 'Digest realm="pbx", nonce="n", algorithm=SHA-512-256, qop="auth"'),
        *(
            ("WWW-Authenticate", str(Challenge("pbx", nonce, algorithm, stale=stale)))
            for algorithm in algorithms or (Algorithm.MD5,)
        ),
    ]
    return response_to(request, 401, "pbx", None, fields)


def proved(request: Request, password: str = "secret") -> str | None:
    """The nonce that a request answers with the right password."""
    value = request.headers.get("Authorization")
    if value is None:
        return None
    credentials = parse_credentials(value)
    ha1 = credentials.algorithm.ha1("us", "pbx", password)
    return credentials.nonce if is_right(credentials, request.method, ha1) else None


# -- texts to a trunk ---------------------------------------------------------------------------------------


def test_what_a_trunk_gets(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, domain="pbx.example.net")
    pbx = Pbx(net)
    with inline_store.engine.transaction() as connection:
        contacts.put(connection, inline_store.ids.next, did.account_id, PEER, 'Ann "A"\r\n', 0)
    delivery = arrives(net, did, "Grüße 👍🏽")
    [request] = pbx.received
    assert request.uri == request.to.uri == f"sip:{DID}@pbx.example.net"
    assert request.from_.uri == f"sip:{PEER}@{DOMAIN}"
    assert request.from_.display == 'Ann "A"'
    assert request.headers.get("Content-Type") == "text/plain;charset=UTF-8"
    assert request.headers.get("Contact") is None
    assert request.body.decode() == "Grüße 👍🏽"
    assert net.state(delivery) == ("delivered", "delivered")
    assert trunk_of(net).counters.delivered == 1


@pytest.mark.parametrize(
    ("how", "did_there", "peer_there"),
    [("plus", DID, PEER), ("e164", DID[1:], PEER[1:]), ("national", DID[2:], PEER[1:])],
)
def test_numbers_as_the_trunk_writes_them(
    inline_store: InlineStore, did: Did, how: str, did_there: str, peer_there: str
) -> None:
    net = network(inline_store, number_format=how)
    pbx = Pbx(net)
    arrives(net, did)
    assert pbx.received[0].uri == f"sip:{did_there}@{PBX[0]}"
    assert pbx.received[0].from_.uri == f"sip:{peer_there}@{DOMAIN}"


@pytest.mark.parametrize(
    ("status", "state", "outcome"),
    [
        (200, "delivered", "delivered"),
        (503, "pending", "trunk_unreachable"),
        (480, "pending", "trunk_unreachable"),
        (415, "failed", "refused"),
        (403, "failed", "refused"),
        (404, "failed", "refused"),
        (604, "failed", "refused"),
        (401, "pending", "trunk_unreachable"),
    ],
)
def test_answers(inline_store: InlineStore, did: Did, status: int, state: str, outcome: str) -> None:
    net = network(inline_store)
    Pbx(net, says=lambda request: status)
    assert net.state(arrives(net, did)) == (state, outcome)


def test_it_waits_for_a_trunk_that_is_silent_and_keeps_the_order(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store)
    pbx = Pbx(net, says=lambda request: None)
    first = arrives(net, did, "first")
    second = arrives(net, did, "second", peer="+12025550177")
    net.reactor.pump([1.0] * 33)
    assert net.state(first) == ("pending", "trunk_unreachable")
    assert net.state(second) == ("pending", None)
    pbx.received.clear()
    pbx.says = lambda request: 202
    net.reactor.pump([1.0] * 30)
    assert pbx.texts == ["first", "second"]
    assert pbx.received[0].cseq.number == 2 * MOST_REQUESTS
    net.reactor.pump([1.0] * 60)
    assert len(pbx.received) == 2


def test_a_trunk_that_is_not_there_or_not_theirs(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, accounts=(did.account_id + 1,))
    pbx = Pbx(net)
    assert net.state(arrives(net, did)) == ("failed", "trunk_not_yours")
    lost = net.arrives(did, "hi", "nobody", handler="trunk")
    assert net.state(lost) == ("pending", "no_such_trunk")
    net.reactor.advance(72 * 3600 + 1)
    net.reactor.pump([1.0] * 3)
    assert net.state(lost) == ("failed", "expired")
    assert pbx.received == []


def test_too_long_for_a_datagram_tries_tcp(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store)
    pbx = Pbx(net)
    arrives(net, did, "x" * 1_300)
    assert pbx.received == []
    assert [client[:2] for client in net.reactor.tcpClients] == [PBX]


@pytest.mark.parametrize("host", ["2001:db8::50", "[2001:db8::50]"])
def test_a_trunk_by_ipv6(inline_store: InlineStore, did: Did, host: str) -> None:
    net = network(inline_store, host=host, transport="tcp")
    arrives(net, did)
    [client] = net.reactor.tcpClients
    assert client[:2] == ("2001:db8::50", 5060)
    assert trunk_of(net).sends_from("2001:db8::50")


# -- servers ------------------------------------------------------------------------------------------------


def named(store: InlineStore, **more: Any) -> Net:
    net = Net(store)
    net.names.hosts = {"a.example.net": [PBX[0]], "b.example.net": [OTHER[0]], "pbx.example.net": [PBX[0]]}
    net.names.srvs["_sip._udp.pbx.example.net"] = [
        Srv(2, 0, OTHER[1], "b.example.net"),
        Srv(1, 0, PBX[1], "a.example.net"),
    ]
    net.config = network(store, host="pbx.example.net", **more).config
    net.boot()
    return net


@pytest.mark.parametrize("trouble", [503, None])
def test_a_server_that_fails_is_left_for_the_next(
    inline_store: InlineStore, did: Did, trouble: int | None
) -> None:
    net = named(inline_store)
    first, second = Pbx(net, says=lambda request: trouble), Pbx(net, OTHER)
    delivery = arrives(net, did, "one")
    net.reactor.pump([0.5] * 70)
    assert net.state(delivery) == ("delivered", "delivered")
    assert second.texts == ["one"]
    assert {r.via.branch for r in first.received}.isdisjoint({r.via.branch for r in second.received})
    assert first.received[0].call_id == second.received[0].call_id
    heard = len(first.received)
    arrives(net, did, "two")
    assert second.texts == ["one", "two"]
    assert len(first.received) == heard
    net.reactor.advance(FAILED_SECONDS)
    first.says = lambda request: 202
    arrives(net, did, "three")
    assert first.texts[-1] == "three"


def test_when_all_fail_it_waits(inline_store: InlineStore, did: Did) -> None:
    net = named(inline_store)
    for address in (PBX, OTHER):
        Pbx(net, address, says=lambda request: 503)
    assert net.state(arrives(net, did)) == ("pending", "trunk_unreachable")


def test_one_attempt_is_a_few_requests_however_many_servers_there_are(
    inline_store: InlineStore, did: Did
) -> None:
    net = named(inline_store)
    net.names.hosts["a.example.net"] = [f"192.0.2.{last}" for last in range(60, 80)]
    net.boot()
    pbxs = [Pbx(net, (host, PBX[1]), lambda request: 503) for host in net.names.hosts["a.example.net"]]
    delivery = arrives(net, did)
    assert net.state(delivery) == ("pending", "trunk_unreachable")
    assert sum(len(pbx.received) for pbx in pbxs) == MOST_REQUESTS
    assert len({request.cseq.number for pbx in pbxs for request in pbx.received}) == MOST_REQUESTS


def test_what_is_too_long_for_one_server_is_not_for_the_next(inline_store: InlineStore, did: Did) -> None:
    net = named(inline_store)
    net.names.naptrs["pbx.example.net"] = [
        Naptr(1, 1, "s", "SIP+D2U", "_sip._udp.pbx.example.net"),
        Naptr(2, 1, "s", "SIP+D2T", "_sip._tcp.pbx.example.net"),
    ]
    net.names.srvs["_sip._tcp.pbx.example.net"] = [Srv(1, 0, 5070, "a.example.net")]
    net.config = replace(net.config, large_udp="refuse")
    net.boot()
    delivery = arrives(net, did, "x" * 1_300)
    connector: Any = None
    for asked in range(3):
        host, port, factory, *_ = net.reactor.tcpClients[asked]
        if (host, port) == (PBX[0], 5070):
            return
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
    pytest.fail(f"never by TCP: {net.state(delivery)}")


def test_naptr_decides_the_transport(inline_store: InlineStore, did: Did) -> None:
    net = named(inline_store)
    net.names.naptrs["pbx.example.net"] = [Naptr(1, 1, "s", "SIP+D2T", "_sip._tcp.pbx.example.net")]
    net.names.srvs["_sip._tcp.pbx.example.net"] = [Srv(1, 0, 5070, "a.example.net")]
    net.boot()
    arrives(net, did)
    assert [client[:2] for client in net.reactor.tcpClients] == [(PBX[0], 5070)]


def test_a_port_or_no_srv_means_the_address(inline_store: InlineStore, did: Did) -> None:
    net = named(inline_store, port=5070)
    pbx = Pbx(net, (PBX[0], 5070))
    arrives(net, did)
    assert pbx.texts == ["hi"]
    assert net.names.asked == ["pbx.example.net"] * len(net.names.asked)
    net = named(inline_store)
    net.names.srvs.clear()
    net.boot()
    pbx = Pbx(net)
    arrives(net, did)
    assert pbx.texts == ["hi"]


def test_what_was_known_stays_when_no_name_server_answers(inline_store: InlineStore, did: Did) -> None:
    net = named(inline_store)
    pbx = Pbx(net)
    net.names.silent = True
    with capture_logs() as lines:
        net.reactor.pump([60.0] * 5)
        arrives(net, did)
    assert pbx.texts == ["hi"]
    assert [line["event"] for line in lines].count("sip_trunk_not_found") == 1


def test_texts_share_a_look_and_do_not_ask_what_nobody_answered_a_moment_ago(
    inline_store: InlineStore, did: Did
) -> None:
    net = named(inline_store)
    pbx = Pbx(net)
    net.names.asked.clear()
    net.names.slow = True
    net.reactor.advance(61)
    texts = [arrives(net, did, str(number), peer=f"+120255501{number}") for number in range(10, 15)]
    assert (len(net.names.asked), pbx.texts) == (1, [])
    net.names.silent = True
    net.names.answer()
    assert pbx.texts == ["10", "11", "12", "13", "14"]
    net.names.asked.clear()
    arrives(net, did, "at once", peer="+12025550116")
    assert (net.names.asked, pbx.texts[-1]) == ([], "at once")
    net.reactor.advance(AGAIN_SECONDS)
    arrives(net, did, "again", peer="+12025550117")
    assert net.names.asked != []
    assert {net.state(text)[0] for text in texts} == {"delivered"}


def test_a_host_that_was_never_found(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, host="nowhere.example.net")
    assert net.state(arrives(net, did)) == ("pending", "trunk_unreachable")


# -- challenges ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithms", [(Algorithm.MD5,), (Algorithm.SHA256, Algorithm.MD5)])
def test_a_challenge_is_answered_and_the_next_request_answers_it_at_once(
    inline_store: InlineStore, did: Did, algorithms: tuple[Algorithm, ...]
) -> None:
    net = network(inline_store, username="us", password=Secret("secret"))
    pbx = Pbx(net)
    pbx.says = lambda request: 202 if proved(request) else challenge(request, "n1", False, *algorithms)
    assert net.state(arrives(net, did))[0] == "delivered"
    assert [request.cseq.number for request in pbx.received] == [8, 9]
    assert net.state(arrives(net, did))[0] == "delivered"
    counts = [parse_credentials(r.headers.get("Authorization") or "").nc for r in pbx.received[1:]]
    assert counts == ["00000001", "00000002"]
    assert parse_credentials(pbx.received[1].headers.get("Authorization") or "").algorithm is algorithms[0]


def test_a_nonce_that_is_too_old_is_replaced(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, username="us", password=Secret("secret"))
    pbx = Pbx(net)
    good = "n1"
    pbx.says = lambda request: 202 if proved(request) == good else challenge(request, good)
    arrives(net, did)
    good = "n2"
    assert net.state(arrives(net, did))[0] == "delivered"
    assert len(pbx.received) == 4


def test_a_wrong_password_is_not_tried_for_ever(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, username="us", password=Secret("wrong"))
    pbx = Pbx(net, says=lambda request: 202 if proved(request) else challenge(request, "n"))
    assert net.state(arrives(net, did)) == ("pending", "trunk_unreachable")
    assert len(pbx.received) == 2


# -- texts from a trunk -------------------------------------------------------------------------------------


def sends(pbx: Pbx, user: str = PEER, source: str = DID, **fields: str) -> Response:
    """A MESSAGE of the trunk; ``source`` is the user in its From."""
    return pbx.message(f"sip:{user}@{DOMAIN}", From=f"<sip:{source}@{PBX[0]}>;tag=1", **fields)


def test_a_trunk_is_known_by_its_address(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store)
    assert sends(Pbx(net)).status == 202
    [stored] = net.stored(did)
    assert (stored.did, stored.peer, stored.text, stored.leg) == (DID, PEER, "hi", "sip")
    assert sends(Pbx(net, OTHER), Call_ID="another").status == 403  # no trunk: a phone with a wrong password
    net = network(inline_store, networks=("192.0.2.51", "2001:db8::/32"))
    assert sends(Pbx(net, OTHER), Call_ID="third").status == 202
    assert sends(Pbx(net), Call_ID="fourth").status == 403


def test_whom_it_is_from(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store)
    pbx = Pbx(net)
    asserted = f"<sip:{DID}@pbx.example.net>"
    assert sends(pbx, source="100", P_Asserted_Identity=asserted).status == 202
    assert sends(pbx, source="100").status == 403
    assert sends(pbx, source="+12025550177").status == 403
    net = network(inline_store, did=DID)
    pbx = Pbx(net)
    assert sends(pbx, source="reception").status == 202
    assert sends(pbx, source="+12025550177").status == 403
    assert {message.did for message in net.stored(did)} == {DID}


@pytest.mark.parametrize(
    ("asserted", "status"),
    [
        (f"<sip:{DID}@pbx>, <tel:{DID}>", 202),
        (f'"Doe, Jo" <sip:100@pbx>, <tel:{DID}>', 202),
        (["<sip:100@pbx>", f"<tel:{DID}>"], 202),
        (f"<tel:+12025550177>, <sip:{DID}@pbx>", 202),
        ("<sip:100@pbx>, <tel:+12025550177>", 403),
        ("<tel:+12025550177>, <sip:100@pbx>", 403),
        ("<sip:100@pbx>, <sip:reception@pbx>", 403),
        ([f"<sip:{DID}@pbx>", "<tel:(unknown) >"], 202),
        (["<sip:a@h:0>", f"<tel:{DID}>"], 202),
        (f"<tel:{DID}>,", 400),
        ("<sip:a b@pbx>", 400),
    ],
)
def test_of_several_asserted_identities_the_first_of_ours(
    inline_store: InlineStore, did: Did, asserted: str | list[str], status: int
) -> None:
    """RFC 3325 §9.1: one sip or sips URI, and one tel."""
    net = network(inline_store)
    fields = {"From": "<sip:100@pbx>;tag=1", "P-Asserted-Identity": asserted}
    answer = Pbx(net).ask("MESSAGE", f"sip:{PEER}@{DOMAIN}", fields, b"hi")
    assert (answer.status, [message.did for message in net.stored(did)]) == (
        status,
        [DID] if status == 202 else [],
    )


def test_numbers_of_other_accounts_are_refused(inline_store: InlineStore, did: Did) -> None:
    with inline_store.engine.transaction() as connection:
        other = accounts.add_account(connection, inline_store.ids.next, "other", 0)
        numbers.add_did(connection, inline_store.ids.next, other.id, "+12025550111", 0)
    net = network(inline_store, accounts=(did.account_id,))
    assert sends(Pbx(net), source="+12025550111").status == 403
    net = network(inline_store)
    assert sends(Pbx(net), source="+12025550111").status == 202


def test_whom_it_is_to(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, username="us", number_format="e164")
    pbx = Pbx(net)
    assert sends(pbx, "447911123456", DID[1:]).status == 202
    assert sends(pbx, "us", DID[1:], To="<sip:447911123457@pbx.example.net>").status == 202
    assert sends(pbx, "us", DID[1:], X_SMS_To="447911123458").status == 202
    assert sends(pbx, "nobody", DID[1:]).status == 404
    assert [message.peer for message in net.stored(did)] == [f"+44791112345{last}" for last in "678"]


@pytest.mark.parametrize(
    ("number", "peer"),
    [
        ("7700900123;phone-context=+44", "+447700900123"),
        ("2025550150;phone-context=+1", "+12025550150"),
        ("0150;phone-context=+1202555", "+12025550150"),
        ("447700900123;phone-context=PBX.example.net", "+447700900123"),
        (f"447700900123;phone-context={DOMAIN}", "+447700900123"),
        ("447700900123;phone-context=other.example", None),
    ],
)
def test_the_place_of_a_trunks_numbers(
    inline_store: InlineStore, did: Did, number: str, peer: str | None
) -> None:
    net = network(inline_store, username="us", number_format="e164", domain="pbx.example.net")
    pbx = Pbx(net)
    to = f"<sip:{number}@pbx.example.net>"
    answers = [sends(pbx, number, DID[1:]), sends(pbx, "us", DID[1:], To=to, Call_ID="second")]
    tel: dict[str, Any] = {"From": f"<sip:{DID[1:]}@{PBX[0]}>;tag=1", "To": f"<tel:{number}>"}
    answers.append(pbx.message(f"tel:{number}", **tel, Call_ID="third"))
    answers.append(sends(pbx, "us", DID[1:], To=f"<tel:{number}>", Call_ID="fourth"))
    assert [answer.status for answer in answers] == [404 if peer is None else 202] * 4
    assert [message.peer for message in net.stored(did)] == ([] if peer is None else [peer] * 4)


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        (f"tel:{DID[2:]};phone-context=+1", 202),
        (f"sip:{DID[-4:]};phone-context={DID[:-4]}@pbx", 202),
        (f"sip:{DID[1:]};phone-context=+44@pbx", 403),
        (f"tel:{DID[1:]};phone-context=other.example", 403),
        (f"tel:{DID[1:]};phone-context={DOMAIN}", 202),
    ],
)
def test_the_place_of_the_number_that_a_trunk_sends_as(
    inline_store: InlineStore, did: Did, uri: str, status: int
) -> None:
    net = network(inline_store, number_format="e164")
    pbx = Pbx(net)
    to = f"sip:{PEER[1:]}@{DOMAIN}"
    assert pbx.message(to, From=f"<{uri}>;tag=1").status == status
    assert pbx.message(to, Call_ID="second", P_Asserted_Identity=f"<{uri}>").status == status
    assert len(net.stored(did)) == (2 if status == 202 else 0)


@pytest.mark.parametrize(
    "uri", ["sip:2025550123;phone-context=pbx.local@pbx", "tel:100;phone-context=x.example"]
)
def test_a_number_of_an_unknown_plan_is_never_the_trunks_own(
    inline_store: InlineStore, did: Did, uri: str
) -> None:
    net = network(inline_store, number_format="e164", did=DID)
    pbx = Pbx(net)
    to = f"sip:{PEER[1:]}@{DOMAIN}"
    assert pbx.message(to, From=f"<{uri}>;tag=1").status == 403
    assert pbx.message(to, Call_ID="second", From="<sip:100@pbx>;tag=1").status == 202
    assert len(net.stored(did)) == 1


@pytest.mark.parametrize("user", ["us", ""])
def test_two_numbers_under_one_call_id_at_our_contact_are_two_texts(
    inline_store: InlineStore, did: Did, user: str
) -> None:
    net = network(inline_store, username="us")
    pbx = Pbx(net)
    uri = f"sip:{user}@192.0.2.1:5060" if user else "sip:192.0.2.1:5060"
    for peer in (PEER, "+12025550151", PEER):
        for host in (DOMAIN, "pbx.example.net"):
            fields = {"From": f"<sip:{DID}@pbx>;tag=1", "Call_ID": "one", "CSeq": "7 MESSAGE"}
            assert pbx.message(uri, To=f"<sip:{peer}@{host}>", **fields).status == 202
    assert [message.peer for message in net.stored(did)] == [PEER, "+12025550151"]


def test_the_country_of_a_trunk(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, region="GB")
    assert sends(Pbx(net), "07911123456").status == 202
    assert net.stored(did)[0].peer == "+447911123456"


def test_our_own_text_that_comes_back_goes_nowhere(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store, did=DID)
    pbx = Pbx(net)
    arrives(net, did, peer="40404")
    [ours] = pbx.received
    answer = sends(pbx, DID, "40404", Call_ID=ours.call_id)
    assert (answer.status, net.stored(did)) == (482, [])


def test_a_trunk_is_not_slowed_down_or_banned(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store)
    net.config = net.config.__class__(domain=DOMAIN, udp=net.config.udp, tcp=(), trunks=net.config.trunks)
    pbx = Pbx(net)
    assert {sends(pbx).status for _ in range(60)} == {202}
    assert sends(pbx).status == 503  # what one number may send is limited all the same


# -- registration -------------------------------------------------------------------------------------------


def registered(request: Request, seconds: int = 300) -> Response:
    contact = request.headers.get("Contact")
    return response_to(request, 200, "pbx", None, [("Contact", f"{contact};expires={seconds}")])


def client(store: InlineStore, says: Answer) -> tuple[Net, Pbx]:
    """A server that is to register with a PBX, from its start on."""
    net = Net(store)
    pbx = Pbx(net, says=says)
    net.config = network(store, username="us", password=Secret("secret"), register=True).config
    net.boot()
    return net, pbx


def state(net: Net) -> State:
    registration = trunk_of(net).registration
    assert registration is not None
    return registration.state


def test_it_registers_and_refreshes_and_says_goodbye(inline_store: InlineStore) -> None:
    net, pbx = client(
        inline_store, lambda request: registered(request) if proved(request) else challenge(request, "n")
    )
    assert state(net) is State.REGISTERED
    first, second = pbx.received
    assert (first.method, first.uri) == ("REGISTER", f"sip:{PBX[0]}")
    assert first.headers.get("Contact") == "<sip:us@192.0.2.1:5060>"
    assert first.headers.get("Expires") == "600"
    assert first.call_id == second.call_id
    assert second.cseq.number > first.cseq.number
    net.reactor.advance(239)
    assert len(pbx.received) == 2
    net.reactor.advance(2)
    assert len(pbx.received) == 3
    assert pbx.received[2].call_id == first.call_id
    success(net.sip.trunks.stop())
    assert pbx.received[3].headers.get("Expires") == "0"
    assert state(net) is State.OFF
    net.reactor.advance(1_000)
    assert len(pbx.received) == 4


def test_423_asks_for_longer(inline_store: InlineStore) -> None:
    def says(request: Request) -> Response:
        if int(request.headers.get("Expires") or 0) < 1_800:
            return response_to(request, 423, "pbx", None, [("Min-Expires", "1800")])
        return registered(request, 1_800)

    net, pbx = client(inline_store, says)
    assert state(net) is State.REGISTERED
    assert [request.headers.get("Expires") for request in pbx.received] == ["600", "1800"]


@pytest.mark.parametrize(("status", "wanted"), [(403, State.REFUSED), (None, State.TRYING)])
def test_a_registration_that_fails_is_tried_again_ever_later(
    inline_store: InlineStore, status: int | None, wanted: State
) -> None:
    with capture_logs() as lines:
        net, pbx = client(inline_store, lambda request: status)
        net.reactor.pump([1.0] * 33)
    assert state(net) is wanted
    told = [line for line in lines if line["event"] == "sip_trunk_not_registered"]
    assert [line["again_in"] for line in told][:1] == [FIRST_WAIT]
    pbx.says = registered
    net.reactor.pump([1.0] * 60)
    assert state(net) is State.REGISTERED


def test_a_connection_that_is_lost_is_registered_anew(inline_store: InlineStore) -> None:
    net, pbx = client(inline_store, registered)
    registration = trunk_of(net).registration
    assert registration is not None
    flow = registration._flow
    assert flow is not None
    net.sip.agent.flow_lost(flow, "gone")
    assert state(net) is State.TRYING
    net.reactor.advance(1)
    assert state(net) is State.REGISTERED
    assert len(pbx.received) == 2
