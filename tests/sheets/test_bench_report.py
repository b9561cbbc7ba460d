"""The benchmark's report shows every figure and picture, holds all it needs, and runs nothing."""

import base64
import hashlib
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.registry.benchmark import BenchmarkResult, BenchTolerance, WorkItem
from app.sheets.bench_grid import draw_bench_grid
from app.sheets.bench_report import bench_report, number, percent, seconds, usd
from jobs.model_bench.compare import compare
from tests.benches import DEAD, REFUSED, WORKS, bench_of, participant_of, row_of, shot_of
from tests.sheets.test_contact_sheet import HOSTILE, Page, icon

PICTURES: Any = {"draft/1": {(0, 0): icon(), (0, 1): icon(), (1, 0): icon(300)}}


def shown(**changes: Any) -> BenchmarkResult:
    participants = (
        participant_of(
            "draft/1", shot_of(), shot_of(seed=1), REFUSED, DEAD, refused={2: "sets no text"}
        ),
        participant_of("poster/2", shot_of(2, legibility=0.8), refused={0: "no", 1: "no"}),
    )
    return bench_of(*participants, **changes)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_data_and_never_markup(text: str) -> None:
    def page_of(words: str) -> Page:
        works = (WorkItem(prompt=words, text=words, labels=(words,)), *WORKS[1:])
        shots = shot_of(), REFUSED.replace(reasons=(words,))
        participant = participant_of("draft/1", *shots, refused={2: words}, named=words)
        row = row_of(participant).replace(complaints={words: 1})
        axes = compare(row, row, BenchTolerance())
        return Page(
            bench_report(
                bench_of(
                    participant,
                    works=works,
                    figures=(row,),
                    axes=axes,
                    against=words,
                    notes=(words,),
                ),
                PICTURES,
            )
        )

    harmless, hostile = page_of("x"), page_of(text)
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    for (_, actual), (_, expected) in zip(hostile.elements, harmless.elements, strict=True):
        assert set(actual) == set(expected)
    assert hostile.words.count(text) >= 5


def test_the_page_holds_all_it_needs_and_its_policy_allows_nothing_else() -> None:
    text = bench_report(shown(), PICTURES)
    page = Page(text)
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    (block,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert not page.all("script")
    for _, attributes in page.elements:
        assert not {"style", "href", "srcset"} & set(attributes)
        assert str(attributes.get("src", "data:")).startswith("data:")


def test_every_line_shows_each_model_with_pictures_verdicts_and_reasons() -> None:
    page = Page(bench_report(shown(), PICTURES))
    assert [figure["class"] for figure in page.all("figure")] == ["accept", "accept", "retry"]
    assert len(page.all("img")) == 3
    text = " ".join(" ".join(page.words).split())
    for words in ("a golden crown", "sets no text", "the worker died of it", "0 of 2", "2 of 2"):
        assert words in text
    assert "does not show what the prompt asks for" in text
    assert "of 3 prompts" in text


def test_money_ranks_where_there_is_some_and_the_page_says_so() -> None:
    assert "Accepted images for a dollar" in bench_report(shown(), {})
    free = bench_of(participant_of("draft/1", shot_of(usd=0)))
    page = bench_report(free, {})
    assert "Nothing here costs anything" in page
    assert "Accepted images a second" in page


def test_what_is_worse_stands_on_top() -> None:
    row = shown().figures[0]
    axes = compare(row.replace(acceptance=0.1), row, BenchTolerance())
    page = bench_report(shown(axes=axes, against="champion"), {})
    assert f"1 of {len(axes)} figures are worse than champion allows" in page
    assert page.count("does not hold") == 1
    fine = bench_report(shown(axes=compare(row, row, BenchTolerance()), against="champion"), {})
    assert "No figure is worse than champion allows" in fine


def test_the_same_benchmark_gives_the_same_page() -> None:
    assert bench_report(shown(), PICTURES) == bench_report(shown(), PICTURES)


def test_figures_are_said_with_the_digits_that_matter() -> None:
    assert [usd(value) for value in (None, 0, 1.86e-6, 12.5)] == [
        "\u2013",
        "free",
        "$0.0000019",
        "$12.50",
    ]
    assert [seconds(value) for value in (None, 0.0123, 1.5)] == ["\u2013", "12.3 ms", "1.50 s"]
    assert [number(value) for value in (None, 1.234, 123456.0)] == ["\u2013", "1.23", "123,000"]
    assert [percent(value) for value in (None, 0.955)] == ["\u2013", "96%"]


def test_the_grid_frames_each_first_picture_in_its_verdicts_colour() -> None:
    with Image.open(io.BytesIO(draw_bench_grid(shown(), PICTURES))) as grid:
        pixels = np.asarray(grid.convert("RGB"))
    colours = {tuple(map(int, pixel)) for pixel in pixels.reshape(-1, 3)[::7]}
    assert (0x1A, 0x7F, 0x4B) in colours
    assert (0xC4, 0x32, 0x1F) in colours
    many = shown(works=tuple(WorkItem(prompt="a key") for _ in range(100)))
    assert draw_bench_grid(many, PICTURES)
