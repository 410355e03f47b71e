"""What is answered before any method is asked: the torture messages, noise of phones, scanners, floods."""

import pytest
from structlog.testing import capture_logs

from edge.sip.agent import MAX_GROWTH
from edge.sip.guard import Guard, Limits
from edge.sip.service import MAX_PENDING, MAX_TURN_SECONDS
from protocols.sip.message import Response
from storage.records import Did
from storage.testing import InlineStore
from tests.unit.edge.sip.net import DOMAIN, PEER, Net, Phone
from tests.unit.protocols.sip.samples import torture

STRANGER = ("203.0.113.9", 5060)

FINAL: dict[str, int | None] = {
    **dict.fromkeys(("wsinv", "esc01", "longreq", "baddate", "invut", "sdp01", "inv2543"), 405),
    **dict.fromkeys(("intmeth", "esc02", "mismatch02"), 501),
    **dict.fromkeys(("escnull", "dblreq", "regaut01", "cparam01", "cparam02", "regescrt", "regbadct"), 401),
    **dict.fromkeys(("lwsdisp", "semiuri", "transports", "zeromf", "badbranch"), 200),
    **dict.fromkeys(("mpart01",), 401),
    **dict.fromkeys(("unskcm", "unkscm", "novelsc"), 416),
    **dict.fromkeys(
        ("badinv01", "clerr", "ncl", "scalar02", "quotbal", "ltgtruri", "lwsruri", "lwsstart"), 400
    ),
    **dict.fromkeys(("trws", "escruri", "badaspec", "baddn", "mismatch01", "insuf", "multi01", "mcl01"), 400),
    "unksm2": 400,
    "badvers": 505,
    "bext01": 420,
    **dict.fromkeys(("unreason", "noreason", "scalarlg", "bigcode", "bcast"), None),
}
del FINAL["unskcm"]


def answers(net: Net) -> list[Response]:
    """Everything that was answered, to whichever port the Via named."""
    return [answer for _, peer in net.sent for answer in net.answers(0, peer)][: len(net.sent)]


@pytest.mark.parametrize("name", FINAL)
def test_the_torture_messages(inline_store: InlineStore, name: str) -> None:
    net = Net(inline_store, trusted=("203.0.113.0/24",))
    net.put(torture()[name], STRANGER)
    assert [answer.status for answer in answers(net)] == ([] if FINAL[name] is None else [FINAL[name]])


def test_every_torture_message_has_a_final_answer() -> None:
    assert sorted(FINAL) == sorted(torture())


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("INVITE", 405),
        ("PUBLISH", 405),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 481),
        ("BYE", 481),
        ("CANCEL", 481),
        ("INFO", 405),
        ("DANCE", 501),
        ("OPTIONS", 200),
    ],
)
def test_other_methods(phone: Phone, method: str, status: int) -> None:
    [answer] = phone.send(phone.request(method, f"sip:{DOMAIN}", {}))
    assert answer.status == status
    assert "MESSAGE" in (answer.headers.get("Allow") or "")
    assert answer.to.tag


def test_ack_is_absorbed(net: Net, phone: Phone) -> None:
    assert phone.send(phone.request("ACK", f"sip:{DOMAIN}", {})) == []
    assert net.sent == []


def test_an_option_that_is_required(phone: Phone) -> None:
    [answer] = phone.send(phone.request("OPTIONS", f"sip:{DOMAIN}", {"Require": "path, magic"}))
    assert (answer.status, answer.headers.get("Unsupported")) == (420, "magic")
    [bad] = phone.send(phone.request("OPTIONS", f"sip:{DOMAIN}", {"Require": "path,,magic"}))
    assert bad.status == 400


def test_answers_go_where_the_request_came_from(net: Net, phone: Phone) -> None:
    net.put(phone.request("OPTIONS", f"sip:{DOMAIN}", {}).serialise(), ("203.0.113.5", 40_000))
    assert net.sent[-1][1] == ("203.0.113.5", 40_000)
    assert b"received=203.0.113.5" in net.sent[-1][0]
    plain = phone.request("OPTIONS", f"sip:{DOMAIN}", {"Via": "SIP/2.0/UDP 192.0.2.7:5099;branch=z9hG4bKno"})
    net.put(plain.serialise(), ("203.0.113.5", 40_000))
    assert net.sent[-1][1] == ("203.0.113.5", 5099)


def test_scanners_hear_nothing(net: Net, phone: Phone) -> None:
    assert phone.send(phone.request("OPTIONS", f"sip:{DOMAIN}", {"User-Agent": "friendly-scanner"})) == []
    assert net.sip.guard.counters.scanners == 1


def test_a_flood_of_one_address_does_not_reach_the_others(net: Net, phone: Phone) -> None:
    flooding = Phone(net, "mallory")
    flooding.address = STRANGER
    answered = sum(len(flooding.send(flooding.request("OPTIONS", f"sip:{DOMAIN}", {}))) for _ in range(300))
    assert answered == 200
    assert phone.register().status == 200


def test_no_answer_much_larger_than_its_request(net: Net) -> None:
    fields = ("v:SIP/2.0/UDP h;branch=z9hG4bK1", "f:a:b", "t:a:c", "i:1", "CSeq:1 MESSAGE", "", "")
    tiny = "\r\n".join((f"MESSAGE sip:{PEER}@h SIP/2.0", *fields))
    for _ in range(2):
        net.put(tiny.encode(), STRANGER)
    assert net.sent == []
    assert net.sip.agent.counters.not_answered == 1


def test_an_answer_that_is_withheld_is_said_once(net: Net) -> None:
    fields = ("v:SIP/2.0/UDP h;branch=z9hG4bK1{}", "f:a:b", "t:a:c", "i:1", "CSeq:1 MESSAGE", "", "")
    tiny = "\r\n".join((f"MESSAGE sip:{PEER}@h SIP/2.0", *fields))
    with capture_logs() as logs:
        for number in range(3):
            net.put(tiny.format(number).encode(), STRANGER)
    assert [line["event"] for line in logs] == ["sip_answer_withheld"]
    assert net.sip.agent.counters.not_answered == 3


def test_what_is_kept_for_a_long_request_is_no_answer_to_a_short_one(net: Net, phone: Phone) -> None:
    """Whoever knows the branch could let a long answer go to an address that he forges."""
    request = phone.request("REGISTER", f"sip:{DOMAIN}", {"User-Agent": "x" * 500})
    for _ in range(2):
        [answer] = phone.send(request)
        assert answer.status == 401
    short = request.serialise().replace(b"User-Agent: " + b"x" * 500 + b"\r\n", b"")
    short = short.replace(b"Max-Forwards: 70\r\n", b"")
    assert MAX_GROWTH * len(short) < len(answer.serialise())
    assert net.put(short, phone.address) == []


def test_a_short_options_gets_a_short_answer(net: Net, phone: Phone) -> None:
    via, who = "Via: SIP/2.0/UDP h;branch=z9hG4bK1", ("From: <sip:a@h>;tag=1", "To: <sip:h>")
    short = "\r\n".join(("OPTIONS sip:h SIP/2.0", via, *who, "Call-ID: 1", "CSeq: 1 OPTIONS", "", ""))
    [answer] = net.put(short.encode(), STRANGER)
    assert answer.status == 200
    assert len(answer.serialise()) <= MAX_GROWTH * len(short)
    [whole] = phone.send(phone.request("OPTIONS", f"sip:{DOMAIN}", {}))
    assert whole.headers.get("Allow")


def test_a_store_that_is_behind_means_503_before_anything_is_asked(net: Net, phone: Phone) -> None:
    net.store.writer.held = True
    for _ in range(MAX_PENDING + 1):
        net.store.writer.run("work", lambda connection: None)
    answer = phone.message()
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
    assert net.sip.agent.counters.overload == 1
    net.store.writer.release()
    assert phone.message().status == 202


def test_late_in_a_long_turn_no_new_work_is_taken_and_what_is_begun_is_done(net: Net, phone: Phone) -> None:
    uri = f"sip:{PEER}@{DOMAIN}"
    [challenged] = phone.send(phone.request("MESSAGE", uri, {}, b"hi"))
    net.spent = 2 * MAX_TURN_SECONDS
    assert phone.message().status == 503
    [answer] = phone.send(phone.authorised(challenged, "MESSAGE", uri, {}, b"hi"))
    assert answer.status == 202
    net.spent = 0.0
    assert phone.message().status == 202


def test_octets_that_are_no_message(net: Net) -> None:
    for data in (b"nonsense", b"\xff" * 100, b"SIP/2.0 200 OK\r\n\r\n", b"x" * 66_000):
        net.put(data, STRANGER)
    assert net.sent == []
    assert net.sip.agent.counters.dropped == 4


def test_bans_grow_and_fade() -> None:
    guard = Guard(
        Limits(wrong_answers=3, ban_seconds=60.0, ban_max_seconds=100.0), ("10.0.0.0/8", "2001:db8::/32")
    )
    host = "192.0.2.1"
    assert [guard.wrong(host, "a", 0.0) for _ in range(3)] == [False, False, True]
    assert guard.is_banned(host, "a", 59.9)
    assert not guard.is_banned(host, "b", 1.0)
    assert not guard.is_banned(host, "a", 60.0)
    assert [guard.wrong(host, "a", 60.0) for _ in range(3)] == [False, False, True]
    assert guard.is_banned(host, "a", 159.9)
    assert not guard.is_banned(host, "a", 160.0)
    guard.right(host, "a")
    for minute in range(0, 60, 4):
        assert not guard.wrong(host, "a", 1_000.0 + minute * 60)
    assert not any(guard.wrong("10.1.2.3", "a", 0.0) for _ in range(100))
    assert guard.trusts("2001:db8::7")
    assert not guard.trusts("not an address")


def test_an_address_that_tries_many_users_is_banned_whole() -> None:
    guard = Guard(Limits(wrong_answers=5, wrong_answers_address=20))
    for number in range(20):
        guard.wrong("192.0.2.1", f"user{number}", 0.0)
    assert not guard.admits("192.0.2.1", None, 1.0)
    assert guard.admits("192.0.2.2", None, 1.0)


def test_accounts_that_are_removed_are_gone_in_a_second(net: Net, phone: Phone, did: Did) -> None:
    from storage import sip_accounts

    assert phone.register().status == 200
    with net.store.engine.transaction() as connection:
        sip_accounts.remove_sip_account(connection, "alice", DOMAIN)
    net.reactor.advance(1)
    assert phone.register().status == 403


def whole_ban(guard: Guard, host: str, now: float) -> float:
    """Wrong answers as many users until the address is banned; for how many seconds."""
    for number in range(20):
        guard.wrong(host, f"user{number}", now)
    [seconds] = [seconds for where, user, seconds in guard.bans(now) if (where, user) == (host, "")]
    return round(seconds)


def test_a_ban_of_an_address_shrinks_again_in_a_quiet_time() -> None:
    guard, host = Guard(Limits(wrong_answers=5, wrong_answers_address=20)), "203.0.113.9"
    now, lasted = 0.0, []
    for _ in range(8):  # without a pause
        lasted.append(whole_ban(guard, host, now))
        now += lasted[-1]
    assert lasted == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    now += 3_600
    assert whole_ban(guard, host, now) == 1_800  # after an hour half of what it would have been
    for _ in range(3):
        now += 30 * 86_400
        assert whole_ban(guard, host, now) == 60


def test_a_ban_is_no_longer_than_the_limits_say_now() -> None:
    guard, host, now = Guard(Limits(wrong_answers_address=20)), "203.0.113.9", 0.0
    for _ in range(4):
        now += whole_ban(guard, host, now)
    guard.configure(Limits(wrong_answers_address=20, ban_seconds=10.0, ban_max_seconds=30.0), ())
    assert whole_ban(guard, host, now) == 30


def test_a_right_password_counts_for_the_address_too() -> None:
    """As far as the wrong ones were this user's: who has one account may not guess the others."""
    guard, host = Guard(Limits(wrong_answers=5, wrong_answers_address=20)), "203.0.113.9"
    for number in range(40):  # an office whose people mistype
        for _ in range(2):
            assert not guard.wrong(host, f"user{number}", 0.0)
        guard.right(host, f"user{number}")
    assert guard.bans(0.0) == []
    banned = []
    for number in range(20):
        banned.append(guard.wrong(host, f"other{number}", 0.0))
        guard.right(host, "mine")
    assert banned == [False] * 19 + [True]


@pytest.mark.parametrize("which", ["address_requests_per_second", "account_messages_per_second"])
def test_a_rate_below_one_a_second_lets_the_first_in(inline_store: InlineStore, did: Did, which: str) -> None:
    net = Net(inline_store, **{which: 0.1})
    net.account(did)
    phone = Phone(net)
    for _ in range(2):
        assert phone.message().status == 202
        if which == "account_messages_per_second":
            assert phone.message().status == 503
        net.reactor.advance(21)
