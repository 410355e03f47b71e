"""The bench runs; what it measures is judged by people."""

import pytest

from tests.bench import bench_text


def test_every_figure_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_text, "ROUNDS", 1)
    monkeypatch.setattr(bench_text, "SECONDS_A_ROUND", 1e-4)
    found = bench_text.figures()
    assert len({figure.name for figure in found}) == len(found) > 15
    assert all(figure.ours > 0 for figure in found)
