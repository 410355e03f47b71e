"""/v1/dids: the account's numbers, what each does with a message, whether that works; and webhooks."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge import outgoing
from edge.errors import Refused
from edge.handlers import changing, registry, trial
from edge.handlers.base import DIDHandler, SettingError
from edge.handlers.endpoints import known_as
from edge.handlers.trial import Trial
from edge.policy.numbers import destination
from edge.web.api import views
from edge.web.api.messages import nothing_more
from edge.web.api.paths import in_e164, number_in
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import (
    Anything,
    Choice,
    Many,
    Member,
    Named,
    Null,
    Number,
    Record,
    Switch,
    Text,
    Whole,
    given,
)
from storage import endpoints, numbers
from storage.endpoints import Endpoint, EndpointRecord
from storage.errors import NotFound
from storage.records import Did, HandlerSetting

MISSING = ("unknown_did", "There is no such DID in this account.")
HANDLER_MISSING = ("handler_unknown", "There is no such DID in this account, or no such handler.")
_TEXT, _SWITCH = Text(), Switch()
_SETTING = Anything(("string", "boolean", "null"))

HANDLER = given(
    Member("enabled", _SWITCH),
    Member("paused", _SWITCH, "It failed for days and is asked no more."),
    Member("settings", Named(_SETTING), "Of a secret only whether there is one."),
    name="Handler",
)
DID = given(
    Member("number", _TEXT),
    Member("sms", _SWITCH, "Are messages taken and sent?"),
    Member("handlers", Named(HANDLER), "By name."),
    name="Did",
)
DIDS = given(Member("dids", Many(DID)), name="Dids")
CHANGED = given(
    *DID.members,
    Member("secrets", Named(_TEXT), "New secrets by handler; shown this once."),
    name="DidChanged",
)
HANDLER_CHANGE = Record(
    (
        Member("enabled", _SWITCH, "On also ends a pause."),
        Member("settings", Named(_SETTING), "Laid over those that are there; null takes one away."),
    ),
    "HandlerChange",
)
CHANGE = Record((Member("sms", _SWITCH), Member("handlers", Named(HANDLER_CHANGE))), "DidChange")
TEST = Record(
    (
        Member("from", Number(), default=trial.PEER),
        Member("text", Text(1, 1_000), default=trial.TEXT),
    ),
    "HandlerTest",
)
TESTED = given(
    Member("delivered", _SWITCH),
    Member("outcome", _TEXT),
    Member("status_code", Null(Whole())),
    Member("excerpt", views.MAYBE_TEXT, "The beginning of the answer."),
    Member("target", _TEXT),
    Member("duration_ms", Whole()),
    name="HandlerTested",
)
WEBHOOK = given(
    Member("did", _TEXT),
    Member("handler", _TEXT),
    Member("url", _TEXT),
    Member("enabled", _SWITCH),
    Member("state", Choice(("ok", "failing", "paused"))),
    Member("failing_since", views.MAYBE_TIME),
    Member("paused_at", views.MAYBE_TIME),
    Member("last_outcome", views.MAYBE_TEXT),
    Member("keys", Whole(), "How many secrets sign what is sent there."),
    name="Webhook",
)
WEBHOOKS = given(Member("webhooks", Many(WEBHOOK)), name="Webhooks")
SECRET = given(Member("secret", _TEXT, "Shown this once."), name="NewSecret")


def document(did: Did, failing: Mapping[Endpoint, EndpointRecord]) -> dict[str, object]:
    """One number with all handlers of this installation."""
    handlers: dict[str, object] = {}
    for kind in registry.installed():
        setting = did.handlers.get(kind.name, HandlerSetting(kind.name, kind.always_on, {}))
        records = [failing.get(where) for where in _endpoints(did, kind)]
        handlers[kind.name] = {
            "enabled": setting.enabled,
            "paused": any(record is not None and record.paused_at is not None for record in records),
            "settings": registry.installed().shown(kind, setting.settings),
        }
    return {"number": did.number, "sms": did.sms_enabled, "handlers": handlers}


def listed(call: Call) -> Deferred[Reply]:
    """By number."""

    def read(conn: Connection, account_id: int) -> list[dict[str, object]]:
        failing = _failing(conn, account_id)
        return [document(did, failing) for did in numbers.list_dids(conn, account_id)]

    return call.read(read).addCallback(lambda dids: Reply(200, {"dids": dids}))


def show(call: Call) -> Deferred[Reply]:
    """One of them."""
    number = _number(call)

    def read(conn: Connection, account_id: int) -> Reply:
        did = _own(conn, account_id, number)
        if did is None:
            raise call.missing()
        return Reply(200, document(did, _failing(conn, account_id)))

    return call.read(read)


def change(call: Call) -> Deferred[Reply]:
    """What is not named stays; each handler judges its own settings."""
    number, account_id, given = _number(call), call.account_id, call.given
    services = call.services
    rules, next_id = outgoing.rules(services.config), services.store.ids.next

    def change(conn: Connection) -> Reply:
        before = _own(conn, account_id, number)
        if before is None:
            raise NotFound(MISSING[1])
        after = numbers.set_did(conn, next_id, number, sms_enabled=given["sms"])
        for name, wanted in (given["handlers"] or {}).items():
            if name not in registry.installed().kinds:
                known = ", ".join(registry.installed().kinds)
                detail = f"There is no handler {name[:40]!r}; there are {known}."
                raise Problem(422, "handler_unknown", detail, f"handlers.{name[:40]}")
            settings = {
                key: "" if value is None else value for key, value in (wanted["settings"] or {}).items()
            }
            after = _change(conn, next_id, after, name, settings, wanted["enabled"], rules)
        body = document(after, _failing(conn, account_id))
        return Reply(200, {**body, "secrets": changing.new_secrets(before, after)})

    changing_it = call.write("did.change", number, change, handlers=sorted(given["handlers"] or {}))
    return changing_it.addCallback(_refreshed, call)


def test(call: Call) -> Deferred[Reply]:
    """Hand a message that is stored nowhere to the handler, now and once; say what became of it."""
    services, name = call.services, call.path["handler"]
    did = services.directory.did(_number(call))
    if did is None or did.account_id != call.account_id or name not in registry.installed().kinds:
        raise call.missing()
    trying = services.trials.begin(did, name, in_e164(call, call.given["from"]), call.given["text"])
    if trying is None:
        detail = f"{name} is not set up for {did.number}, or can only be tried with a real message."
        raise Problem(409, "handler_not_testable", detail)
    return trying.addCallback(_tried)


def _tried(tried: Trial) -> Reply:
    outcome = tried.outcome
    body = {
        "delivered": tried.delivered,
        "outcome": outcome.outcome,
        "status_code": outcome.status_code,
        "excerpt": outcome.excerpt,
        "target": tried.target,
        "duration_ms": tried.duration_ms,
    }
    return Reply(200, body)


# -- webhooks -----------------------------------------------------------------------------------------------


def webhooks(call: Call) -> Deferred[Reply]:
    """Every URL that a handler of the account posts to or asks, and how it is."""

    def read(conn: Connection, account_id: int) -> Reply:
        failing = _failing(conn, account_id)
        found = [
            _webhook(did, kind, did.handlers[kind.name], failing)
            for did in numbers.list_dids(conn, account_id)
            for kind in registry.installed()
            if kind.name in did.handlers and _endpoints(did, kind)
        ]
        return Reply(200, {"webhooks": found})

    return call.read(read)


def new_secret(call: Call) -> Deferred[Reply]:
    """A webhook's comes beside the one before, which goes with the next one or when it is retired."""
    return _secret(call, "new").addCallback(_refreshed, call)


def retire_secret(call: Call) -> Deferred[Reply]:
    """Only the newest signs from now on."""
    return _secret(call, "retire").addCallback(_refreshed, call).addCallback(nothing_more)


def _secret(call: Call, what: str) -> Deferred[Reply]:
    number, name, account_id = _number(call), call.path["handler"], call.account_id
    services = call.services
    rules, next_id = outgoing.rules(services.config), services.store.ids.next
    kind = registry.installed().kinds.get(name)
    if kind is None or not any(key.kind == "secret" for key in kind.keys):
        raise call.missing()

    def change(conn: Connection) -> Reply:
        before = _own(conn, account_id, number)
        if before is None:
            raise NotFound(MISSING[1])
        after = _change(conn, next_id, before, name, {"secret": what}, None, rules)
        made = registry.installed().secrets(kind, after.handlers[name].settings)
        return Reply(201, {"secret": made[0] if made else ""})

    return call.write(f"did.secret.{what}", f"{number} {name}", change)


def _webhook(
    did: Did,
    kind: type[DIDHandler],
    setting: HandlerSetting,
    failing: Mapping[Endpoint, EndpointRecord],
) -> dict[str, object]:
    record = next(filter(None, (failing.get(where) for where in _endpoints(did, kind))), None)
    state = "ok" if record is None else "failing" if record.paused_at is None else "paused"
    return {
        "did": did.number,
        "handler": kind.name,
        "url": str(setting.settings.get(kind.main, "")),
        "enabled": setting.enabled,
        "state": state,
        "failing_since": views.iso(None if record is None else record.failing_since),
        "paused_at": views.iso(None if record is None else record.paused_at),
        "last_outcome": None if record is None else record.last_outcome,
        "keys": len(registry.installed().secrets(kind, setting.settings)),
    }


# -- shared -------------------------------------------------------------------------------------------------


def _endpoints(did: Did, kind: type[DIDHandler]) -> list[Endpoint]:
    setting = did.handlers.get(kind.name)
    targets = [] if setting is None else _targets(kind, setting, "")
    urls = [target for target in targets if target.startswith(("http://", "https://"))]
    return [Endpoint(did.account_id, kind.name, known_as(kind.name, url)) for url in urls]


def _failing(conn: Connection, account_id: int) -> dict[Endpoint, EndpointRecord]:
    return {found.endpoint: found for found in endpoints.failing(conn, account_id)}


def _targets(kind: type[DIDHandler], setting: HandlerSetting, peer: str) -> list[str]:
    """Those that a handler gives; none of one that is broken."""
    found = registry.installed().targets_of(kind, setting.settings, peer)
    return [target for target in found if target is not None]


def _own(conn: Connection, account_id: int, number: str) -> Did | None:
    did = numbers.find_did(conn, number)
    return did if did is not None and did.account_id == account_id else None


def _number(call: Call) -> str:
    try:
        return destination(number_in(call, "number"), call.services.config.numbers.region, "number")
    except Refused:
        raise call.missing() from None


def _change(
    conn: Connection, next_id: Any, did: Did, name: str, settings: Any, enabled: bool | None, rules: Any
) -> Did:
    try:
        return changing.change(conn, next_id, did, name, settings, enabled, rules)
    except SettingError as error:
        key = error.field.removeprefix(f"{name}_")
        field = f"handlers.{name}" + ("" if key == name else f".settings.{key[:40]}")
        raise Problem(422, "setting_invalid", f"{error.field[:80]}: {error.sentence}", field) from error


def _refreshed(reply: Reply, call: Call) -> Deferred[Reply]:
    """This server knows it at once, the others within a second."""
    return call.services.directory.refresh().addBoth(lambda _: reply)


def routes() -> list[Route]:
    """In the order of the documentation."""
    one: dict[str, Any] = {
        "path": "/v1/dids/{number}",
        "tag": "DIDs",
        "missing": MISSING,
        "path_shapes": {"number": Number()},
    }
    handler: dict[str, Any] = {
        "scope": "dids:write",
        "missing": HANDLER_MISSING,
        "path_shapes": {"number": Number(), "handler": Text(1, 100)},
    }
    return [
        Route(
            method="GET",
            path="/v1/dids",
            name="listDids",
            tag="DIDs",
            scope="dids:read",
            summary="List the numbers and what they do",
            do=listed,
            gives={200: DIDS},
        ),
        Route(
            method="GET",
            name="getDid",
            scope="dids:read",
            summary="One number",
            do=show,
            gives={200: DID},
            **one,
        ),
        Route(
            method="PATCH",
            name="changeDid",
            scope="dids:write",
            summary="Switch SMS and change handlers",
            about="Settings are those of the command `trunkline did set`. New secrets are shown once.",
            do=change,
            takes=CHANGE,
            gives={200: CHANGED},
            refuses={409: ("conflict",), 422: ("handler_unknown", "setting_invalid")},
            **one,
        ),
        Route(
            method="POST",
            path="/v1/dids/{number}/handlers/{handler}/test",
            name="testHandler",
            tag="DIDs",
            summary="Try a handler with a message that is stored nowhere",
            about="It is asked now and once, with an id of its own; nothing is tried again.",
            do=test,
            takes=TEST,
            gives={200: TESTED},
            refuses={409: ("handler_not_testable",)},
            **handler,
        ),
        Route(
            method="GET",
            path="/v1/webhooks",
            name="listWebhooks",
            tag="Webhooks",
            scope="dids:read",
            summary="List the URLs that are told of messages, and how they answer",
            do=webhooks,
            gives={200: WEBHOOKS},
        ),
        Route(
            method="POST",
            path="/v1/dids/{number}/handlers/{handler}/secret",
            name="newSecret",
            tag="Webhooks",
            summary="Make a new key that signs what a handler sends",
            about="A webhook is signed with the one before too, until it is retired.",
            do=new_secret,
            gives={201: SECRET},
            refuses={422: ("setting_invalid",)},
            **handler,
        ),
        Route(
            method="DELETE",
            path="/v1/dids/{number}/handlers/{handler}/secret",
            name="retireSecret",
            tag="Webhooks",
            summary="Sign with the newest key only",
            do=retire_secret,
            gives={204: None},
            refuses={422: ("setting_invalid",)},
            **handler,
        ),
    ]
