"""What arrives badly, too large or too slowly, and what leaves."""

import re

import pytest

from edge.web.channel import LINGER_SECONDS, REQUEST_SECONDS
from edge.web.request import MAX_BODY_OCTETS
from tests.deferreds import success
from tests.unit.edge.web.harness import TOKEN, Scene, request

AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: h\r\n" + AUTH
BODY = b'{"from":"+12025550100","to":"+447911123456","text":"hi"}'


def post(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(scene: Scene) -> None:
    link = scene.link()
    link.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_OCTETS + 1))
    (reply,) = link.replies()
    assert (reply.status, reply.json["code"], reply.headers["connection"]) == (413, "body_too_large", "close")
    assert not link.closing(), "the client still writes: closing now would reset it"
    for _ in range(17):
        link.send(b"x" * 65536)
    assert link.closing()
    assert link.replies() == []


def test_a_client_that_was_refused_and_goes_on_is_cut_off(scene: Scene) -> None:
    link = scene.link()
    link.send(HEAD + b"Content-Length: 99999999999\r\n\r\n")
    link.send(b"x" * 100)
    scene.time.advance(LINGER_SECONDS - 0.1)
    link.send(b"x" * 100)
    assert not link.closing()
    scene.time.advance(0.2)
    assert link.closing()


def test_a_chunked_body_is_refused_when_it_gets_too_large(scene: Scene) -> None:
    link = scene.link()
    link.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    for _ in range(16):
        link.send(chunk)
    assert link.replies() == []
    link.send(chunk)
    assert [reply.status for reply in link.replies()] == [413]
    assert link.protocol.requests[-1].body == b"", "nothing of it is kept"
    link.send(b"0\r\n\r\n")
    assert link.closing()
    assert scene.outbox.drafts == []


def test_a_body_of_the_largest_size_is_taken(scene: Scene) -> None:
    link = scene.link()
    link.send(post(BODY[:-1] + b" " * (MAX_BODY_OCTETS - len(BODY)) + b"}"))
    assert [reply.status for reply in link.replies()] == [202]


def test_chunked_bodies_are_read(scene: Scene) -> None:
    link = scene.link()
    link.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert [reply.status for reply in link.replies()] == [202]


def test_a_request_must_arrive_in_time_however_it_drips(scene: Scene) -> None:
    link = scene.link()
    for octet in post(BODY)[:REQUEST_SECONDS]:
        assert not link.closing()
        link.send(bytes([octet]))
        scene.time.advance(1.0)
    assert link.closing()


def test_a_connection_that_says_nothing_is_closed(scene: Scene) -> None:
    link = scene.link()
    scene.time.advance(REQUEST_SECONDS + 0.1)
    assert link.closing()


def test_a_kept_connection_may_rest_between_requests(scene: Scene) -> None:
    link = scene.link()
    link.send(post(BODY))
    scene.time.advance(REQUEST_SECONDS - 1)
    first, second = post(BODY)[:50], post(BODY)[50:]
    link.send(first)
    scene.time.advance(5)
    link.send(second)
    assert [reply.status for reply in link.replies()] == [202, 202]
    assert not link.closing()


def test_an_answer_that_takes_long_is_waited_for(scene: Scene) -> None:
    scene.outbox.hold = True
    link = scene.link()
    link.send(post(BODY))
    scene.time.advance(10 * REQUEST_SECONDS)
    scene.outbox.release()
    assert [reply.status for reply in link.replies()] == [202]


def test_pipelined_requests_are_answered_in_order(scene: Scene) -> None:
    scene.outbox.hold = True
    link = scene.link()
    link.send(post(BODY) + b"GET /livez HTTP/1.1\r\n\r\n")
    assert link.replies() == []
    scene.outbox.release()
    assert [reply.status for reply in link.replies()] == [202, 200]


def test_http_1_0_and_connection_close(scene: Scene) -> None:
    for octets in (b"GET /livez HTTP/1.0\r\n\r\n", b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"):
        link = scene.link()
        link.send(octets)
        (reply,) = link.replies()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert link.closing()


def test_a_header_line_that_is_too_long(scene: Scene) -> None:
    link = scene.link()
    link.send(b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n")
    assert [reply.status for reply in link.replies()] == [431]
    assert link.closing()


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(101)) + b"\r\n",
        b"nonsense\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_the_link_closed(scene: Scene, octets: bytes) -> None:
    link = scene.link()
    link.send(octets)
    assert [reply.status for reply in link.replies()] == [400]
    assert link.closing()


def test_a_client_that_leaves_before_the_answer(scene: Scene) -> None:
    scene.outbox.hold = True
    link = scene.link()
    link.send(post(BODY))
    link.leave()
    (answering,) = scene.outbox.waiting
    scene.outbox.release()
    success(answering)
    assert link.replies() == []
    assert len(scene.outbox.drafts) == 1


def test_a_client_that_leaves_before_an_error(scene: Scene) -> None:
    scene.outbox.hold = True
    scene.outbox.error = RuntimeError("ours")
    link = scene.link()
    link.send(post(BODY))
    link.leave()
    (answering,) = scene.outbox.waiting
    scene.outbox.release()
    success(answering)
    assert link.replies() == []


def test_head_has_the_headers_of_get(scene: Scene) -> None:
    link = scene.link()
    link.send(b"GET /livez HTTP/1.1\r\n\r\n")
    (whole,) = link.replies()
    link.send(b"HEAD /livez HTTP/1.1\r\n\r\n")
    (head,) = link.replies(head_only=True)
    assert head.pairs == whole.pairs
    assert head.headers["content-length"] == str(len(whole.body))


def test_the_date_is_that_of_the_wall_clock(scene: Scene) -> None:
    reply = scene.call("GET", "/livez")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT", reply.headers["date"])
    scene.time.advance(86400)
    assert scene.call("GET", "/livez").headers["date"] != reply.headers["date"]


def test_nothing_says_what_the_server_is(scene: Scene) -> None:
    assert "server" not in scene.call("GET", "/livez").headers
    assert "server" not in scene.browser().get("/login").headers


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/static/portal.css", "/v1/messages", "/v1/no"])
def test_every_answer_has_its_guards(scene: Scene, path: str) -> None:
    reply = scene.browser().get(path)
    assert reply.headers["x-content-type-options"] == "nosniff"
    if not path.startswith("/v1/"):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["referrer-policy"] == "same-origin"
    if path != "/static/portal.css":
        assert reply.headers["cache-control"] == "no-store"


def test_a_broken_handler_tells_the_client_nothing(scene: Scene) -> None:
    scene.outbox.error = RuntimeError("secret detail")
    link = scene.link()
    link.send(post(BODY))
    (reply,) = link.replies()
    assert (reply.status, reply.json["code"]) == (500, "internal_error")
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body


def test_a_broken_page_tells_the_client_nothing(scene: Scene) -> None:
    member = scene.member()
    scene.outbox.error = RuntimeError("secret detail")
    reply = member.fill("/new", "/new", to="+447911123456", text="x")
    assert reply.status == 500
    assert "secret" not in reply.text
    assert "<h1>Internal Server Error</h1>" in reply.text


def test_too_many_fields(scene: Scene) -> None:
    fields = "&".join(f"a{number}=1" for number in range(200))
    assert scene.call("GET", f"/v1/messages?{fields}").json["code"] == "too_many_fields"
    assert scene.call("GET", f"/v1/messages/1?{fields}").json["code"] == "too_many_fields"
    assert scene.browser().get(f"/login?{fields}").status == 400


def test_the_site_has_no_clock_of_its_own(scene: Scene) -> None:
    scene.site.doStart()
    assert scene.time.getDelayedCalls() == []
    scene.site.doStop()


def test_the_harness_writes_http() -> None:
    assert request("GET", "/x", b"", {"A": "b"}) == b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nA: b\r\n\r\n"
