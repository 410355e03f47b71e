"""What members look like, as data: the same shape reads a request, and describes itself in OpenAPI.

A shape's `read` takes a value as JSON has it, or (``written``) as text of a query, form or path, gives what
the program works with, and raises Problem with the field's name. Its `schema` is JSON Schema 2020-12. What
leaves the server is described by the same shapes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from edge.web.api.problems import Problem

Schema = dict[str, Any]

MAX_ID = 1 << 53
MAX_URL = 2_000
MAX_NUMBER = 40
SHOWN = 40  # characters of a name that the client made up
_DIGITS = re.compile(r"-?[0-9]{1,16}", re.ASCII)
_SWITCHES = {"true": True, "1": True, "false": False, "0": False}
_LAST_MS = 253_402_300_799_999  # the year 9999 ends


class Shape(Protocol):
    """See the module's docstring."""

    def read(self, value: object, field: str, written: bool) -> Any: ...
    def schema(self) -> Schema: ...


def json_type(value: object) -> str:
    """What JSON calls it, with its article."""
    for kind, name in ((bool, "a boolean"), (dict, "an object"), (list, "an array"), (str, "a string")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "a number"


def _wrong_type(field: str, expected: str, value: object) -> Problem:
    return Problem(422, "member_type", f"{field!r} must be {expected}, not {json_type(value)}.", field)


@dataclass(frozen=True, slots=True)
class Text:
    """A string. ``plain``: without control characters; a NUL, which no store keeps, only where ``nul``."""

    low: int = 0
    high: int | None = None
    plain: bool = False
    code: str = "value_invalid"
    format: str | None = None
    nul: bool = False

    def read(self, value: object, field: str, written: bool) -> str:
        """The text as it is."""
        if not isinstance(value, str):
            raise _wrong_type(field, "a string", value)
        if "\0" in value and not self.nul:
            raise Problem(422, self.code, f"{field!r} has a NUL in it.", field)
        if self.high is None:
            return value
        if not self.low <= len(value) <= self.high or (self.plain and not value.isprintable()):
            what = "printable characters" if self.plain else "characters"
            raise Problem(422, self.code, f"{field!r} has {self.low} to {self.high} {what}.", field)
        return value

    def schema(self) -> Schema:
        """With its bounds."""
        found: Schema = {"type": "string"}
        if self.low:
            found["minLength"] = self.low
        if self.high is not None:
            found["maxLength"] = self.high
        if self.plain:
            found["pattern"] = r"^[^\u0000-\u001f\u007f-\u009f]*$"
        elif not self.nul and self.high is not None:
            found["pattern"] = r"^[^\u0000]*$"
        if self.format:
            found["format"] = self.format
        return found


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number, short code or name. In a query a "+" as it is arrives as a space."""

    def read(self, value: object, field: str, written: bool) -> str:
        """Not normalised: that is the pipeline's business."""
        if not isinstance(value, str):
            raise _wrong_type(field, "a string", value)
        if not 1 <= len(value) <= MAX_NUMBER or not value.isprintable():
            raise Problem(422, "number_invalid", f"{field!r} must be a number.", field)
        return f"+{value[1:]}" if written and value.startswith(" ") else value

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": MAX_NUMBER, "examples": ["+12025550100"]}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from ``low`` to ``high``, both included."""

    low: int = 0
    high: int = MAX_ID - 1
    code: str = "value_invalid"

    def read(self, value: object, field: str, written: bool) -> int:
        """Digits are a number where there is only text."""
        if written and isinstance(value, str):
            value = int(value) if _DIGITS.fullmatch(value) else None
        elif isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON Schema knows no other difference
        elif isinstance(value, bool) or not isinstance(value, int):
            raise _wrong_type(field, "a whole number", value)
        if value is None or not self.low <= value <= self.high:
            detail = f"{field!r} must be a whole number from {self.low} to {self.high}."
            raise Problem(422, self.code, detail, field)
        return value

    def schema(self) -> Schema:
        """With its bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


IDENTIFIER = Whole(1, MAX_ID - 1, "id_invalid")
"""An id."""


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    def read(self, value: object, field: str, written: bool) -> bool:
        """``true`` and ``1`` are true where there is only text."""
        if written and isinstance(value, str):
            value = _SWITCHES.get(value, value)
        if not isinstance(value, bool):
            raise _wrong_type(field, "a boolean", value)
        return value

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these words."""

    words: tuple[str, ...]
    code: str = "value_invalid"

    def read(self, value: object, field: str, written: bool) -> str:
        """The word."""
        if not isinstance(value, str):
            raise _wrong_type(field, "a string", value)
        if value not in self.words:
            raise Problem(422, self.code, f"{field!r} must be {' or '.join(self.words)}.", field)
        return value

    def schema(self) -> Schema:
        """An enumeration."""
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class URL:
    """An http or https URL in ASCII."""

    def read(self, value: object, field: str, written: bool) -> str:
        """As it is."""
        if not isinstance(value, str):
            raise _wrong_type(field, "a string", value)
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or len(value) > MAX_URL or not value.isascii() or not value.isprintable() or " " in value:
            detail = f"{field!r} must be an http or https URL of at most {MAX_URL} ASCII characters."
            raise Problem(422, "url_invalid", detail, field)
        return value

    def schema(self) -> Schema:
        """A string; what is more cannot be said in JSON Schema."""
        return {
            "type": "string",
            "format": "uri",
            "maxLength": MAX_URL,
            "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://",
        }


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, RFC 3339; inside it is milliseconds since the Unix epoch."""

    def read(self, value: object, field: str, written: bool) -> int:
        """Without an offset it is UTC. A date alone is its beginning."""
        if not isinstance(value, str):
            raise _wrong_type(field, "a string", value)
        try:
            # In a query the "+" of an offset arrives as a space.
            at = datetime.fromisoformat(value.replace(" ", "+") if written and "T" in value else value)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            ms = round(at.timestamp() * 1000)
        except (ValueError, OverflowError):
            ms = -1
        if not 0 <= ms <= _LAST_MS:
            detail = f"{field!r} must be a time such as 2026-01-31T12:00:00Z."
            raise Problem(422, "time_invalid", detail, field)
        return ms

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00.000Z"]}


@dataclass(frozen=True, slots=True)
class Many:
    """An array."""

    of: Shape
    low: int = 0
    high: int | None = None
    code: str = "value_invalid"

    def read(self, value: object, field: str, written: bool) -> list[Any]:
        """Every member. In a query it is a value or several, members separated by commas."""
        if written:
            values: Any = [value] if isinstance(value, str) else value
            value = [item for one in values for item in one.split(",") if item]
        if not isinstance(value, list):
            raise _wrong_type(field, "an array", value)
        if len(value) < self.low or (self.high is not None and len(value) > self.high):
            raise Problem(422, self.code, f"{field!r} has {self.low} to {self.high} members.", field)
        read = self.of.read
        return [read(item, f"{field}[{number}]", written) for number, item in enumerate(value)]

    def schema(self) -> Schema:
        """With its bounds."""
        found: Schema = {"type": "array", "items": self.of.schema()}
        if self.low:
            found["minItems"] = self.low
        if self.high is not None:
            found["maxItems"] = self.high
        return found


@dataclass(frozen=True, slots=True)
class Null:
    """The shape, or null."""

    of: Shape

    def read(self, value: object, field: str, written: bool) -> Any:
        """None for null."""
        return None if value is None else self.of.read(value, field, written)

    def schema(self) -> Schema:
        """Null is one more type."""
        found = self.of.schema()
        if isinstance(found.get("type"), str):
            found = {**found, "type": [found["type"], "null"]}
            if "enum" in found:
                found["enum"] = [*found["enum"], None]
            return found
        return {"anyOf": [found, {"type": "null"}]}


@dataclass(frozen=True, slots=True)
class Named:
    """An object whose names are not known before: every value has the same shape."""

    of: Shape
    high: int = 100

    def read(self, value: object, field: str, written: bool) -> dict[str, Any]:
        """By name."""
        if not isinstance(value, dict):
            raise _wrong_type(field, "an object", value)
        if len(value) > self.high:
            raise Problem(422, "value_invalid", f"{field!r} has at most {self.high} members.", field)
        return {name: self.of.read(item, f"{field}.{name[:SHOWN]}", written) for name, item in value.items()}

    def schema(self) -> Schema:
        """An object."""
        return {"type": "object", "additionalProperties": self.of.schema(), "maxProperties": self.high}


@dataclass(frozen=True, slots=True)
class Anything:
    """What is described elsewhere: for answers, and for what another part of the server judges."""

    types: tuple[str, ...] = ()

    def read(self, value: object, field: str, written: bool) -> Any:
        """As it is."""
        return value

    def schema(self) -> Schema:
        """Its types, if it has some."""
        return {"type": list(self.types)} if self.types else {}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a record. A null that is not asked for is as good as no member."""

    name: str
    shape: Shape
    help: str = ""
    required: bool = False
    default: object = None
    """What it is when it is not there: JSON's value."""

    def schema(self) -> Schema:
        """With what it means."""
        found = self.shape.schema() if self.required else Null(self.shape).schema()
        if self.help:
            found = {**found, "description": self.help}
        if self.default is not None:
            found = {**found, "default": self.default}
        return found


@dataclass(frozen=True)
class Record:
    """An object with known members; others are refused, so that a typing error does not pass unnoticed.

    One with a ``name`` is described once, under that name. ``lists`` are those members that are arrays.
    """

    members: tuple[Member, ...]
    name: str = ""
    lists: frozenset[str] = field(init=False, repr=False)
    _known: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_known", frozenset(member.name for member in self.members))
        lists = frozenset(member.name for member in self.members if isinstance(member.shape, Many))
        object.__setattr__(self, "lists", lists)

    def read(self, value: object, field: str, written: bool) -> dict[str, Any]:
        """Every member by name, None where it is not there; those that are written are in ``written``."""
        if not isinstance(value, dict):
            raise _wrong_type(field, "an object", value)
        return self.members_of(
            value, frozenset(value) if written else frozenset(), f"{field}." if field else ""
        )

    def members_of(
        self, found: Mapping[str, Any], written: frozenset[str] = frozenset(), prefix: str = ""
    ) -> dict[str, Any]:
        """The members of a request; the names in ``written`` were text."""
        if not found.keys() <= self._known:
            name = min(found.keys() - self._known)[:SHOWN]
            expected = ", ".join(sorted(self._known)) or "no members at all"
            detail = f"{name!r} is not known; expected: {expected}."
            raise Problem(422, "member_unknown", detail, prefix + name)
        read: dict[str, Any] = {}
        for member in self.members:
            name = member.name
            value = found.get(name)
            if value is None:
                if member.required:
                    raise Problem(422, "member_missing", f"{name!r} is missing.", prefix + name)
                read[name] = member.default
            else:
                read[name] = member.shape.read(value, prefix + name, name in written)
        return read

    def schema(self) -> Schema:
        """A reference, when it has a name."""
        return {"$ref": f"#/components/schemas/{self.name}"} if self.name else self.described()

    def described(self) -> Schema:
        """The whole object."""
        found: Schema = {
            "type": "object",
            "properties": {member.name: member.schema() for member in self.members},
            "additionalProperties": False,
        }
        required = [member.name for member in self.members if member.required]
        if required:
            found["required"] = required
        return found


@dataclass(frozen=True, slots=True)
class Either:
    """One of these shapes; for answers."""

    shapes: tuple[Shape, ...]

    def read(self, value: object, field: str, written: bool) -> Any:
        """Nobody is asked to send one."""
        return value

    def schema(self) -> Schema:
        """Any of them."""
        return {"anyOf": [shape.schema() for shape in self.shapes]}


NOTHING = Record(())
"""No members at all."""


def given(*members: Member, name: str = "") -> Record:
    """An answer's object: every member is always there."""
    return Record(tuple(Member(m.name, m.shape, m.help, True) for m in members), name)


def records(shape: Shape) -> Iterator[Record]:
    """Every record with a name that a shape stands on."""
    match shape:
        case Record():
            if shape.name:
                yield shape
            for member in shape.members:
                yield from records(member.shape)
        case Many(of=of) | Null(of=of) | Named(of=of):
            yield from records(of)
        case Either(shapes=shapes):
            for each in shapes:
                yield from records(each)


def refusals(shape: Shape) -> Iterator[str]:
    """The codes of the problems that reading a value of this shape may raise, beyond its type."""
    match shape:
        case Record():
            for member in shape.members:
                yield from refusals(member.shape)
        case Many(of=of):
            yield shape.code
            yield from refusals(of)
        case Null(of=of) | Named(of=of):
            yield from refusals(of)
        case Text() | Whole() | Choice():
            yield shape.code
        case Number():
            yield "number_invalid"
        case URL():
            yield "url_invalid"
        case Moment():
            yield "time_invalid"
