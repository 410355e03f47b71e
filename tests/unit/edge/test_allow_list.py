"""Lists of addresses, as people write them."""

import pytest

from edge.policy.allow_list import NOBODY, NotAnAddress, normal, read


@pytest.mark.parametrize(
    ("written", "yes", "no"),
    [
        ("192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], ["192.0.2.2", "", "x", "::1"]),
        ("192.0.2.0/24 198.51.100.1", ["192.0.2.9", "198.51.100.1"], ["198.51.100.2"]),
        ("192.0.2.7/24", ["192.0.2.9"], ["192.0.3.9"]),
        ("192.0.*", ["192.0.9.9"], ["192.1.9.9"]),
        ("192.0.2.*;10.*.*.*", ["192.0.2.255", "10.1.2.3"], ["192.0.3.0", "11.1.2.3"]),
        ("2001:db8::/32", ["2001:db8::1"], ["2001:db9::1", "192.0.2.1"]),
        ("0.0.0.0", ["192.0.2.1", "2001:db8::1"], []),
        ("192.0.2.1, 0.0.0.0", ["203.0.113.1"], []),
        ("", [], ["192.0.2.1", "0.0.0.0"]),
        ("Localhost 192.0.2.1", ["127.0.0.1", "127.1.2.3", "::1", "192.0.2.1"], ["128.0.0.1", "::2"]),
        ("home.example.net", [], ["192.0.2.1"]),
    ],
)
def test_who_is_let_in(written: str, yes: list[str], no: list[str]) -> None:
    found = read(written)
    assert all(found.allows(address) for address in yes)
    assert not any(found.allows(address) for address in no)


def test_names_are_kept_apart() -> None:
    assert read("Home.Example.net 192.0.2.1").names == ("home.example.net",)
    assert not NOBODY.allows("192.0.2.1")


@pytest.mark.parametrize(
    "word", ["192.0.2.256", "192.0.2.1/33", "1.2.3.4.5", "*", "a_b.example.net", "localhosts", "-"]
)
def test_what_is_no_address(word: str) -> None:
    with pytest.raises(NotAnAddress, match=r".+"):
        read(f"192.0.2.1 {word}")


def test_the_normal_form() -> None:
    assert (
        normal(" 192.0.2.1,\n198.51.100.0/24 ;Home.Example.net ")
        == "192.0.2.1 198.51.100.0/24 home.example.net"
    )
    with pytest.raises(NotAnAddress):
        normal("192.0.2.1 " * 1_000)
