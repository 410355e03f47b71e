"""Which servers are tried, and in which order (RFC 3263 §4, RFC 2782)."""

from collections import Counter
from random import Random

from protocols.sip.locating import Naptr, Srv, by_naptr, by_srv, service_names


def test_every_transport_is_asked_for_when_there_is_no_naptr() -> None:
    assert service_names("example.net") == [
        ("UDP", "_sip._udp.example.net"),
        ("TCP", "_sip._tcp.example.net"),
        ("TLS", "_sips._tcp.example.net"),
    ]
    assert service_names("example.net", "TLS") == [("TLS", "_sips._tcp.example.net")]


def test_naptr_by_order_then_preference_and_only_what_is_known() -> None:
    records = [
        Naptr(20, 1, "s", "SIP+D2U", "_sip._udp.example.net"),
        Naptr(10, 20, "S", "sip+d2t", "_sip._tcp.example.net"),
        Naptr(10, 10, "s", "SIPS+D2T", "_sips._tcp.example.net"),
        Naptr(1, 1, "s", "SIP+D2W", "_sip._ws.example.net"),
        Naptr(1, 1, "u", "E2U+sip", "!.*!sip:x@y!"),
    ]
    assert [kind for kind, _ in by_naptr(records)] == ["TLS", "TCP", "UDP"]


def test_srv_by_priority_and_never_no_server() -> None:
    records = [Srv(20, 0, 5060, "c"), Srv(10, 0, 5060, "a"), Srv(10, 0, 5062, "b"), Srv(1, 0, 1, ".")]
    assert [record.target for record in by_srv(records, lambda: 0.0)] == ["a", "b", "c"]
    assert by_srv([], lambda: 0.0) == []


def test_srv_of_one_priority_share_by_weight() -> None:
    chance = Random(1)
    records = [Srv(1, 60, 5060, "most"), Srv(1, 30, 5060, "some"), Srv(1, 0, 5060, "least")]
    first = Counter(by_srv(records, chance.random)[0].target for _ in range(4_000))
    assert 0.61 < first["most"] / 4_000 < 0.71
    assert 0.28 < first["some"] / 4_000 < 0.38
    assert 0 < first["least"] / 4_000 < 0.03
    assert {record.target for record in by_srv(records, chance.random)} == {"most", "some", "least"}
