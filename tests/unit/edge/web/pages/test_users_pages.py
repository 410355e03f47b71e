"""Who may change whom among the users of an account."""

import pytest

from storage import accounts, users
from storage.records import Role, User
from storage.testing import InlineStore
from tests.unit.edge.conftest import START_MS
from tests.unit.edge.web.harness import CHEAP, PASSWORD, Browser, Form, Scene

PATH = "/account/users"
CHANGES = ({"do": "password"}, {"do": "role", "role": "read-only"}, {"do": "remove"})


@pytest.fixture
def boss(scene: Scene) -> User:
    """An operator in the account, beside its owner `demo`."""
    with scene.store.engine.transaction() as conn:
        add, ids = accounts.add_user, scene.store.ids.next
        for login in ("boss", "chief"):
            add(conn, ids, scene.account.id, login, CHEAP.hash(PASSWORD), START_MS, role=Role.OWNER)
            users.set_operator(conn, login, True)
    return held(scene.store, "boss")


def held(store: InlineStore, login: str) -> User:
    with store.engine.snapshot() as conn:
        found = accounts.find_user(conn, login)
    assert found is not None
    return found


def asked(browser: Browser, user: User, change: dict[str, str]) -> tuple[int, str]:
    token = Form("/logout", browser.get(PATH).text).fields["csrf"]
    reply = browser.post(PATH, csrf=token, user=str(user.id), **change)
    return reply.status, reply.text


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["do"])
def test_an_owner_cannot_become_an_operator(scene: Scene, boss: User, change: dict[str, str]) -> None:
    owner, working = scene.member(), scene.member("boss")
    status, page = asked(owner, boss, change)
    assert (status, "Only an operator may change" in page) == (403, True)
    assert "may log in with this password" not in page
    assert held(scene.store, "boss") == boss
    assert working.get("/account").status == 200


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change["do"])
def test_another_operator_may(scene: Scene, boss: User, change: dict[str, str]) -> None:
    status, _ = asked(scene.member("chief"), boss, change)
    assert status == (200 if change["do"] == "password" else 303)
    with scene.store.engine.snapshot() as conn:
        assert accounts.find_user(conn, "boss") != boss


def test_an_owner_sees_no_form_for_an_operator(scene: Scene, boss: User) -> None:
    page = scene.member().get(PATH).text
    assert (f'name="user" value="{boss.id}"' in page, "boss" in page) == (False, True)
    assert f'name="user" value="{boss.id}"' in scene.member("chief").get(PATH).text


def test_an_owner_is_asked_before_he_gives_that_up(scene: Scene) -> None:
    with scene.store.engine.transaction() as conn:
        ids, hashed = scene.store.ids.next, CHEAP.hash(PASSWORD)
        accounts.add_user(conn, ids, scene.account.id, "second", hashed, START_MS, role=Role.OWNER)
    me, owner = held(scene.store, "demo"), scene.member()
    status, page = asked(owner, me, {"do": "role", "role": "agent"})
    assert (status, "You give up the role of an owner, and have this one then: agent." in page) == (200, True)
    assert held(scene.store, "demo") == me
    answer = Form(PATH, page).fields
    reply = owner.post(PATH, **{**answer, "do": "step-down"})
    assert reply.headers["location"] == "/account?said=stepped-down"
    assert "Your role was changed." in owner.follow(reply).text
    assert held(scene.store, "demo").role is Role.AGENT
    assert owner.get(PATH).status == 403


def test_only_ones_own_role_is_stepped_down_from(scene: Scene) -> None:
    with scene.store.engine.transaction() as conn:
        ids, hashed = scene.store.ids.next, CHEAP.hash(PASSWORD)
        accounts.add_user(conn, ids, scene.account.id, "second", hashed, START_MS, role=Role.OWNER)
    owner, other = scene.member(), held(scene.store, "second")
    assert asked(owner, other, {"do": "role", "role": "agent"})[0] == 303
    assert held(scene.store, "second").role is Role.AGENT
    status, page = asked(owner, held(scene.store, "demo"), {"do": "step-down", "role": "agent"})
    assert (status, "this is the only one" in page) == (409, True)
    assert asked(owner, held(scene.store, "demo"), {"do": "role", "role": "owner"})[0] == 303
