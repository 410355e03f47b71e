"""The parameters of a call, with a status for each that is missing or wrong."""

from edge.web import parameters
from edge.web.parameters import Unreadable
from edge.web.request import EdgeRequest
from edge.web.voipms.statuses import Rejected


class Parameters(parameters.Parameters):
    """See `edge.web.parameters.Parameters`."""

    __slots__ = ()

    def required(self, name: str, status: str) -> str:
        """One that must not be empty. Raises Rejected."""
        value = self.text(name)
        if not value:
            raise Rejected(status)
        return value

    def flag(self, name: str, status: str) -> bool | None:
        """1 or 0; None when it is empty or missing. Raises Rejected."""
        value = self.text(name).lower()
        if not value:
            return None
        if value in ("1", "true", "yes"):
            return True
        if value in ("0", "false", "no"):
            return False
        raise Rejected(status)


def read(request: EdgeRequest) -> Parameters:
    """Everything that a request says. Raises Rejected."""
    try:
        found = parameters.read(request)
    except Unreadable as error:
        raise Rejected("missing_params", str(error)) from error
    return Parameters(found.values, found.files)
