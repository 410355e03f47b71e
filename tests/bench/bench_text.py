"""What a text costs to encode and cut, pack, decode, count; beside other libraries in the same run.

Microseconds of one call, the best of several rounds. Figures of two machines do not compare; the ratios to
the other libraries do.

    python -m tests.bench.bench_text
"""

import platform
import sys
import timeit
from collections.abc import Callable
from dataclasses import dataclass

import smpplib.gsm
import smsutil

from protocols.sms import Alphabet, Part, SegmentOptions, count, decode, joined, segment
from protocols.sms.packing import pack, unpack

ROUNDS = 300
SECONDS_A_ROUND = 0.001

GSM = "Your code is 483920. "
ESCAPES = "Total [net]: 20,50 €. "
CYRILLIC = "Ваш код 483920, друг. "
EMOJI = "Готово 👍🏽 до встречи 😀! "


@dataclass(frozen=True, slots=True)
class Figure:
    """One operation: microseconds a call of ours, of others by name, and what we aim at."""

    name: str
    ours: float
    others: dict[str, float]
    aim: float | None = None


def microseconds(call: Callable[[], object]) -> float:
    """The best of many short rounds: on a busy machine some of them are not disturbed."""
    timer = timeit.Timer(call)
    number = max(1, int(SECONDS_A_ROUND / max(timer.timeit(10) / 10, 1e-8)))
    return min(timer.repeat(ROUNDS, number)) / number * 1e6


def _text(sample: str, length: int) -> str:
    return (sample * (length // len(sample) + 1))[:length]


def _segmentation() -> list[Figure]:
    aims = {("GSM", 100): 0.6, ("GSM", 1500): 8.0, ("UCS-2", 100): 4.0, ("UCS-2", 1500): 12.0}
    samples = {"GSM": GSM, "GSM with escapes": ESCAPES, "UCS-2": CYRILLIC, "UCS-2 with emoji": EMOJI}
    figures = []
    for name, sample in samples.items():
        for length in (100, 400, 1500):
            text = _text(sample, length)
            others = {
                "smpplib": microseconds(lambda text=text: smpplib.gsm.make_parts(text)),  # type: ignore[misc]
                "smsutil": microseconds(lambda text=text: smsutil.split(text)),  # type: ignore[misc]
            }
            ours = microseconds(lambda text=text: segment(text, 7))  # type: ignore[misc]
            figures.append(Figure(f"segment, {name}, {length}", ours, others, aims.get((name, length))))
    return figures


def _others() -> list[Figure]:
    septets = segment(_text(GSM, 160)).segments[0].user_data
    packed = pack(septets)
    latin = SegmentOptions(default_alphabet=Alphabet.LATIN1)
    gsm, cyrillic = _text(GSM, 100), _text(CYRILLIC, 100)
    parts = [
        Part(part.number, part.user_data, part.data_coding) for part in segment(_text(GSM, 1500)).segments
    ]
    ucs2 = segment(cyrillic).segments[0].user_data
    escapes = segment(_text(ESCAPES, 100)).segments[0].user_data
    return [
        Figure("pack 160 septets", microseconds(lambda: pack(septets)), {}, 3.0),
        Figure("pack 153 septets after a header", microseconds(lambda: pack(septets[:153], 1)), {}),
        Figure("unpack 160 septets", microseconds(lambda: unpack(packed)), {}),
        Figure("segment, Latin-1, 100", microseconds(lambda: segment(gsm, 7, latin)), {}),
        Figure(
            "decode, GSM, 100",
            microseconds(lambda: decode(gsm.encode(), 0)),
            {"smsutil": microseconds(lambda: smsutil.decode(gsm.encode()))},
        ),
        Figure("decode, GSM with escapes, 100", microseconds(lambda: decode(escapes, 0)), {}),
        Figure("decode, UCS-2, 67 in a part", microseconds(lambda: decode(ucs2, 8, udhi=True)), {}),
        Figure("join 10 parts, GSM, 1500", microseconds(lambda: joined(parts, len(parts))), {}),
        Figure("count, GSM, 100", microseconds(lambda: count(gsm)), {}),
        Figure("count, UCS-2, 100", microseconds(lambda: count(cyrillic)), {}),
    ]


def figures() -> list[Figure]:
    """Measure everything; some seconds."""
    return _segmentation() + _others()


def main() -> None:
    """Print the table."""
    sys.stdout.write(f"µs a call; Python {platform.python_version()}, {platform.machine()}\n")
    sys.stdout.write(f"{'':34}{'ours':>8}{'aim':>8}{'smpplib':>9}{'smsutil':>9}\n")
    for figure in figures():
        aim = "" if figure.aim is None else f"{figure.aim:.1f}"
        other = [
            f"{figure.others[name]:.1f}" if name in figure.others else "" for name in ("smpplib", "smsutil")
        ]
        sys.stdout.write(f"{figure.name:34}{figure.ours:8.2f}{aim:>8}{other[0]:>9}{other[1]:>9}\n")


if __name__ == "__main__":
    main()
