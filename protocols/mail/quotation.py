"""Which lines of a mail its writer wrote, and which his mail client put under, above or around them.

One pass over the lines, the same for every mail: it looks for what begins a quotation, which is an
introduction ("On … wrote:"), the headers of another mail, a rule with words, our own marker, or lines that
are marked with ">". Where marked lines follow, the quotation is these, and what stands between and below
them was written; where none do, it goes on to the end, for nothing tells the older text from the newer.

What introduces a quotation is told from a sentence by what it holds (a date, a time of day, an address, our
own address) and by what follows it: where marked lines or our marker do, less is enough. What only may be a
mail client's is none where nothing would be left without it: a line too many is better than no answer.
"""

import re
from typing import NamedTuple

from protocols.mail import words
from protocols.mail.token import CHARACTERS

_MARKER = re.compile(r"##-.{0,200}?-##", re.DOTALL)
_MARKED = re.compile(r"\s*[>|]")
_MARGIN = re.compile(r"[\s>|]*")
_BY_ITSELF = re.compile(r"\s*>+(?: |\s*$)")
_ONCE = re.compile(r"\s*> [^\s>]")
_TABLE = re.compile(r"\s*\|")
_MAX_JUDGED, _MAX_ADDRESSES = 400, 5
"""Characters of a line that may be one of a mail client's own; a longer one was written by somebody."""
_INTRO_LINES = 4  # an introduction is broken over so many lines at most
_HEADER_LINES = 14
_MIN_HEADERS = 3
_MIN_INTRO = 10

# As a line is looked at: without marks of direction and of nothing, with ASCII's digits, colon and blanks.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys(
            [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF], None
        ),
        **dict.fromkeys([0xA0, 0x2007, 0x202F, 0x3000], " "),
        **{zero + digit: str(digit) for zero in (0x660, 0x6F0) for digit in range(10)},
        0xFF1A: ": ",
    }
)
_OPEN_ADDRESS = r"[<(\[][^<>()\[\]\s]*[^<>()\[\]\s:]@[^<>()\[\]\s]+[>)\]]"
_ADDRESS = re.compile(r"\S@\w")
_BRACKETED = re.compile(rf"(?:{_OPEN_ADDRESS})")
_BROKEN_OFF = re.compile(rf"(?:{_OPEN_ADDRESS})[>)\]]?[^<>:]{{0,40}}:\s+\S")
_TOKEN = re.compile(rf"\+[A-Za-z2-7]{{{CHARACTERS}}}@|#[Uu][Ss][A-Za-z2-7]{{{CHARACTERS}}}\b")
_OUR_NAME = "(SMS)"
_TIME = re.compile(r"(?<!\d)\d{1,2}[:hH.]\d{2}(?!\d)")
_DATE = re.compile(r"(?<!\d)(?:20|25)\d\d(?!\d)|(?<!\d)\d{1,2}([./-])\d{1,2}\1\d{2}(?!\d)")
_WROTE = re.compile(words.WROTE, re.IGNORECASE)
_WROTE_LAST = 20
"""Characters that may stand between the verb and the end, where only the verb says what the line is."""
_OPENS = re.compile(words.OPENS, re.IGNORECASE)
_SENTENCE_END = (".", "!", "?", ":", ";")
_HEADER = re.compile(r"\*?(?P<name>[^\W\d_][^:<>@*]{0,30}?)\s?:\*?(?:\s(?P<value>.*))?")
_RULE = re.compile(r"[_=-]{5,}|(?:- ){3,}-?")
_WORDED = re.compile(r"[-_=]{4,}[^-_=].*[-_=]{4,}:?")
_FORWARDED = re.compile(words.FORWARDED, re.IGNORECASE)


class _Beginning(NamedTuple):
    """A quotation begins: its own lines go up to ``end``. ``sure``: nobody writes such lines himself."""

    end: int
    sure: bool
    to_the_end: bool


def written(text: str) -> list[str]:
    """What was written: above, between and below what is quoted, a piece each. [] when there is nothing.

    Takes a time that grows with the length, whatever is in it.
    """
    page = _Page(text)
    return page.pieces(sure_only=False) or page.pieces(sure_only=True)


class _Page:
    """The lines of a text, as they are and as they are looked at."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._marked = [_MARKED.match(line) is not None for line in self._lines]
        self._bare = [_bare(line) for line in self._lines]
        self._next = _next_of(self._lines)
        self._markers = self._find_markers(text)
        self._intros = self._find_intros()

    def pieces(self, sure_only: bool) -> list[str]:
        """The pieces of what was written. ``sure_only``: what only may begin a quotation does not."""
        pieces: list[list[str]] = [[]]
        at, quoting = 0, False
        while at < len(self._lines):
            if self._marked[at]:
                end = self._block_end(at)
                if quoting or self._is_quotation(at, end, sure_only):
                    pieces.append([])
                else:
                    pieces[-1] += self._lines[at:end]
                at = end
                continue
            begins = self._begins(at, sure_only)
            if begins is None:
                pieces[-1].append(self._lines[at])
                at += 1
                continue
            _drop_rules(pieces[-1])
            if begins.to_the_end:
                if begins is not self._intros.get(at):
                    pieces[-1].append(self._lines[at][: self._markers.get(at, 0)])
                break
            quoting = True
            pieces.append([])
            at = begins.end
        joined = ["\n".join(piece) for piece in pieces if piece]
        return joined if any(piece.strip() for piece in joined) else []

    # -- what begins a quotation --------------------------------------------------------------------

    def _begins(self, at: int, sure_only: bool) -> _Beginning | None:
        """Whether the quotation's own lines begin at this one."""
        if not self._bare[at] and at not in self._markers:
            return None
        intro = self._intros.get(at)
        if intro is not None and (intro.sure or not sure_only):
            return intro
        if at in self._markers:
            return _Beginning(at + 1, True, True)
        return self._ruled(at) or self._headers(at)

    def _find_markers(self, text: str) -> dict[int, int]:
        """The lines in which our marker begins, and where in each. One in the middle of a sentence is none
        as long as there is another one."""
        places: dict[int, int] = {}
        line = start = 0
        for found in _MARKER.finditer(text):
            line += text.count("\n", start, found.start())
            start = found.start()
            if line not in places:
                places[line] = start - (text.rfind("\n", 0, start) + 1)
        if not places:
            return {}
        last = max(places)
        for number, column in list(places.items()):
            front = _bare(self._lines[number][:column])
            if front and number != last and not front.endswith(":"):
                del places[number]
            else:
                self._bare[number] = front
        return places

    def _find_intros(self) -> dict[int, _Beginning]:
        """By the line that each begins at: the lines that introduce a quotation."""
        found: dict[int, _Beginning] = {}
        for end, line in enumerate(self._bare):
            if self._marked[end] or not (line.endswith(":") or "@" in line):
                continue
            following = self._next[end]
            front = _broken_off(line)
            goes_on = front is not None or end in self._markers
            if front is not None:
                self._bare[end] = front
            marked = following < len(self._lines) and self._marked[following]
            judged = self._introduction(end, goes_on or marked or following in self._markers)
            if judged is not None:
                count, sure = judged
                to_the_end = goes_on or not marked
                found.setdefault(end + 1 - count, _Beginning(end + 1, sure, to_the_end))
        return found

    def _introduction(self, end: int, shown: bool) -> tuple[int, bool] | None:
        """How many lines up to this one introduce a quotation, and whether surely; the surest first.

        ``shown``: marked lines or our marker follow.
        """
        joined: list[str] = []
        for count in range(1, _INTRO_LINES + 1):
            first = end + 1 - count
            if (
                first < 0
                or self._marked[first]
                or not self._bare[first]
                or (first in self._markers and count > 1)
            ):
                break
            if count > 1 and self._bare[first].endswith(_SENTENCE_END):
                break
            line = " ".join(self._bare[first : end + 1])
            if len(line) > _MAX_JUDGED:
                break
            joined.append(line)
        for judge, sure in ((_complete, True), (_ours, True), (_likely, False)):
            for count, line in enumerate(joined, 1):
                if _balanced(line) and len(line) >= _MIN_INTRO and judge(line, shown):
                    return self._from_its_first_word(end, count, len(joined)), sure
        return None

    def _from_its_first_word(self, end: int, count: int, most: int) -> int:
        """How many lines, with a line or two above of one that was broken: it begins with "On", "Am" …"""
        if _OPENS.match(self._bare[end + 1 - count]):
            return count
        for more in range(count + 1, min(most, count + 2) + 1):
            line = self._bare[end + 1 - more]
            if _OPENS.match(line) and any(letter.isdigit() for letter in line):
                return more
        return count

    def _ruled(self, at: int) -> _Beginning | None:
        """A rule with words in it, or such words with a colon, above another mail.

        Words that are no mail client's may be a heading: then another mail must begin directly below them.
        """
        line = self._bare[at]
        certain = _forwards(line) or (_is_worded(line) and _names_somebody(line))
        if not certain and not _is_worded(line):
            return None
        following = self._next[at]
        if following == len(self._lines):
            return _Beginning(at + 1, True, True) if certain else None
        intro = self._intros.get(following)
        found = intro if intro is not None and intro.sure else self._headers(following)
        if found is not None:
            return found
        return self._after(at + 1) if certain or following in self._markers else None

    def _after(self, end: int) -> _Beginning:
        """The quotation is what is marked below, or else all of it."""
        following = self._next[end - 1]
        shown = following < len(self._lines) and self._marked[following]
        return _Beginning(end, True, not shown)

    def _headers(self, at: int) -> _Beginning | None:
        """The headers of another mail, as Outlook's quotations and forwarded mail have them."""
        end, fields = self._fields(at)
        if len(fields) < _MIN_HEADERS:
            return None
        roles = [_ROLES.get(name) for name, _ in fields]
        values = [value for _, value in fields]
        ours = any(map(_is_ours, values))
        when = any(_DATE.search(value) and _TIME.search(value) for value in values)
        if "from" in roles and len({*roles} - {None}) >= _MIN_HEADERS:
            # A trip has From, To and Date too.
            proven = any(map(_ADDRESS.search, values)) or (when and "subject" in roles)
            begins = roles[0] is not None
        else:  # in a language that we do not know
            proven, begins = when and any(map(_BRACKETED.search, values)), True
        if not begins or not (proven or ours):
            return None
        return self._after(end) if ours else _Beginning(end, True, True)

    def _fields(self, at: int) -> tuple[int, list[tuple[str, str]]]:
        """The header lines from here on, each as name and value, and where they end.

        One may be broken in two, as of a table's cells; behind a From with an address they may be paragraphs.
        """
        fields: list[tuple[str, str]] = []
        end, broken = at, ""
        for number in range(at, min(len(self._lines), at + _HEADER_LINES)):
            if self._marked[number] or number in self._markers:
                break
            header = _HEADER.fullmatch(self._bare[number])
            if header is not None:
                if broken:
                    fields[-1] = (fields[-1][0], f"{fields[-1][1]} {broken}")
                fields.append((header["name"].strip().lower(), header["value"] or ""))
                end, broken = number + 1, ""
            elif not fields or number > end or not (self._bare[number] or _is_from(*fields[0])):
                break
            else:
                broken = self._bare[number]
        return end, fields

    # -- lines that are marked ----------------------------------------------------------------------

    def _block_end(self, at: int) -> int:
        while at < len(self._lines) and self._marked[at]:
            at += 1
        return at

    def _is_quotation(self, start: int, end: int, sure_only: bool) -> bool:
        """Are marked lines that nothing introduces quoted, or somebody's own: "> 5 people", "|a|b|"?"""
        bare = self._bare[start:end]
        if any(number in self._markers for number in range(start, end)) or any(map(_is_ours, bare)):
            return True
        if any(_complete(line, shown=True) for line in bare):
            return True
        if not any(bare):
            return True
        lines = [line for line in self._lines[start:end] if not _TABLE.match(line)]
        if not lines or not all(_BY_ITSELF.match(line) for line in lines):
            return False
        if len(lines) > 1:
            return True
        return not sure_only and _ONCE.match(lines[0]) is not None


_ROLES = {
    **dict.fromkeys(words.TO, "to"),
    **dict.fromkeys(words.SENT, "sent"),
    **dict.fromkeys(words.SUBJECT, "subject"),
    **dict.fromkeys(words.FROM, "from"),
}


def _bare(line: str) -> str:
    """A line as it is looked at: without the marks in front and the blanks. Of one that is too long, nothing
    that could be taken for a mail client's."""
    match = _MARGIN.match(line)
    line = line[0 if match is None else match.end() :]
    if len(line) > _MAX_JUDGED or line.count("<") > _MAX_ADDRESSES:
        return "…"
    return line.translate(_PLAIN).strip()


def _next_of(lines: list[str]) -> list[int]:
    """For each line the next one that is not blank; their number, where there is none."""
    following = [len(lines)] * len(lines)
    for number in range(len(lines) - 2, -1, -1):
        following[number] = number + 1 if lines[number + 1].strip() else following[number + 1]
    return following


def _is_from(name: str, value: str) -> bool:
    return _ROLES.get(name) == "from" and _ADDRESS.search(value) is not None


def _broken_off(line: str) -> str | None:
    """The introduction at the front of a line on which the quotation begins already."""
    found = _BROKEN_OFF.search(line)
    front = "" if found is None else line[: found.end() - 1].rstrip()
    return front if _DATE.search(front) and _TIME.search(front) else None


def _balanced(line: str) -> bool:
    return line.count("<") == line.count(">") and line.count("(") == line.count(")")


def _is_ours(line: str) -> bool:
    return _OUR_NAME in line or _TOKEN.search(line) is not None


def _complete(line: str, shown: bool) -> bool:
    """It says when, and who by an address or that he wrote: nobody writes such a line himself."""
    dated, timed = _DATE.search(line), _TIME.search(line)
    if not dated:
        return False
    addressed = _BRACKETED.search(line)
    if line.endswith(":"):
        wrote = _WROTE.search(line)
        if addressed or _OUR_NAME in line:
            return bool(_OUR_NAME in line or timed or wrote)
        return bool(timed and wrote and (shown or _OPENS.match(line)))
    return bool(timed and shown and _TOKEN.search(line))


def _ours(line: str, shown: bool) -> bool:
    """It holds the address of a conversation, or our name."""
    if _TOKEN.search(line):
        return line.endswith(":") or bool(shown and _TIME.search(line))
    return shown and _OUR_NAME in line and line.endswith(":") and _WROTE.search(line) is not None


def _likely(line: str, shown: bool) -> bool:
    """It may be one because of what follows."""
    if not shown:
        return False
    dated, timed = _DATE.search(line), _TIME.search(line)
    if not line.endswith(":"):
        return bool(dated and timed and _BRACKETED.search(line))
    if dated and timed:
        return True
    return any(len(line) - found.end() <= _WROTE_LAST for found in _WROTE.finditer(line))


def _drop_rules(piece: list[str]) -> None:
    """Take away the rules right above a quotation."""
    end = number = len(piece)
    while number and (not piece[number - 1].strip() or _is_rule(_bare(piece[number - 1]))):
        number -= 1
        if piece[number].strip():
            end = number
    del piece[end:]


def _is_rule(line: str) -> bool:
    return _RULE.fullmatch(line) is not None or _is_worded(line) or _forwards(line)


def _is_worded(line: str) -> bool:
    """ "----- … -----" """
    return _WORDED.fullmatch(line) is not None


def _names_somebody(line: str) -> bool:
    return _is_ours(line) or _BRACKETED.search(line) is not None


def _forwards(line: str) -> bool:
    """The words above another mail, between dashes or with a colon."""
    words = line.strip("-_=* ").removesuffix(":")
    return line != words and _FORWARDED.fullmatch(words.strip("-_=* ")) is not None
