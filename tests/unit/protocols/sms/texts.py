"""Texts for the property tests: of one alphabet, of several, and such that lie at the bounds of parts."""

from hypothesis import strategies as st

from protocols.sms import (
    Alphabet,
    Decoded,
    Encoding,
    LongMessageMode,
    Segment,
    SegmentOptions,
    decode,
)
from protocols.sms.alphabet import default
from protocols.sms.national import Language, septets

GSM = "".join(sorted(default().characters))
CLUSTERS = ["e\u0301", "🇩🇪", "👍🏽", "👩‍👩‍👧‍👦", "\r\n", "क्षि", "각", "🏳️‍🌈", "é", "\u0600 ", "\u200d"]


def _long(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Short ones, and ones of a few pieces that are repeated up to a bound or two."""
    pieces = st.lists(st.tuples(st.text(alphabet, min_size=1, max_size=9), st.integers(1, 160)), max_size=5)
    return st.one_of(
        st.text(alphabet, max_size=200),
        pieces.map(lambda found: "".join(piece * times for piece, times in found)[:1500]),
    )


gsm = _long(st.sampled_from(GSM))
unicode = _long(st.characters(exclude_categories=["Cs"]))
clusters = st.lists(
    st.one_of(
        st.sampled_from(CLUSTERS), st.text(st.sampled_from(["a", " ", "я", "क", "\u0301", "😀"]), max_size=70)
    ),
    max_size=12,
).map("".join)
national = st.sampled_from(list(Language)).flatmap(
    lambda language: _long(st.sampled_from(sorted(septets(language, language).characters)))
)
texts = st.one_of(gsm, unicode, clusters, national)

options = st.builds(
    SegmentOptions,
    mode=st.sampled_from(LongMessageMode),
    default_alphabet=st.sampled_from(Alphabet),
    strict_clusters=st.booleans(),
    languages=st.one_of(st.just(()), st.just(tuple(Language)), st.tuples(st.sampled_from(Language))),
)


def octets_of(part: Segment) -> bytes:
    """short_message, or message_payload."""
    return dict(part.tlvs).get(0x424, part.user_data)


def read(part: Segment, given: SegmentOptions) -> Decoded:
    """A part as a receiver reads it; without its mark, if it has one."""
    decoded = decode(
        octets_of(part),
        part.data_coding,
        udhi=part.esm_class == 0x40,
        default_alphabet=given.default_alphabet,
        part=part.total > 1,
    )
    if given.mode is not LongMessageMode.SEPARATE or part.total == 1:
        return decoded
    mark = f"{part.number}/{part.total} "
    assert decoded.text.startswith(mark)
    width = len(mark) * (2 if decoded.encoding is Encoding.UCS2 else 1)
    if decoded.encoding is Encoding.GSM7:
        width += decoded.body[:width].count(0x1B)  # national alphabets have the solidus in their second table
    return decoded._replace(text=decoded.text[len(mark) :], body=decoded.body[width:])
