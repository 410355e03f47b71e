"""What operators see of SIP: counted, and as it was when it was asked for."""

from storage.records import Did
from storage.testing import InlineStore
from tests.unit.edge.sip.net import Phone
from tests.unit.edge.sip.test_trunks import Pbx, client, network, registered, sends


def test_everything_that_happened_is_counted(inline_store: InlineStore, did: Did) -> None:
    net = network(inline_store)
    net.account(did)
    before = net.sip.snapshot()
    assert (before.bindings, before.requests.requests, before.trunks[0].registration) == ({}, 0, "off")
    phone = Phone(net)
    phone.register()
    phone.message()
    phone.message(text="", Content_Type="image/png")
    net.arrives(did, "hi")
    sends(Pbx(net))
    net.put(b"junk\r\n\r\n", phone.address)
    after = net.sip.snapshot()
    assert after.bindings == {"UDP": 1}
    assert (after.requests.requests, after.requests.malformed) == (7, 1)
    assert (after.intake.accepted, after.intake.unsupported) == (2, 1)
    assert (after.registrar.registered, after.delivery.delivered) == (1, 1)
    assert (after.trunks[0].messages.received, after.trunks[0].servers) == (1, 1)
    assert after.transactions == 7
    assert before.requests.requests == 0


def test_the_state_of_a_registration(inline_store: InlineStore) -> None:
    net, pbx = client(inline_store, lambda request: 403)
    [trunk] = net.sip.snapshot().trunks
    assert (trunk.name, trunk.registration, trunk.last_status) == ("pbx", "refused", 403)
    pbx.says = registered
    net.reactor.advance(10)
    [trunk] = net.sip.snapshot().trunks
    assert (trunk.registration, trunk.last_status) == ("registered", 200)
