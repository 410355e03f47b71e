"""The machine's clock is set while things wait: nothing times out, nothing stalls."""

from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest
import pytest_twisted
from sqlalchemy import Connection, select
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from edge.testing import FakeSMSC, accept_all
from edge.wallclock import WallClock
from protocols.smpp.pdu import DeliverSm, DeliverSmResp
from protocols.smpp.session import SessionState
from storage.tables import inbound_part, message
from tests.fault import edge as running
from tests.fault.edge import DID, PHONE, Edge, bound

pytestmark = pytest.mark.fault

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
WITH_HEADER = 0x40


@pytest_twisted.async_yield_fixture
async def carrier() -> AsyncIterator[FakeSMSC]:
    smsc = FakeSMSC(reactor, accept_all)
    smsc.start()
    yield smsc
    await smsc.stop()


def part(number: int) -> DeliverSm:
    """One of two parts of a text."""
    return DeliverSm(
        source_addr=PHONE[1:],
        destination_addr=DID[1:],
        esm_class=WITH_HEADER,
        short_message=bytes((5, 0, 3, 77, 2, number)) + b"half %d " % number,
    )


def texts(conn: Connection) -> list[str]:
    return list(conn.scalars(select(message.c.text).where(message.c.direction == "mo")))


def waiting_parts(conn: Connection) -> list[int]:
    return list(conn.scalars(select(inbound_part.c.number).where(inbound_part.c.message_id.is_(None))))


@pytest.mark.parametrize("step", [HOUR_MS, -HOUR_MS, DAY_MS, -DAY_MS])
@pytest_twisted.ensureDeferred
async def test_the_clock_is_set_while_things_wait(carrier: FakeSMSC, store_url: str, step: int) -> None:
    stepped, real = [0], running.wall_ms
    clock = WallClock(lambda: real() + stepped[0], reactor.seconds)
    with patch.object(running, "wall_ms", clock):
        server = Edge(
            store_url, {"carrier": carrier}, validity_seconds=600.0, reassembly_timeout_seconds=600.0
        )
    link = await bound(carrier)
    service = server.service
    await service.kill_switch.set(True)
    waits = [await server.submit(f"waits {number}") for number in range(3)]
    link.send_pdu(part(1))
    await link.await_pdu(DeliverSmResp)

    stepped[0] = step
    (upstream,) = service.upstreams().values()
    await service.lines["carrier"].incoming.inbound.flush_overdue()
    await upstream._expire()
    await Deferred.fromCoroutine(_turns(0.3))
    assert await service.store.read(waiting_parts) == [1], "half a text still waits for the other half"
    assert {found.state for each in waits for found in await server.parts(each.message_id)} == {"queued"}

    await service.kill_switch.set(False)
    after = await server.submit("after the step")
    await server.all_in([*waits, after], "sent")
    link.send_pdu(part(2))
    await link.await_pdu(DeliverSmResp)
    assert await service.store.read(texts) == ["half 1 half 2 "]
    assert [bind.state for bind in upstream.binds] == [SessionState.BOUND_TRX]
    assert len(carrier.links) == 1, "the link was never lost"
    assert upstream.counters.expired == 0
    await server.stop()


async def _turns(seconds: float) -> None:
    await deferLater(reactor, seconds)
