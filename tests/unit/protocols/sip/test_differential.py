"""Two other codecs read what we read: where all of them take a message, the key fields are the same."""

import aiosipua
import pytest
import sipmessage

from protocols.sip.errors import Malformed
from protocols.sip.message import Request, parse
from protocols.sip.validity import KeyFields, check_request, check_response
from tests.fuzz import fuzz_sip
from tests.unit.protocols.sip.samples import COMPACT, MESSAGE, RESPONSE, torture

CORPUS = {**torture(), "message": MESSAGE, "compact": COMPACT, "response": RESPONSE}


def ours(data: bytes) -> KeyFields | None:
    try:
        message = parse(data)
        return check_request(message) if isinstance(message, Request) else check_response(message)
    except Malformed:
        return None


def of_sipmessage(data: bytes) -> tuple[object, ...] | None:
    """Call-ID, CSeq, tags and branch as sipmessage reads them; None when it refuses, or takes no folding."""
    try:
        message = sipmessage.Message.parse(data)
        from_, to = message.from_address, message.to_address
        return (
            message.call_id,
            (message.cseq.sequence, message.cseq.method),
            from_.parameters.get("tag"),
            to.parameters.get("tag"),
            message.via[0].parameters.get("branch") or "",
        )
    except Exception:  # whatever it refuses with
        return None


def of_aiosipua(data: bytes) -> tuple[object, ...] | None:
    """The same of aiosipua."""
    try:
        message = aiosipua.SipMessage.parse(data)
        cseq, from_, to = message.cseq, message.from_addr, message.to_addr
        if cseq is None or from_ is None or to is None:
            return None
        branch = message.via[0].branch or ""
        return message.call_id, (cseq.seq, cseq.method), from_.tag, to.tag, branch
    except Exception:  # whatever it refuses with
        return None


def same(data: bytes) -> bool | None:
    """Whether we read what the other two agree on; None when one of the three refuses."""
    mine, first, second = ours(data), of_sipmessage(data), of_aiosipua(data)
    if mine is None or first is None or first != second:
        return None
    return first == (mine.call_id, mine.cseq, mine.from_.tag, mine.to.tag, mine.via.branch)


@pytest.mark.parametrize("name", CORPUS)
def test_the_corpus(name: str) -> None:
    assert same(CORPUS[name]) is not False


def test_mutants() -> None:
    results = []
    for data in fuzz_sip.mutants(7, 6_000):
        result = same(data)
        assert result is not False, data
        results.append(result)
    assert results.count(True) > 300


def test_the_comparison_can_fail() -> None:
    assert sum(same(data) is True for data in CORPUS.values()) >= 15
    assert of_sipmessage(MESSAGE) == of_aiosipua(MESSAGE) != of_sipmessage(COMPACT)
