"""Which addresses may be reached: those that are public, and those that the operator allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.addresses import AddressPolicy, policy
from tests.hostile import DENIED_V4, DENIED_V6, WRAPPINGS

PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "192.31.195.255",
    "192.52.194.0",
    "192.175.49.0",
    "2620:4f:8001::1",
    "2620:4f:7fff::1",
    "2001:200::1",
    "2606:4700::1111",
    "2a00::1",
)


@pytest.mark.parametrize("address", DENIED_V4)
def test_what_is_not_public_is_refused_in_every_wrapping(address: str) -> None:
    assert policy([]).refusal(address)
    for wrapping in WRAPPINGS:
        assert policy([]).refusal(wrapping.format(address)), wrapping


@pytest.mark.parametrize("address", [*DENIED_V6, "fe80::1%eth0", "", "x", "127.1", "1.2.3.4/8"])
def test_the_same_of_ipv6_and_of_what_is_no_address(address: str) -> None:
    assert policy([]).refusal(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert policy([]).refusal(address) is None


def test_a_public_address_behind_a_translator_may_be_reached() -> None:
    assert policy([]).refusal("64:ff9b::8.8.8.8") is None
    assert policy([]).refusal("::ffff:8.8.8.8") is None


def test_the_operator_allows_networks_and_nothing_beside_them() -> None:
    own = policy(["10.20.0.0/16", "127.0.0.1", "fd00:1::/32"])
    for address in ("10.20.0.1", "127.0.0.1", "fd00:1::5", "::ffff:10.20.0.1"):
        assert own.refusal(address) is None
    for address in ("10.21.0.1", "127.0.0.2", "fd00:2::5", "::1", "169.254.169.254"):
        assert own.refusal(address)
    assert own.is_allowed("10.20.0.1")
    assert not own.is_allowed("8.8.8.8")


@given(st.integers(0, 2**32 - 1))
def test_the_wrapping_never_changes_the_judgement(number: int) -> None:
    plain = AddressPolicy()
    dotted = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    alone = plain.refusal(dotted)
    for wrapping in WRAPPINGS:
        if wrapping == "::{}" and number <= 1:
            continue
        assert plain.refusal(wrapping.format(dotted)) == alone
