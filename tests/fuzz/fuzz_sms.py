"""SMS text under fuzz: whatever a carrier or a customer sends, nothing is raised but what is declared.

With atheris (coverage-guided, until stopped or for a number of runs):

    python -m tests.fuzz.fuzz_sms -runs=1000000

Without it, `inputs` makes a repeatable stream; the unit tests run a part of it.
"""

import random
import sys
from collections.abc import Iterator

from protocols.sms import (
    Alphabet,
    Concatenation,
    Encoding,
    Language,
    LongMessageMode,
    NotEncodable,
    Part,
    Reassembly,
    SegmentOptions,
    TooLong,
    Transliteration,
    count,
    decode,
    joined,
    key_of,
    segment,
)
from protocols.sms.segmentation import MESSAGE_PAYLOAD

ALPHABETS = list(Alphabet)
ROUTES = [
    SegmentOptions(mode=mode, default_alphabet=alphabet, strict_clusters=strict, languages=languages)
    for mode in LongMessageMode
    for alphabet in Alphabet
    for strict in (False, True)
    for languages in ((), (Language.TURKISH, Language.HINDI))
]
SEPTETS = (Encoding.GSM7, Encoding.ASCII)
SPELLING = SegmentOptions(transliterate=Transliteration.FULL)
CODINGS = (0, 8, 8, 1, 3, 4, 5, 10, 14, 0x10, 0xC0, 0xE0, 0xF0, 0xF4)


def received(data: bytes) -> None:
    """Octets as a stream of parts: each is decoded, put with others, and read with them."""
    model = Reassembly()
    finished = 0
    held = 0
    alphabet = ALPHABETS[data[0] & 3]
    position = 1
    while position + 3 <= len(data):
        flags, coding, length = data[position : position + 3]
        octets = data[position + 3 : position + 3 + length]
        position += 3 + length
        coding = CODINGS[coding % len(CODINGS)] if flags & 0x20 else coding
        udhi = bool(flags & 0x40)
        decoded = decode(octets, coding, udhi=udhi, default_alphabet=alphabet, part=bool(flags & 0x80))
        found = decoded.concatenation
        if found is None:
            if not flags & 0x80:
                decoded.text.encode()
            found = Concatenation(
                flags & 3, 1 + (flags >> 2 & 3), 1 + (coding % (1 + (flags >> 2 & 3))), "sar"
            )
        added = model.add(key_of("g", "a", "b", found), Part(found.number, octets, coding, udhi), position)
        held += not added.repeated
        if added.message is not None:
            assert not added.message.missing
            finished += len(added.message.parts)
            joined(added.message.parts, found.total, alphabet).text.encode()
    late = model.overdue(1e9, 1.0)
    for message in late:
        assert message.missing
        result = joined(message.parts, message.key.total, alphabet)
        result.text.encode()
        assert result.missing == message.missing
    assert held == finished + sum(len(message.parts) for message in late)
    assert len(model) == 0


def sent(data: bytes) -> None:
    """Octets as a text: refused in the declared ways, or its parts are the text again."""
    route = ROUTES[data[0] % len(ROUTES)]
    if data[0] & 0x80:
        text = data[1:].decode("utf-16-le", "surrogatepass" if len(data) & 1 else "replace")
    else:
        text = data[1:].decode("utf-8", "replace")
    text *= 1 + data[0] % 7
    try:
        made = segment(text, len(text), route)
        counted = count(text, route)
        segment(text, 0, SPELLING)
    except (TooLong, NotEncodable):
        return
    assert counted.parts == len(made.segments)
    parts = []
    for part in made.segments:
        octets = dict(part.tlvs).get(MESSAGE_PAYLOAD, part.user_data)
        parts.append(Part(part.number, octets, part.data_coding, part.esm_class == 0x40))
        assert len(part.user_data) <= (160 if made.encoding in SEPTETS else 140)
    if route.mode is LongMessageMode.SEPARATE and len(parts) > 1:
        alone = [joined([part._replace(number=1)], 1, route.default_alphabet) for part in parts]
        marks = [f"{number}/{len(parts)} " for number in range(1, len(parts) + 1)]
        assert all(one.text.startswith(mark) for one, mark in zip(alone, marks, strict=True))
        assert "".join(one.text[len(mark) :] for one, mark in zip(alone, marks, strict=True)) == text
        return
    result = joined(parts, len(parts), route.default_alphabet)
    assert (result.text, result.undecodable) == (text, False)


def one_input(data: bytes) -> None:
    """Raises nothing, whatever the octets are."""
    if data:
        received(data)
        sent(data)


def inputs(seed: int, count: int) -> Iterator[bytes]:
    """A repeatable stream: noise, and headers and texts that are nearly right."""
    chance = random.Random(seed)
    texts = ["Hi €[]", "я😀e\u0301", "क्षि", "\r\n", "ş", "👩‍👩‍👧", "\ud83d", "\x1b", "a" * 80]
    for _ in range(count):
        pieces = [bytes((chance.randrange(256),))]
        for _ in range(chance.randrange(6)):
            header = bytes.fromhex(
                chance.choice(["0500030702", "060804070702", "032401", "0825010124010100", ""])
            )
            body = header + chance.choice(texts).encode("utf-16-be", "surrogatepass")[: chance.randrange(60)]
            body += chance.randbytes(chance.randrange(4))
            pieces.append(bytes((chance.randrange(256), chance.randrange(256), len(body))) + body)
        if chance.random() < 0.3:
            text = "".join(chance.choices(texts, k=chance.randrange(8)))
            pieces.append(text.encode("utf-8", "replace"))
        yield b"".join(pieces)


def main() -> None:
    """Run until stopped, as the arguments of libFuzzer say."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
