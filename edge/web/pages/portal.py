"""What all pages share: templates, log-ins, and how an error looks."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edge.web.headers import Header
from edge.web.pages import views
from edge.web.pages.answers import Answer, PageProblem
from edge.web.pages.backoff import Backoff
from edge.web.pages.cookies import Cookies
from edge.web.pages.passwords import InThread, PasswordChecker, in_reactor_threads
from edge.web.pages.sessions import Sessions, Visitor
from edge.web.pages.static import versioned
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from protocols.sms import rules

TEMPLATES = Path(__file__).parent.parent / "templates"
FREE_BY_LOGIN = 5
FREE_BY_ADDRESS = 30
SENTENCES = {
    400: "The request cannot be understood: it has too many fields.",
    500: "The server made a mistake. It has been logged; please try again.",
}


class Portal:
    """One of me serves all pages."""

    def __init__(self, services: WebServices, in_thread: InThread | None = None) -> None:
        self.services = services
        self.public_url = services.config.http.public_url
        self.cookies = Cookies(self.public_url.lower().startswith("https:"))
        self.sessions = Sessions(services.store, services.wall_ms)
        self.passwords = PasswordChecker(in_thread or in_reactor_threads(services.reactor))
        seconds = services.reactor.seconds
        self.by_login = Backoff(FREE_BY_LOGIN, seconds)
        self.by_address = Backoff(FREE_BY_ADDRESS, seconds)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update(views.FILTERS)
        self._templates.globals.update(
            static=versioned,
            conversation=views.conversation_path,
            simulator=services.simulator is not None,
        )

    def render(self, template: str, visitor: Visitor | None = None, **variables: Any) -> str:
        """A template's text. Whoever is logged in is known to it as ``visitor``."""
        return self._templates.get_template(template).render(variables, visitor=visitor)

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
        return rules(self.services.outbound.planner.segmentation(peer, did, visitor.account_id))

    def problem(self, problem: PageProblem, visitor: Visitor | None = None) -> Answer:
        """The page that says what is wrong."""
        body = self.render("problem.html", visitor, problem=problem)
        return Answer(body, problem.status, problem.headers)

    def refuse(self, request: EdgeRequest, status: int) -> None:
        """For errors that no page of ours answered."""
        self.problem(PageProblem(status, SENTENCES[status])).send(request)
