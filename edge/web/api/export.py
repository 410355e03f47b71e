"""/v1/export: an account's messages, or a conversation's, as one file."""

from twisted.internet.defer import Deferred

from edge.web import exporting
from edge.web.api.access import Access, origin_lines
from edge.web.api.paths import spelled
from edge.web.api.problems import Problem
from edge.web.api.routes import Call, Reply, Route
from edge.web.api.shapes import Choice, Member, Moment, Number, Record
from edge.web.api.underway import UnderWay
from edge.web.exporting import Export
from edge.web.headers import api_head, lines
from storage import export
from storage.history import Filter

EXPORTS_OF_A_KEY = 4
FORMATS = ("jsonl", "csv")
EXPORTED_BY = Record(
    (
        Member("format", Choice(FORMATS, "format_invalid"), "jsonl: a line a message.", default="jsonl"),
        Member("direction", Choice(("mo", "mt"), "direction_invalid"), "mo: received; mt: sent."),
        Member("did", Number()),
        Member("peer", Number(), "With a did: one conversation."),
        Member("since", Moment(), "From this time on."),
        Member("until", Moment(), "Before this time."),
    )
)


class Exports:
    """I count the exports that are under way, and begin them."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._under_way = UnderWay()

    def export(self, call: Call) -> Deferred[Reply | None]:
        """Takes the request over; raises Problem when the key has too many under way."""
        if self._under_way.of(call.key.id) >= EXPORTS_OF_A_KEY:
            detail = f"A key may have {EXPORTS_OF_A_KEY} exports under way at once."
            raise Problem(429, "too_many_exports", detail, headers=((b"Retry-After", b"5"),))
        self._under_way.begin(call)
        return call.read(export.newest_id).addCallback(self._begin, call)

    def _begin(self, newest: int, call: Call) -> None:
        given, services = call.given, call.services
        wanted = Filter(
            direction=given["direction"],
            did=spelled(call, "did"),
            peer=spelled(call, "peer"),
            since_ms=given["since"],
            until_ms=given["until"],
            up_to_id=newest,
        )
        form = given["format"]
        origins = origin_lines(services.config.http.cors_origins, call.request)
        head = api_head(exporting.TYPES[form]) + lines((exporting.as_file(form), *origins))
        head += self._access.lines(call.key)
        Export(services.store, services.reactor, call.account_id, form, wanted).begin(call.request, head)

    def routes(self) -> list[Route]:
        """The one."""
        return [
            Route(
                method="GET",
                path="/v1/export",
                name="exportMessages",
                tag="Messages",
                scope="messages:read",
                summary="Export messages as one file",
                about="Oldest first, written while it is read; what comes meanwhile is not in it. The "
                "columns are those of the portal's export. A file that was cut off lacks its last chunk.",
                do=self.export,
                takes=EXPORTED_BY,
                files=tuple(kind.partition(b";")[0].decode() for kind in exporting.TYPES.values()),
                refuses={429: ("too_many_exports",)},
            )
        ]
