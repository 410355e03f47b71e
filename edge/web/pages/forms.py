"""What people typed or a link says: text out of octets, checked before anything looks at it."""

import hmac
from collections.abc import Collection, Mapping

from edge.web import parameters
from edge.web.api.members import parse_identifier
from edge.web.pages.answers import PageProblem
from edge.web.pages.locales import N_
from edge.web.parameters import Unreadable
from edge.web.request import EdgeRequest

MAX_TEXT = 200_000  # what a form may carry; what a message may be is the pipeline's to say


def one_line(text: str) -> str:
    """What may stand in a field of one line: no white space around it, and nothing unprintable in it."""
    return "".join(filter(str.isprintable, text.strip()))


def take_parts(request: EdgeRequest) -> None:
    """Put the fields of a form with files (multipart) where `Fields` finds them. Raises PageProblem."""
    if request.content_type != b"multipart/form-data":
        return
    try:
        given = parameters.read(request)
    except Unreadable:
        raise PageProblem(400, N_("The form cannot be read.")) from None
    for name, value in given.values.items():
        octets = value.encode("utf-8", "surrogateescape")
        request.args[name.encode("utf-8", "surrogateescape")] = [octets]


class Fields:
    """The fields of a query and a form, by name."""

    def __init__(self, request: EdgeRequest) -> None:
        self._args: Mapping[bytes, list[bytes]] = request.args or {}

    def text(self, name: str) -> str:
        """The field's value, with the newlines of Unix; "" when it is not there. Raises PageProblem."""
        return next(reversed(self.texts(name)), "")

    def texts(self, name: str) -> list[str]:
        """All values of a field that comes several times, as `text` gives one."""
        try:
            written = [value.decode() for value in self._args.get(name.encode(), [])]
        except UnicodeDecodeError:
            raise PageProblem(400, "The form is not in UTF-8.") from None
        return [value[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n") for value in written]

    def line(self, name: str) -> str:
        """The same for a field of one line: without white space around it, and nothing unprintable in it."""
        return one_line(self.text(name))

    def given(self, but: Collection[str] = ()) -> list[tuple[str, str]]:
        """Every value of every field, in the order they came in, without those of these names."""
        pairs = [
            (name.decode("utf-8", "replace"), value.decode("utf-8", "replace"))
            for name, values in self._args.items()
            for value in values
        ]
        return [(name, value) for name, value in pairs if name not in but]

    def lines(self, name: str) -> list[str]:
        """All values of a field that comes several times, as `line` gives one."""
        values = self._args.get(name.encode(), [])
        return [one_line(value.decode("utf-8", "replace")) for value in values]

    def identifiers(self, name: str) -> list[int]:
        """The ids among the field's values."""
        values = self._args.get(name.encode(), [])
        return [found for value in values if (found := parse_identifier(value.decode("latin-1"))) is not None]

    def holds(self, name: str, token: str) -> bool:
        """Is the field this secret? Takes the same time whatever it is."""
        return bool(token) and hmac.compare_digest(self.text(name).encode(), token.encode())
