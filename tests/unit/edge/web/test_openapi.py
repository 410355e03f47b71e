"""The document is what the router does: every answer of a tour through the API fits what is said of it."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from edge.keys import SCOPES
from edge.web.api.openapi import codes
from edge.web.api.routes import Route
from storage import contacts, opt_outs
from storage.endpoints import EndpointRecord
from storage.testing import InlineStore
from tests.unit.edge.conftest import DID, PEER, START_MS, Time
from tests.unit.edge.web.harness import Reply, Scene
from tests.unit.edge.web.test_api_deliveries import Desk

API_PAGE = Path(__file__).parents[4] / "docs" / "api.md"


@pytest.fixture
def desk(inline_store: InlineStore, time: Time) -> Desk:
    return Desk(inline_store, time)


def described(scene: Scene) -> dict[str, Any]:
    reply = scene.call("GET", "/v1/openapi.json", token="")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    document: dict[str, Any] = reply.json
    return document


def routes(scene: Scene) -> tuple[Route, ...]:
    found: tuple[Route, ...] = scene.site.branches[b"v1"].table.routes  # type: ignore[attr-defined]
    return found


def fits(document: dict[str, Any], route: Route, reply: Reply) -> None:
    """The answer is one that the document knows, and its body fits the schema."""
    said = document["paths"][route.path][route.method.lower()]["responses"]
    assert str(reply.status) in said, (route.name, reply.status, reply.text)
    content = said[str(reply.status)].get("content")
    if content is None:
        assert reply.body == b""
        return
    kind = reply.headers["content-type"].partition(";")[0]
    assert kind in content, (route.name, kind)
    assert len(content) == 1 or list(content) == list(route.files)
    schema = {**content[kind]["schema"], "components": document["components"]}
    jsonschema_rs.validate(schema, reply.text if kind in route.files else reply.json)
    if reply.status >= 400:
        assert reply.json["code"] in codes(route)[reply.status], (route.name, reply.text)


def tour(desk: Desk) -> list[tuple[str, dict[str, str], Any, int]]:
    """(operation, names in the path, members, status) for answers good and bad."""
    received, sent = desk.message(), desk.message("mt")
    ids, now = desk.store.ids.next, START_MS
    with desk.store.engine.transaction() as conn:
        contact = contacts.put(conn, ids, desk.account.id, PEER, "Ann", now)
        group = contacts.add_group(conn, ids, desk.account.id, "Friends", now)
        wish = opt_outs.add(conn, ids, desk.account.id, PEER, "STOP", now, did=DID)
    draft = {"from": DID, "to": PEER, "text": "hi"}
    talk = {"did": DID, "peer": PEER}
    number = {"number": DID}
    from storage.records import DeliveryState

    where = "https://example.net/failing"
    desk.put(EndpointRecord(desk.account.id, "callback", where, START_MS, None, "timeout", START_MS))
    pending, failed = desk.delivery(DeliveryState.PENDING, received), desk.delivery(DeliveryState.FAILED)

    def one(item: Any) -> dict[str, str]:
        return {"id": str(getattr(item, "id", item))}

    url = {"handlers": {"webhook": {"settings": {"url": "https://example.net/in", "format": "standard"}}}}
    return [
        ("sendMessage", {}, draft, 202),
        ("sendMessage", {}, {"from": 1}, 422),
        ("sendBatch", {}, {"messages": [draft, draft]}, 202),
        ("sendBatch", {}, {"messages": []}, 422),
        ("listMessages", {}, {"limit": 5, "did": DID, "since": "2020-01-01"}, 200),
        ("listMessages", {}, {"since": "yesterday"}, 422),
        ("getMessage", one(received), {}, 200),
        ("getMessage", one(sent), {}, 200),
        ("getMessage", one(7), {}, 404),
        ("readMessage", one(received), {}, 200),
        ("readMessage", one(sent), {}, 409),
        ("unreadMessage", one(received), {}, 200),
        ("retryMessage", one(sent), {}, 409),
        ("listConversations", {}, {"named": "Ann"}, 200),
        ("getConversation", talk, {}, 200),
        ("getConversation", {**talk, "peer": "x"}, {}, 404),
        ("changeConversation", talk, {"archived": True, "pinned": True, "unread": True}, 200),
        ("usage", {}, {}, 200),
        ("usage", {}, {"since": "2020-01-01", "until": "2026-01-01"}, 422),
        ("listDeliveries", {}, {}, 200),
        ("listDeliveries", {}, {"message": received.id}, 200),
        ("getDelivery", one(failed), {}, 200),
        ("retryDelivery", one(pending), {}, 202),
        ("retryDelivery", one(failed), {}, 409),
        ("skipDelivery", one(pending), {"why": "moved"}, 202),
        ("replayDelivery", one(failed), {}, 202),
        ("replayDeliveries", {}, {"handler": "callback"}, 202),
        ("listDids", {}, {}, 200),
        ("getDid", number, {}, 200),
        ("getDid", {"number": "nobody"}, {}, 404),
        ("changeDid", number, {"sms": True, **url}, 200),
        ("changeDid", number, {"handlers": {"pager": {}}}, 422),
        ("changeDid", number, {"handlers": {"webhook": {"settings": {"url": "ftp://x/"}}}}, 422),
        ("testHandler", {**number, "handler": "webhook"}, {}, 409),
        ("listWebhooks", {}, {}, 200),
        ("listEndpoints", {}, {}, 200),
        ("resumeEndpoint", {}, {"handler": "callback", "url": where}, 200),
        ("resumeEndpoint", {}, {"handler": "callback", "url": where}, 404),
        ("newSecret", {**number, "handler": "webhook"}, {}, 201),
        ("retireSecret", {**number, "handler": "webhook"}, {}, 204),
        ("newSecret", {**number, "handler": "forward"}, {}, 404),
        ("listContacts", {}, {"holding": "an", "after_id": contact.id}, 200),
        ("listContacts", {}, {"after_id": 7}, 422),
        ("addContact", {}, {"number": "+12025550188", "name": "Bob"}, 201),
        ("addContact", {}, {"number": PEER, "name": "Bob"}, 409),
        ("addContact", {}, {"number": "x", "name": "Bob"}, 422),
        ("getContact", one(contact), {}, 200),
        ("changeContact", one(contact), {"notes": "tall"}, 200),
        ("listGroups", {}, {}, 200),
        ("addGroup", {}, {"name": "Family"}, 201),
        ("addGroup", {}, {"name": "Friends"}, 409),
        ("renameGroup", one(group), {"name": "Family"}, 409),
        ("renameGroup", one(group), {"name": "Foes"}, 200),
        ("setGroupMembers", one(group), {"contacts": [contact.id]}, 204),
        ("setGroupMembers", one(group), {"contacts": [7]}, 422),
        ("removeGroup", one(group), {}, 204),
        ("removeContact", one(contact), {}, 204),
        ("removeContact", one(contact), {}, 404),
        ("listOptOuts", {}, {}, 200),
        ("addOptOut", {}, {"peer": PEER}, 201),
        ("addOptOut", {}, {"peer": PEER, "did": "+12025550177"}, 404),
        ("removeOptOut", one(wish), {}, 204),
        ("listKeys", {}, {}, 200),
        ("addKey", {}, {"name": "app", "scopes": ["messages:read"]}, 201),
        ("addKey", {}, {"name": "app", "scopes": ["messages:read"]}, 409),
        ("rotateKey", one(7), {}, 404),
        ("exportMessages", {}, {"did": DID}, 200),
        ("exportMessages", {}, {"format": "csv"}, 200),
        ("exportMessages", {}, {"format": "pdf"}, 422),
        ("deleteMessage", one(received), {}, 204),
        ("deleteMessage", one(received), {}, 404),
        ("deleteMessages", {}, {"ids": [sent.id]}, 200),
        ("deleteMessages", {}, {"matching": {"peer": PEER}}, 422),
        ("deleteMessages", {}, {"matching": {"peer": PEER}, "confirm": True}, 200),
        ("undoDeletion", one(7), {}, 404),
        ("deleteConversation", talk, {}, 200),
        ("deleteConversation", {**talk, "peer": "x"}, {}, 404),
        ("openapi", {}, {}, 200),
    ]


def test_every_answer_of_a_tour_fits_the_document(desk: Desk) -> None:
    document = described(desk)
    known = {route.name: route for route in routes(desk)}
    seen = set()
    for name, path, members, status in tour(desk):
        route = known[name]
        where = re.sub(r"\{(\w+)\}", lambda found: path[found[1]].replace("+", "%2B"), route.path)  # noqa: B023
        query = ""
        if route.method in ("GET", "DELETE") and members:
            query = "?" + "&".join(f"{key}={value}".replace("+", "%2B") for key, value in members.items())
        reply = desk.call(route.method, where + query, None if query or route.method == "GET" else members)
        assert reply.status == status, (name, reply.text)
        fits(document, route, reply)
        seen.add(name)
    assert {route.name for route in routes(desk)} - seen == {"explain", "revokeKey"}


def test_the_document_is_one(desk: Desk) -> None:
    document = described(desk)
    assert document["openapi"] == "3.1.0"
    operations = [each for path in document["paths"].values() for each in path.values()]
    twice = [name for name, count in Counter(each["operationId"] for each in operations).items() if count > 1]
    assert twice == []
    text = json.dumps(document)
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == set(document["components"]["schemas"])
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.validator_for({**schema, "components": document["components"]})
    linked = {link["operationId"] for each in operations for answer in each["responses"].values()
              for link in answer.get("links", {}).values()}  # fmt: skip
    assert {"getMessage", "removeContact", "getConversation", "changeDid", "revokeKey"} <= linked


def test_every_scope_is_known_and_every_known_one_is_used(desk: Desk, inline_store: InlineStore) -> None:
    asked = {route.scope for route in routes(desk) if route.scope}
    assert asked <= SCOPES.keys()
    assert SCOPES.keys() - asked == {"events:read", "sip:read", "sip:write"}, "not there in this scene"


def test_the_page_for_people_has_every_route_and_nothing_from_elsewhere(desk: Desk) -> None:
    page = desk.call("GET", "/docs", token="")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for route in routes(desk):
        assert f"{route.method} {route.path}" in page.text
        assert f'id="{route.name}"' in page.text
    assert re.findall(r'(?:src|href)="(?!/static/|/docs|/v1/|#)', page.text) == []
    assert "<script" not in page.text
    assert desk.call("POST", "/docs", {}).status == 405
    assert desk.call("GET", "/docs/more").status == 404


def test_every_code_is_explained(desk: Desk) -> None:
    page = API_PAGE.read_text("utf-8")
    known = {word for route in routes(desk) for words in codes(route).values() for word in words}
    assert sorted(word for word in known if f"`{word}`" not in page) == []
