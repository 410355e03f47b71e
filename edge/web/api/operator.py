"""/v1/operator/commands: the operators' console over HTTP.

Its keys are those of the configuration (`console.api_keys`). No key of an account is good for it, whatever
its scopes are, and an operator's key is good for nothing else.
"""

from typing import Any

import orjson
from twisted.internet.defer import Deferred

from edge.console.console import Operator
from edge.console.console import Reply as Said
from edge.console.language import LONGEST_LINE
from edge.keys import token_hash
from edge.web.api.access import WWW_AUTHENTICATE, token
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import Anything, Many, Member, Record, Text, given
from edge.web.services import WebServices

TAG = "Operators"
ABOUT = (
    "For operators of the whole server, with a key of theirs (`trunkline operator-key`); an account's is "
    "refused. Every command is in the audit, with who and from where."
)
COMMAND = Record(
    (Member("line", Text(1, LONGEST_LINE), 'As in the console: "queue ls upstream=acme".', True),),
    "OperatorCommand",
)
ANSWER = given(
    Member("text", Text(), "For people."),
    Member("document", Anything(), "For programs: what --json shows."),
    name="OperatorAnswer",
)
COMMANDS = given(
    Member(
        "commands",
        Many(given(Member("usage", Text()), Member("help", Text()), name="OperatorCommandHelp")),
    ),
    name="OperatorCommands",
)


def run(call: Call) -> Deferred[Reply]:
    """Carry one line out."""
    operator = _operator(call)
    console = call.services.console
    assert console is not None, "or this route is not there"
    return console.execute(call.given["line"], operator).addCallback(_answered)


def commands(call: Call) -> Reply:
    """What there is."""
    _operator(call)
    console = call.services.console
    assert console is not None, "or this route is not there"
    found = [{"usage": command.usage, "help": command.help} for command in console.language.commands]
    return Reply(200, {"commands": found})


def _answered(said: Said) -> Reply:
    if said.ok:
        return Reply(200, orjson.dumps({"text": said.text, "document": said.document}, default=str))
    document = said.document if isinstance(said.document, dict) else {}
    match document.get("error"):
        case "misused":
            raise Problem(422, "command_misused", said.text, "line")
        case "failed":
            raise Problem(500, "internal_error", said.text)
        case _:
            raise Problem(409, "command_refused", said.text)


def _operator(call: Call) -> Operator:
    """Who asks. Raises Problem."""
    header = call.request.requestHeaders.getRawHeaders(b"authorization")
    if not header:
        raise _unauthorized("key_missing", "Send an operator's key: Authorization: Bearer <key>.")
    wanted = token_hash(token(header[-1]))
    for name, known in call.services.config.console.api_keys.items():
        if known == wanted:  # digests: what can be learnt of one by its time leads to no token
            return Operator(name, f"http {call.address}")
    raise _unauthorized("key_invalid", "This is no operator's key.")


def _unauthorized(code: str, detail: str) -> Problem:
    return Problem(401, code, detail, "Authorization", WWW_AUTHENTICATE)


def _is_open(services: WebServices) -> bool:
    return services.console is not None and bool(services.config.console.api_keys)


def routes() -> list[Route]:
    """Both; there are none without a key in the configuration."""
    common: dict[str, Any] = {
        "path": "/v1/operator/commands",
        "tag": TAG,
        "scope": "",
        "operator": True,
        "about": ABOUT,
        "needs": _is_open,
    }
    return [
        Route(
            method="POST",
            name="operatorCommand",
            summary="Carry out a command of the operators' console",
            do=run,
            takes=COMMAND,
            gives={200: ANSWER},
            refuses={409: ("command_refused",), 422: ("command_misused",)},
            **common,
        ),
        Route(
            method="GET",
            name="operatorCommands",
            summary="The commands that there are",
            do=commands,
            gives={200: COMMANDS},
            **common,
        ),
    ]
