"""What people typed or a link says: text out of octets, checked before anything looks at it."""

import hmac
from collections.abc import Mapping

from edge.web.api.members import parse_identifier
from edge.web.pages.answers import PageProblem
from edge.web.request import EdgeRequest

MAX_TEXT = 200_000  # what a form may carry; what a message may be is the pipeline's to say


class Fields:
    """The fields of a query and a form, by name."""

    def __init__(self, request: EdgeRequest) -> None:
        self._args: Mapping[bytes, list[bytes]] = request.args or {}

    def text(self, name: str) -> str:
        """The field's value, with the newlines of Unix; "" when it is not there. Raises PageProblem."""
        values = self._args.get(name.encode(), [b""])
        try:
            written = values[-1].decode()
        except UnicodeDecodeError:
            raise PageProblem(400, "The form is not in UTF-8.") from None
        return written[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")

    def line(self, name: str) -> str:
        """The same for a field of one line: without white space around it, and nothing unprintable in it."""
        return "".join(filter(str.isprintable, self.text(name).strip()))

    def identifiers(self, name: str) -> list[int]:
        """The ids among the field's values."""
        values = self._args.get(name.encode(), [])
        return [found for value in values if (found := parse_identifier(value.decode("latin-1"))) is not None]

    def holds(self, name: str, token: str) -> bool:
        """Is the field this secret? Takes the same time whatever it is."""
        return bool(token) and hmac.compare_digest(self.text(name).encode(), token.encode())
