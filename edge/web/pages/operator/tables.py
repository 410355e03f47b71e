"""The lists of the operator's area as data: which command finds the rows, and which ones act on a row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.web.pages.actions import NO_SETBACK, Doing, Question, Setback
from edge.web.pages.answers import Answer, PageProblem, gone
from edge.web.pages.forms import Fields
from edge.web.pages.locales import N_
from edge.web.pages.operator import words
from edge.web.pages.operator.commanding import CommandPage, line_of
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest

ROWS = 200
MOST = 1_000
"""Rows that a command gives at most."""


class NotShown(Exception):
    """The command found nothing, for a reason that it says."""


@dataclass(frozen=True, slots=True)
class Button:
    """A command on one row, whose ``columns`` are its parameters; ``last`` are further words.

    One that is a ``danger`` is asked about first, with what it ``means``.
    """

    label: str
    command: str
    columns: tuple[str, ...]
    last: str = ""
    danger: bool = False
    means: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A command with parameters that are typed: (name, label, is it named)."""

    label: str
    command: str
    fields: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class View:
    """One list. ``limited``: the command takes how many rows are wanted; ``cursor`` is the column after whose
    value it can go on.
    """

    path: str
    label: str
    command: str
    columns: tuple[tuple[str, str], ...]
    buttons: tuple[Button, ...] = ()
    forms: tuple[Form, ...] = ()
    limited: bool = True
    cursor: str = ""

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that a row's form brings: what its commands need, and what the row is known by."""
        needed = [column for button in self.buttons for column in button.columns]
        return tuple(dict.fromkeys((*needed, self.columns[0][0])))


NUMBER, ACCOUNT, STATE, MESSAGE = N_("Number"), N_("Account"), N_("State"), N_("Message")
UPSTREAM, HANDLER, TARGET, SINCE = N_("Upstream"), N_("Handler"), N_("Target"), N_("Since")
ATTEMPTS, FROM, TO, OUTCOME = N_("Attempts"), N_("From"), N_("To"), N_("Outcome")
STOPPED = N_("Nothing goes out or comes in by it until it is started again.")
GIVEN_UP = N_("The message counts as failed and is not sent any more.")
NO_MORE_TRIES = N_("The message is in the portal, but this handler does not get it any more.")
FORGOTTEN = N_("What comes for this phone waits until it registers again.")

TABLES = (
    View(
        "accounts",
        N_("Accounts"),
        "account ls",
        (("account", ACCOUNT), ("id", N_("Id")), ("added", N_("Added"))),
        forms=(
            Form(N_("Add an account"), "account add", (("account", N_("Name"), False),)),
            Form(
                N_("Add a user, or give a new password"),
                "user add",
                (("account", ACCOUNT, False), ("login", N_("Log-in"), False)),
            ),
        ),
        cursor="account",
    ),
    View(
        "dids",
        N_("DIDs"),
        "did ls",
        (("number", NUMBER), ("account", ACCOUNT), ("sms", N_("SMS")), ("handlers", N_("Handlers"))),
        forms=(Form(N_("Add a DID"), "did add", (("account", ACCOUNT, False), ("number", NUMBER, False))),),
        cursor="number",
    ),
    View(
        "orders",
        N_("Orders"),
        "order ls",
        (("number", NUMBER), ("account", ACCOUNT), ("by", N_("By")), ("since", SINCE), ("sms", N_("SMS"))),
        (
            Button(N_("Approve"), "order approve", ("number",)),
            Button(N_("Refuse"), "order refuse", ("number",), danger=True),
        ),
    ),
    View(
        "offers",
        N_("Offers"),
        "number ls",
        (("number", NUMBER), ("country", N_("Country")), ("region", N_("Region")), ("sms", N_("SMS"))),
        (Button(N_("Withdraw"), "number withdraw", ("number",), danger=True),),
        (
            Form(
                N_("Offer a number"),
                "number add",
                (
                    ("number", NUMBER, False),
                    ("region", N_("Region"), True),
                    ("sms", N_("SMS (yes or no)"), True),
                ),
            ),
        ),
    ),
    View(
        "binds",
        N_("Binds"),
        "binds",
        (
            ("bind", N_("Bind")),
            ("state", STATE),
            ("paused", N_("Paused")),
            ("window", N_("Window")),
            ("in", N_("PDUs in")),
            ("out", N_("PDUs out")),
            ("response_ms", N_("Answers (ms)")),
            ("throttles", N_("Throttles")),
            ("reconnects", N_("Reconnects")),
        ),
        (
            Button(N_("Start"), "bind start", ("bind",)),
            Button(N_("Stop"), "bind stop", ("bind",), danger=True, means=STOPPED),
            Button(N_("Restart"), "bind restart", ("bind",)),
        ),
        limited=False,
    ),
    View(
        "upstreams",
        N_("Upstreams"),
        "limits",
        (
            ("upstream", UPSTREAM),
            ("rate", N_("Rate (a second)")),
            ("burst", N_("Burst")),
            ("window", N_("Window")),
            ("binds", N_("Binds")),
            ("backlog", N_("Backlog")),
        ),
        (
            Button(N_("Start"), "bind start", ("upstream",)),
            Button(N_("Stop"), "bind stop", ("upstream",), danger=True, means=STOPPED),
        ),
        limited=False,
    ),
    View(
        "queue",
        N_("Queue"),
        "queue ls",
        (
            ("message", MESSAGE),
            ("part", N_("Part")),
            ("upstream", UPSTREAM),
            ("state", STATE),
            ("due", N_("Due")),
            ("attempts", ATTEMPTS),
            ("from", FROM),
            ("to", TO),
        ),
        (
            Button(N_("Send now"), "queue retry", ("message",)),
            Button(N_("Hold"), "queue hold", ("message",)),
            Button(N_("Give up"), "queue cancel", ("message",), danger=True, means=GIVEN_UP),
        ),
    ),
    View(
        "in-doubt",
        N_("In doubt"),
        "indoubt ls",
        (
            ("part", N_("Part")),
            ("message", MESSAGE),
            ("number", N_("Part of")),
            ("upstream", UPSTREAM),
            ("state", STATE),
            ("sent", N_("Sent")),
            ("to", TO),
        ),
        (
            Button(N_("Send again"), "indoubt resolve", ("part",), "resend"),
            Button(N_("Give up"), "indoubt resolve", ("part",), "fail", danger=True, means=GIVEN_UP),
        ),
    ),
    View(
        "deliveries",
        N_("Deliveries"),
        "delivery ls",
        (
            ("delivery", N_("Delivery")),
            ("message", MESSAGE),
            ("handler", HANDLER),
            ("target", TARGET),
            ("attempts", ATTEMPTS),
            ("outcome", OUTCOME),
            ("next", N_("Next try")),
        ),
        (
            Button(N_("Try now"), "delivery retry", ("delivery",)),
            Button(N_("Give up"), "delivery skip", ("delivery",), danger=True, means=NO_MORE_TRIES),
        ),
    ),
    View(
        "dead-letters",
        N_("Dead letters"),
        "deadletter ls",
        (
            ("delivery", N_("Delivery")),
            ("message", MESSAGE),
            ("handler", HANDLER),
            ("target", TARGET),
            ("attempts", ATTEMPTS),
            ("outcome", OUTCOME),
        ),
        (Button(N_("Replay"), "deadletter replay", ("delivery",)),),
        (Form(N_("Replay all"), "deadletter replay all", (("handler", HANDLER, True),)),),
    ),
    View(
        "targets",
        N_("Targets"),
        "target ls",
        (("target", TARGET), ("state", STATE), ("since", SINCE), ("why", N_("Why"))),
        limited=False,
    ),
    View(
        "phones",
        N_("Phones"),
        "sip reg",
        (
            ("username", N_("User name")),
            ("contact", N_("Contact")),
            ("transport", N_("Transport")),
            ("reachable", N_("Reachable")),
            ("expires", N_("Expires")),
        ),
        (Button(N_("Forget"), "sip kick", ("username",), danger=True, means=FORGOTTEN),),
        limited=False,
    ),
    View(
        "bans",
        N_("Bans"),
        "sip ban ls",
        (("address", N_("Address")), ("username", N_("User name")), ("seconds_left", N_("Seconds left"))),
        (Button(N_("Forgive"), "sip unban", ("address",)),),
        limited=False,
    ),
    View(
        "audit",
        N_("Audit"),
        "audit",
        (
            ("at", N_("Time")),
            ("who", N_("Who")),
            ("action", N_("What")),
            ("subject", N_("Of what")),
            ("detail", N_("Details")),
            ("from", FROM),
        ),
    ),
)


class Table(CommandPage):
    """One of them."""

    def __init__(self, portal: Portal, view: View) -> None:
        super().__init__(portal)
        self._view = view
        self._path = f"/operator/{view.path}"

    def actions(self) -> Mapping[str, Doing]:
        """A button or form is named by its place."""
        view = self._view
        buttons = {f"button-{index}": self._pressed(item) for index, item in enumerate(view.buttons)}
        forms = {f"form-{index}": self._filled(item) for index, item in enumerate(view.forms)}
        return {**buttons, **forms}

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """Of a button that is dangerous: what it does, to which row."""
        found = {f"button-{index}": item for index, item in enumerate(self._view.buttons)}.get(do)
        if found is None:
            return None
        locale, (column, label) = visitor.locale, self._view.columns[0]
        name = Fields(request).line(f"row_{column}")
        if not await self._has(column, name):
            raise gone()
        row = f"{locale.gettext(label)} {name}"
        sentence = locale.gettext(found.means) if found.means else ""
        return Question(f"{row}. {sentence}".strip(), locale.gettext(found.label))

    async def _has(self, column: str, name: str) -> bool:
        """Is there such a row? Of a list that is longer than any is shown, or not at all, nobody knows."""
        try:
            rows = await self._rows(MOST)
        except NotShown:
            return True
        return len(rows) >= MOST or any(str(row.get(column)) == name for row in rows)

    async def _rows(self, limit: int, after: str = "") -> list[Any]:
        """So many of what the command finds. Raises NotShown."""
        view = self._view
        named = {"limit": str(limit)} if view.limited else {}
        reply = await self.console.look(line_of(view.command, **named, after=after))
        if not reply.ok:
            raise NotShown(reply.text)
        found: Any = reply.document
        if isinstance(found, dict):  # of several lists, the first
            found = next((value for value in found.values() if isinstance(value, list)), [])
        return list(found)

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The rows that the command finds, so many of them."""
        view, unable, found = self._view, "", []
        try:
            found = await self._rows(ROWS + 1, Fields(request).line("after") if view.cursor else "")
        except NotShown as error:
            unable = str(error)
        rows, is_more = found[:ROWS], len(found) > ROWS
        locale = visitor.locale
        return self.answer(
            "operator/table.html",
            request,
            visitor,
            setback,
            view=view,
            tab=f"/{view.path}",
            path=self._path,
            rows=rows,
            cell=lambda name, value: words.cell(name, value, locale),
            moment=words.moment,
            shown_only=len(rows) if is_more and not view.cursor else 0,
            older=rows[-1][view.cursor] if is_more and view.cursor else None,
            unable=unable,
            **{"told": "", **more},
        )

    def _pressed(self, button: Button) -> Doing:
        async def press(request: EdgeRequest, visitor: Visitor) -> Answer:
            fields = Fields(request)
            given = [fields.line(f"row_{column}") for column in button.columns]
            if not all(given):
                raise PageProblem(400, N_("This form does not say what is wanted."))
            await self.run(request, visitor, line_of(button.command, *given, *button.last.split()))
            return self.done(self._path, "done")

        return press

    def _filled(self, form: Form) -> Doing:
        async def fill(request: EdgeRequest, visitor: Visitor) -> Answer:
            fields = Fields(request)
            plain = [fields.line(name) for name, _, is_named in form.fields if not is_named]
            named = {name: fields.line(name) for name, _, is_named in form.fields if is_named}
            reply = await self.run(request, visitor, line_of(form.command, *plain, **named))
            return await self.shown(request, visitor, told=reply.text)

        return fill
