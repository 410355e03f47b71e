"""The site drains: how long each connection stays, and what it still gets."""

from collections.abc import Callable

import pytest

from edge.web.channel import FIRST_SECONDS, NEXT_SECONDS
from tests.deferreds import pending, success
from tests.unit.edge.web.harness import Link, Scene

ALIVE = b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"


def link_after(scene: Scene, asked: bytes) -> Link:
    """A connection, new or kept after this has been answered."""
    link = scene.link()
    if asked:
        link.send(asked)
        link.replies()
    return link


def last_words(link: Link) -> list[tuple[int, str | None]]:
    return [(reply.status, reply.headers.get("connection")) for reply in link.replies()]


@pytest.mark.parametrize(("asked", "seconds"), [(b"", FIRST_SECONDS), (ALIVE, NEXT_SECONDS)])
def test_a_connection_that_says_nothing_is_closed(scene: Scene, asked: bytes, seconds: float) -> None:
    link = link_after(scene, asked)
    drained = scene.site.drain()
    scene.time.advance(seconds / 2)
    assert not link.closing()
    scene.time.advance(seconds / 2)
    assert link.closing()
    pending(drained)
    link.leave()
    success(drained)
    assert scene.time.getDelayedCalls() == []


def test_when_its_time_is_over_what_has_come_meanwhile_is_read_first(scene: Scene) -> None:
    """The reactor may have been held up for so long; it reads between two rounds of calls."""
    link = scene.link()
    calls: list[tuple[float, Callable[[], None]]] = []
    link.protocol.callLater = lambda seconds, call: calls.append((seconds, call))
    scene.site.drain()
    seconds, call = calls.pop()
    assert seconds == FIRST_SECONDS
    call()
    assert not link.closing()
    ((seconds, _),) = calls
    assert seconds == 0
    link.send(ALIVE)
    assert last_words(link) == [(200, "close")]


@pytest.mark.parametrize("before", [b"", ALIVE])
@pytest.mark.parametrize("begun", [0, 7, len(ALIVE) - 1])
def test_a_request_that_is_on_its_way_is_answered_and_the_connection_closed(
    scene: Scene, before: bytes, begun: int
) -> None:
    link = link_after(scene, before)
    if begun:
        link.send(ALIVE[:begun])
    scene.site.drain()
    link.send(ALIVE[begun:])
    assert last_words(link) == [(200, "close")]
    assert link.closing()
    link.leave()
    assert scene.time.getDelayedCalls() == [], "nothing is left of the connection"


def test_one_that_has_begun_to_ask_has_the_time_of_a_request(scene: Scene) -> None:
    link = scene.link()
    scene.site.drain()
    link.send(ALIVE[:7])
    scene.time.advance(2 * FIRST_SECONDS)
    assert not link.closing()
    link.send(ALIVE[7:])
    assert last_words(link) == [(200, "close")]


def test_a_stream_that_begins_now_ends_at_once_and_its_reader_comes_back(scene: Scene) -> None:
    link = scene.link()
    link.send(ALIVE[:-1])
    scene.site.drain()
    link.protocol.begin_stream()
    scene.time.advance(0)
    assert link.closing()


def test_draining_twice_does_not_lengthen_it(scene: Scene) -> None:
    link = scene.link()
    scene.site.drain()
    scene.time.advance(FIRST_SECONDS / 2)
    scene.site.drain()
    scene.time.advance(FIRST_SECONDS / 2)
    assert link.closing()
