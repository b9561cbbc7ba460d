"""The typography contrast: the strings, what a miss says, and both ways in small."""

from pathlib import Path

import pytest

from app.image.png import read_png
from jobs.bench.typography.bench import (
    DRAFTED,
    SET,
    TypographyFigures,
    bench_typography,
    show_typography_figures,
    texts,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> TypographyFigures:
    folder = tmp_path_factory.mktemp("misses")
    return bench_typography(["Order 48-1093", "Café Crème"], lambda _: None, keep=folder)


def test_there_are_a_hundred_different_texts() -> None:
    assert len(set(texts())) == len(texts()) == 100


def test_what_is_set_is_read_and_what_is_drawn_is_not(both: TypographyFigures) -> None:
    assert (both.of(SET).exact, both.of(SET).error_rate) == (1, 0)
    assert both.of(DRAFTED).exact == 0
    assert both.of(DRAFTED).error_rate > 0.5


def test_every_miss_has_its_picture(
    both: TypographyFigures, capsys: pytest.CaptureFixture[str]
) -> None:
    misses = both.of(DRAFTED).misses
    assert [miss.text for miss in misses] == ["Order 48-1093", "Café Crème"]
    assert not any(miss.readers for miss in misses)
    for miss in misses:
        assert read_png(Path(miss.picture).read_bytes()).shape == (256, 256, 4)
    worse = TypographyFigures(ways=(both.of(SET).replace(misses=misses),))
    show_typography_figures(worse)
    printed = capsys.readouterr().out
    assert f"'Café Crème' was read {misses[1].read!r} ({misses[1].picture})" in printed
