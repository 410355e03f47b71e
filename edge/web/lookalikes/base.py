"""What the look-alikes do the same way: who calls, what is sent, how errors find their words."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import structlog
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from edge import outgoing
from edge.errors import Refused, Unavailable
from edge.handlers.base import SettingError
from edge.outbound import Accepted, Draft
from edge.web import parameters, spelling
from edge.web.access import Denied, Gate, Reason
from edge.web.dispatch import Dispatch, LimitReached
from edge.web.origin import client_address
from edge.web.pages.passwords import InThread
from edge.web.parameters import Parameters, Unreadable
from edge.web.program import UNAVAILABLE, Program, respond
from edge.web.request import EdgeRequest
from edge.web.services import WebServices
from storage.errors import StoreUnavailable
from storage.records import ApiAccess, Did

log = structlog.get_logger(__name__)

BAD_REQUEST = 400
UNPROCESSABLE = 422
FORBIDDEN = 403
NOT_ALLOWED = 405
TOO_MANY = 429
INTERNAL = 500
LARGE = ("unreadable", "The request is too large.")
BROKEN = ("internal", "The server made a mistake; it has been logged.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: ``body`` in the type of the look-alike."""

    status: int
    body: bytes


class Wrong(Exception):
    """The request is wrong: ``status`` is HTTP's, ``reason`` tells which of the look-alike's errors it is."""

    def __init__(self, status: int, reason: str, sentence: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a program that was let in."""

    request: EdgeRequest
    access: ApiAccess
    given: Parameters


class LookAlike(Program):
    """I let programs in and find words for what goes wrong; subclasses answer."""

    head: ClassVar[bytes]
    leg: ClassVar[str]
    verbs: ClassVar[tuple[bytes, ...]] = (b"GET", b"POST")
    username: ClassVar[tuple[str, ...]] = ("username",)
    password: ClassVar[tuple[str, ...]] = ("password",)

    def __init__(self, services: WebServices, gate: Gate, dispatch: Dispatch, in_thread: InThread) -> None:
        super().__init__(in_thread)
        self.services = services
        self._gate = gate
        self._dispatch = dispatch
        self._region = services.config.numbers.region
        self._rules = outgoing.rules(services.config)
        self._proxied = bool(services.config.http.public_url)

    def render(self, request: EdgeRequest) -> int:
        """Answer now or later."""
        try:
            if request.method not in self.verbs:
                raise Wrong(NOT_ALLOWED, "verb", "Use GET or POST.")
            answering = self.read_then(request, self.read, lambda given: self._admit(request, given))
        except Exception:
            self._failed(Failure(), request)
        else:
            answering.addCallbacks(self._send, self._failed, callbackArgs=(request,), errbackArgs=(request,))
        return NOT_DONE_YET

    def _admit(self, request: EdgeRequest, given: Parameters) -> Deferred[Answer]:
        admitted = self._gate.admit(
            _first(given, self.username),
            _first(given, self.password),
            client_address(request, self._proxied),
        )
        return admitted.addCallback(lambda access: self.answer(Visit(request, access, given)))

    def refusal(self, status: int) -> tuple[int, bytes, bytes]:
        """See `Program`."""
        wrong = LARGE if status < INTERNAL else BROKEN
        told = self.wrong(Wrong(status, *wrong))
        return told.status, self.head, told.body

    # -- what subclasses say ----------------------------------------------------------------------

    def read(self, request: EdgeRequest) -> Parameters:
        """The parameters. Raises Unreadable, Wrong."""
        return parameters.read(request)

    @abstractmethod
    def answer(self, visit: Visit) -> Deferred[Answer]:
        """Do what is asked. Raises Wrong; errback Wrong, Refused, LimitReached, Unavailable."""

    @abstractmethod
    def wrong(self, wrong: Wrong) -> Answer:
        """An error in the look-alike's words."""

    # -- what they use ----------------------------------------------------------------------------

    def own_did(self, visit: Visit, written: str) -> Did:
        """The account's DID that was written; its only one when nothing was. Raises Wrong."""
        directory = self.services.directory
        if not written:
            mine = directory.dids_of(visit.access.account_id)
            if len(mine) != 1:
                raise Wrong(BAD_REQUEST, "no_sender", "Say from which number of the account.")
            return mine[0]
        number = spelling.international(written, self._region)
        did = None if number is None else directory.did(number)
        if did is None or did.account_id != visit.access.account_id:
            raise Wrong(FORBIDDEN, "sender", f"{written[:40]} is not a number of this account.")
        return did

    def destination(self, written: str) -> str:
        """Raises Wrong."""
        number = spelling.international(written, self._region)
        if number is None:
            raise Wrong(BAD_REQUEST, "receiver", f"{written[:40]!a} is not a telephone number.")
        return number

    def send(
        self,
        visit: Visit,
        did: Did,
        destination: str,
        text: str,
        *,
        validity_seconds: float | None = None,
        reports: str | None = None,
    ) -> Deferred[Accepted]:
        """Within the account's limit; ``reports`` is who is told of its states.

        Raises Wrong for a URL that the URLs of DIDs may not be either.
        """
        draft = self.draft(visit, did, destination, text, validity_seconds=validity_seconds, reports=reports)
        return self._dispatch.submit(visit.access, draft)

    def send_many(
        self, visit: Visit, drafts: Sequence[Draft]
    ) -> Deferred[list[Accepted | Refused | LimitReached]]:
        """In one transaction; see `Dispatch.submit_many`."""
        return self._dispatch.submit_many(visit.access, drafts)

    def draft(
        self,
        visit: Visit,
        did: Did,
        destination: str,
        text: str,
        *,
        validity_seconds: float | None = None,
        reports: str | None = None,
    ) -> Draft:
        """What `send` sends."""
        if reports is not None:
            try:
                self._rules.check_url(reports[reports.lower().find("http") :], "dlr-url")
            except SettingError as error:
                raise Wrong(BAD_REQUEST, "dlr-url", error.sentence) from error
        return Draft(
            visit.access.account_id,
            did.number,
            destination,
            text,
            self.leg,
            reports,
            validity_seconds=validity_seconds,
        )

    def as_wrong(self, error: BaseException) -> Wrong | None:
        """An error of the server's as one of the request's; None for our own fault."""
        match error:
            case Wrong():
                return error
            case Unreadable():
                return Wrong(BAD_REQUEST, "unreadable", str(error))
            case Denied():
                status = TOO_MANY if error.reason in (Reason.TOO_OFTEN, Reason.GUESSING) else FORBIDDEN
                return Wrong(status, f"denied_{error.reason.value}", error.sentence)
            case Refused():
                return Wrong(error.http_status, error.code, error.sentence)
            case LimitReached():
                return Wrong(FORBIDDEN, "limit", str(error))
            case Unavailable():
                return Wrong(UNAVAILABLE, "unavailable", error.sentence)
            case StoreUnavailable():
                return Wrong(UNAVAILABLE, "unavailable", "The store cannot be asked now; try again.")
        return None

    def _send(self, answer: Answer, request: EdgeRequest) -> None:
        respond(request, answer.status, self.head, answer.body)

    def _failed(self, failure: Failure, request: EdgeRequest) -> None:
        wrong = None if failure.value is None else self.as_wrong(failure.value)
        if wrong is None:
            request.processingFailed(failure)
            return
        log.debug("lookalike_refused", leg=self.leg, reason=wrong.reason)
        self._send(self.wrong(wrong), request)


def _first(given: Parameters, names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := given.text(name))), "")
