"""/v1/keys: the account's API keys. A token is shown when it is made, and never again."""

import math
from typing import Any

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from edge.keys import EVERYTHING, SCOPES, new_token, prefix_of, token_hash
from edge.web.api import views
from edge.web.api.messages import nothing_more
from edge.web.api.paths import identifier
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import IDENTIFIER, Choice, Many, Member, Moment, Null, Record, Text, Whole, given
from storage import accounts
from storage.errors import NotFound
from storage.records import ApiKey

HOUR_MS = 3_600_000
MISSING = ("key_unknown", "There is no key with this id.")
WORDS = (EVERYTHING, *SCOPES)

KEY = given(
    Member("id", IDENTIFIER),
    Member("name", Text()),
    Member("prefix", Text(), "The beginning of its token: tk_<prefix>_…"),
    Member("scopes", Many(Text()), "* is everything."),
    Member("requests_per_minute", Null(Whole()), "null: as the server limits all; 0: without a limit."),
    Member("created_at", views.TIME),
    Member("expires_at", views.MAYBE_TIME),
    Member("last_used_at", views.MAYBE_TIME, "To the minute."),
    Member("revoked_at", views.MAYBE_TIME),
    Member("previous_until", views.MAYBE_TIME, "Until when the token before the last rotation is good."),
    name="Key",
)
KEYS = given(Member("keys", Many(KEY)), name="Keys")
MADE = given(*KEY.members, Member("token", Text(), "Shown this once."), name="NewKey")
NEW = Record(
    (
        Member("name", Text(1, 100, True), required=True),
        Member("scopes", Many(Choice(WORDS), 1, len(WORDS)), "None that the asking key has not.", True),
        Member(
            "expires_at",
            Moment(),
            "Without it as the asking key; never later.",
        ),
        Member(
            "requests_per_minute",
            Whole(0, 1_000_000),
            "0: no limit; never more than the asking key.",
        ),
    ),
    "KeyWanted",
)
ROTATE = Record(
    (Member("keep_hours", Whole(0, 24 * 30), "How long the token before is still good.", default=24),),
    "KeyRotation",
)


def document(key: ApiKey) -> dict[str, object]:
    """One key, without what is secret."""
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes.split(),
        "requests_per_minute": key.requests_per_minute,
        "created_at": views.iso(key.created_at),
        "expires_at": views.iso(key.expires_at),
        "last_used_at": views.iso(key.last_used_at),
        "revoked_at": views.iso(key.revoked_at),
        "previous_until": views.iso(key.previous_until),
    }


def listed(call: Call) -> Deferred[Reply]:
    """By name, revoked ones too."""
    return call.read(_all).addCallback(lambda keys: Reply(200, {"keys": [document(key) for key in keys]}))


def add(call: Call) -> Deferred[Reply]:
    """201; 409 when there is a valid key of this name."""
    given, services, account_id = call.given, call.services, call.account_id
    beyond = _beyond(call.key, given["scopes"])
    if beyond:
        raise Problem(403, "scope_missing", f"{beyond}, so it makes no key that is.", "scopes")
    now_ms, token = services.wall_ms(), new_token()
    if given["expires_at"] is not None and given["expires_at"] <= now_ms:
        raise Problem(422, "time_invalid", "'expires_at' is over already.", "expires_at")
    limit = _limit_of(call, given["requests_per_minute"])
    expires_at = _end_of(call.key, given["expires_at"])

    def make(conn: Connection) -> ApiKey:
        made = accounts.add_key(
            conn,
            services.store.ids.next,
            account_id,
            given["name"],
            prefix_of(token),
            token_hash(token),
            now_ms,
            scopes=" ".join(sorted(set(given["scopes"]))),
            expires_at=expires_at,
            requests_per_minute=limit,
        )
        if made.key_hash != token_hash(token):
            raise Problem(409, "key_exists", "There is a key of this name already.", "name")
        return made

    return call.write("key.add", given["name"], make).addCallback(_shown, call, token, 201)


def rotate(call: Call) -> Deferred[Reply]:
    """A new token under the same id; the one before is good for a while, but not to rotate the key again: who
    found it could keep it for himself that way."""
    identity, services, account_id = identifier(call), call.services, call.account_id
    token = new_token()
    until_ms = services.wall_ms() + call.given["keep_hours"] * HOUR_MS

    def change(conn: Connection) -> ApiKey:
        held = accounts.get_key(conn, account_id, identity)
        if held is not None and held.id == call.key.id and held.key_hash != call.key.key_hash:
            detail = "This token was replaced by a newer one: only that one rotates the key."
            raise Problem(403, "token_replaced", detail, "Authorization")
        _within(call, held, "rotates")
        return accounts.rotate_key(conn, account_id, identity, prefix_of(token), token_hash(token), until_ms)

    return call.write("key.rotate", identity, change).addCallback(_shown, call, token, 200)


def revoke(call: Call) -> Deferred[Reply]:
    """It is refused from now on."""
    identity, services, account_id = identifier(call), call.services, call.account_id

    def change(conn: Connection) -> None:
        held = _within(call, accounts.get_key(conn, account_id, identity), "revokes")
        accounts.revoke_key(conn, account_id, held.name, services.wall_ms())

    return (
        call.write("key.revoke", identity, change)
        .addCallback(lambda _: services.directory.refresh().addErrback(lambda _: None))
        .addCallback(nothing_more)
    )


def _all(conn: Connection, account_id: int) -> list[ApiKey]:
    return accounts.list_keys(conn, account_id)


def _beyond(key: ApiKey, scopes: list[str]) -> str:
    """Nobody makes a key that may do more than his own: what his is not good for, "" for nothing."""
    beyond = [] if key.scopes == EVERYTHING else sorted(set(scopes) - set(key.scopes.split()))
    return f"This key is not good for {', '.join(beyond)}" if beyond else ""


def _within(call: Call, held: ApiKey | None, does: str) -> ApiKey:
    """Nor does anybody get hold of one, or take it away: the key, if it may not do more, more often or for
    longer than the one that asks. Raises Problem, NotFound."""
    if held is None:
        raise NotFound(MISSING[1])
    asking = call.key
    beyond = _beyond(asking, held.scopes.split())
    if beyond:
        raise Problem(403, "scope_missing", f"{beyond}, so it {does} no key that is.", "Authorization")
    if asking.expires_at is not None and (held.expires_at is None or held.expires_at > asking.expires_at):
        detail = (
            f"This key is good until {views.iso(asking.expires_at)}, so it {does} none that lasts longer."
        )
        raise Problem(403, "key_exceeds", detail, "Authorization")
    most = _per_minute(call, asking)
    if _per_minute(call, held) > most:
        detail = f"This key may make {most:.0f} requests a minute, so it {does} none that may make more."
        raise Problem(403, "key_exceeds", detail, "Authorization")
    return held


def _per_minute(call: Call, key: ApiKey) -> float:
    """Requests; without a limit of its own a key has the server's."""
    own = key.requests_per_minute
    return (call.services.config.http.requests_per_minute if own is None else own) or math.inf


def _end_of(key: ApiKey, wanted: int | None) -> int | None:
    """Nor one that is good for longer."""
    ends = [at for at in (key.expires_at, wanted) if at is not None]
    return min(ends, default=None)


def _limit_of(call: Call, wanted: int | None) -> int | None:
    """Nor one that may ask more often."""
    most = _per_minute(call, call.key)
    if most == math.inf or (wanted is None and call.key.requests_per_minute is None):
        return wanted
    return round(min(most, wanted or most))


def _shown(key: ApiKey, call: Call, token: str, status: int) -> Deferred[Reply]:
    """This server knows the token at once, the others within a second."""
    reply = Reply(status, {**document(key), "token": token})
    return call.services.directory.refresh().addBoth(lambda _: reply)


def routes() -> list[Route]:
    """In the order of the documentation."""
    one: dict[str, Any] = {
        "tag": "Keys",
        "scope": "keys:write",
        "missing": MISSING,
        "path_shapes": {"id": IDENTIFIER},
    }
    return [
        Route(
            method="GET",
            path="/v1/keys",
            name="listKeys",
            tag="Keys",
            scope="keys:read",
            summary="List the keys, never their tokens",
            do=listed,
            gives={200: KEYS},
        ),
        Route(
            method="POST",
            path="/v1/keys",
            name="addKey",
            tag="Keys",
            scope="keys:write",
            summary="Make a key",
            do=add,
            takes=NEW,
            gives={201: MADE},
            refuses={403: ("scope_missing",), 409: ("key_exists",)},
        ),
        Route(
            method="POST",
            path="/v1/keys/{id}/rotate",
            name="rotateKey",
            summary="Give a key a new token",
            do=rotate,
            takes=ROTATE,
            gives={200: MADE},
            refuses={403: ("token_replaced", "key_exceeds"), 409: ("conflict",)},
            **one,
        ),
        Route(
            method="DELETE",
            path="/v1/keys/{id}",
            name="revokeKey",
            summary="Revoke a key",
            do=revoke,
            gives={204: None},
            refuses={403: ("key_exceeds",)},
            **one,
        ),
    ]
