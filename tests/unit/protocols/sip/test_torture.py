"""The 49 messages of RFC 4475, each with what becomes of it here: read, or refused with this answer.

Where the RFC leaves a choice (§3.1.2.9 to .15), we are strict in the start line and in addresses, and ignore
a Date. What the layers above answer (405, 416, 420, 415) is in the tests of edge.sip.
"""

import pytest

from protocols.sip.errors import BadValue, Malformed
from protocols.sip.headers import parse_address_list
from protocols.sip.message import Request, parse
from protocols.sip.uri import parse_uri
from protocols.sip.validity import check_request, check_response
from tests.unit.protocols.sip.samples import request, torture

MESSAGES = torture()

READ = (
    *(
        "wsinv",
        "intmeth",
        "esc01",
        "escnull",
        "esc02",
        "lwsdisp",
        "longreq",
        "dblreq",
        "semiuri",
        "transports",
    ),
    *("mpart01", "unreason", "noreason", "baddate", "regbadct", "badbranch", "unkscm", "novelsc", "unksm2"),
    *(
        "bext01",
        "invut",
        "regaut01",
        "bcast",
        "zeromf",
        "cparam01",
        "cparam02",
        "regescrt",
        "sdp01",
        "inv2543",
    ),
)

ANSWERED = {
    "badinv01": (400, "Bad Via"),
    "clerr": (400, "Content-Length is larger than the body"),
    "ncl": (400, "Bad Content-Length"),
    "scalar02": (400, "Bad CSeq"),
    "quotbal": (400, "Bad To"),
    "ltgtruri": (400, "Bad Request-URI"),
    "lwsruri": (400, "Bad Request-URI"),
    "lwsstart": (400, "Bad Request-URI"),
    "trws": (400, "Bad Request-URI"),
    "escruri": (400, "Bad Request-URI"),
    "badaspec": (400, "Bad To"),
    "baddn": (400, "Bad From"),
    "badvers": (505, "Version Not Supported"),
    "mismatch01": (400, "CSeq does not fit the method"),
    "mismatch02": (501, "Not Implemented"),
    "insuf": (400, "Bad From"),
    "multi01": (400, "Bad From"),
    "mcl01": (400, "Content-Length is not one"),
}

DROPPED = ("scalarlg", "bigcode")


def check(name: str) -> object:
    """Read and check one message."""
    message = parse(MESSAGES[name])
    return check_request(message) if isinstance(message, Request) else check_response(message)


def test_every_message_has_an_expected_result() -> None:
    assert sorted((*READ, *ANSWERED, *DROPPED)) == sorted(MESSAGES)
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("name", READ)
def test_read(name: str) -> None:
    assert check(name)


@pytest.mark.parametrize("name", ANSWERED)
def test_answered(name: str) -> None:
    with pytest.raises(Malformed) as caught:
        check(name)
    assert (caught.value.status, caught.value.reason) == ANSWERED[name]
    assert caught.value.request is not None
    assert caught.value.request.headers.get("Via")


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name: str) -> None:
    with pytest.raises(Malformed) as caught:
        check(name)
    assert caught.value.request is None


def test_white_space_and_folding() -> None:
    wsinv = request(MESSAGES["wsinv"])
    assert wsinv.to.uri == "sip:vivekg@chair-dnrc.example.com"
    assert wsinv.to.tag == "1918181833n"
    assert wsinv.from_.display == 'J Rosenberg \\"'
    assert wsinv.from_.tag == "98asjd8"
    assert wsinv.cseq == (9, "INVITE")
    assert wsinv.via.branch == "390skdjuw"
    assert len(wsinv.headers.all("Via")) == 2
    assert wsinv.headers.get("Newfangledheader") == "newfangled value continued newfangled value"
    assert wsinv.headers.get("Subject") == ""
    assert len(wsinv.body) == 150


def test_every_token_character() -> None:
    intmeth = request(MESSAGES["intmeth"])
    assert intmeth.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert intmeth.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert intmeth.from_.params["fromparam''~+*_!.-%"] == "работающий"
    assert parse_uri(intmeth.uri).host == "example.com"


def test_escapes() -> None:
    assert parse_uri(request(MESSAGES["esc01"]).uri).number == "sips:user@example.com"
    contacts = parse_address_list(request(MESSAGES["escnull"]).headers.all("Contact"), "Contact")
    assert len({contact.parsed().number for contact in contacts}) == 2
    assert all("\0" in contact.parsed().number for contact in contacts)
    assert request(MESSAGES["esc02"]).method == "RE%47IST%45R"
    assert len(request(MESSAGES["esc02"]).headers.all("Contact")) == 2


def test_framing_in_a_datagram() -> None:
    assert request(MESSAGES["dblreq"]).body == b""
    assert len(request(MESSAGES["mpart01"]).body) == 553
    assert b"\0" in request(MESSAGES["mpart01"]).body
    assert request(MESSAGES["inv2543"]).body.startswith(b"v=0")


def test_semicolons_in_a_user_part() -> None:
    assert parse_uri(request(MESSAGES["semiuri"]).uri).user == "user;par=u%40example.net"


def test_contact_parameters() -> None:
    [header] = parse_address_list(request(MESSAGES["cparam01"]).headers.all("Contact"), "Contact")
    assert "unknownparam" in header.params
    assert header.parsed().params == {}
    [inside] = parse_address_list(request(MESSAGES["cparam02"]).headers.all("Contact"), "Contact")
    assert inside.params == {}
    assert "unknownparam" in inside.parsed().params
    [escaped] = parse_address_list(request(MESSAGES["regescrt"]).headers.all("Contact"), "Contact")
    assert escaped.parsed().headers == "Route=%3Csip:sip.example.com%3E"
    with pytest.raises(BadValue):
        parse_address_list(request(MESSAGES["regbadct"]).headers.all("Contact"), "Contact")


def test_vias_of_every_transport() -> None:
    assert request(MESSAGES["transports"]).via.transport == "UDP"
    vias = request(MESSAGES["longreq"]).headers.all("Via")
    assert len(vias) == 34
