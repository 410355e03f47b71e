"""Addresses: one spelling, read the same by everybody, or refused."""

import pytest

from protocols.mail import address
from protocols.mail.address import Address, NotAnAddress


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("owner@example.org", Address("owner", "example.org")),
        ("Owner+Tag@Example.ORG", Address("Owner+Tag", "example.org")),
        ("o'neil.{x}@example.org", Address("o'neil.{x}", "example.org")),
        ("zoë@example.org", Address("zoë", "example.org")),
        ("zoe@bücher.example", Address("zoe", "xn--bcher-kva.example")),
        ("root@localhost", Address("root", "localhost")),
        (f"{'a' * 64}@example.org", Address("a" * 64, "example.org")),
    ],
)
def test_one_that_stands_alone(written: str, read: Address) -> None:
    assert address.parse(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "", "owner", "@example.org", "owner@", "a@b@example.org", '"a b"@example.org', '"a@b"@example.org',
        "<owner@example.org>", "owner@[127.0.0.1]", ".owner@example.org", "own..er@example.org",
        "owner.@example.org", "owner@example..org", "owner@example.org.", "owner@-example.org",
        "owner@example.org\r\nBcc: x@y", "owner@exa mple.org", "ow\0ner@example.org", "a,b@example.org",
        f"{'a' * 65}@example.org", f"a@{'b' * 64}.org", f"a@{'b.' * 140}org", "a(b)@example.org", "a:b@c.org",
        "owner@example.org\u2028",
    ],
)  # fmt: skip
def test_what_is_none(written: str) -> None:
    with pytest.raises(NotAnAddress):
        address.parse(written)


@pytest.mark.parametrize(
    "value",
    [
        "owner@example.org",
        "Owner <owner@example.org>",
        '"Owner, Jane" <owner@example.org>',
        '"evil@example.net" <owner@example.org>',
        r'"a \" <evil@example.net>" <owner@example.org>',
        "=?utf-8?q?Zo=C3=AB?= <owner@example.org>",
        "Owner\r\n <owner@example.org>",
        "owner@example.org (Jane Owner)",
        "<owner@example.org> ",
        "Owner <owner@example.org> (me)",
        "J. Owner (ACME) <owner@example.org>",
        "'owner@example.org' <owner@example.org>",
        "Owner@Example.org <owner@example.org>",
    ],
)
def test_the_author_of_a_mail(value: str) -> None:
    assert address.sole_author([value]) == Address("owner", "example.org")


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["owner@example.org", "evil@example.net"],
        ["owner@example.org, evil@example.net"],
        ["owner@example.org <evil@example.net>"],
        ["<owner@example.org> <evil@example.net>"],
        ["Owner <evil@example.net>, owner@example.org"],
        ['"Owner" <owner@example.org'],
        ["alice@example.org)bob@example.org"],  # CVE-2023-27043
        ["<owner@example.org>evil@example.net"],
        ["Group: owner@example.org;"],
        ["owner@example.org (a (b))"],
        ["Owner (a (b)) <owner@example.org>"],
        ["Owner (<evil@example.net>) <owner@example.org>"],
        ["Owner <owner@example.org> (evil@example.net)"],
        ["Owner <owner@example.org> (me) <evil@example.net>"],
        ["'owner@example.org' <evil@example.net>"],
        ["'owner@example.org <owner@example.org>"],
        ["owner@example.org, <owner@example.org>"],
        ["owner@example.org\0 <x@y.z>"],
        [""],
    ],
)
def test_what_two_parsers_might_read_differently_has_no_author(values: list[str]) -> None:
    with pytest.raises(NotAnAddress):
        address.sole_author(values)


def test_a_header_is_one_line() -> None:
    assert address.one_line("Ann\r\nBcc: x@y\0\u2028z ") == "Ann  Bcc: x@y  z"


def test_encoded_words_are_read_where_they_can_be() -> None:
    assert address.decoded("=?utf-8?q?Zo=C3=AB?=") == "Zoë"
    assert address.decoded("=?x-none?q?Zo=C3=AB?=") == "=?x-none?q?Zo=C3=AB?="
