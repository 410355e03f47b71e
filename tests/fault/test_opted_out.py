"""A text of STOP counts for what was accepted before it: on both engines, also after a restart."""

import pytest
import pytest_twisted

from edge.carrier_errors import error_of
from edge.config import OptOutsConfig
from edge.testing import FakeLink, FakeSMSC, accept_all
from protocols.smpp.pdu import DeliverSm, DeliverSmResp, SubmitSm
from storage import messages
from storage.records import MessageStatus
from tests.fault.edge import DID, PHONE, Edge, bound

pytestmark = pytest.mark.fault

WORDS = {"optout": OptOutsConfig(words=True)}
LONG = "word " * 80
OTHER = "+12025550151"


def texts(smsc: FakeSMSC) -> list[str]:
    """Whom the SMSC was given something for."""
    return [
        pdu.destination_addr.lstrip("+")
        for link in smsc.links
        for pdu in link.received
        if isinstance(pdu, SubmitSm)
    ]


async def says(link: FakeLink, text: str) -> None:
    """The phone writes; the carrier has our answer."""
    link.send_pdu(DeliverSm(source_addr=PHONE[1:], destination_addr=DID[1:], short_message=text.encode()))
    assert (await link.await_pdu(DeliverSmResp)).command_status == 0


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest_twisted.ensureDeferred
async def test_what_was_accepted_before_a_stop_is_not_sent_after_it(
    smsc: FakeSMSC, store_url: str, restarted: bool
) -> None:
    smsc.answer = accept_all
    edge = Edge(store_url, {"one": smsc}, tables=WORDS)
    link = await bound(smsc)
    edge.service.lines["one"].upstream.hold(True)
    accepted = [await edge.submit("one"), await edge.submit(LONG), await edge.submit("again")]
    spared = await edge.submit("to somebody else", OTHER)
    await says(link, "Stop!")
    if restarted:
        await edge.stop()
        edge.start()
        await bound(smsc)
    else:
        edge.service.lines["one"].upstream.hold(False)
    await edge.all_in(accepted, "failed")
    await edge.all_in([spared], "sent")
    assert texts(smsc) == [OTHER[1:]]
    for one in accepted:
        view = await edge.view(one.message_id)
        assert messages.status_of(view.message, view.parts) is MessageStatus.FAILED
        assert {error_of(part) for part in view.parts} == {"opted_out"}
    await edge.stop()
