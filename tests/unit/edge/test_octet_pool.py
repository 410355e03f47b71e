"""Random octets by the block: in order, none twice."""

from itertools import count

from edge.octet_pool import BLOCK, OctetPool


def test_no_octet_is_handed_out_twice() -> None:
    numbers, asked = count(), []

    def source(size: int) -> bytes:
        asked.append(size)
        return b"".join(next(numbers).to_bytes(4) for _ in range(size // 4))

    pool = OctetPool(source)
    taken = [pool.take(12) for _ in range(BLOCK // 6)]
    assert {len(octets) for octets in taken} == {12}
    assert len(set(taken)) == len(taken)
    words = [octets[at : at + 4] for octets in taken for at in (0, 4, 8)]
    assert words == sorted(set(words))
    assert asked == [BLOCK] * 2
