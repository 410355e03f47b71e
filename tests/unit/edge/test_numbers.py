"""Numbers between people, the inside and the wire."""

import pytest

from edge.errors import Refused
from edge.policy.numbers import (
    NumberFormat,
    WireAddress,
    destination,
    from_wire,
    in_context,
    sender,
    to_wire,
)


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("+12025550123", "US", "+12025550123"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("1-202-555-0123", "US", "+12025550123"),
        ("011 44 7911 123456", "US", "+447911123456"),
        ("202\u2011555\u20110123", "US", "+12025550123"),
        ("07911 123456", "GB", "+447911123456"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("12345", "US", "12345"),
        ("  +447911123456 ", "US", "+447911123456"),
    ],
)
def test_what_people_write(written: str, region: str, number: str) -> None:
    assert destination(written, region) == number


@pytest.mark.parametrize(
    "written", ["", "+", "hello", "+0123456789", "1234567", "+1202555012345678", "2025550123;ext=1", "٢٠٢"]
)
def test_what_is_no_number_is_refused_with_its_field(written: str) -> None:
    with pytest.raises(Refused) as caught:
        destination(written, "US", "from")
    assert (caught.value.code, caught.value.field, caught.value.http_status) == (
        "invalid_number",
        "from",
        422,
    )


@pytest.mark.parametrize(
    ("written", "leading", "number"),
    [
        ("7700900123", "+44", "+447700900123"),
        ("07700900123", "+44", "+447700900123"),
        ("2025550150", "+44", "+442025550150"),
        ("0150", "+1202555", "+12025550150"),
        ("555-0150", "+1-202-", "+12025550150"),
        ("2025550150", "+1", "+12025550150"),
        ("12025550150", "+1", "+12025550150"),
        ("40404", "+1", "40404"),
    ],
)
def test_a_local_number_is_one_of_the_place_that_it_says(written: str, leading: str, number: str) -> None:
    assert in_context(written, leading, "US") == number


@pytest.mark.parametrize(
    ("written", "leading"),
    [
        ("40404", "+44"),
        ("911", "+1"),
        ("12", "+1202555"),
        ("0150", "+"),
        ("0150", "+1202555x"),
        ("*0150", "+1202555"),
        ("911", "+1-202-555-0"),
    ],
)
def test_what_is_no_number_of_its_place_is_refused(written: str, leading: str) -> None:
    with pytest.raises(Refused) as caught:
        in_context(written, leading, "US", "from")
    assert (caught.value.code, caught.value.field) == ("invalid_number", "from")


@pytest.mark.parametrize(
    ("addr", "ton", "number_format", "number"),
    [
        ("12025550123", 1, NumberFormat.E164, "+12025550123"),
        ("+12025550123", 0, NumberFormat.NATIONAL, "+12025550123"),
        ("0012025550123", 1, NumberFormat.E164, "+12025550123"),
        ("12025550123", 0, NumberFormat.PLUS, "+12025550123"),
        ("2025550123", 0, NumberFormat.NATIONAL, "+12025550123"),
        ("2025550123", 2, NumberFormat.E164, "+12025550123"),
        ("12345", 0, NumberFormat.E164, "12345"),
        ("12345", 3, NumberFormat.NATIONAL, "12345"),
        ("78787", 1, NumberFormat.E164, "78787"),
        ("+78787", 1, NumberFormat.E164, "78787"),
        ("ACME-Shop", 5, NumberFormat.E164, "ACME-Shop"),
        ("1234567", 5, NumberFormat.E164, "1234567"),
        ("ACME", 1, NumberFormat.E164, "ACME"),
        ("", 0, NumberFormat.E164, ""),
        ("0000000000", 0, NumberFormat.E164, "0000000000"),
    ],
)
def test_what_carriers_send(addr: str, ton: int, number_format: NumberFormat, number: str) -> None:
    assert from_wire(addr, ton, number_format, "US") == number


@pytest.mark.parametrize(
    ("number", "number_format", "address"),
    [
        ("+12025550123", NumberFormat.PLUS, WireAddress(1, 1, "+12025550123")),
        ("+12025550123", NumberFormat.E164, WireAddress(1, 1, "12025550123")),
        ("+12025550123", NumberFormat.NATIONAL, WireAddress(2, 1, "2025550123")),
        ("+447911123456", NumberFormat.NATIONAL, WireAddress(1, 1, "447911123456")),
        ("12345", NumberFormat.E164, WireAddress(3, 0, "12345")),
        ("ACME", NumberFormat.PLUS, WireAddress(5, 0, "ACME")),
    ],
)
def test_what_carriers_are_sent(number: str, number_format: NumberFormat, address: WireAddress) -> None:
    assert to_wire(number, number_format, "US") == address


def test_the_wire_and_back_gives_the_number() -> None:
    for number_format in NumberFormat:
        for number in ("+12025550123", "+447911123456", "12345", "ACME"):
            address = to_wire(number, number_format, "US")
            assert from_wire(address.addr, address.ton, number_format, "US") == number


@pytest.mark.parametrize(
    ("addr", "seen"),
    [("", "unknown"), ("x y\x01", "x y"), ("\0 ", "unknown"), ("Bank é", "Bank é"), ("+1", "+1")],
)
def test_a_sender_can_be_seen_and_selected(addr: str, seen: str) -> None:
    assert sender(addr) == seen


@pytest.mark.parametrize(("number", "region"), [("911", "US"), ("112", "US"), ("999", "GB"), ("112", "FR")])
def test_no_text_goes_to_an_emergency_number(number: str, region: str) -> None:
    with pytest.raises(Refused) as caught:
        destination(number, region)
    assert (caught.value.code, caught.value.field) == ("invalid_number", "to")
    assert "emergency" in str(caught.value)
    assert destination("12345", region) == "12345"
