"""Pages with several forms. Each form says in its field or button ``do`` what is wanted; a button that is
called ``ask`` instead wants the person asked first.

What a person did wrong shows the page again, with the sentence at the field and what he had written; what is
done is followed by a redirection, so that a reload does nothing twice. What is shown only once (a key) is
shown at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection

from edge.web import origin
from edge.web.changes import noted
from edge.web.pages.answers import Answer, PageProblem, gone, not_found, see_other
from edge.web.pages.forms import Fields
from edge.web.pages.locales import DEFAULT_LANGUAGE, N_, Locale
from edge.web.pages.page import MemberPage
from edge.web.pages.sending import NO_SETBACK, Setback
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage.errors import Conflict, NotFound

__all__ = ["NO_SETBACK", "SAID", "ActionPage", "Doing", "Question", "Setback", "Wrong"]

T = TypeVar("T")

SAID = {
    "saved": N_("Saved."),
    "added": N_("Added."),
    "removed": N_("Removed."),
    "ended": N_("Logged out there."),
    "done": N_("Done."),
    "asked": N_("Asked for. You will find it among your numbers when it was approved."),
    "yours": N_("The number is yours."),
    "given-up": N_("The number was given up."),
    "merged": N_("Merged."),
    "stepped-down": N_("Your role was changed. An owner can give it back to you."),
}
"""What the page says after a redirection, by the word in its address."""

MEANWHILE = N_("Nothing was changed: this is there already, or it is another one by now. Look at it again.")


class Wrong(Exception):
    """A field cannot be as it was written ("": none is at fault). The sentence is looked up in the reader's
    language; ``values`` are what its ``%(name)s`` stand for. ``own_words`` is what the server itself says of
    it, in English: readers of English get that, and others both.
    """

    def __init__(
        self, field: str, sentence: str, status: int = 422, *, own_words: str = "", **values: object
    ) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence
        self.status = status
        self.own_words = own_words
        self.values = values

    def setback(self, locale: Locale) -> Setback:
        """As the page shows it to this reader."""
        if self.own_words and locale.language == DEFAULT_LANGUAGE:
            return Setback(self.status, self.own_words, self.field)
        sentence = locale.gettext(self.sentence) % self.values
        return Setback(self.status, sentence, self.field, own_words=self.own_words)


Doing = Callable[[EdgeRequest, Visitor], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done that is not easily undone, and what the button for it says.

    Both are in the reader's language.
    """

    sentence: str
    yes: str


class ActionPage(MemberPage):
    """Subclasses have `actions`, by what ``do`` says, and `shown`, which shows the page.

    An action raises `Wrong`, or what the store raises: NotFound is 404, Conflict is told above the forms. One
    that removes says so when there was nothing to remove.
    """

    def actions(self) -> Mapping[str, Doing]:
        """What can be done here: coroutine functions of a request and a visitor."""
        raise NotImplementedError

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """The page; ``more`` is what an action adds, such as what is shown only once."""
        raise NotImplementedError

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """What to ask first. A button that wants it asked is called ``ask`` instead of ``do``.

        Raises `gone` or NotFound when that is not there of which it would ask.
        """
        return None

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """GET."""
        try:
            return await self.shown(request, visitor)
        except NotFound:
            raise not_found() from None

    async def submit(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """POST."""
        fields = Fields(request)
        asked = fields.line("ask")
        doing = self.actions().get(asked or fields.line("do"))
        if doing is None:
            raise PageProblem(400, N_("This form does not say what is wanted."))
        try:
            answer: Answer = await (self._ask(request, visitor, asked) if asked else doing(request, visitor))
        except Wrong as error:
            return await self.shown(request, visitor, error.setback(visitor.locale))
        except NotFound:
            raise gone() from None
        except Conflict as error:
            wrong = Wrong("", MEANWHILE, 409, own_words=str(error))
            return await self.shown(request, visitor, wrong.setback(visitor.locale))
        return answer

    async def _ask(self, request: EdgeRequest, visitor: Visitor, do: str) -> Answer:
        """The question, with everything that the form brought: the answer is the same form again."""
        fields, path = Fields(request), request.path.decode("latin-1")
        question = await self.question(request, visitor, do)
        if question is None:
            raise PageProblem(400, N_("This form does not say what is wanted."))
        return self.portal.page(
            "ask.html",
            visitor,
            question=question,
            do=do,
            path=path,
            back=origin.page_of(request, self.portal.public_url) or path,
            given=fields.given({"csrf", "ask", "do"}),
        )

    def answer(
        self, template: str, request: EdgeRequest, visitor: Visitor, setback: Setback, **variables: Any
    ) -> Answer:
        """The template, with what there is to say; ``written`` gives it the fields as they were sent."""
        said = SAID.get(Fields(request).line("said"), "")
        return self.portal.page(
            template,
            visitor,
            setback.status,
            setback=setback,
            said=visitor.locale.gettext(said) if said else "",
            written=Fields(request).line,
            **variables,
        )

    def done(self, path: str, said: str = "saved") -> Answer:
        """Go there, and say that it was done."""
        return see_other(f"{path}{'&' if '?' in path else '?'}said={said}")

    async def change(
        self,
        request: EdgeRequest,
        visitor: Visitor,
        action: str,
        subject: object,
        fn: Callable[[Connection], T],
        **detail: object,
    ) -> T:
        """Change something in the visitor's account, with who did it noted in the same transaction."""
        services = self.portal.services
        result: T = await services.store.writer.run(
            action,
            noted(
                fn,
                services.store.ids.next,
                visitor.account_id,
                visitor.actor,
                action,
                subject,
                services.wall_ms(),
                detail,
                origin.client_address(request, bool(self.portal.public_url)),
            ),
        )
        return result

    async def refreshed(self) -> None:
        """This server knows at once what was changed of numbers and keys, the others within a second."""
        await self.portal.services.directory.refresh()
