"""Carriers put anything into an address; whatever is listed can be opened."""

import re

import pytest

from tests.unit.edge.web.harness import DID, Browser, Scene


@pytest.mark.parametrize("peer", ["ACME\u00a0SHOP", "A\x01B", "A\u202eB", "A\nB", " ", "50%", "a&b=c;d"])
def test_every_listed_conversation_opens(scene: Scene, member: Browser, peer: str) -> None:
    scene.message(text="hello", peer=peer)
    found = re.search(r'<a class="peer" href="([^"]+)"', member.get("/messages").text)
    assert found is not None
    address = found[1].replace("&amp;", "&")
    page = member.get(address)
    assert (page.status, "hello" in page.text) == (200, True)
    assert scene.browser().get(address).headers["location"].startswith("/login?next=")


def test_an_answer_to_one_goes_to_exactly_it(scene: Scene, member: Browser) -> None:
    scene.message(text="hello", peer="A\r\nSet-Cookie: x=y")
    address = f"/conversations/{DID}/A%0D%0ASet-Cookie%3A%20x%3Dy"
    token = re.search(r'name="csrf" value="([^"]+)"', member.get(address).text)
    assert token is not None
    reply = member.post(address, csrf=token[1], text="hi")
    assert (reply.status, "set-cookie" in reply.headers) == (303, False)
    assert scene.outbox.drafts[0].destination == "A\r\nSet-Cookie: x=y"


def test_an_address_that_no_column_can_hold(member: Browser) -> None:
    assert member.get(f"/conversations/{DID}/a%00b").status == 404
