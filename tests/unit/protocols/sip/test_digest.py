"""Digest: the vectors of the RFCs, forms of real phones, and what a nonce is worth."""

from dataclasses import replace

import pytest

from protocols.sip import digest
from protocols.sip.digest import Algorithm, Credentials, Nonces
from protocols.sip.errors import BadValue

RFC7616 = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_vectors_of_rfc_7616(name: str, response: str) -> None:
    credentials = digest.parse_credentials(RFC7616.format(name, response))
    ha1 = credentials.algorithm.ha1("Mufasa", "http-auth@example.org", "Circle of Life")
    assert digest.is_right(credentials, "GET", ha1)
    assert not digest.is_right(credentials, "POST", ha1)
    assert not digest.is_right(credentials, "GET", credentials.algorithm.ha1("Mufasa", "x", "Circle of Life"))


def test_the_vector_of_rfc_2617_without_qop() -> None:
    """RFC 2069's form, computed as RFC 2617 §3.2.2.1 says."""
    credentials = Credentials("Mufasa", "testrealm@host.com", "n", "/dir/index.html", "", Algorithm.MD5)
    ha1 = Algorithm.MD5.ha1("Mufasa", "testrealm@host.com", "Circle Of Life")
    assert ha1 == "939e7578ed9e3c518a452acee763bce9"
    hashed = Algorithm.MD5.hash
    expected = hashed(f"{ha1}:n:{hashed('GET:/dir/index.html')}")
    assert digest.is_right(replace(credentials, response=expected), "GET", ha1)


def test_manners_of_phones() -> None:
    """No algorithm (baresip), in lower case (pyVoIP 2), qop in quotes, spaces, a comma at the end."""
    value = (
        'digest  realm = "r" ,username="a\\"b",nonce="n",uri="sip:x",response="AB",algorithm=md5,'
        'qop="auth",nc=0000000A,cnonce="c",'
    )
    found = digest.parse_credentials(value)
    assert found == Credentials('a"b', "r", "n", "sip:x", "ab", Algorithm.MD5, "auth", "0000000A", "c")
    assert digest.parse_credentials(value.replace("algorithm=md5,", "")).algorithm is Algorithm.MD5
    assert digest.is_digest(value)
    assert not digest.is_digest("NoOneKnowsThisScheme opaque-data=here")


@pytest.mark.parametrize(
    "value",
    [
        "Basic abc",
        'Digest username="a"',
        RFC7616.format("SHA-999", "00"),
        RFC7616.format("MD5", "00").replace("nc=00000001, ", ""),
        RFC7616.format("MD5", "00").replace("nc=00000001", "nc=1"),
        RFC7616.format("MD5", "00") + ' , "',
    ],
)
def test_bad_credentials(value: str) -> None:
    with pytest.raises(BadValue):
        digest.parse_credentials(value)


def test_only_what_was_offered() -> None:
    credentials = digest.parse_credentials(RFC7616.format("MD5", "8ca523f5e9506fed4657c9700eebdbec"))
    ha1 = Algorithm.MD5.ha1("Mufasa", "http-auth@example.org", "Circle of Life")
    assert not digest.is_right(replace(credentials, qop="auth-int"), "GET", ha1)


def test_a_client_answers_a_challenge() -> None:
    challenge = digest.Challenge('r"1', "n", Algorithm.SHA256, stale=True, opaque="o")
    assert digest.parse_challenge(str(challenge)) == challenge
    value = digest.answer(challenge, "u", "p", "REGISTER", "sip:h", "cn", 2)
    found = digest.parse_credentials(value)
    assert (found.nc, found.qop) == ("00000002", "auth")
    assert digest.is_right(found, "REGISTER", Algorithm.SHA256.ha1("u", 'r"1', "p"))
    legacy = digest.parse_challenge('Digest realm="r", nonce="n"')
    assert legacy.qop is None
    old = digest.parse_credentials(digest.answer(legacy, "u", "p", "REGISTER", "sip:h", "cn"))
    assert old.qop is None
    assert digest.is_right(old, "REGISTER", Algorithm.MD5.ha1("u", "r", "p"))
    for bad in ('Digest realm="r"', 'Digest realm="r", nonce="n", qop="auth-int"'):
        with pytest.raises(BadValue):
            digest.parse_challenge(bad)


HOST = "192.0.2.7"


def credentials(nonce: str, count: int, qop: str | None = "auth") -> Credentials:
    return Credentials("u", "r", nonce, "sip:x", "0", Algorithm.MD5, qop, f"{count:08x}", "c")


def nonces(limit: int = 100) -> Nonces:
    salts = iter(range(10_000))
    return Nonces(b"key", lambda size: next(salts).to_bytes(size), 300.0, limit)


def test_counts_may_come_out_of_order_and_never_twice() -> None:
    made = nonces()
    nonce = made.make(HOST, 0.0)
    uses = [1, 3, 2, 3, 200, 199, 2, 73, 72, 0, 5000, 200]
    fresh = [made.use(credentials(nonce, count)) for count in uses]
    assert fresh == [True, True, True, False, True, True, False, True, False, False, True, False]


def test_without_qop_once() -> None:
    made = nonces()
    nonce = made.make(HOST, 0.0)
    assert made.use(credentials(nonce, 0, None))
    assert not made.use(credentials(nonce, 0, None))


def test_stale() -> None:
    made, nonce = nonces(), nonces().make(HOST, 0.0)
    assert made.is_good(nonce, HOST, 300.0)
    assert not made.is_good(nonce, HOST, 300.2)
    assert not made.is_good(nonce, "192.0.2.8", 1.0)
    for forged in ("", "x", "é", nonce[:-4] + "AAAA", nonce[:8]):
        assert not made.is_good(forged, HOST, 1.0)
    assert not Nonces(b"other", bytes).is_good(nonce, HOST, 1.0)


def test_what_is_forgotten_is_not_good_again() -> None:
    made = nonces(limit=2)
    old = [made.make(HOST, float(at)) for at in range(3)]
    for nonce in old:
        assert made.is_good(nonce, HOST, 3.0)
        assert made.use(credentials(nonce, 1))
    assert not made.is_good(old[0], HOST, 3.0)
    assert made.is_good(old[2], HOST, 3.0)
    assert made.use(credentials(old[2], 2))
