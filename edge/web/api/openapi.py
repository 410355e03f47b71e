"""The API described: an OpenAPI 3.1 document and a page for people, both made from the table of routes.

Nothing here knows a route by name: what is described is what the router does.
"""

from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

import edge
from edge.keys import SCOPES
from edge.web.api.problems import method_not_allowed, not_found, refuse
from edge.web.api.routes import NOWHERE, Call, Reply, Route
from edge.web.api.shapes import Anything, Many, Member, Record, Schema, Shape, Text, Whole, records, refusals
from edge.web.headers import PAGE_HEAD, PHRASES
from edge.web.pages.static import versioned
from edge.web.request import EdgeRequest

VERSION = "3.1.0"
TEMPLATES = Path(__file__).parent.parent / "templates"
BODIES = ("POST", "PATCH", "PUT")
ABOUT = (
    "Bodies are JSON objects in UTF-8; members that are not known are refused. Every error is "
    "application/problem+json (RFC 9457) with a `code` that does not change. Ids are integers below 2^53, "
    "times are UTC."
)
PROBLEM = Record(
    (
        Member("type", Text(), required=True),
        Member("title", Text(), required=True),
        Member("status", Whole(400, 599), required=True),
        Member("code", Text(), "Stable: for programs.", True),
        Member("detail", Text(), "A sentence for people.", True),
        Member("field", Text(), "The member, parameter or header at fault."),
        Member("messages", Many(Anything()), "Of a batch: what is wrong with each."),
    ),
    "Problem",
)
COMMON = {
    400: ("bad_json", "not_an_object", "not_utf8", "text_not_unicode", "member_twice", "too_many_fields"),
    422: ("member_missing", "member_type", "member_unknown", "value_invalid"),
    503: ("unavailable",),
}
WITH_KEY = {
    401: ("key_missing", "key_invalid", "key_expired", "scheme_unknown", "credentials_malformed"),
    403: ("scope_missing",),
    429: ("rate_limited",),
}
OF_OPERATORS = {401: ("key_missing", "key_invalid", "scheme_unknown", "credentials_malformed")}
WITH_BODY = {413: ("body_too_large",), 415: ("encoding_unsupported", "type_unsupported")}
IDEMPOTENT = {422: ("idempotency_key_invalid", "idempotency_key_reused")}
_DESCRIBED: Shape = Anything(("object",))


def codes(route: Route) -> dict[int, tuple[str, ...]]:
    """Every problem that a route may answer, by status."""
    found: dict[int, tuple[str, ...]] = {}
    missing = {404: (route.missing[0],)} if "{" in route.path or route.missing != NOWHERE else {}
    for more in (
        COMMON,
        WITH_KEY if route.scope else {},
        OF_OPERATORS if route.operator else {},
        WITH_BODY if route.method in BODIES else {},
        IDEMPOTENT if route.idempotent else {},
        missing,
        {422: tuple(refusals(route.takes))},
        route.refuses,
    ):
        for status, words in more.items():
            found[status] = tuple(dict.fromkeys((*found.get(status, ()), *words)))
    return dict(sorted(found.items()))


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(route, routes)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Trunkline",
            "version": edge.__version__,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": {item.name: item.described() for item in _named(routes)},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key. Scopes: "
                    + "; ".join(f"{scope}: {what}" for scope, what in SCOPES.items())
                    + ".",
                },
                "operator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of an operator of the whole server; an account's is refused.",
                },
            },
        },
    }


def operation(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    """One route."""
    found: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "security": [{"key": [route.scope]}] if route.scope else [{"operator": []}] if route.operator else [],
        "parameters": list(_parameters(route)),
        "responses": _responses(route, routes),
    }
    if route.about:
        found["description"] = route.about
    if route.method in BODIES and route.takes.members:
        found["requestBody"] = {
            "required": any(member.required for member in route.takes.members),
            "content": {"application/json": {"schema": route.takes.schema()}},
        }
    return found


def _parameters(route: Route) -> Iterable[Schema]:
    for name in _names(route.path):
        shape = route.path_shapes[name]
        yield {"name": name, "in": "path", "required": True, "schema": shape.schema()}
    if route.method not in BODIES:
        for member in route.takes.members:
            found: Schema = {"name": member.name, "in": "query", "schema": member.shape.schema()}
            if member.required:
                found["required"] = True
            if member.help:
                found["description"] = member.help
            if member.default is not None:
                found["schema"] = {**found["schema"], "default": member.default}
            if isinstance(member.shape, Many):
                found |= {"style": "form", "explode": False}
            yield found
    if route.idempotent:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key and request, sent again within 24 hours, get the same answer, and "
            "nothing is sent twice.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        }
    if route.stream:
        yield {
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event seen.",
            "schema": {"type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,18}-[0-9]{1,18}$"},
        }


def _responses(route: Route, routes: Sequence[Route]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, shape in route.gives.items():
        answer: dict[str, Any] = {"description": PHRASES[status]}
        found[str(status)] = answer
        if shape is not None:
            answer["content"] = {"application/json": {"schema": shape.schema()}}
            links = _links(route, shape, routes)
            if links:
                answer["links"] = links
    if route.stream:
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        found["200"] = {"description": "Events, until you leave.", "content": content}
    if route.files:
        types = {kind: {"schema": {"type": "string"}} for kind in route.files}
        found["200"] = {"description": "The file.", "content": types}
    for status, words in codes(route).items():
        found[str(status)] = {
            "description": f"{PHRASES[status]}: {', '.join(words)}",
            "content": {"application/problem+json": {"schema": PROBLEM.schema()}},
        }
    return found


def _links(route: Route, shape: Shape, routes: Sequence[Route]) -> dict[str, Any]:
    """The routes whose path goes on from this one's with what the answer names."""
    at, row = "$response.body#", shape
    if isinstance(shape, Record):
        lists = [member for member in shape.members if isinstance(member.shape, Many)]
        if route.method == "GET" and lists and isinstance(lists[0].shape, Many):
            at, row = f"{at}/{lists[0].name}/0", lists[0].shape.of
    if not isinstance(row, Record):
        return {}
    known = {member.name for member in row.members}
    found = {}
    for other in routes:
        names = _names(other.path.removeprefix(route.path))
        if other.path.startswith(f"{route.path}/{{") and names and set(names) <= known:
            parameters = {name: f"{at}/{name}" for name in names}
            found[other.name] = {"operationId": other.name, "parameters": parameters}
    return found


def _names(path: str) -> list[str]:
    return [segment[1:-1] for segment in path.split("/") if segment.startswith("{")]


def _named(routes: Sequence[Route]) -> Iterable[Record]:
    shapes: list[Shape] = [PROBLEM]
    for route in routes:
        shapes += [route.takes, *(shape for shape in route.gives.values() if shape is not None)]
    return {record.name: record for shape in shapes for record in records(shape)}.values()


def route(routes: Sequence[Route]) -> Route:
    """The one that gives the document, which describes itself too."""

    @cache
    def octets() -> bytes:
        """Written when it is first asked for: a server starts without it."""
        return orjson.dumps(document([*routes, own]))

    def give(call: Call) -> Reply:
        return Reply(200, octets())

    own = Route(
        method="GET",
        path="/v1/openapi.json",
        name="openapi",
        tag="About",
        scope="",
        summary="This document",
        do=give,
        gives={200: _DESCRIBED},
    )
    return own


class Page(Resource):
    """/docs: the document for people; one page, no script, nothing from elsewhere."""

    isLeaf = True

    def __init__(self, routes: Sequence[Route]) -> None:
        super().__init__()
        self._routes = routes

    @cached_property
    def _octets(self) -> bytes:
        """Written when it is first asked for: a server starts without it."""
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(static=versioned)
        page = environment.get_template("docs.html")
        return page.render(tags=_chapters(self._routes), about=ABOUT, scopes=SCOPES).encode()

    def render(self, request: EdgeRequest) -> int:
        """GET and HEAD."""
        if request.path.rstrip(b"/") != b"/docs":
            refuse(request, not_found())
        elif request.method not in (b"GET", b"HEAD"):
            refuse(request, method_not_allowed(request.method, b"GET, HEAD"))
        else:
            request.respond(200, PAGE_HEAD, self._octets)
        return NOT_DONE_YET


def _chapters(routes: Sequence[Route]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in routes:
        gives = {status: outline(shape) for status, shape in each.gives.items()}
        members = [(member, outline(member.shape)) for member in each.takes.members]
        found.setdefault(each.tag, []).append(
            {"route": each, "members": members, "gives": gives, "codes": codes(each)}
        )
    return found


def outline(shape: Shape | None, depth: int = 3) -> str:
    """A shape as people read it: {"id": integer, …}."""
    if shape is None:
        return "nothing"
    return _outlined(shape.schema() if not isinstance(shape, Record) else shape.described(), shape, depth)


def _outlined(schema: Schema, shape: Shape, depth: int) -> str:
    match shape:
        case Record(members=members):
            if not depth:
                return "{…}"
            inner = ", ".join(f'"{item.name}": {outline(item.shape, depth - 1)}' for item in members)
            return f"{{{inner}}}"
        case Many(of=of):
            return f"[{outline(of, depth)}, …]"
    if "enum" in schema:
        return " | ".join("null" if word is None else f'"{word}"' for word in schema["enum"])
    if "anyOf" in schema:
        inner_shapes = getattr(shape, "shapes", None) or (getattr(shape, "of", Anything()),)
        words = [outline(each, depth) for each in inner_shapes]
        return " | ".join(words if hasattr(shape, "shapes") else [*words, "null"])
    types = schema.get("type", "anything")
    return " | ".join(types) if isinstance(types, list) else str(types)
