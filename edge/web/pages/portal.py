"""What all pages share: templates, log-ins, and how an error looks."""

from typing import Any

from edge.sealing import Seal
from edge.sip.provisioning import Tokens
from edge.web.headers import PAGE_HEAD, Header
from edge.web.pages.answers import Answer, PageProblem
from edge.web.pages.backoff import Backoff
from edge.web.pages.cookies import ZONE, Cookies
from edge.web.pages.locales import ENGLISH, N_, Locale, language_of, locale_of
from edge.web.pages.navigation import Section
from edge.web.pages.passwords import InThread, PasswordChecker, in_reactor_threads
from edge.web.pages.sending import Sending
from edge.web.pages.sessions import Sessions, Visitor
from edge.web.pages.templating import templates
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from protocols.sms import rules
from protocols.sms.transliteration import PUNCTUATION
from storage.records import User

FREE_BY_LOGIN = 5
FREE_BY_ADDRESS = 30
FREE_BY_CODE = 4
SENTENCES = {
    400: N_("The request cannot be understood: it has too many fields."),
    500: N_("The server made a mistake. It has been logged; please try again."),
}
TOO_LARGE = N_("This is too large: at most %(most)s MB can be sent here.")

TITLES = {
    400: N_("Bad Request"),
    403: N_("Forbidden"),
    404: N_("Not Found"),
    405: N_("Method Not Allowed"),
    409: N_("Conflict"),
    413: N_("Content Too Large"),
    422: N_("Unprocessable Content"),
    429: N_("Too Many Requests"),
    500: N_("Internal Server Error"),
    503: N_("Service Unavailable"),
}


class Portal:
    """One of me serves all pages. ``sections`` are the entries of the navigation."""

    def __init__(self, services: WebServices, in_thread: InThread | None = None) -> None:
        self.services = services
        self.sections: tuple[Section, ...] = ()
        self.public_url = services.config.http.public_url
        self.cookies = Cookies(self.public_url.lower().startswith("https:"))
        self.sessions = Sessions(services.store, services.wall_ms)
        self.in_thread = in_thread or in_reactor_threads(services.reactor)
        self.passwords = PasswordChecker(self.in_thread)
        self.sending = Sending(services)
        seconds = services.reactor.seconds
        self.by_login = Backoff(FREE_BY_LOGIN, seconds)
        self.by_address = Backoff(FREE_BY_ADDRESS, seconds)
        self.phone_tokens = Tokens(seconds)
        self.seal = Seal(services.config.server.seal_key)
        self.by_code = Backoff(FREE_BY_CODE, seconds)

    def locale(self, request: EdgeRequest, user: User | None = None) -> Locale:
        """As the user has chosen, else as his browser says."""
        language, zone = ("", "") if user is None else (user.language, user.timezone)
        return locale_of(
            language or language_of(request.getHeader("accept-language") or ""),
            zone or self.cookies.zone(request),
        )

    def render(
        self, template: str, visitor: Visitor | None = None, locale: Locale | None = None, **variables: Any
    ) -> str:
        """A template's text. Whoever is logged in is known to it as ``visitor``."""
        spoken = visitor.locale if visitor is not None else locale or ENGLISH
        sections = [item for item in self.sections if visitor is not None and item.shown(visitor)]
        return (
            templates()
            .get_template(template)
            .render(
                variables,
                visitor=visitor,
                locale=spoken,
                sections=sections,
                simulator=self.services.simulator is not None,
                zone_cookie=self.cookies.name(ZONE),
                now_ms=self.services.wall_ms(),
            )
        )

    def page(
        self,
        template: str,
        visitor: Visitor | None = None,
        status: int = 200,
        headers: tuple[Header, ...] = (),
        **variables: Any,
    ) -> Answer:
        """A template as an answer."""
        return Answer(self.render(template, visitor, **variables), status, headers)

    def counting(self, visitor: Visitor, did: str = "", peer: str = "") -> dict[str, object]:
        """The rules by which the page counts a text to this number while it is written."""
        options = self.services.outbound.planner.segmentation(peer, did, visitor.account_id)
        return {**rules(options), "replacements": PUNCTUATION}

    def problem(
        self, problem: PageProblem, visitor: Visitor | None = None, locale: Locale | None = None
    ) -> Answer:
        """The page that says what is wrong."""
        spoken = visitor.locale if visitor is not None else locale or ENGLISH
        title = spoken.gettext(TITLES.get(problem.status, problem.title))
        body = self.render(
            "problem.html", visitor, locale, title=title, sentence=problem.said(spoken), status=problem.status
        )
        return Answer(body, problem.status, problem.headers)

    def too_large(self, request: EdgeRequest, limit: int) -> tuple[int, bytes, bytes]:
        """Status, head and body for a request of which only the headers are here."""
        said = PageProblem(413, TOO_LARGE, values={"most": limit >> 20})
        return 413, PAGE_HEAD, self.problem(said, locale=self.locale(request)).body.encode()

    def refuse(self, request: EdgeRequest, status: int) -> None:
        """For errors that no page of ours answered."""
        self.problem(PageProblem(status, SENTENCES[status]), locale=self.locale(request)).send(request)
