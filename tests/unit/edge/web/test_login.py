"""Log-in, log-out, sessions, form tokens, guessing."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from edge.web.pages.sessions import ABSOLUTE_MS, IDLE_MS, RENEWED_AFTER_MS
from storage.tables import session
from storage.testing import InlineStore
from tests.unit.edge.conftest import Time
from tests.unit.edge.web.harness import PASSWORD, Browser, Scene

MEMBER_PAGES = ["/messages", "/messages/7", "/conversations/+12025550100/+447911123456", "/new"]


def sessions(scene: Scene) -> list[Any]:
    with scene.store.engine.snapshot() as conn:
        return list(conn.execute(select(session)))


def cookie(reply: Any, name: str) -> str:
    (found,) = [value for key, value in reply.pairs if key == "set-cookie" and value.startswith(f"{name}=")]
    return str(found)


@pytest.mark.parametrize("page", MEMBER_PAGES)
def test_pages_are_for_people_who_are_logged_in(scene: Scene, page: str) -> None:
    reply = scene.browser().get(page)
    assert (reply.status, reply.headers["location"]) == (303, f"/login?next={quote(page, safe='/')}")


@pytest.mark.parametrize(
    ("page", "referer", "goal"),
    [
        ("/new", "", "/new"),
        ("/logout", "", "/"),
        ("/conversations/+12025550100/+447911123456", "", "/conversations/%2B12025550100/%2B447911123456"),
        ("/logout", "http://127.0.0.1:8080/messages?q=a%20b", "/messages%3Fq%3Da%2520b"),
        ("/new", "http://evil.example/messages", "/new"),
        ("/new", "http://[/messages", "/new"),
    ],
)
def test_forms_are_for_people_who_are_logged_in(scene: Scene, page: str, referer: str, goal: str) -> None:
    browser = scene.browser()
    browser.headers = {"Referer": referer} if referer else {}
    reply = browser.post(page, text="x", to="+447911123456", from_="+12025550100")
    assert (reply.status, reply.headers["location"]) == (303, f"/login?next={goal}")
    assert scene.outbox.drafts == []


def test_log_in_and_out(scene: Scene) -> None:
    browser = scene.browser()
    assert browser.follow(browser.get("/")).headers["location"] == "/login?next=/conversations"
    reply = browser.log_in()
    assert reply.headers["location"] == "/conversations"
    page = browser.follow(reply)
    assert (page.status, "Log out" in page.text) == (200, True)
    reply = browser.fill("/messages", "/logout")
    assert reply.headers["location"] == "/login"
    assert "trunkline" not in browser.cookies
    assert sessions(scene) == []
    assert browser.get("/messages").status == 303


def test_a_log_out_ends_the_log_in_on_the_server(scene: Scene, member: Browser) -> None:
    kept = dict(member.cookies)
    member.fill("/messages", "/logout")
    member.cookies = kept
    assert member.get("/messages").status == 303


def test_a_link_logs_nobody_out(scene: Scene, member: Browser) -> None:
    reply = member.get("/logout")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert member.get("/messages").status == 200


def test_the_cookie_of_plain_http(scene: Scene) -> None:
    written = cookie(scene.browser().log_in(), "trunkline")
    assert re.fullmatch(r"trunkline=[\w-]{43}; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax", written), (
        "256 bits, and no script reads it"
    )


def test_the_cookie_of_https(inline_store: InlineStore, time: Time) -> None:
    scene = Scene(inline_store, time, "https://sms.example.net")
    browser = scene.browser()
    written = cookie(browser.log_in(), "__Host-trunkline")
    assert written.endswith("; HttpOnly; SameSite=Lax; Secure")
    assert "Path=/;" in written
    assert "Domain" not in written
    assert browser.get("/messages").status == 200


def test_the_store_holds_no_token(scene: Scene, member: Browser) -> None:
    (row,) = sessions(scene)
    assert re.fullmatch("[0-9a-f]{64}", row.id)
    assert member.cookies["trunkline"] not in str(row)


def test_every_log_in_is_another_session_and_ends_the_one_before(scene: Scene) -> None:
    browser = scene.browser()
    browser.log_in()
    first = browser.cookies["trunkline"]
    browser.log_in()
    assert browser.cookies["trunkline"] != first
    assert len(sessions(scene)) == 1


def test_a_session_that_was_planted_is_not_taken_over(scene: Scene) -> None:
    browser = scene.browser()
    browser.cookies["trunkline"] = "planted-by-somebody-else-0123456789abcdefgh"
    browser.log_in()
    assert browser.cookies["trunkline"] != "planted-by-somebody-else-0123456789abcdefgh"


@pytest.mark.parametrize("value", ["", "x", "x" * 43, '"; drop', "x" * 5000, "\xe9" * 43])
def test_cookies_that_are_nobodys(scene: Scene, value: str) -> None:
    browser = scene.browser()
    browser.cookies["trunkline"] = value
    assert browser.get("/messages").status == 303


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("demo", "wrong"),
        ("nobody", PASSWORD),
        ("", ""),
        ("demo", ""),
        ("demo\0", PASSWORD + "x"),
        ("demo", "x" * 1001),
    ],
)
def test_a_wrong_log_in(scene: Scene, login: str, password: str) -> None:
    browser = scene.browser()
    reply = browser.log_in(login, password)
    assert reply.status == 403
    assert "do not belong together" in reply.text
    assert "trunkline" not in browser.cookies
    assert sessions(scene) == []


def test_the_same_words_for_an_unknown_log_in_and_a_wrong_password(scene: Scene) -> None:
    answers = [scene.browser().log_in(login, "wrong").text for login in ("demo", "fred")]
    plain = [re.sub(r'value="[^"]*"', "", text) for text in answers]
    assert plain[0] == plain[1]


def test_an_unknown_log_in_takes_the_work_of_a_known_one(scene: Scene) -> None:
    scene.hold_threads = True
    browser = scene.browser()
    token = re.search(r'name="token" value="([^"]+)"', browser.get("/login").text)
    assert token is not None
    for login in ("demo", "fred"):
        link = scene.link()
        body = f"login={login}&password=x&token={token[1]}".encode()
        link.send(
            b"POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Cookie: trunkline-form=%b\r\nContent-Length: %d\r\n\r\n%b"
            % (token[1].encode(), len(body), body)
        )
    assert len(scene.threads) == 2


def test_log_ins_are_not_case_sensitive(scene: Scene) -> None:
    assert scene.browser().log_in(" DEMO ").status == 303


def test_when_many_wait_for_their_password_the_next_is_sent_away(scene: Scene) -> None:
    scene.hold_threads = True
    links = []
    for number in range(20):
        link = scene.link(f"198.51.100.{number}")
        body = b"login=demo&password=x&token=" + b"t" * 43
        link.send(
            b"POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Cookie: trunkline-form=%b\r\nContent-Length: %d\r\n\r\n%b" % (b"t" * 43, len(body), body)
        )
        links.append(link)
    assert len(scene.threads) == 2, "at once"
    answered = [reply.status for link in links for reply in link.replies()]
    assert answered == [503, 503]


# -- guessing ------------------------------------------------------------------------------------------------


def test_guessing_gets_slower(scene: Scene) -> None:
    browser = scene.browser()
    assert [browser.log_in(password="wrong").status for _ in range(6)] == [403] * 6
    reply = browser.log_in()
    assert (reply.status, reply.headers["retry-after"]) == (429, "2")
    assert "Please wait 2 seconds." in reply.text
    scene.time.advance(1.1)
    assert browser.log_in(password="wrong").status == 403
    scene.time.advance(1.1)
    assert browser.log_in().status == 429
    scene.time.advance(1.0)
    assert browser.log_in().status == 303


def test_guessing_from_one_address_does_not_lock_out_another(scene: Scene) -> None:
    guesser = scene.browser("198.51.100.7")
    for _ in range(10):
        guesser.log_in(password="wrong")
    assert guesser.log_in().status == 429
    assert scene.browser("203.0.113.9").log_in().status == 303


def test_guessing_many_log_ins_from_one_address(scene: Scene) -> None:
    guesser = scene.browser("198.51.100.7")
    for number in range(31):
        assert guesser.log_in(f"user{number}", "wrong").status == 403
    assert guesser.log_in("another", "wrong").status == 429


@pytest.mark.parametrize("proxy", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_behind_a_proxy_the_address_is_that_of_the_client(
    inline_store: InlineStore, time: Time, proxy: str
) -> None:
    scene = Scene(inline_store, time, "http://sms.example.net")
    guesser = scene.browser(proxy)
    guesser.headers = {"X-Forwarded-For": "10.0.0.1, 198.51.100.7"}
    for _ in range(7):
        guesser.log_in(password="wrong")
    assert guesser.log_in().status == 429
    guesser.headers = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}
    assert guesser.log_in().status == 303


def test_without_a_proxy_nobody_says_who_he_is(scene: Scene) -> None:
    guesser = scene.browser("198.51.100.7")
    for number in range(7):
        guesser.headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        guesser.log_in(password="wrong")
    assert guesser.log_in().status == 429


# -- other people's pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_from_other_sites_are_refused(scene: Scene, headers: dict[str, str]) -> None:
    member = scene.member()
    member.headers = headers
    assert member.fill("/new", "/new", to="+447911123456", text="x").status == 403
    assert scene.browser().get("/login").status == 200
    outsider = scene.browser()
    outsider.headers = headers
    assert outsider.log_in().status == 403
    assert scene.outbox.drafts == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, {}]
)
def test_our_own_forms_are_taken(scene: Scene, headers: dict[str, str]) -> None:
    browser = scene.browser()
    browser.headers = headers
    assert browser.log_in().status == 303


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize("page", ["/new", "/logout", "/conversations/+12025550100/+447911123456"])
def test_forms_need_the_token_of_the_log_in(scene: Scene, member: Browser, page: str, token: str) -> None:
    reply = member.post(page, csrf=token, from_="+12025550100", to="+447911123456", text="x")
    assert reply.status == 403
    assert scene.outbox.drafts == []
    assert member.get("/messages").status == 200


def test_the_token_of_another_log_in_is_no_token(scene: Scene, member: Browser) -> None:
    found = re.search(r'name="csrf" value="([^"]+)"', scene.member().get("/new").text)
    assert found is not None
    assert (
        member.post("/new", csrf=found[1], from_="+12025550100", to="+447911123456", text="x").status == 403
    )


@pytest.mark.parametrize("token", ["", "x" * 43])
def test_the_log_in_form_needs_its_own_token(scene: Scene, token: str) -> None:
    browser = scene.browser()
    browser.get("/login")
    reply = browser.post("/login", login="demo", password=PASSWORD, token=token)
    assert (reply.status, "too old" in reply.text) == (403, True)


@pytest.mark.parametrize(
    "goal",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\tx",
        "x",
        "javascript:alert(1)",
        "/a\\b",
        "/\r\nA: b",
    ],
)
def test_the_log_in_leads_only_to_our_own_pages(scene: Scene, goal: str) -> None:
    browser = scene.browser()
    reply = browser.log_in(page=f"/login?next={quote(goal)}")
    assert (reply.status, reply.headers["location"]) == (303, "/conversations")
    assert "a" not in reply.headers


def test_the_log_in_leads_to_where_one_wanted_to_go(scene: Scene) -> None:
    browser = scene.browser()
    wanted = browser.get("/messages?direction=mo&did=%2B12025550100").headers["location"]
    assert browser.log_in(page=wanted).headers["location"] == "/messages?direction=mo&did=%2B12025550100"


# -- how long a log-in lasts ---------------------------------------------------------------------------------


def test_a_log_in_that_is_not_used_ends(scene: Scene, member: Browser) -> None:
    scene.time.advance(IDLE_MS / 1000 - 1)
    assert member.get("/messages").status == 200
    scene.time.advance(IDLE_MS / 1000 - 1)
    assert member.get("/messages").status == 200, "used, so renewed"
    scene.time.advance(IDLE_MS / 1000 + 1)
    assert member.get("/messages").status == 303


def test_a_log_in_is_renewed_only_now_and_then(scene: Scene, member: Browser) -> None:
    (before,) = sessions(scene)
    scene.time.advance(RENEWED_AFTER_MS / 1000 - 1)
    member.get("/messages")
    assert sessions(scene) == [before]
    scene.time.advance(2)
    member.get("/messages")
    (after,) = sessions(scene)
    assert after.expires_at == before.expires_at + RENEWED_AFTER_MS + 1000
    assert after[:4] == before[:4]


def test_a_page_that_refreshes_itself_is_not_use(scene: Scene, member: Browser) -> None:
    (before,) = sessions(scene)
    scene.time.advance(RENEWED_AFTER_MS / 1000 + 1)
    assert member.get("/messages?part=list").status == 200
    assert sessions(scene) == [before]


def test_no_log_in_lasts_for_ever(scene: Scene, member: Browser) -> None:
    for _ in range(ABSOLUTE_MS // (IDLE_MS // 2) - 1):
        scene.time.advance(IDLE_MS / 2000)
        assert member.get("/messages").status == 200
    scene.time.advance(IDLE_MS / 2000)
    assert member.get("/messages").status == 303


def test_expired_log_ins_are_cleared_away(scene: Scene, member: Browser) -> None:
    scene.time.advance(IDLE_MS / 1000 + 1)
    scene.browser().log_in("other")
    assert len(sessions(scene)) == 1


def test_a_log_out_is_not_undone_by_a_renewal_at_the_same_moment(scene: Scene, member: Browser) -> None:
    scene.time.advance(RENEWED_AFTER_MS / 1000 + 1)
    scene.store.writer.held = True
    member.get("/messages")  # asks for the renewal, which waits
    (row,) = sessions(scene)
    scene.store.writer.held = False
    with scene.store.engine.transaction() as conn:
        conn.execute(session.delete().where(session.c.id == row.id))
    scene.store.writer.release()
    assert sessions(scene) == []


def test_when_the_store_is_gone(scene: Scene, member: Browser) -> None:
    scene.store.writer.failing = True
    for page in ("/messages", "/new"):
        reply = member.get(page)
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert scene.browser().log_in().status == 503
