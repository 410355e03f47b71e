"""/contacts/import and /contacts/export: phone books of other programs, as vCard and CSV."""

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from edge.contacts import Broken, Fault, Person, book, sheet, vcard
from edge.web.headers import GUARDS, NO_STORE, lines
from edge.web.pages.actions import NO_SETBACK, ActionPage, Doing, Setback, Wrong
from edge.web.pages.answers import Answer, File, not_found
from edge.web.pages.locales import N_
from edge.web.pages.page import MemberPage
from edge.web.pages.portal import Portal
from edge.web.pages.sessions import Visitor
from edge.web.parameters import Unreadable, read
from edge.web.request import EdgeRequest
from storage import people
from storage.people import Put
from storage.records import Role

PATH = "/contacts/import"
FORMS = {
    "vcf": (vcard.write, b"text/vcard; charset=utf-8"),
    "csv": (sheet.write, b"text/csv; charset=utf-8"),
}
MAX_IMPORT_OCTETS = 10 << 20
TOLD = 20
HEAD = 1024
"""Octets that tell in which letters a file is."""

STEP = 250  # people of one transaction
BROKEN = {
    Fault.QUOTE: N_(
        "Nothing was imported: in the row that begins at line %(line)s a quotation mark is not closed, "
        "or not doubled within a cell."
    ),
    Fault.CELL: N_(
        "Nothing was imported: a cell of the row that begins at line %(line)s has more than %(most)s "
        "characters. Perhaps a quotation mark is not closed there."
    ),
    Fault.BREAK: N_(
        "Nothing was imported: in the row that begins at line %(line)s a name or a number has a line break "
        "in it. Perhaps a quotation mark is missing, or one too many."
    ),
    Fault.CARD: N_("Nothing was imported: the card that begins at line %(line)s has no END:VCARD."),
    Fault.END: N_("Nothing was imported: the END:VCARD of line %(line)s has no BEGIN:VCARD before it."),
    Fault.NUMBER: N_("Nothing was imported: the phone number (TEL) in line %(line)s cannot be read."),
}


class Import(ActionPage):
    """A file, or its text pasted into the form."""

    sees = Role.AGENT

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"import": self._import}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The form; after an import what came of it."""
        known = {"megabytes": MAX_IMPORT_OCTETS >> 20, "most": book.MAX_PEOPLE, "outcome": None}
        return self.answer("contacts/import.html", request, visitor, setback, **{**known, **more})

    async def _import(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        text = _text(request)
        if not text.strip():
            raise Wrong("file", N_("Choose a file, or paste its text."))
        services = self.portal.services
        region = services.config.numbers.region
        try:
            found = await self.portal.in_thread(lambda: book.readable(_read(text), region))
        except sheet.NoColumns:
            raise Wrong(
                "file", N_("The first line must name the columns, one of them with the number.")
            ) from None
        except Broken as error:
            most = visitor.locale.number(csv.field_size_limit())
            raise Wrong("file", BROKEN[error.fault], line=error.line, most=most) from None
        if not found.people and not found.unreadable:
            raise Wrong("file", N_("Nobody in this file has a number."))
        now_ms, next_id, total = services.wall_ms(), services.store.ids.next, len(found.people)

        def step(start: int) -> Callable[[Connection], Put]:
            some = found.people[start : start + STEP]
            return lambda conn: people.put(conn, next_id, visitor.account_id, some, now_ms)

        # Some at a time: messages are stored by the same writer.
        done = [await self.change(request, visitor, "contact.import", total, step(0))]
        for start in range(STEP, total, STEP):
            done.append(await services.store.writer.run("contact.import", step(start)))
        outcome = {
            "added": sum(put.added for put in done),
            "changed": sum(put.changed for put in done),
            "left_out": found.left_out,
            "unreadable": found.unreadable,
        }
        return await self.shown(request, visitor, outcome=outcome, told=found.unreadable[:TOLD])


class Export(MemberPage):
    """Everybody, as a file."""

    def __init__(self, portal: Portal, form: str) -> None:
        super().__init__(portal)
        self._form = form

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """In one piece: a phone book has at most some ten thousand entries."""
        if self._form not in FORMS:
            raise not_found()
        write, kind = FORMS[self._form]
        found = await self.portal.services.store.read(_people, visitor.account_id)
        name = f'attachment; filename="contacts.{self._form}"'.encode()
        head = lines((*GUARDS, NO_STORE, (b"Content-Type", kind), (b"Content-Disposition", name)))
        return File(write(found), head=head)


def _read(text: str) -> Iterator[Person]:
    begins = text.lstrip("\ufeff \t\r\n")[:11].upper()
    return vcard.read(text) if begins == "BEGIN:VCARD" else sheet.read(text)


def _people(conn: Connection, account_id: int) -> list[Any]:
    return list(book.people(conn, account_id))


def _text(request: EdgeRequest) -> str:
    """Of the file, else of the field, without NUL, which no store takes."""
    try:
        given = read(request)
    except Unreadable:
        raise Wrong("file", N_("The file cannot be read.")) from None
    if "file" in given.files:
        return _decoded(given.files["file"].content).replace("\0", "")
    return given.values.get("text", "").encode("utf-8", "replace").decode().replace("\0", "")


def _decoded(octets: bytes) -> str:
    """Files are in UTF-8, some in UTF-16, old ones in Windows' Western letters, which have Latin 1's."""
    wide = _wide(octets)
    if wide:
        return octets.decode(wide, "replace")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _wide(octets: bytes) -> str:
    """Which UTF-16 it is, "" for none. Without a mark the zeros tell: digits and separators have one each."""
    if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    head = octets[:HEAD]
    first, second = head[::2].count(0), head[1::2].count(0)
    if max(first, second) < len(head) / 10 or min(first, second) > max(first, second) / 4:
        return ""
    return "utf-16-be" if first > second else "utf-16-le"
