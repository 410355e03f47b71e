"""The command language: words, then parameters; without I/O.

    bind restart acme/transceiver            a command of two words and one parameter
    queue ls upstream=acme limit=20 --json   parameters by name, in any order; --json for programs
    send +12025550100 +12025550150 'Hello'   quotes as in a shell

Words may be shortened as long as they are clear: ``del l`` is ``delivery ls``.
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JSON = "--json"
HIDDEN = "***"
LONGEST_LINE = 8_192

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all but tab and the ends of lines
_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # what `surrogateescape` makes of other octets
_SETTING = re.compile(r"\A([A-Za-z_]\w*)=.*", re.DOTALL)
_URL = re.compile(r"(?<=://)(?P<user>[^\s/?#]*@)?(?P<place>[^\s?#]*)(?P<query>\?[^\s#]*)?(?P<rest>#\S*)?")
_QUERY_VALUE = re.compile(r"(?P<key>[^=&;?]+=)?(?P<value>[^&;?]+)")
_PLACEHOLDER = re.compile(r"\{\w+\}")

TOO_LONG = f"A line has at most {LONGEST_LINE} characters."
NOT_UTF8 = "The line has octets in it that are not UTF-8: set the terminal, or the file, to UTF-8."

Given = Mapping[str, str]


class Misused(Exception):
    """A line that is no command; the sentence says what would be one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did: ``document`` for programs (as JSON has it), ``text`` for people."""

    text: str
    document: object


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``named`` ones are written name=value and may be left out; a ``rest`` takes all words
    that are left, joined by spaces, or ``quoted`` as a shell would, so that `shlex.split` has them again. A
    ``secret`` is never written down; of others ``mask`` makes what may be, of their URLs
    too. ``values`` completes it, from the running server."""

    name: str
    help: str
    required: bool = True
    named: bool = False
    rest: bool = False
    quoted: bool = False
    secret: bool = False
    mask: "Callable[[str], str] | None" = None
    values: "Callable[[Any], Sequence[str]] | None" = None

    @property
    def usage(self) -> str:
        """As help shows it."""
        if self.named:
            return f"[{self.name}=…]"
        shown = self.name.upper() + ("…" if self.rest else "")
        return shown if self.required else f"[{shown}]"

    def written(self, value: str) -> str:
        """What was given, as it may be written down: without passwords, and in URLs without what may be one.

        KEY=VALUE in the place of something else is a mistake, such as a setting without its number: of that
        the key alone is written.
        """
        if self.secret:
            return HIDDEN
        if self.mask is None and not self.named:
            value = _SETTING.sub(rf"\1={HIDDEN}", value)
        return without_url_secrets(value) if self.mask is None else self.mask(value)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be asked for: ``run(server, given)`` gives an `Answer`, at once or to be awaited.

    It may raise Misused, or the errors of the rest of the server that have a sentence for people.
    """

    words: tuple[str, ...]
    help: str
    run: "Callable[[Any, Given], Answer | Awaitable[Answer]]"
    parameters: tuple[Parameter, ...] = ()

    @property
    def name(self) -> str:
        """The words as one text."""
        return " ".join(self.words)

    @property
    def usage(self) -> str:
        """The words and what may follow them."""
        return " ".join([self.name, *(parameter.usage for parameter in self.parameters)])


@dataclass(frozen=True, slots=True)
class Invocation:
    """A line that was understood."""

    command: Command
    given: Given
    as_json: bool = False

    def shown(self) -> str:
        """The line as it may be written down: without what is secret."""
        known = {parameter.name: parameter for parameter in self.command.parameters}
        values = [f"{name}={known[name].written(value)}" for name, value in self.given.items()]
        return " ".join([self.command.name, *map(shlex.quote, values)])


@dataclass(frozen=True, slots=True)
class Language:
    """All commands there are."""

    commands: tuple[Command, ...]
    _tree: dict[tuple[str, ...], Command] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tree = {command.words: command for command in self.commands}
        if len(tree) != len(self.commands):
            raise ValueError("two commands have the same words")
        object.__setattr__(self, "_tree", tree)

    def parse(self, line: str) -> Invocation:
        """Understand a line. Raises Misused, with a sentence that helps."""
        words = _words(line)
        as_json = JSON in words
        words = [word for word in words if word != JSON]
        if not words:
            raise Misused("There is no command. `help` lists them.")
        command, rest = self._find(words)
        return Invocation(command, _given(command, rest), as_json)

    def complete(self, line: str, server: Any = None) -> list[str]:
        """What the last word of an unfinished line may become, sorted; none when it is a matter of taste."""
        try:
            words = _words(line)
        except Misused:
            return []
        if not line or line[-1].isspace():
            words.append("")
        done, last = words[:-1], words[-1]
        path, rest = self._descend(done)
        if path is None:
            return []
        if not rest:
            heads = self._heads(path)
            if heads:
                return sorted({head for head in heads if head.startswith(last)})
        command = self._tree.get(path)
        return [] if command is None else _values(command, rest, last, server)

    def found(self, line: str = "") -> list[Command]:
        """Every command that begins with these words. Raises Misused when there is none."""
        path, rest = self._descend(_words(line))
        found = [] if path is None or rest else self._under(path)
        if not found:
            raise Misused(f"There is no command {line!r}. `help` lists them.")
        return found

    def help(self, line: str = "") -> str:
        """Every command that begins with these words, with its parameters."""
        found = self.found(line)
        if len(found) == 1:
            command = found[0]
            lines = [command.usage, "", f"  {command.help}"]
            lines += [f"  {parameter.name:<12}{parameter.help}" for parameter in command.parameters]
            return "\n".join(lines)
        width = max(len(command.usage) for command in found)
        return "\n".join(f"{command.usage:<{width}}  {command.help}" for command in found)

    def _under(self, path: tuple[str, ...]) -> list[Command]:
        return [command for command in self.commands if command.words[: len(path)] == path]

    def _heads(self, path: tuple[str, ...]) -> list[str]:
        """The words that may come after these."""
        depth = len(path)
        found = (c.words[depth] for c in self._under(path) if len(c.words) > depth)
        return list(dict.fromkeys(found))

    def _descend(self, words: Sequence[str]) -> tuple[tuple[str, ...] | None, list[str]]:
        """The words of a command at the beginning, written out, and the rest; None if they are not clear."""
        path: tuple[str, ...] = ()
        for position, word in enumerate(words):
            heads = self._heads(path)
            chosen = [word] if word in heads else [head for head in heads if head.startswith(word)]
            if not heads or (path in self._tree and not chosen):
                return path, list(words[position:])
            if len(chosen) != 1:
                return None, list(words[position:])
            path = (*path, chosen[0])
        return path, []

    def _find(self, words: Sequence[str]) -> tuple[Command, list[str]]:
        path, rest = self._descend(words)
        if path is not None and path in self._tree:
            return self._tree[path], rest
        if path is None:
            before = " ".join(words[: len(words) - len(rest)])
            known, _ = self._descend(words[: len(words) - len(rest)])
            heads = self._heads(known or ())
            near = [head for head in heads if head.startswith(rest[0])] or heads
            what = f"{rest[0]!r} after {before!r}" if before else f"{rest[0]!r}"
            raise Misused(f"{what} is no command: {', '.join(near)}.")
        raise Misused(f"{' '.join(path)!r} needs one more word: {', '.join(self._heads(path))}.")


def is_utf8(text: str) -> bool:
    """False for text that was made, by ``surrogateescape``, of octets that are something else."""
    return _NOT_UTF8.search(text) is None


def without_url_secrets(text: str) -> str:
    """The text, its URLs without user and password, values of the query (but for placeholders, as ``{TO}``),
    and the fragment."""
    return _URL.sub(_without_secrets, text)


def _words(line: str) -> list[str]:
    if len(line) > LONGEST_LINE:
        raise Misused(TOO_LONG)
    if _NOT_UTF8.search(line):
        raise Misused(NOT_UTF8)
    control = _CONTROL.search(line)
    if control is not None:
        raise Misused(f"The line has a control character in it: U+{ord(control[0]):04X}.")
    try:
        return shlex.split(line)
    except ValueError as error:
        raise Misused(f"The quotes do not match ({error}).") from error


def _given(command: Command, words: list[str]) -> dict[str, str]:
    named = {parameter.name: parameter for parameter in command.parameters if parameter.named}
    given: dict[str, str] = {}
    left: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name in named:
            if name in given:
                raise Misused(f"{name}= is there twice. Usage: {command.usage}")
            given[name] = value
        else:
            left.append(word)
    for parameter in command.parameters:
        if parameter.named:
            continue
        if not left:
            if parameter.required:
                raise Misused(f"{parameter.name.upper()} is missing. Usage: {command.usage}")
            continue
        if parameter.rest:
            given[parameter.name], left = (shlex.join(left) if parameter.quoted else " ".join(left)), []
        else:
            given[parameter.name] = left.pop(0)
    if left:
        raise Misused(f"{left[0]!r} is one word too many. Usage: {command.usage}")
    return given


def _without_secrets(url: re.Match[str]) -> str:
    query = _QUERY_VALUE.sub(_without_value, url["query"] or "")
    user = f"{HIDDEN}@" if url["user"] else ""
    return f"{user}{url['place']}{query}" + (f"#{HIDDEN}" if url["rest"] else "")


def _without_value(pair: re.Match[str]) -> str:
    key, value = pair["key"] or "", pair["value"]
    return key + (value if _PLACEHOLDER.fullmatch(value) else HIDDEN)


def _values(command: Command, rest: list[str], last: str, server: Any) -> list[str]:
    name, equals, begun = last.partition("=")
    if equals:
        chosen = next((p for p in command.parameters if p.named and p.name == name), None)
        known = [] if chosen is None or chosen.values is None else chosen.values(server)
        return sorted(f"{name}={value}" for value in known if value.startswith(begun))
    keys = {parameter.name for parameter in command.parameters if parameter.named}
    placed = [word for word in rest if word.partition("=")[0] not in keys]
    plain = [parameter for parameter in command.parameters if not parameter.named]
    found = [f"{key}=" for key in keys if key.startswith(last)]
    if len(placed) < len(plain):
        values = plain[len(placed)].values
        found += [value for value in (values(server) if values else ()) if value.startswith(last)]
    return sorted(found)
