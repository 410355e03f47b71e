"""The benches of SMPP run; what they measure is judged by people."""

import pytest
import pytest_twisted
from twisted.internet import reactor

from tests.bench import bench_session, bench_smpp

pytestmark = [pytest.mark.integration, pytest.mark.bench]


def test_every_figure_is_measured() -> None:
    found = bench_smpp.measure(rounds=1)
    assert len({figure.name for figure in found}) == len(found) > 10
    assert all(figure.microseconds > 0 for figure in found)
    assert "smpplib" in found[0].line()


@pytest_twisted.ensureDeferred
async def test_every_rate_is_measured() -> None:
    rates = await bench_session.measure(reactor, 200)
    ours = [rate for rate in rates if rate.who == "trunkline"]
    assert [rate.window for rate in ours] == list(bench_session.WINDOWS)
    assert all(rate.per_second > 0 and rate.cpu > 0 for rate in rates)
    assert "submit_sm/s" in ours[0].line()
