"""The registry: our handlers and a third party's, how their settings are judged, what a message owes."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs
from twisted.internet.defer import Deferred, succeed

from edge import routing
from edge.cli import dids
from edge.handlers import Delivered, Failed, Job, Outcome, Retry, changing
from edge.handlers.base import DIDHandler, Key, Rules, SettingError, Settings, Tools
from edge.handlers.registry import GROUP, OURS, Registry, installed, load
from edge.handlers.signing import key_octets
from edge.http.addresses import policy
from edge.http.urls import USUAL_PORTS
from storage.records import Did, HandlerSetting
from tests.deferreds import success

RULES = Rules(policy(["127.0.0.1"]), USUAL_PORTS, "US", lambda: b"n" * 32)
WEEK_MS = 7 * 86_400_000
PEER, OWNER = "+447911123456", "+12025550199"


class Pager(DIDHandler):
    """A third party's."""

    name = "pager"
    main = "code"
    keys = (Key("code", "text", "the pager's code"), Key("loud", "switch", "beep"))

    @classmethod
    def build(cls, tools: Tools) -> "Pager":
        return cls()

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        if settings.get("code") == "0":
            raise SettingError("pager_code", "0 is nobody's.")
        return settings

    def deliver(self, job: Job) -> Deferred[Outcome]:
        return succeed(Delivered("beeped"))


class Impostor(Pager):
    """Wants a name that is taken."""

    name = "callback"


def theirs(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{value}", GROUP)


def did(**handlers: Mapping[str, object]) -> Did:
    """A DID whose handlers are on."""
    settings = {name: HandlerSetting(name, True, values) for name, values in handlers.items()}
    return Did(2, 1, "+12025550100", True, settings)


def settle(
    registry: Registry, name: str, before: Did | None = None, on: bool | None = None, **change: object
) -> Any:
    return registry.settle(before or did(), name, change, on, RULES)


def test_our_handlers_are_there() -> None:
    assert list(installed().kinds)[:4] == ["portal", "callback", "webhook", "forward"]
    assert installed() is installed()


def test_a_third_partys_handler_is_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(Pager=Pager))
    registry = Registry(load(OURS, [theirs("pager", "Pager")]))
    found = settle(registry, "pager", code="7", loud="on")
    assert found == HandlerSetting("pager", True, {"code": "7", "loud": True})
    assert registry.targets(did(pager=found.settings), PEER) == [("pager", "7")]
    assert isinstance(registry.build(cast(Any, Fake()))["pager"], Pager)
    with pytest.raises(SettingError, match="nobody's"):
        settle(registry, "pager", code="0")


class Faulty(Pager):
    """Raises at whatever it is asked about settings."""

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        raise KeyError("boom")

    @classmethod
    def shown(cls, settings: Settings) -> dict[str, object]:
        raise KeyError("boom")

    @classmethod
    def secrets(cls, settings: Settings) -> list[str]:
        raise KeyError("boom")


def test_a_third_partys_fault_in_settings_is_said_and_breaks_nothing() -> None:
    registry = Registry([Faulty])
    with pytest.raises(SettingError, match=r"at fault \(KeyError: 'boom'\)"):
        settle(registry, "pager", code="7")
    assert registry.shown(Faulty, {}) == {"fault": "KeyError: 'boom'"}
    assert registry.secrets(Faulty, {}) == []


def test_commands_live_with_such_a_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command shows of a number."""
    monkeypatch.setattr("edge.handlers.registry.installed", lambda: Registry([Faulty]))
    item = did(pager={"code": "7"})
    assert dids._document(item, set())["pager"] == {"enabled": True, "fault": "KeyError: 'boom'"}
    assert changing.new_secrets(item, item) == {}


def test_what_is_not_configured_waits_and_then_fails_with_a_clear_word() -> None:
    tools = cast(Any, Fake())
    tools.wall_ms = lambda: 10 * 3_600_000
    absent = cast(Any, installed().build(tools)["sip"])
    assert (absent.ordered, absent.line) == (True, "target")
    young, old = (cast(Any, SimpleNamespace(delivery=SimpleNamespace(begun_at=at))) for at in (0, -WEEK_MS))
    assert success(absent.deliver(young)) == Retry("not_configured", 300.0)
    assert success(absent.deliver(old)) == Failed("not_configured")


class Fake:
    """Tools of which nothing is asked."""

    callback = Tools.__dataclass_fields__["callback"].default
    sip: Mapping[str, object] = {}

    def __getattr__(self, _: str) -> Any:
        return None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("pager", "Nothing", "AttributeError"),
        ("beeper", "Pager", "not a DIDHandler of this name"),
        ("callback", "Impostor", "taken"),
    ],
)
def test_one_that_cannot_be_loaded_is_left_out_and_said_so(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    module = __import__("types").SimpleNamespace(Pager=Pager, Impostor=Impostor)
    monkeypatch.setitem(__import__("sys").modules, __name__, module)
    with capture_logs() as lines:
        found = load(OURS, [theirs(name, value)])
    assert [kind.name for kind in found] == [entry.name for entry in OURS]
    (line,) = lines
    assert line["event"] == "handler_not_loaded"
    assert says in line["error"]


# -- what a message owes --------------------------------------------------------------------------


def test_every_handler_that_is_on_gets_its_delivery() -> None:
    busy = did(callback={"url": "http://a/"}, webhook={"url": "http://b/"}, forward={"to": OWNER}, portal={})
    assert [(duty.handler, duty.target) for duty in routing.duties(busy, PEER)] == [
        ("callback", "http://a/"),
        ("forward", OWNER),
        ("webhook", "http://b/"),
    ]


def test_nothing_is_owed_without_a_target_or_by_one_that_is_off_or_gone() -> None:
    off = Did(
        2, 1, "+12025550100", True, {"callback": HandlerSetting("callback", False, {"url": "http://a/"})}
    )
    assert routing.duties(off, PEER) == []
    assert (
        routing.duties(did(callback={}, webhook={"format": "voipms"}, gone={"url": "http://a/"}), PEER) == []
    )


def test_an_answer_from_the_owners_phone_is_for_the_forward_alone() -> None:
    two_way = did(callback={"url": "http://a/"}, forward={"to": OWNER, "two_way": True})
    assert [(duty.handler, duty.target) for duty in routing.duties(two_way, OWNER)] == [("forward", "reply")]
    one_way = did(callback={"url": "http://a/"}, forward={"to": OWNER})
    assert [duty.handler for duty in routing.duties(one_way, OWNER)] == ["callback"]


# -- settings -------------------------------------------------------------------------------------


def test_the_first_target_switches_on_and_its_end_off() -> None:
    registry = installed()
    assert settle(registry, "callback", retry="on") == HandlerSetting("callback", False, {"retry": True})
    on = settle(registry, "callback", url="http://example.net/")
    assert on == HandlerSetting("callback", True, {"url": "http://example.net/"})
    changed = settle(registry, "callback", did(callback=on.settings), url="http://example.org/")
    assert (changed.enabled, changed.settings["url"]) == (True, "http://example.org/")
    off = settle(registry, "callback", did(callback=on.settings), url="")
    assert off == HandlerSetting("callback", False, {})
    with pytest.raises(SettingError, match="no URL"):
        settle(registry, "callback", on=True)
    with pytest.raises(SettingError, match="always on"):
        settle(registry, "portal", on=False)


@pytest.mark.parametrize(
    ("handler", "key", "value", "says"),
    [
        ("callback", "url", "http://10.0.0.1/", "may not be called: private"),
        ("callback", "url", "http://example.net:25/", "port 25"),
        ("callback", "url", "http://example.net/{NOPE}", "not a variable"),
        ("callback", "retry", "yes", "callback_retry=on or callback_retry=off"),
        ("callback", "secret", "short", "at least 16"),
        ("callback", "volume", "11", "there are url, retry, secret"),
        ("webhook", "url", "ftp://example.net/", "http:// or https://"),
        ("webhook", "url", "http://[::1]/", "loopback"),
        ("webhook", "url", "http://example.net/é", "ASCII"),
        ("webhook", "format", "xml", "voipms or standard"),
        ("webhook", "secret", "hunter2", "begins with whsec_"),
        ("webhook", "url", 7, "a text"),
        ("forward", "to", "hello", "not a telephone number"),
        ("forward", "to", "12345", "short code"),
        ("forward", "untagged", "all", "last or ask"),
    ],
)
def test_a_setting_that_cannot_be_says_its_field_and_why(
    handler: str, key: str, value: object, says: str
) -> None:
    with pytest.raises(SettingError) as caught:
        installed().settle(did(), handler, {key: value}, None, RULES)
    assert caught.value.field == f"{handler}_{key}"
    assert says in str(caught.value)


def test_settings_are_normalised() -> None:
    assert settle(installed(), "forward", to="(202) 555-0199", two_way="on").settings == {
        "to": OWNER,
        "two_way": True,
    }
    assert settle(installed(), "callback", url="http://127.0.0.1:8000/").enabled


def test_a_number_does_not_forward_to_itself() -> None:
    with pytest.raises(SettingError, match="is the number itself"):
        settle(installed(), "forward", to="2025550100")
    settle(installed(), "forward", did(forward={"to": "+12025550100"}), two_way=True)


@pytest.mark.parametrize(("name", "key", "value"), [("sip", "aor", "sip:a@h"), ("trunk", "name", "pbx")])
def test_what_this_server_is_not_configured_for_cannot_be_set(name: str, key: str, value: str) -> None:
    rules = replace(RULES, missing={"sip": "[sip]", "trunk": "[sip]"})
    with pytest.raises(SettingError, match=rf"{name}_{key}: .* no \[sip\] table"):
        installed().settle(did(), name, {key: value}, None, rules)
    had = did(**{name: {key: value}})
    assert not installed().settle(had, name, {}, False, rules).enabled
    assert not installed().settle(had, name, {key: ""}, None, rules).enabled


def test_a_secret_that_the_url_needs_is_not_taken_away() -> None:
    url = "http://127.0.0.1/?s={SIGNATURE}"
    signed = settle(installed(), "callback", url=url).settings
    with pytest.raises(SettingError, match="needs one"):
        settle(installed(), "callback", did(callback=signed), secret="")
    plain = settle(installed(), "callback", did(callback=signed), secret="", url="http://127.0.0.1/")
    assert "secret" not in plain.settings


def test_secrets_are_made_and_rotated() -> None:
    registry = installed()
    signed = settle(registry, "callback", url="http://example.net/?s={SIGNATURE}").settings
    assert signed["secret"] == (b"n" * 32).hex()
    assert settle(registry, "callback", secret="own secret, long enough").settings["secret"]
    first = settle(registry, "webhook", url="http://example.net/", format="standard").settings
    (old,) = first["secrets"]
    assert key_octets(old) == b"n" * 32
    new = "whsec_" + "eHh4" * 8
    both = settle(registry, "webhook", did(webhook=first), secret=new).settings
    assert both["secrets"] == [new, old]
    third = settle(registry, "webhook", did(webhook=both), secret="whsec_" + "eXl5" * 8).settings
    assert third["secrets"] == ["whsec_" + "eXl5" * 8, new]
    assert settle(registry, "webhook", did(webhook=both), secret="retire").settings["secrets"] == [new]


def test_secrets_are_not_shown() -> None:
    kinds = installed().kinds
    assert kinds["webhook"].shown({"url": "http://x/", "secrets": ["whsec_x"]}) == {
        "url": "http://x/",
        "format": None,
        "numbers": None,
        "secret": True,
    }
    assert kinds["callback"].shown({}) == {"url": None, "retry": False, "secret": False, "numbers": None}
