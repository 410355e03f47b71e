"""What came of a delivery is words in every language, wherever a person sees it; in the API it is a code."""

import re

import pytest

from edge.web.pages.locales import LANGUAGES, locale_of
from edge.web.pages.operator import words
from edge.web.pages.outcomes import OUTCOMES, outcome_word
from storage import deliveries, messages
from storage.endpoints import EndpointRecord
from storage.records import AttemptRecord, DeliveryState
from tests import outcomes
from tests.samples import delivery_of
from tests.unit.edge.conftest import START_MS
from tests.unit.edge.web.harness import DID, Browser, Scene

CODE = re.compile(r"[a-z]+(?:_[a-z]+)+")
WAYS = {
    "handler": {"phone_off", "not_ok", "gave_up", "http_error"},
    "HTTP client": {"connection_refused", "tls_failed", "no_such_host"},
    "mail": {"no_starttls", "sent", "lookup_failed", "no_server"},
    "SIP": {"too_large", "unreachable"},
    "forward": {"no_route", "opted_out", "invalid_number"},
    "outbox": {"switched_off", "internal_error"},
    "store": {"bounced", "skipped", "displayed"},
}


def test_every_outcome_that_the_code_can_give_has_words_and_no_other() -> None:
    assert outcomes.outcomes() == set(OUTCOMES)


def test_the_words_of_every_outcome_are_no_codes_and_there_in_every_language() -> None:
    for code, english in OUTCOMES.items():
        said = {language: outcome_word(code, locale_of(language, "UTC")) for language in LANGUAGES}
        assert said["en"] == english
        assert english not in (said["fr"], said["es"]), code
        assert not any(CODE.search(text) for text in said.values()), said


@pytest.mark.parametrize("way", WAYS)
def test_outcomes_are_found_whichever_way_they_come(way: str) -> None:
    assert WAYS[way] <= outcomes.outcomes()


HANDLER = """
from edge.handlers import Delivered, Failed, Retry
from edge.http.errors import NoAnswer
OFF = "far_off"
REASONS = ((OSError, "no_luck"),)
class New:
    def deliver(self, job):
        return Delivered("here" if job else "there", status_code=200)
    def other(self, job, verdict):
        return self._again(job, OFF) or self._again(job, outcome="so_so") or Failed(verdict.outcome)
    def _again(self, job, outcome):
        return Retry(outcome, 5.0)
    def why(self, error):
        for kind, reason in REASONS:
            raise NoAnswer(reason, "")
"""


MOODY = """
from edge.handlers import Failed
def deliver(job):
    return Failed(job.mood)
"""


def test_the_check_sees_what_a_new_handler_gives() -> None:
    found = outcomes.read({"edge/handlers/new.py": HANDLER})
    assert found == {"here", "there", "far_off", "so_so", "no_luck"}
    with pytest.raises(outcomes.NotFollowed, match=r"new\.py:4: job\.mood"):
        outcomes.read({"edge/handlers/new.py": MOODY})


def tried(scene: Scene, outcome: str) -> str:
    """The path of a message whose callback was tried once, with this outcome."""
    message = scene.message()._replace(id=scene.store.ids.next())
    delivery = delivery_of(message, account_id=scene.account.id)
    scene.write(messages.insert(message, (), [delivery]))
    attempt = AttemptRecord(delivery.id, 1, message.created_at, 12, outcome)
    scene.write(
        deliveries.record_attempt(attempt, DeliveryState.PENDING, message.created_at, message.created_at)
    )
    return f"/messages/{message.id}"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "the page did not answer ok"),
        ("fr", "la page n’a pas répondu ok"),
        ("es", "la página no respondió ok"),
    ],
)
def test_the_matrix_says_it_in_words(scene: Scene, member: Browser, language: str, said: str) -> None:
    path = tried(scene, "not_ok")
    member.headers["Accept-Language"] = language
    page = member.get(path).text
    assert page.count(f'<td><span title="not_ok">{said}</span></td>') == 2, "of the delivery, and of the try"
    assert scene.call("GET", f"/v1{path}").json["deliveries"][0]["last_outcome"] == "not_ok"


def test_a_third_partys_outcome_is_its_own_word(scene: Scene, member: Browser) -> None:
    assert (
        '<span title="line &lt;busy&gt;">line &lt;busy&gt;</span>'
        in member.get(tried(scene, "line <busy>")).text
    )


def test_the_event_that_a_delivery_tells_of_is_a_word(scene: Scene, member: Browser) -> None:
    message = scene.message()._replace(id=scene.store.ids.next())
    told = [
        delivery_of(message, account_id=scene.account.id, handler="status", event=event)
        for event in ("delivered", "of_tomorrow")
    ]
    scene.write(messages.insert(message, (), [item._replace(id=scene.store.ids.next()) for item in told]))
    member.headers["Accept-Language"] = "fr"
    page = member.get(f"/messages/{message.id}").text
    assert "Rappel d’état (remis)" in page
    assert "Rappel d’état (of_tomorrow)" in page


def test_what_fails_says_why_in_words(scene: Scene, member: Browser) -> None:
    url = "https://example.net/hook"
    hook = {"enabled": True, "settings": {"url": url}}
    assert scene.call("PATCH", f"/v1/dids/{DID}", {"handlers": {"webhook": hook}}).status == 200
    scene.put(
        EndpointRecord(scene.account.id, "webhook", url, START_MS, START_MS, "connection_lost", START_MS)
    )
    for path in ("/messages", f"/numbers/{DID}"):
        page = member.get(path).text
        assert "the connection was lost" in page, path
        assert "connection_lost" not in page, path


def test_the_operators_lists_say_it_in_words() -> None:
    french = locale_of("fr", "UTC")
    assert words.cell("outcome", "gave_up", french) == "abandonné après le dernier essai"
    assert words.cell("why", "http_error", french) == "la page a répondu par une erreur"
    assert words.cell("why", "stopped for a test", french) == "stopped for a test"
    assert words.cell("outcome", None, french) is None


def test_what_the_portal_holds_is_an_outcome_too(scene: Scene, member: Browser) -> None:
    message = scene.message()
    assert '<span title="stored">it is in the portal</span>' in member.get(f"/messages/{message.id}").text
