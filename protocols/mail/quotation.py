"""Which lines of a mail its writer wrote, and which his mail client put under, above or around them.

One pass over the lines, the same for every mail: it looks for what begins a quotation, which is an
introduction ("On … wrote:"), the headers of another mail, a rule with words, our own marker, or lines that
are marked with ">". Where marked lines follow, the quotation is these, and what stands between and below
them was written; where none do, it goes on to the end, for nothing tells the older text from the newer.

What only may be a mail client's is none where nothing would be left without it: a line too many is better
than no answer.
"""

import re
from enum import IntEnum
from typing import NamedTuple

from protocols.mail import heads, introductions, words
from protocols.mail.introductions import Around
from protocols.mail.lines import MARKERS, OUR_NAME, TOKEN, bare, broken_off, is_ours, names_somebody
from protocols.mail.pictures import without_pins

_MAX_LINES = 6_000
"""So many lines are looked at. Of more nobody makes an SMS: of the rest what is marked is all that is cut."""

_MAX_JUDGED_LINES = 200
"""So many are looked at closely, as introductions and as headers each: mails have a few that may be one."""

_MARKED = re.compile(r"\s*([>|])")
_MARKED_LINES = re.compile(r"^[^\S\n]*[>|].*\n?", re.MULTILINE)
_BY_ITSELF = re.compile(r"\s*>+(?: |\s*$)")
_ONCE = re.compile(r"\s*> [^\s>]")
_MORE_THAN = re.compile(r"\s*> ?\d+(?![\d.):])")
"""A number, and not that of a paragraph."""

_SENTENCE_END = (".", "!", "?", ":", ";")
_RULE = re.compile(r"[_=-]{20,}")
"""As long as the rules are that clients put above a quotation; what people draw is shorter."""

_WORDED = re.compile(r"[-_=]{4,}[^-_=].*[-_=]{4,}:?")
_DASHED = re.compile(r"[-_=*]{2,}.*[-_=*]{2,}:?")
_FORWARDED = re.compile(words.FORWARDED, re.IGNORECASE)


class _Cut(IntEnum):
    """What is taken for a quotation: less and less, as long as nothing is left."""

    LIKELY = 0
    SURE = 1
    SHOWN = 2
    """What is sure, and of marked lines that nothing introduces those alone in which something of ours is."""


class _Beginning(NamedTuple):
    """A quotation begins: its own lines go up to ``end``. ``sure``: nobody writes such lines himself."""

    end: int
    sure: bool
    to_the_end: bool


class _Above(NamedTuple):
    """What is quoted so far: was it ``introduced``, and with which ``mark``? "" before any marked line."""

    introduced: bool
    mark: str


def written(text: str, only_marked: bool = False) -> list[str]:
    """What was written: above, between and below what is quoted, a piece each; [] when there is nothing.

    The first piece is what stands above all quotations, "" if nothing does. ``only_marked``: where nothing
    but marked lines is left, they were written. Takes a time that grows with the length, whatever is in it.
    """
    page = _Page(text)
    pieces = page.pieces(_Cut.LIKELY) or page.pieces(_Cut.SURE)
    return pieces if pieces or not only_marked else page.pieces(_Cut.SHOWN)


class _Page:
    """The lines of a text, and what is known of each by its number.

    ``_lines`` are as they were written, ``_rest`` is what follows the last one that is looked at. ``_seen``
    are the same without the pins of pictures. ``_bare`` are as `lines.bare` gives them, and end where our
    marker or a quotation begins in one. ``_marks`` say how each is marked (">", "|" or ""), ``_next`` which
    one follows it that is not blank. ``_markers`` and ``_intros`` have those in which our marker, or an
    introduction, begins; ``_ours`` is the last one that shows a mail of ours.
    """

    def __init__(self, text: str) -> None:
        self._lines, self._rest = _split(text)
        self._seen, _ = _split(without_pins(text))
        self._marks = [mark[1] if (mark := _MARKED.match(line)) else "" for line in self._seen]
        self._last_marked = max((number for number, mark in enumerate(self._marks) if mark), default=-1)
        self._bare = [bare(line) for line in self._seen]
        self._next = _next_of(self._seen)
        self._markers = self._find_markers("\n".join(self._seen))
        self._ours = self._last_of_ours()
        self._heads: dict[int, heads.Head | None] = {}
        self._intros = self._find_intros()

    def pieces(self, cut: _Cut) -> list[str]:
        """The pieces of what was written."""
        pieces: list[list[str]] = [[]]
        at, dropped = 0, 0
        above = _Above(False, "")
        while at < len(self._lines):
            if self._marks[at]:
                end = self._block_end(at)
                if self._is_quotation(at, end, cut, above):
                    pieces.append([])
                    dropped = end
                    above = above._replace(mark=above.mark or self._marks[at])
                else:
                    pieces[-1] += self._lines[at:end]
                at = end
                continue
            begins = self._begins(at)
            if begins is None or (cut > _Cut.LIKELY and not begins.sure):
                # What only may introduce marked lines was written; these were not.
                if begins is not None and not begins.to_the_end:
                    above = _Above(True, "")
                pieces[-1].append(self._lines[at])
                at += 1
                continue
            _drop_rules(pieces[-1])
            if begins.to_the_end:
                if begins is not self._intros.get(at):  # what is in front of our marker was written
                    pieces[-1].append(self._seen[at][: self._markers.get(at, 0)])
                break
            above = _Above(True, "")
            pieces.append([])
            at = begins.end
        else:
            pieces[-1] += self._rest_of_it(above.introduced or dropped == len(self._lines))
        joined = ["\n".join(piece) for number, piece in enumerate(pieces) if piece or not number]
        return joined if any(piece.strip() for piece in joined) else []

    def _rest_of_it(self, quoting: bool) -> list[str]:
        """What is not looked at, up to our marker, and without marked lines where some are quoted above."""
        rest = MARKERS.split(self._rest, maxsplit=1)[0]
        return [_MARKED_LINES.sub("", rest) if quoting else rest] if rest else []

    # -- what begins a quotation --------------------------------------------------------------------

    def _begins(self, at: int) -> _Beginning | None:
        """Whether the quotation's own lines begin at this one, and how."""
        if not self._bare[at] and at not in self._markers:
            return None
        if at in self._intros:
            return self._intros[at]
        if at in self._markers:
            return _Beginning(at + 1, True, True)
        return self._ruled(at) or self._headed(at)

    def _find_markers(self, text: str) -> dict[int, int]:
        """The lines in which our marker begins, and where in each. One in the middle of a sentence is none
        as long as there is another one."""
        places: dict[int, int] = {}
        line = start = 0
        for found in MARKERS.finditer(text):
            line += text.count("\n", start, found.start())
            start = found.start()
            if line not in places:
                places[line] = start - (text.rfind("\n", 0, start) + 1)
        if not places:
            return {}
        last = max(places)
        for number, column in list(places.items()):
            front = bare(self._seen[number][:column])
            if front and number != last and not front.endswith(":"):
                del places[number]
            else:
                self._bare[number] = front
        return places

    def _last_of_ours(self) -> int:
        """The last line that shows a mail of ours: our marker, or what a client says of who wrote it."""
        for number in range(len(self._lines) - 1, -1, -1):
            line = self._bare[number]
            named = OUR_NAME in line and (line.endswith(":") or heads.is_header(line))
            if named or number in self._markers or TOKEN.search(line):
                return number
        return -1

    def _find_intros(self) -> dict[int, _Beginning]:
        """By the line that each begins at: the lines that introduce a quotation."""
        found: dict[int, _Beginning] = {}
        left = _MAX_JUDGED_LINES
        for end, line in enumerate(self._bare):
            if self._marks[end] or not (line.endswith(":") or "@" in line):
                continue
            left -= 1
            if not left:
                break
            following = self._next[end]
            front = broken_off(line)
            goes_on = front is not None or end in self._markers
            if front is not None:
                self._bare[end] = front
            marked = following < len(self._lines) and bool(self._marks[following])
            judged = self._introduction(end, goes_on or marked or following in self._markers)
            if judged is not None:
                count, sure = judged
                to_the_end = goes_on or not marked
                found.setdefault(end + 1 - count, _Beginning(end + 1, sure, to_the_end))
        return found

    def _introduction(self, end: int, shown: bool) -> tuple[int, bool] | None:
        """How many lines up to this one introduce a quotation, and whether surely.

        ``shown``: marked lines or our marker follow.
        """
        candidates: list[tuple[str, Around]] = []
        for first in range(end, max(-1, end - introductions.MAX_LINES), -1):
            if self._marks[first] or not self._bare[first] or (first in self._markers and first < end):
                break
            if first < end and self._bare[first].endswith(_SENTENCE_END):
                break
            around = Around(shown, self._ours > end, not first or not self._bare[first - 1])
            candidates.append((" ".join(self._bare[first : end + 1]), around))
        judged = introductions.judge(candidates)
        return None if judged is None else (self._whole(end, judged[0] + 1, len(candidates)), judged[1])

    def _whole(self, end: int, count: int, most: int) -> int:
        """How many lines, with those above of one that was broken: before an address, behind the name of
        who wrote, or a line or two below its first word ("On", "Am")."""
        while count < most and (
            self._bare[end + 1 - count].startswith(("<", "(", "[")) or names_somebody(self._bare[end - count])
        ):
            count += 1
        if introductions.opens(self._bare[end + 1 - count]):
            return count
        for more in range(count + 1, min(most, count + 2) + 1):
            line = self._bare[end + 1 - more]
            if introductions.opens(line) and any(letter.isdigit() for letter in line):
                return more
        return count

    def _ruled(self, at: int) -> _Beginning | None:
        """A rule with words in it, or such words with a colon, above another mail.

        Words that are no mail client's may be a heading, and a client's without dashes anybody's: then
        another mail must begin directly below them.
        """
        line = self._bare[at]
        worded, forwards = _WORDED.fullmatch(line) is not None, _forwards(line)
        if not worded and not forwards:
            return None
        certain = _DASHED.fullmatch(line) is not None and (forwards or names_somebody(line))
        following = self._next[at]
        if following == len(self._lines):
            return _Beginning(at + 1, True, True) if certain else None
        intro = self._intros.get(following)
        found = intro if intro is not None and intro.sure else self._headed(following)
        if found is not None:
            return found
        shown = following in self._markers or (forwards and bool(self._marks[following]))
        return self._after(at + 1) if certain or shown else None

    def _after(self, end: int) -> _Beginning:
        """The quotation is what is marked below, or else all of it."""
        following = self._next[end - 1]
        shown = following < len(self._lines) and bool(self._marks[following])
        return _Beginning(end, True, not shown)

    def _headed(self, at: int) -> _Beginning | None:
        """The headers of another mail."""
        if at not in self._heads:
            if len(self._heads) == _MAX_JUDGED_LINES or not heads.is_header(self._bare[at]):
                return None
            end, most = at, min(len(self._lines), at + heads.MAX_LINES)
            while end < most and not self._marks[end] and end not in self._markers:
                end += 1
            self._heads[at] = heads.read(self._bare[at:end])
        head = self._heads[at]
        if head is None:
            return None
        end = at + head.rows
        return self._after(end) if head.ours else _Beginning(end, True, True)

    # -- lines that are marked ----------------------------------------------------------------------

    def _block_end(self, at: int) -> int:
        """Where the lines end that are marked as this one is."""
        mark = self._marks[at]
        while at < len(self._lines) and self._marks[at] == mark:
            at += 1
        return at

    def _is_quotation(self, start: int, end: int, cut: _Cut, above: _Above) -> bool:
        """Are marked lines quoted, or the writer's own: "> 5 people", "|a|b|"?

        What an introduction is above of is quoted, and what has the same mark further down; what nothing
        introduces is where it stands apart, or where more like it is above.
        """
        if (above.introduced and not above.mark) or self._shows_quotation(start, end):
            return True
        if self._marks[start] == "|":
            return above.introduced and above.mark == "|"
        lines = self._seen[start:end]
        attached = start > 0 and bool(self._seen[start - 1].strip())  # no client quotes so
        if attached and end > self._last_marked and all(map(_MORE_THAN.match, lines)):
            return False
        if above.introduced:
            return True
        if (attached and not above.mark) or not all(map(_BY_ITSELF.match, lines)):
            return False
        if len(lines) == 1:
            return cut == _Cut.LIKELY and _ONCE.match(lines[0]) is not None
        return cut < _Cut.SHOWN

    def _shows_quotation(self, start: int, end: int) -> bool:
        """Is something of ours in these marked lines, or an introduction, or nothing at all?"""
        block = self._bare[start:end]
        if any(number in self._markers for number in range(start, end)) or any(map(is_ours, block)):
            return True
        return any(map(introductions.is_complete, block)) or not any(block)


def _split(text: str) -> tuple[list[str], str]:
    """The lines that are looked at, and the rest."""
    lines = text.split("\n", _MAX_LINES)
    return (lines[:-1], lines[-1]) if len(lines) > _MAX_LINES else (lines, "")


def _next_of(lines: list[str]) -> list[int]:
    """For each line the next one that is not blank; their number, where there is none."""
    following = [len(lines)] * len(lines)
    for number in range(len(lines) - 2, -1, -1):
        following[number] = number + 1 if lines[number + 1].strip() else following[number + 1]
    return following


def _drop_rules(piece: list[str]) -> None:
    """Take away the rules of clients right above a quotation."""
    end = number = len(piece)
    while number and (not piece[number - 1].strip() or _RULE.fullmatch(bare(piece[number - 1]))):
        number -= 1
        if piece[number].strip():
            end = number
    del piece[end:]


def _forwards(line: str) -> bool:
    """The words above another mail, between dashes or with a colon."""
    words = line.strip("-_=* ").removesuffix(":")
    return line != words and _FORWARDED.fullmatch(words.strip("-_=* ")) is not None
