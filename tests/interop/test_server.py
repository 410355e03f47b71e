"""The whole server against a foreign SMSC, the npm package `smpp`."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.cli.desk import DidChange, HandlerChange, open_desk
from edge.config import load
from tests.interop import node_smsc
from tests.interop.node_smsc import NodeSMSC
from tests.provision import KEY, provision
from tests.server import Server, until
from tests.sink import Sink
from tests.texts import TEXTS

pytestmark = pytest.mark.interop

DID = "12025550100"
PHONE = "12025550150"
OWNER = "12025550199"
LONG = "A long text, sent in parts: " + "0123456789 " * 35 + "the end."


@pytest.fixture
def sink() -> Iterator[Sink]:
    opened = Sink()
    yield opened
    opened.close()


@pytest.fixture
def smsc() -> Iterator[NodeSMSC]:
    node_smsc.require()
    with NodeSMSC(system_id="trunk", password="secret") as opened:
        yield opened


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path, smsc: NodeSMSC, sink: Sink) -> Iterator[Server]:
    template = f"{sink.url}/cb?id={{ID}}&at={{TIMESTAMP}}&from={{FROM}}&to={{TO}}&text={{MESSAGE}}"
    provision(sqlite_url, [f"+{DID}"], {"url": template, "retry": True})
    opened = Server(tmp_path, sqlite_url, smsc.port)
    opened.start()
    yield opened
    assert opened.stop() == 0


def message(server: Server, identity: int) -> dict[str, Any]:
    status, body = server.call("GET", f"/v1/messages/{identity}", key=KEY)
    assert status == 200
    return dict(body)


def has_failed(server: Server, identity: int) -> bool:
    return bool(message(server, identity)["status"] == "failed")


def send(server: Server, text: str, **more: object) -> int:
    status, body = server.call(
        "POST", "/v1/messages", {"from": f"+{DID}", "to": f"+{PHONE}", "text": text, **more}, KEY
    )
    assert status == 202, body
    return int(body["id"])


@pytest.mark.parametrize("kind", sorted(TEXTS))
def test_mo_reaches_the_callback_byte_for_byte(server: Server, smsc: NodeSMSC, sink: Sink, kind: str) -> None:
    smsc.mo(PHONE, DID, TEXTS[kind], ref=kind)
    smsc.wait_for("answered", ref=kind, status=0)
    until(lambda: sink.targets, "the callback")
    (query,) = sink.queries()
    found = until(
        lambda: server.call("GET", "/v1/messages?direction=mo", key=KEY)[1]["messages"], "the message"
    )[0]
    assert query["text"] == TEXTS[kind]
    assert (query["from"], query["to"], query["id"]) == (PHONE[1:], DID[1:], str(found["id"]))
    assert query["at"] == found["created_at"][:19].replace("T", " ")
    assert found["text"] == TEXTS[kind]
    until(lambda: message(server, found["id"])["deliveries"][0]["state"] == "delivered", "the outcome")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("text", [LONG, LONG.replace("long", "lång 👍🏽")])
def test_a_long_mo_is_one_message_in_any_order(
    server: Server, smsc: NodeSMSC, sink: Sink, text: str, reverse: bool
) -> None:
    smsc.mo(PHONE, DID, text, ref="long", reverse=reverse)
    smsc.wait_for("answered", ref="long", count=3, status=0)
    until(lambda: sink.targets, "the callback")
    assert [query["text"] for query in sink.queries()] == [text]


def test_mt_is_sent_answered_and_its_receipt_closes_it(server: Server, smsc: NodeSMSC, sink: Sink) -> None:
    identity = send(server, "Hello, phone", status_callback=f"{sink.url}/status")
    submit = smsc.wait_for("submit")[0]
    assert (submit["from"], submit["to"], submit["text"]) == (f"+{DID}", f"+{PHONE}", "Hello, phone")
    assert (submit["source_addr_ton"], submit["dest_addr_ton"], submit["data_coding"]) == (1, 1, 0)
    until(lambda: message(server, identity)["status"] == "sent", "sent")
    assert message(server, identity)["parts"][0]["smsc_message_id"] == submit["message_id"]
    smsc.receipt(submit["message_id"], PHONE, DID, ref="dlr")
    smsc.wait_for("answered", ref="dlr", status=0)
    until(lambda: message(server, identity)["status"] == "delivered", "delivered")
    until(lambda: len(sink.bodies) == 3, "the status callbacks")
    told = [json.loads(body) for body in sink.bodies]
    assert {(one["type"], one["id"]) for one in told} == {("message.status", identity)}
    assert sorted(one["status"] for one in told) == ["delivered", "queued", "sent"]


def test_a_refusal_is_told_with_the_carriers_code(server: Server, smsc: NodeSMSC, sink: Sink) -> None:
    smsc.settings(submit_status=0x0B)
    identity = send(server, "Hello, phone", status_callback=f"{sink.url}/status")
    until(lambda: len(sink.bodies) == 2, "the status callbacks")
    told = {one["status"]: one for one in map(json.loads, sink.bodies)}
    assert told["failed"]["error"] == "ESME_RINVDSTADR (0x0000000B)"
    assert told["failed"]["id"] == identity


def test_one_message_to_every_handler_and_the_owners_answer_back(
    sqlite_url: str, tmp_path: Path, smsc: NodeSMSC, sink: Sink
) -> None:
    provision(sqlite_url, [f"+{DID}"], {"url": f"{sink.url}/cb?text={{MESSAGE}}", "retry": True})
    server = Server(tmp_path, sqlite_url, smsc.port)
    with open_desk(load(server.config)) as desk:
        webhook = HandlerChange(settings={"url": f"{sink.url}/hook", "format": "standard"})
        forward = HandlerChange(settings={"to": OWNER, "two_way": "on"})
        desk.set_did(f"+{DID}", DidChange(handlers={"webhook": webhook, "forward": forward}))
    with server:
        server.start()
        smsc.mo(PHONE, DID, "are you there?", ref="mo")
        (on,) = until(lambda: smsc.matching("submit", to=f"+{OWNER}"), "the forward")
        assert (on["from"], on["text"]) == (f"+{DID}", "are you there?")
        until(lambda: len(sink.targets) == 2, "callback and webhook")
        assert {target.partition("?")[0] for target in sink.targets} == {"/cb", "/hook"}
        smsc.mo(OWNER, DID, "yes 👍", ref="answer")
        (back,) = until(lambda: smsc.matching("submit", to=f"+{PHONE}"), "the answer")
        assert (back["from"], back["text"]) == (f"+{DID}", "yes 👍")
        found = until(lambda: _answered(server), "the answer's delivery")
        assert [(one["handler"], one["last_outcome"]) for one in found] == [("forward", "replied")]
        assert len(sink.targets) == 2


def _answered(server: Server) -> list[dict[str, Any]]:
    """The deliveries of the owner's answer, once they are final."""
    listed = server.call("GET", f"/v1/messages?direction=mo&peer=%2B{OWNER}", key=KEY)[1]["messages"]
    found: list[dict[str, Any]] = listed[0]["deliveries"] if listed else []
    return found if all(one["state"] == "delivered" for one in found) else []


def test_a_receipt_in_the_other_base_and_one_of_text_alone(server: Server, smsc: NodeSMSC) -> None:
    """Digits alone wait until an id with a letter has shown that this SMSC changes the base."""
    identities = [send(server, f"number {number}") for number in range(16)]
    until(lambda: all(message(server, identity)["status"] == "sent" for identity in identities), "all sent")
    sent = {submit["text"]: submit["message_id"] for submit in smsc.matching("submit")}
    digits = next(number for number in range(16) if sent[f"number {number}"].isdigit())
    letter = next(number for number in range(16) if not sent[f"number {number}"].isdigit())
    for number in (digits, letter):
        given = sent[f"number {number}"]
        decimal = str(int(given, 16)).zfill(10)
        smsc.receipt(given, PHONE, DID, ref=given, text_id=decimal, tlv=False, stat="UNDELIV")
        smsc.wait_for("answered", ref=given, status=0)
    for number in (letter, digits):
        failed = identities[number]
        until(partial(has_failed, server, failed), "failed")
        assert message(server, failed)["parts"][0]["receipt_state"] == "UNDELIVERABLE"


def test_a_receipt_that_is_faster_than_the_response(server: Server, smsc: NodeSMSC) -> None:
    smsc.settings(hold_submits=True)
    identity = send(server, "Hello, phone")
    submit = smsc.wait_for("submit")[0]
    smsc.receipt(submit["message_id"], PHONE, DID, ref="early")
    smsc.wait_for("answered", ref="early", status=0)
    smsc.send("release")
    until(lambda: message(server, identity)["status"] == "delivered", "delivered")


def test_a_long_mt_goes_in_parts_and_is_delivered_when_all_are(server: Server, smsc: NodeSMSC) -> None:
    smsc.settings(receipts=True)
    identity = send(server, LONG)
    submits = smsc.wait_for("submit", count=3)
    assert "".join(submit["text"] for submit in submits) == LONG
    assert [submit["udh"][0][-2:] for submit in submits] == ["01", "02", "03"]
    until(lambda: message(server, identity)["status"] == "delivered", "delivered")


def test_throttled_parts_all_arrive(server: Server, smsc: NodeSMSC) -> None:
    smsc.settings(throttle_every=3)
    identities = [send(server, f"number {number}") for number in range(9)]
    until(lambda: all(message(server, identity)["status"] == "sent" for identity in identities), "all sent")
    accepted = [submit["text"] for submit in smsc.matching("submit", status=0)]
    assert sorted(accepted) == sorted(f"number {number}" for number in range(9))


def test_a_cut_link_is_bound_again_and_what_was_in_doubt_is_flagged(server: Server, smsc: NodeSMSC) -> None:
    smsc.settings(hold_submits=True)
    identity = send(server, "in doubt")
    smsc.wait_for("submit")
    smsc.settings(hold_submits=False)
    smsc.send("cut")
    smsc.wait_for("bind", count=2)
    smsc.wait_for("submit", count=2)
    until(lambda: message(server, identity)["status"] == "sent", "sent")
    assert message(server, identity)["parts"][0]["possible_duplicate"] is True


def test_both_sides_answer_enquire_link(server: Server, smsc: NodeSMSC) -> None:
    smsc.send("enquire", ref="alive")
    smsc.wait_for("answered", ref="alive", status=0)


def test_transmitter_and_receiver(sqlite_url: str, tmp_path: Path, smsc: NodeSMSC, sink: Sink) -> None:
    provision(sqlite_url, [f"+{DID}"], {"url": f"{sink.url}/?t={{MESSAGE}}", "retry": True})
    server = Server(tmp_path, sqlite_url, smsc.port, bind="transmitter_receiver")
    server.start()
    try:
        until(lambda: len(smsc.matching("bind", status=0)) == 2, "two binds")
        assert {event["kind"] for event in smsc.matching("bind")} == {"bind_transmitter", "bind_receiver"}
        identity = send(server, "out")
        smsc.wait_for("submit")
        until(lambda: message(server, identity)["status"] == "sent", "sent")
        smsc.mo(PHONE, DID, "in", ref="in")
        smsc.wait_for("answered", ref="in", status=0)
        until(lambda: sink.targets == ["/?t=in"], "the callback")
    finally:
        assert server.stop() == 0
    smsc.wait_for("unbind", count=2)
