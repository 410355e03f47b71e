"""None of the hostile URLs opens a connection: a reactor in memory sees every one that would."""

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock

from edge.http.addresses import policy
from edge.http.answer import Answer
from edge.http.client import HTTPClient, HTTPSettings
from edge.http.errors import NoAnswer
from tests.deferreds import failure
from tests.hostile import urls

REFUSED = sorted(set(urls()))


class Looked:
    """A resolver with the names of this machine."""

    def __init__(self, **known: list[str]) -> None:
        self.known = {"localhost": ["127.0.0.1", "::1"], **known}

    def addresses(self, host: str) -> Deferred[list[str]]:
        found = self.known.get(host)
        return fail(NoAnswer("no_such_host", host)) if found is None else succeed(found)


def client(reactor: MemoryReactorClock, resolver: Looked, *allowed: str) -> HTTPClient:
    return HTTPClient(reactor, HTTPSettings(addresses=policy(allowed)), resolver)


def silent(deferred: Deferred[Answer]) -> None:
    """Nothing has come of it yet."""
    results: list[object] = []
    deferred.addBoth(results.append)
    assert results == []


def test_there_are_more_than_three_hundred() -> None:
    assert len(REFUSED) >= 300


def test_none_of_them_opens_a_connection() -> None:
    reactor = MemoryReactorClock()
    http = client(reactor, Looked())
    for url in REFUSED:
        error = failure(http.get(url), NoAnswer)
        assert error.reason in ("url_refused", "address_refused"), (url, error)
        failure(http.post_json(url, b"{}"), NoAnswer)
    assert (reactor.tcpClients, reactor.sslClients, reactor.connectors) == ([], [], [])
    assert http.pool.connections == 0


def test_one_bad_answer_of_many_refuses_the_name() -> None:
    reactor = MemoryReactorClock()
    http = client(
        reactor, Looked(mixed=["8.8.8.8", "10.0.0.1"], six=["2606:4700::1", "fd00::1"], good=["8.8.8.8"])
    )
    for name in ("mixed", "six"):
        assert failure(http.get(f"http://{name}/"), NoAnswer).reason == "address_refused"
    assert reactor.tcpClients == []
    silent(http.get("http://good/"))
    assert [call[:2] for call in reactor.tcpClients] == [("8.8.8.8", 80)]


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost:8080/", "http://[::ffff:127.0.0.1]/"])
def test_what_the_operator_allows_is_connected_to(url: str) -> None:
    reactor = MemoryReactorClock()
    silent(client(reactor, Looked(), "127.0.0.0/8", "::1").get(url))
    assert len(reactor.tcpClients) == 1
