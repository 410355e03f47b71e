"""The page at /simulator: type a text as a phone, see what the phones receive. Works without JavaScript.

| | |
|---|---|
| `GET /simulator` | the page |
| `POST /simulator` | the page's form: phone, did, text; then back to the page |
| `POST /simulator/messages` | the same for programs: JSON `{"phone", "did", "text"}`, 202 with the message |
| `GET /simulator/phones` | every phone's messages, as JSON |
| `GET /simulator/state?version=N` | all that the page shows, as JSON; nothing when N is its version |
| `GET /simulator/callback?…` | a page for a DID's callback URL: keeps the query |
| `POST /simulator/answer` | what the callback page answers from now on |
| `POST /simulator/cut` | the server's links are reset, as by a network that fails |

Only for this machine: see `guard`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from twisted.web.resource import Resource

from edge.simulator import guard, views
from edge.simulator.callbacks import CallbackAnswer
from edge.simulator.errors import NotSendable
from edge.simulator.simulator import Simulator
from edge.simulator.spool import SpoolFull
from edge.simulator.web import Node, Request

log = structlog.get_logger(__name__)

HERE = Path(__file__).parent
BODY_OCTETS = 65_536
STATIC = {
    "simulator.css": b"text/css; charset=utf-8",
    "simulator.js": b"text/javascript; charset=utf-8",
    "phone.svg": b"image/svg+xml",
}
HTML = "text/html; charset=utf-8"
JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"


class Problem(Exception):
    """What is answered instead: an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Guarded(Node):
    """A resource for this machine only; its POSTs only for its own pages and for programs."""

    def render(self, request: Request) -> bytes | int:
        """See IResource."""
        for name, value in guard.HEADERS.items():
            request.setHeader(name, value)
        try:
            if not guard.local(request):
                raise Problem(403, "The simulator is only for the machine that it runs on.")
            if request.method == b"POST":
                _check_post(request)
            return self._method(request)(request)
        except Problem as problem:
            return self.refuse(request, problem)

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Below me is only what was put there."""
        return Missing()

    def refuse(self, request: Request, problem: Problem) -> bytes:
        """Tell a problem."""
        return _answer(request, problem.status, PLAIN, f"{problem.sentence}\n".encode())

    def _method(self, request: Request) -> Callable[[Request], bytes]:
        name = request.method.decode("ascii", "replace")
        method: Callable[[Request], bytes] | None = getattr(self, f"render_{name}", None)
        if method is None:
            raise Problem(405, f"{name} is not for this address.")
        return method


class Missing(Guarded):
    """What is at an address where nothing is."""

    isLeaf = True

    def _method(self, request: Request) -> Callable[[Request], bytes]:
        raise Problem(404, "There is nothing here.")


class SimulatorPage(Guarded):
    """The resource to be put at /simulator. ``dids`` are offered as destinations."""

    def __init__(self, simulator: Simulator, dids: Callable[[], Sequence[str]] = tuple) -> None:
        super().__init__()
        self._simulator = simulator
        self._dids = dids
        self.putChild(b"messages", Messages(simulator))
        self.putChild(b"phones", Phones(simulator))
        self.putChild(b"state", State(simulator))
        self.putChild(b"view", View(self))
        self.putChild(b"callback", Callback(simulator))
        self.putChild(b"answer", AnswerSwitch(simulator))
        self.putChild(b"cut", Cut(simulator))
        self.putChild(b"static", Static())

    def getChild(self, path: bytes, request: Request) -> Resource:
        """/simulator/ is /simulator."""
        return self if path == b"" else Missing()

    def render_GET(self, request: Request) -> bytes:
        """The whole page; phone and did in the query fill the form."""
        form = {"phone": _field(request, "phone"), "did": _field(request, "did"), "text": ""}
        return self._page(request, 200, form)

    def render_POST(self, request: Request) -> bytes:
        """Send what was typed, then show the page anew."""
        form = {name: _field(request, name) for name in ("phone", "did", "text")}
        # Browsers send every newline of a textarea as CR LF.
        form["text"] = form["text"].replace("\r\n", "\n")
        try:
            _send(self._simulator, form["phone"], form["did"], form["text"])
        except Problem as problem:
            return self._page(request, problem.status, form, problem.sentence)
        query = urlencode({"phone": form["phone"], "did": form["did"]})
        return _see_other(request, f"/simulator?{query}")

    def view(self) -> str:
        """The part of the page that changes."""
        return _templates().get_template("view.html").render(self._variables())

    def _page(self, request: Request, status: int, form: dict[str, str], problem: str = "") -> bytes:
        variables = self._variables()
        phones = variables["phones"]
        if not form["phone"] and phones:
            form["phone"] = phones[0].number
        if not form["did"] and variables["dids"]:
            form["did"] = variables["dids"][0]
        page = _templates().get_template("simulator.html").render(variables, form=form, problem=problem)
        return _answer(request, status, HTML, page.encode())

    def _variables(self) -> dict[str, Any]:
        simulator = self._simulator
        return {
            "version": simulator.version,
            "phones": simulator.phones(),
            "dids": list(self._dids()),
            "binds": simulator.binds(),
            "waiting": simulator.waiting,
            "callbacks": simulator.callbacks.all(),
            "answer": simulator.callbacks.answer,
            "answers": list(CallbackAnswer),
        }


class View(Guarded):
    """The changing part alone, for the page's script."""

    def __init__(self, page: SimulatorPage) -> None:
        super().__init__()
        self._page = page

    def render_GET(self, request: Request) -> bytes:
        """HTML; `X-Version` says of what version."""
        request.setHeader("X-Version", str(self._page._simulator.version))
        return _answer(request, 200, HTML, self._page.view().encode())


class _OfSimulator(Guarded):
    def __init__(self, simulator: Simulator) -> None:
        super().__init__()
        self._simulator = simulator


class Messages(_OfSimulator):
    """Texts from programs."""

    def render_POST(self, request: Request) -> bytes:
        """JSON in, 202 and the message out; it is delivered later (its state is in `phones`)."""
        try:
            body = orjson.loads(_body(request))
        except orjson.JSONDecodeError:
            raise Problem(400, "The body must be JSON.") from None
        fields = [body.get(name) if isinstance(body, dict) else None for name in ("phone", "did", "text")]
        if not all(isinstance(field, str) for field in fields):
            raise Problem(400, 'The body must be {"phone": "…", "did": "…", "text": "…"}.')
        message = _send(self._simulator, *map(str, fields))
        return _json(request, 202, {"phone": fields[0], **views.message(message)})

    def refuse(self, request: Request, problem: Problem) -> bytes:
        """As JSON."""
        return _json(request, problem.status, {"error": problem.sentence})


class Phones(_OfSimulator):
    """Every phone with its messages."""

    def render_GET(self, request: Request) -> bytes:
        """JSON: a list."""
        return _json(request, 200, [views.phone(phone) for phone in self._simulator.phones()])


class State(_OfSimulator):
    """Everything that the page shows."""

    def render_GET(self, request: Request) -> bytes:
        """JSON; only `version` and `changed` when ``version`` in the query is the present one."""
        simulator = self._simulator
        if _field(request, "version") == str(simulator.version):
            return _json(request, 200, {"version": simulator.version, "changed": False})
        return _json(request, 200, {"changed": True, **views.state(simulator)})


class Callback(_OfSimulator):
    """The page that a DID's callback URL may name."""

    def render_GET(self, request: Request) -> bytes:
        """Keep the call; `ok`, or what the switch says."""
        status, body = self._simulator.callbacks.record(urlsplit(request.uri).query)
        return _answer(request, status, PLAIN, body)


class AnswerSwitch(_OfSimulator):
    """What the callback page says from now on."""

    def render_POST(self, request: Request) -> bytes:
        """Form field `answer`: ok, no or error."""
        try:
            self._simulator.callbacks.answer = CallbackAnswer(_field(request, "answer"))
        except ValueError:
            raise Problem(422, f"answer must be one of: {', '.join(CallbackAnswer)}.") from None
        return _see_other(request, "/simulator")


class Cut(_OfSimulator):
    """The failing network."""

    def render_POST(self, request: Request) -> bytes:
        """Reset every link of the server."""
        self._simulator.cut()
        return _see_other(request, "/simulator")


class Static(Guarded):
    """Style sheet and script."""

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Exactly the files that there are."""
        name = path.decode("ascii", "replace")
        return StaticFile(name) if name in STATIC else Missing()


class StaticFile(Guarded):
    """One of them."""

    isLeaf = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def render_GET(self, request: Request) -> bytes:
        """Its octets."""
        return _answer(request, 200, STATIC[self._name].decode(), (HERE / "static" / self._name).read_bytes())


def _send(simulator: Simulator, phone: str, did: str, text: str) -> Any:
    try:
        sent = simulator.text(phone, did, text)
    except NotSendable as error:
        raise Problem(422, str(error)) from error
    except SpoolFull as error:
        raise Problem(503, str(error)) from error
    # Its end is shown as the message's state.
    sent.done.addErrback(lambda failure: log.info("simulated_text_ended", reason=failure.getErrorMessage()))
    return sent.message


def _check_post(request: Request) -> None:
    if not guard.same_origin(request):
        raise Problem(403, "This came from a page of another site.")
    length = request.getHeader("content-length") or "0"
    if not length.isdecimal() or int(length) > BODY_OCTETS:
        raise Problem(413, f"At most {BODY_OCTETS} octets, please.")


def _body(request: Request) -> bytes:
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Problem(415, f"The content type must be {JSON}.")
    return b"" if request.content is None else request.content.read()


def _field(request: Request, name: str) -> str:
    values = (request.args or {}).get(name.encode(), [b""])
    return values[0].decode("utf-8", "replace")


def _answer(request: Request, status: int, kind: str, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", kind)
    return body


def _json(request: Request, status: int, body: object) -> bytes:
    return _answer(request, status, JSON, orjson.dumps(body))


def _see_other(request: Request, location: str) -> bytes:
    request.setHeader("Location", location)
    return _answer(request, 303, PLAIN, b"")


@cache
def _templates() -> Environment:
    """Compiled once in a process."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters.update(utc=_utc, clock=_clock)
    return environment


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S UTC")
