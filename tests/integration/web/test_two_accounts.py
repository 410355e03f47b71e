"""No route shows or changes what is another account's: a walk through the table of routes, on both engines.

Each route is asked as one customer for what is the other's: its ids, its number. Then no id or word of the
other's may be in the answer and none of its rows may have changed. Asked as the other, it must find
something, so that this test is one. A route with a name in its path or a needed member that is not known here
fails the walk: say there what it should get.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_twisted
from sqlalchemy import Connection, select

from edge.web.api.openapi import BODIES
from edge.web.api.routes import Route
from storage.store import Store
from storage.tables import opt_out
from tests.integration.storage.two_accounts import Customer
from tests.integration.web.api_site import ApiSite
from tests.samples import PEER

pytestmark = pytest.mark.integration

FOUND = {200, 201, 202, 204, 409}
UNDO = "undoDeletion"
ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest_twisted.async_yield_fixture
async def site(store: Store) -> AsyncIterator[ApiSite]:
    running = ApiSite(store)
    await running.start()
    yield running
    await running.stop()


def address(route: Route, subject: Customer, wish: int) -> str:
    """The path of a route to what is the subject's."""
    collection = route.path.split("/")[2]
    ids = {
        "messages": subject.sent.id,
        "deliveries": subject.failed.id if route.path.endswith("/replay") else subject.pending.id,
        "contacts": subject.contact.id,
        "groups": subject.group.id,
        "opt-outs": wish,
        "keys": subject.scope.api_key_id,
        "sip-accounts": subject.phone.id,
        "deletions": subject.sent.id,  # nobody has deleted anything
    }
    names = {
        "id": ids.get(collection),
        "number": subject.number,
        "did": subject.number,
        "peer": PEER,
        "handler": "webhook" if route.name == "retireSecret" else "callback",  # a callback has one only
    }
    return re.sub(r"\{(\w+)\}", lambda found: quote(str(names[found[1]])), route.path)


def members(route: Route, subject: Customer) -> dict[str, Any]:
    """What a route takes, about what is the subject's."""
    draft = {"from": subject.number, "to": PEER, "text": "hi"}
    known: dict[str, Any] = {
        **draft,
        "messages": [draft],
        "did": subject.number,
        "peer": PEER,
        "message": subject.received.id,
        "group": subject.group.id,
        "after_id": subject.contact.id,
        "from_id": subject.failed.id,
        "to_id": subject.failed.id,
        "handler": "callback",
        "url": "http://sink/",
        "sms": False,
        "contacts": [subject.contact.id],
        "dids": [subject.number],
        "username": f"new-{subject.name}",
        "name": "walked",
        "number": "+12025550188",
        "notes": "changed",
        "scopes": ["*"],
        "read_up_to": subject.received.id,
        "archived": True,
        "ids": [subject.received.id],
    }
    if route.method == "GET":
        known["archived"] = False
    if route.name == "listOptOuts":
        known.pop("peer")
    if route.name == "changeContact":
        known.pop("number")
    missing = {member.name for member in route.takes.members if member.required} - known.keys()
    assert not missing, (route.path, missing)
    return {member.name: known[member.name] for member in route.takes.members if member.name in known}


def names_of(text: str, subject: Customer) -> set[object]:
    """What of the subject's is in an answer: its ids, its words."""
    ids = {int(digits) for digits in re.findall(r"\d{10,16}", text)} & subject.ids.given
    return {*ids, *([subject.name] if f"of {subject.name}" in text else [])}


async def ask(site: ApiSite, who: Customer, route: Route, subject: Customer, wish: int) -> tuple[int, str]:
    path, given = address(route, subject, wish), members(route, subject)
    if route.method in BODIES:
        return await site.call(who, route.method, path, given)
    query = urlencode({name: str(value).lower() for name, value in given.items()})
    return await site.call(who, route.method, f"{path}?{query}" if query else path)


def wish_of(conn: Connection, subject: Customer) -> int:
    return conn.scalar(select(opt_out.c.id).where(opt_out.c.account_id == subject.account.id)) or 0


@pytest_twisted.ensureDeferred
async def test_a_walk_through_every_route(site: ApiSite) -> None:
    store, mine, theirs = site.store, site.mine, site.theirs
    wish = await store.read(wish_of, theirs)
    routes = [route for route in site.routes if route.scope and not route.stream]
    routes.sort(key=lambda route: ORDER.index(route.method))
    assert len(routes) > 40
    await site.call(theirs, "GET", "/v1/keys")
    await store.writer.run("settle", lambda conn: None)  # that its key was used is noted behind the answer
    before = await store.read(theirs.rows)
    for route in routes:
        status, text = await ask(site, mine, route, theirs, wish)
        assert status < 500, (route.name, text)
        assert not names_of(text, theirs), (route.name, text)
        assert await store.read(theirs.rows) == before, route.name
        # The number was the first one's once: its own conversations over it are no secret.
        if "{" in route.path and "/conversations/" not in route.path:
            assert (status, json.loads(text)["code"]) == (404, route.missing[0]), (route.name, text)
    for route in routes:
        if route.name == UNDO:
            continue  # below: it needs what a deletion gave
        status, text = await ask(site, theirs, route, theirs, wish)
        assert status in FOUND, (route.name, text)
        if route.name == "deleteMessages":
            undo = f"/v1/deletions/{json.loads(text)['id']}/undo"
            assert (await site.call(mine, "POST", undo))[0] == 404
        assert not names_of(text, mine), (route.name, text)
    assert await store.read(theirs.rows) != before


@pytest_twisted.ensureDeferred
async def test_every_route_wants_a_key_with_its_scope(site: ApiSite) -> None:
    status, text = await site.call(site.mine, "POST", "/v1/keys", {"name": "poor", "scopes": ["usage:read"]})
    assert status == 422, text
    status, text = await site.call(site.mine, "POST", "/v1/keys", {"name": "poor", "scopes": ["sip:read"]})
    assert status == 201, text
    poor = f"Bearer {json.loads(text)['token']}"
    before = await site.store.read(site.mine.rows)
    for route in site.routes:
        path = address(route, site.mine, 1)
        if not route.scope:
            assert (await site.call(site.mine, route.method, path, Authorization=""))[0] == 200
            continue
        status, text = await site.call(site.mine, route.method, path, Authorization="Bearer nobody")
        assert (status, json.loads(text)["code"]) == (401, "key_invalid"), route.name
        if route.scope != "sip:read":
            status, text = await site.call(site.mine, route.method, path, Authorization=poor)
            assert (status, json.loads(text)["code"]) == (403, "scope_missing"), route.name
    after = await site.store.read(site.mine.rows)
    assert {row for row in after ^ before if row[0] != "api_key"} == set()
