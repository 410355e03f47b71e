"""The second factor, the password and the log-ins of a user: set up, asked for, ended."""

import re
from typing import Any

import pytest
from sqlalchemy import select
from twisted.internet.defer import fail

from edge import totp
from edge.errors import Unavailable
from edge.passwords import NOBODY, hash_password, verify
from edge.sealing import Seal, is_sealed
from edge.web.pages.navigation import HOME
from edge.web.pages.passwords import PasswordChecker
from edge.web.pages.sessions import PENDING_MS
from storage import accounts, second_factors, sessions
from storage.errors import Conflict, NotFound
from storage.tables import audit, recovery_code, session, user
from tests.unit.edge.conftest import START_MS
from tests.unit.edge.web.harness import CHEAP, PASSWORD, SERVER, Browser, Reply, Scene

PATH = "/account/security"
NEW = "a longer password"


def csrf(browser: Browser, page: str = PATH) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get(page).text)
    assert found is not None
    return found[1]


def do(browser: Browser, what: str, **fields: str) -> Reply:
    return browser.post(PATH, csrf=csrf(browser), do=what, **fields)


def rows(scene: Scene, table: Any) -> list[Any]:
    with scene.store.engine.snapshot() as conn:
        return list(conn.execute(select(table)))


def secret_of(scene: Scene, login: str = "demo") -> str:
    (row,) = (row for row in rows(scene, user) if row.login == login)
    return Seal(SERVER.seal_key).open(row.totp_secret, totp.place(row.id))


def kept(scene: Scene) -> str:
    return str(next(row.totp_secret for row in rows(scene, user) if row.login == "demo"))


def keep(scene: Scene, secret: str) -> None:
    """As it might be in the store of an older release, or of another installation."""
    with scene.store.engine.transaction() as conn:
        conn.execute(user.update().where(user.c.login == "demo").values(totp_secret=secret))


def code(scene: Scene, steps: int = 0) -> str:
    return totp.code_at(secret_of(scene), scene.time.wall_ms() // 30_000 + steps)


def spare(page: str) -> list[str]:
    return re.findall(r"<code>((?:[A-Z2-7]{4}-){3}[A-Z2-7]{4})</code>", page)


def set_up(scene: Scene, browser: Browser) -> list[str]:
    """The spare codes."""
    assert do(browser, "begin").status == 303
    page = do(browser, "prove", code=code(scene))
    assert page.status == 200, page.text
    return spare(page.text)


def enter(browser: Browser, written: str) -> Reply:
    return browser.fill("/login-code", "/login-code", code=written)


def test_it_is_set_up_with_a_code_of_the_app(scene: Scene, member: Browser) -> None:
    assert do(member, "begin").headers["location"] == f"{PATH}#second"
    page = member.get(PATH).text
    assert "<svg" in page
    assert f"<code>{secret_of(scene)}</code>" in page
    wrong = do(member, "prove", code="000000")
    assert (wrong.status, secret_of(scene) in wrong.text) == (422, True)
    assert scene.browser().log_in().headers["location"] == HOME, "not proved, so not asked for"
    proved = do(member, "prove", code=code(scene))
    assert len(spare(proved.text)) == 10
    assert secret_of(scene) not in proved.text
    assert secret_of(scene) not in member.get(PATH).text, "shown no more"
    assert not spare(member.get(PATH).text)
    assert {row.code_hash for row in rows(scene, recovery_code)} == set(
        map(totp.code_hash, spare(proved.text))
    )


def test_the_store_alone_has_no_secret(scene: Scene, member: Browser) -> None:
    do(member, "begin")
    assert is_sealed(kept(scene))
    assert secret_of(scene) not in str(rows(scene, user))


def test_a_secret_from_before_there_was_a_seal_gets_one(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    plain = secret_of(scene)
    keep(scene, plain)
    scene.time.advance(60)
    browser = scene.browser()
    browser.log_in()
    assert (enter(browser, "000000").status, kept(scene)) == (403, plain), "whoever guesses changes nothing"
    assert enter(browser, code(scene)).status == 303
    assert is_sealed(kept(scene))
    scene.time.advance(60)
    browser = scene.browser()
    browser.log_in()
    assert enter(browser, code(scene)).status == 303


def test_a_secret_of_another_key_leaves_the_spare_codes(scene: Scene, member: Browser) -> None:
    codes = set_up(scene, member)
    was = code(scene, 2)
    keep(scene, f"sealed1:{'A' * 120}")
    scene.time.advance(60)
    browser = scene.browser()
    browser.log_in()
    assert enter(browser, was).status == 403
    assert enter(browser, codes[0]).status == 303
    assert browser.get(PATH).status == 200


def test_a_secret_that_was_begun_and_cannot_be_opened_is_begun_again(scene: Scene, member: Browser) -> None:
    do(member, "begin")
    keep(scene, f"sealed1:{'A' * 120}")
    assert "Set it up" in member.get(PATH).text
    assert do(member, "prove", code="000000").headers["location"] == PATH
    assert len(set_up(scene, member)) == 10


def test_two_pages_begin_at_once_and_the_last_one_counts(scene: Scene, member: Browser) -> None:
    do(member, "begin")
    with scene.store.engine.transaction() as conn:
        owner = next(row for row in rows(scene, user) if row.login == "demo")
        second_factors.begin(conn, owner.account_id, owner.id, "another")
        with pytest.raises(Conflict):
            second_factors.prove(conn, owner.account_id, owner.id, "the first", 1, [])
        second_factors.prove(conn, owner.account_id, owner.id, "another", 1, [])
        with pytest.raises(Conflict):
            second_factors.begin(conn, owner.account_id, owner.id, "a third")
        with pytest.raises(NotFound):
            second_factors.begin(conn, owner.account_id, 1, "nobody's")


def test_then_the_password_alone_opens_nothing(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    scene.time.advance(60)
    browser = scene.browser()
    reply = browser.log_in(page="/login?next=/new")
    assert reply.headers["location"] == "/login-code?next=%2Fnew"
    half = browser.cookies["trunkline"]
    for page in ("/messages", "/new", "/account/security", "/account"):
        assert browser.get(page).headers["location"].startswith("/login")
    assert browser.post(PATH, do="begin", csrf="x").headers["location"] == f"/login?next={PATH}"
    assert enter(browser, "123456").status == 403
    form = browser.get("/login-code?next=/new").text
    assert 'name="next" value="/new"' in form
    reply = browser.fill("/login-code?next=/new", "/login-code", code=code(scene))
    assert reply.headers["location"] == "/new"
    assert browser.cookies["trunkline"] != half, "another token: the half log-in was seen before the factor"
    assert browser.get("/new").status == 200
    browser.cookies["trunkline"] = half
    assert browser.get("/login-code").headers["location"] == "/login", "the half one is over"


def test_a_code_is_taken_once(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    scene.time.advance(60)
    used = code(scene)
    for status in (303, 403):
        browser = scene.browser()
        browser.log_in()
        assert enter(browser, used).status == status


def test_a_spare_code_is_taken_once(scene: Scene, member: Browser) -> None:
    codes = set_up(scene, member)
    for status in (303, 403):
        browser = scene.browser()
        browser.log_in()
        assert enter(browser, codes[0].lower().replace("-", " ")).status == status
    assert "9 spare codes are left" in member.get(PATH).text


def test_codes_cannot_be_guessed(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    scene.time.advance(60)
    browser = scene.browser()
    browser.log_in()
    assert [enter(browser, "000000").status for _ in range(6)] == [403] * 5 + [429]
    other = scene.browser("203.0.113.9")
    other.log_in()
    reply = enter(other, code(scene))
    assert (reply.status, "retry-after" in reply.headers) == (429, True), "from another address neither"
    scene.time.advance(3)
    assert enter(other, code(scene)).status == 303


def test_the_form_of_the_code_needs_its_token(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    scene.time.advance(60)
    browser = scene.browser()
    browser.log_in()
    assert browser.post("/login-code", code=code(scene)).status == 403
    assert browser.post("/login-code", code=code(scene), csrf="x" * 43).status == 403
    assert browser.get("/messages").status == 303


def test_half_a_log_in_does_not_last(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    browser = scene.browser()
    browser.log_in()
    scene.time.advance(PENDING_MS / 1000 + 1)
    assert browser.get("/login-code").headers["location"] == "/login"


def test_nobody_asks_for_a_code_of_nobody(scene: Scene) -> None:
    browser = scene.browser()
    assert browser.get("/login-code").headers["location"] == "/login"
    assert browser.post("/login-code", code="123456").headers["location"] == "/login"
    assert scene.member().get("/login-code").headers["location"] == "/login"


def test_it_is_switched_off_with_the_password(scene: Scene, member: Browser) -> None:
    codes = set_up(scene, member)
    assert do(member, "end", known="wrong").status == 403
    again = do(member, "codes", known=PASSWORD)
    assert set(spare(again.text)).isdisjoint(codes)
    browser = scene.browser()
    browser.log_in()
    assert enter(browser, codes[1]).status == 403, "the codes before are void"
    assert do(member, "end", known=PASSWORD).status == 303
    assert scene.browser().log_in().headers["location"] == HOME
    assert rows(scene, recovery_code) == []


def test_a_second_factor_that_is_on_is_not_begun_anew(scene: Scene, member: Browser) -> None:
    set_up(scene, member)
    before = secret_of(scene)
    assert do(member, "begin").status == 303
    assert secret_of(scene) == before


def test_no_secret_is_logged(scene: Scene, member: Browser) -> None:
    codes = set_up(scene, member)
    written = str(rows(scene, audit))
    assert "user.second_factor.prove" in written
    assert not any(word in written for word in (secret_of(scene), *codes))


# -- the password --------------------------------------------------------------------------------------------


def test_a_new_password_ends_every_other_log_in(scene: Scene, member: Browser) -> None:
    other = scene.member()
    before = member.cookies["trunkline"]
    reply = do(member, "password", current=PASSWORD, password=NEW, again=NEW)
    assert reply.headers["location"] == f"{PATH}?said=saved"
    assert member.cookies["trunkline"] != before
    assert member.follow(reply).status == 200
    assert other.get("/messages").status == 303
    assert scene.browser().log_in().status == 403
    assert scene.browser().log_in(password=NEW).status == 303


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"current": PASSWORD, "password": "short", "again": "short"}, 422, "at least 8"),
        ({"current": PASSWORD, "password": NEW, "again": "other"}, 422, "not the same"),
        ({"current": "wrong", "password": NEW, "again": NEW}, 403, "not your password"),
        ({}, 422, "at least 8"),
    ],
)
def test_a_password_that_is_not_taken(
    scene: Scene, member: Browser, fields: dict[str, str], status: int, said: str
) -> None:
    reply = do(member, "password", **fields)
    assert (reply.status, said in reply.text) == (status, True)
    assert NEW not in reply.text, "no password comes back"
    assert scene.browser().log_in().status == 303


def test_who_finds_a_browser_open_cannot_guess_the_password(member: Browser) -> None:
    wrong = [do(member, "password", current="x", password=NEW, again=NEW).status for _ in range(7)]
    assert wrong == [403] * 6 + [429]


def test_a_password_that_nobody_looked_at_was_no_guess(
    scene: Scene, member: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Unavailable("Many people are logging in just now; try again.")
    monkeypatch.setattr(PasswordChecker, "check", lambda *_: fail(busy))
    tried = [do(member, "password", current="x", password=NEW, again=NEW).status for _ in range(7)]
    assert tried == [503] * 7
    monkeypatch.undo()
    assert do(member, "password", current=PASSWORD, password=NEW, again=NEW).status == 303


# -- log-ins -------------------------------------------------------------------------------------------------


def test_log_ins_are_listed_and_ended(scene: Scene, member: Browser) -> None:
    other = scene.browser("203.0.113.9")
    other.headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    other.log_in()
    page = member.get(PATH).text
    assert "Firefox, Linux" in page
    assert "203.0.113.9" in page
    assert page.count("this one") == 1
    ended = next(row.id for row in rows(scene, session) if row.address == "203.0.113.9")
    assert do(member, "revoke", session=ended).status == 303
    assert other.get("/messages").status == 303
    assert member.get("/messages").status == 200


def test_all_others_are_ended(scene: Scene, member: Browser) -> None:
    others = [scene.member(), scene.member()]
    stranger = scene.member("other")
    assert do(member, "revoke-others").status == 303
    assert [browser.get("/messages").status for browser in others] == [303, 303]
    assert member.get("/messages").status == 200
    assert stranger.get("/messages").status == 200


def test_a_second_factor_ends_every_other_log_in(scene: Scene, member: Browser) -> None:
    other, stranger = scene.member(), scene.member("other")
    assert do(member, "begin").status == 303
    assert other.get("/messages").status == 200, "it is not on yet"
    page = do(member, "prove", code=code(scene))
    assert "you are logged out everywhere else." in page.text
    assert [browser.get("/messages").status for browser in (other, member, stranger)] == [303, 200, 200]


def test_nobody_ends_the_log_in_of_another(scene: Scene, member: Browser) -> None:
    stranger = scene.member("other")
    theirs = [row.id for row in rows(scene, session)][-1]
    do(member, "revoke", session=theirs)
    assert stranger.get("/messages").status == 200
    assert theirs not in member.get(PATH).text


def test_a_session_of_a_user_who_is_gone(scene: Scene, member: Browser) -> None:
    with scene.store.engine.transaction() as conn:
        gone = accounts.add_user(
            conn, scene.store.ids.next, scene.account.id, "gone", CHEAP.hash("x"), START_MS
        )
        sessions.end_sessions_of(conn, gone.id)
    assert member.get(PATH).status == 200


@pytest.mark.parametrize("what", ["", "nothing", "__class__"])
def test_a_form_that_wants_nothing_known(member: Browser, what: str) -> None:
    assert do(member, what).status == 400


def test_equal_work_for_unknown_and_known(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: the same verification, of a hash of the same cost, is called for either."""
    verified: list[tuple[str, str]] = []
    with scene.store.engine.transaction() as conn:
        conn.execute(user.update().values(password_hash=hash_password(PASSWORD)))

    def watched(digest: str, word: str) -> bool:
        verified.append((digest, word))
        return verify(digest, word)

    monkeypatch.setattr(PasswordChecker.__init__, "__defaults__", (watched,))
    scene.restart()
    assert [scene.browser().log_in(login, "wrong").status for login in ("demo", "fred")] == [403, 403]
    assert len(verified) == 2
    assert verified[1] == (NOBODY, "wrong")
    costs = [digest.rsplit("$", 2)[0] for digest, _ in verified]
    assert costs[0] == costs[1], "m, t and p of either are the same"
