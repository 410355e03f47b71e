"""Transactions: timers E, F, J, K, both branch rules, every way that they end."""

from pathlib import Path

import pytest

from protocols.sip import transaction
from protocols.sip.message import Response
from protocols.sip.transaction import (
    Answered,
    ClientTransactions,
    Resend,
    ServerTransactions,
    State,
    Unanswered,
    server_key,
)
from protocols.sip.validity import check_response, key_fields
from tests.unit.protocols.sip.samples import MESSAGE, RESPONSE, request, response, torture


def key(data: bytes = MESSAGE) -> transaction.Key:
    found = request(data)
    return server_key(found, key_fields(found))


def test_retransmissions_get_the_first_answer_for_32_seconds() -> None:
    server = ServerTransactions()
    assert server.find(key()) is None
    begun = server.begin(key(), reliable=False)
    assert server.find(key()) is begun
    assert begun.answer is None
    assert server.respond(begun, b"202", 10.0)
    assert not server.respond(begun, b"500", 10.0)
    server.handle_timer(41.9)
    found = server.find(key())
    assert found is not None
    assert found.answer == b"202"
    server.handle_timer(42.0)
    assert server.find(key()) is None
    assert begun.state is State.TERMINATED


def test_a_stream_retransmits_by_itself() -> None:
    server = ServerTransactions(limit=1)
    begun = server.begin(key(), reliable=True)
    assert server.full
    server.respond(begun, b"202", 0.0)
    assert len(server) == 0


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (b"branch=z9hG4bKPj", b"branch=Z9HG4BKpj", True),
        (b"tag=9a1c2e3f4b5d6", b"tag=other", True),
        (b"PJSUA v2.15", b"PJSUA v2.16", True),
        (b"8d1c\r\n", b"8d1d\r\n", False),
        (b"192.0.2.10:5062;rport", b"192.0.2.10:5063;rport", False),
        (b"384827", b"384828", False),
        (b"4711 ", b"4712 ", False),
    ],
)
def test_by_branch(old: bytes, new: bytes, same: bool) -> None:
    assert (key(MESSAGE.replace(old, new)) == key()) is same


@pytest.mark.parametrize("branch", [b"z0hG4bKabc", b"z9hG4bK", b""])
def test_as_rfc_2543(branch: bytes) -> None:
    old = MESSAGE.replace(b"z9hG4bKPj4c1f6f0a2b7e4a9f8d1c", branch)
    assert key(old) == key(old.replace(b"PJSUA v2.15", b"PJSUA v2.16"))
    for changed in (b"4711 ", b"9a1c2e", b"384827", b"+1202555"):
        assert key(old.replace(changed, changed[:-1] + b"0" + changed[-1:])) != key(old)


def test_a_bare_cookie_of_the_torture_tests() -> None:
    assert key(torture()["badbranch"])[0] == ""


def begun(reliable: bool = False) -> tuple[ClientTransactions, str]:
    client, context = ClientTransactions(), "context"
    sent = request(MESSAGE.replace(b"z9hG4bKPj4c1f6f0a2b7e4a9f8d1c", b"z9hG4bKus1"))
    assert client.begin(sent, "flow" if reliable else None, 0.0, context) == sent.serialise()
    return client, context


def receive(client: ClientTransactions, answer: Response, now: float) -> Answered | None:
    return client.receive(answer, check_response(answer), now)


def times(client: ClientTransactions) -> list[tuple[float, str]]:
    """Run the timers dry: when what happened."""
    happened = []
    while (at := client.timer()) is not None:
        happened += [(at, type(event).__name__) for event in client.handle_timer(at)]
    return happened


def test_timer_e_doubles_to_four_seconds_and_f_ends_it() -> None:
    client, context = begun()
    happened = times(client)
    resends = [at for at, name in happened if name == "Resend"]
    assert resends == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert happened[-1] == (32.0, "Unanswered")
    assert len(client) == 0
    assert Unanswered("timeout", context).context is context


def test_a_provisional_answer_slows_it_down() -> None:
    client, _ = begun()
    assert receive(client, response(RESPONSE.replace(b"200 OK", b"100 Trying")), 0.1) is None
    assert [at for at, _ in times(client)][:3] == [0.5, 4.5, 8.5]


def test_one_final_answer() -> None:
    client, context = begun()
    answered = receive(client, response(), 0.2)
    assert answered is not None
    assert answered.context is context
    assert receive(client, response(), 0.3) is None
    assert times(client) == []
    assert len(client) == 0


def test_the_answer_comes_with_its_context() -> None:
    client, context = begun(reliable=True)
    answered = receive(client, response(), 0.2)
    assert answered is not None
    assert answered.response.status == 200
    assert answered.context is context
    assert len(client) == 0


def test_a_stream_is_not_sent_on_again() -> None:
    client, _ = begun(reliable=True)
    assert times(client) == [(32.0, "Unanswered")]


def test_answers_that_are_nobodys() -> None:
    client, _ = begun()
    for changed in (RESPONSE.replace(b"us1", b"us2"), RESPONSE.replace(b"1 MESSAGE", b"1 REGISTER")):
        assert receive(client, response(changed), 0.1) is None
    assert len(client) == 1


def test_a_transport_that_fails() -> None:
    client, context = begun(reliable=True)
    assert client.lost("another", "gone") == []
    assert client.lost("flow", "gone") == [Unanswered("gone", context)]
    assert client.lost("flow", "gone") == []
    assert times(client) == []
    answered, _ = begun(reliable=True)
    receive(answered, response(), 0.1)
    assert answered.lost("flow", "gone") == []


def test_a_request_that_is_given_up() -> None:
    client, context = begun()
    assert client.give_up("z9hG4bKanother", "MESSAGE", "gone") is None
    branch = response().via.branch
    assert client.give_up(branch.upper(), "MESSAGE", "gone") == Unanswered("gone", context)
    assert client.give_up(branch, "MESSAGE", "gone") is None
    assert times(client) == []
    assert receive(client, response(), 0.1) is None
    answered, _ = begun()
    receive(answered, response(), 0.1)
    assert answered.give_up(branch, "MESSAGE", "gone") is None


def test_resends_are_the_same_octets() -> None:
    client, context = begun()
    [event] = client.handle_timer(0.5)
    assert isinstance(event, Resend)
    assert event.context is context
    assert b"z9hG4bKus1" in event.data


def test_the_tables_are_the_diagrams() -> None:
    for table in (transaction.CLIENT, transaction.SERVER):
        drawn = transaction.diagram(table)
        assert drawn.count("-->") == len(table) + 2
        assert State.TERMINATED not in {old for old, _ in table}


def test_the_documentation_shows_the_tables() -> None:
    page = (Path(__file__).parents[4] / "docs" / "sip.md").read_text("utf-8")
    for table in (transaction.CLIENT, transaction.SERVER):
        assert transaction.diagram(table) in page
