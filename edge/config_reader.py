"""TOML → frozen dataclasses. Every problem is found and told at once, each in one line.

A class says what it accepts by its annotations: `bool`, `int`, `float`, `str`, `Literal[…]`, `tuple[…, …]`,
`Mapping[…, …]`, another such class (a table), `Secret`, and `Annotated[…, Check]` for what a type cannot
say. A field without a default must be in the file. What two keys say against each other a class tells by a
method `contradictions`. A `Secret` field named ``password`` is read from one of the keys ``password``,
``password_file`` (the file's first line) and ``password_env`` (an environment variable).
"""

import dataclasses
import difflib
import json
import math
import os
import re
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Contradiction = tuple[str, object, str]
"""The key, its value, and what would have been right."""

KEY = "key"  # field metadata: the key in the file when it is not the field's name; None: not read from it
MISSING = object()
HIDDEN = object()
_SHOWN_CHARACTERS = 80
_SECRET_NAME = re.compile(r"pass|pw|secret|token|key", re.IGNORECASE)
_USERINFO_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]*@")


class Secret:
    """A password that shows itself only when asked by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The password."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition beyond the type: what is ``expected``, for people, and whether a value is ``good``."""

    expected: str
    good: Callable[[Any], bool]


def at_least(low: float) -> Check:
    """A number no smaller than this."""
    return Check(f"a number of at least {low}", lambda value: value >= low)


def above(low: float) -> Check:
    """A number greater than this."""
    return Check(f"a number above {low}", lambda value: value > low)


def between(low: float, high: float) -> Check:
    """A number in this range, both ends included."""
    return Check(f"a number from {low} to {high}", lambda value: low <= value <= high)


def matching(pattern: str, expected: str) -> Check:
    """A text that the regular expression matches whole."""
    compiled = re.compile(pattern, re.ASCII)
    return Check(expected, lambda value: compiled.fullmatch(value) is not None)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file. ``value`` may be MISSING (no such key) or HIDDEN (a secret)."""

    file: str
    key: str
    value: object
    expected: str

    def __str__(self) -> str:
        if not self.key:
            return f"{self.file}: {self.expected}"
        if self.value is MISSING:
            return f"{self.file}: {self.key} is missing: expected {self.expected}"
        return f"{self.file}: {self.key} = {_shown(self.value)}: expected {self.expected}"


class Reader:
    """I turn the tables of one file into objects and collect the ``problems`` on the way."""

    def __init__(self, file: str, environment: Mapping[str, str] = os.environ) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._environment = environment

    def problem(self, key: str, value: object, expected: str) -> None:
        """Note something that is wrong."""
        self.problems.append(Problem(self.file, key, value, expected))

    def table(self, kind: type[T], table: Mapping[str, Any], where: str = "", **given: object) -> T | None:
        """An object of a dataclass from a table, ``given`` fields apart; None when there were problems."""
        before = len(self.problems)
        hints = get_type_hints(kind, include_extras=True)
        values = dict(given)
        known: dict[str, bool] = {}  # and whether it is a secret
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            key = field.metadata.get(KEY, field.name)
            if key is None or field.name in given:
                continue
            here = f"{where}.{key}" if where else key
            if base(_needed(hints[field.name])) is Secret:
                names = (key, f"{key}_file", f"{key}_env")
                known |= dict.fromkeys(names, True)
                if field.default is dataclasses.MISSING or any(name in table for name in names):
                    values[field.name] = self._secret(_needed(hints[field.name]), table, key, where)
                continue
            known[key] = False
            if key in table:
                values[field.name] = self.value(hints[field.name], table[key], here)
            elif dataclasses.is_dataclass(hints[field.name]):
                values[field.name] = self.table(hints[field.name], {}, here)
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                self.problem(here, MISSING, expectation(hints[field.name]))
        self._unknown(table, known, where)
        if len(self.problems) > before:
            return None
        made = kind(**values)
        for key, value, expected in getattr(made, "contradictions", tuple)():
            self.problem(f"{where}.{key}", value, expected)
        return made

    def value(self, hint: Any, value: object, where: str) -> Any:
        """``value`` as ``hint`` wants it; a problem when it is not."""
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self.value(_needed(hint), value, where)
        if origin is tuple:
            return self._array(arguments[0], value, where)
        if origin is Mapping:
            return self._mapping(arguments[0], arguments[1], value, where)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
            return self.table(hint, value, where)
        if not _fits(hint, value):
            self.problem(where, value, expectation(hint))
            return None
        return float(value) if base(hint) is float else value  # type: ignore[arg-type]

    def _array(self, kind: Any, value: object, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            self.problem(where, value, f"a list, each item {expectation(kind)}")
            return ()
        return tuple(
            self.value(kind, item, _item_name(where, index, item)) for index, item in enumerate(value)
        )

    def _mapping(self, key: Any, kind: Any, value: object, where: str) -> dict[Any, Any]:
        if not isinstance(value, dict):
            self.problem(where, value, expectation(Mapping[key, kind]))
            return {}
        for name in value:
            if not _fits(key, name):
                self.problem(f"{where}.{name}", value[name], f"a key that is {expectation(key)}")
        return {name: self.value(kind, item, f"{where}.{name}") for name, item in value.items()}

    def _secret(self, hint: Any, table: Mapping[str, Any], key: str, where: str) -> Secret | None:
        prefix = f"{where}." if where else ""
        present = [name for name in (key, f"{key}_file", f"{key}_env") if name in table]
        if len(present) != 1:
            ways = f"exactly one of {key}, {key}_file, {key}_env"
            self.problem(f"{prefix}{key}", HIDDEN if present else MISSING, ways)
            return None
        name = present[0]
        value = table[name]
        if not isinstance(value, str):
            self.problem(f"{prefix}{name}", HIDDEN if name == key else value, "a text")
            return None
        secret = self._found(name.removeprefix(key), value, prefix + name)
        if secret is not None and name != key and not secret.reveal():
            self.problem(prefix + name, value, f"a {key} in it: it is empty")
            return None
        if secret is not None and not all(check.good(secret.reveal()) for check in _checks(hint)):
            self.problem(prefix + name, HIDDEN, expectation(hint))
        return secret

    def _found(self, suffix: str, value: str, where: str) -> Secret | None:
        if not suffix:
            return Secret(value)
        return self._from_file(value, where) if suffix == "_file" else self._from_env(value, where)

    def _from_file(self, value: str, where: str) -> Secret | None:
        try:
            return Secret(Path(value).read_text("utf-8").partition("\n")[0].rstrip("\r"))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            self.problem(where, value, f"a readable file with the password in its first line ({reason})")
            return None

    def _from_env(self, value: str, where: str) -> Secret | None:
        if value not in self._environment:
            self.problem(where, value, "the name of an environment variable that is set")
            return None
        return Secret(self._environment[value])

    def _unknown(self, table: Mapping[str, Any], known: Mapping[str, bool], where: str) -> None:
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"; did you mean {close[0]}?" if close else f": {', '.join(known)}"
                secret = _SECRET_NAME.search(key) or any(known[name] for name in close)
                value = HIDDEN if secret else table[key]
                self.problem(f"{where}.{key}" if where else key, value, f"a known key{hint}")


def _needed(hint: Any) -> Any:
    """Of a type that may be None too, the other one."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(kind for kind in get_args(hint) if kind is not types.NoneType)
    return hint


def base(hint: Any) -> Any:
    """The type under an `Annotated`."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def expectation(hint: Any) -> str:
    """What a value of this type looks like, for people."""
    hint = _needed(hint)
    if get_origin(hint) is Annotated:
        return " and ".join(check.expected for check in _checks(hint))
    if get_origin(hint) is Literal:
        return f"one of {', '.join(json.dumps(choice) for choice in get_args(hint))}"
    if get_origin(hint) is tuple:
        return f"a list, each item {expectation(get_args(hint)[0])}"
    if get_origin(hint) is Mapping:
        key, kind = get_args(hint)
        return f"a table, each key {expectation(key)}, each value {expectation(kind)}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Secret: "a text"}
    return names.get(hint, "a table")


def _fits(hint: Any, value: object) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    kind = base(hint)
    if kind is float:
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    elif isinstance(kind, type):
        right = type(value) is kind
    else:
        return _fits(kind, value)
    return right and all(check.good(value) for check in _checks(hint))


def _checks(hint: Any) -> list[Check]:
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return [extra for extra in extras if isinstance(extra, Check)]


def _item_name(where: str, index: int, item: object) -> str:
    """`upstream["carrier"]` for a table that has a name, else `phones[0]`."""
    name = item.get("name") if isinstance(item, dict) else None
    return f"{where}[{json.dumps(name) if isinstance(name, str) else index}]"


def _shown(value: object) -> str:
    if value is HIDDEN:
        return "(hidden)"
    text = json.dumps(value, ensure_ascii=True, default=str)
    text = _USERINFO_PASSWORD.sub(r"\1:…@", text)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
