"""The benchmarks' own paths at tiny size: what they claim to compare, they really run."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite
from time import process_time
from typing import Any

import pytest

from app.models.sd3 import Sd3Pipeline
from jobs.bench.engine.baselines import ModelUnderTest, replay_trace
from jobs.bench.engine.bench import BUCKETS, Extent, bench_engine
from jobs.bench.engine.full_size import TINY, bench_full_size
from jobs.bench.engine.render import show_engine_figures, show_full_size_figures
from jobs.bench.engine.row_counts import COUNTS, measure_row_counts
from jobs.bench.engine.traces import MAX_ROWS, SATURATED, make_trace


@pytest.fixture
def model(stock: Any) -> ModelUnderTest:
    pipeline = Sd3Pipeline(stock, max_sequence_length=8)
    return ModelUnderTest("tiny", pipeline, stock, 16, MAX_ROWS, process_time)


def test_every_contender_runs_and_every_ratio_is_a_number(
    model: ModelUnderTest, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    figures = bench_engine([model], Extent(rounds=1, trace_requests=8), lines.append)
    assert set(figures.curves["tiny"].seconds) == {rows for rows in BUCKETS if rows <= 16}
    assert [(pace.model, pace.guided) for pace in figures.pace] == [("tiny", False), ("tiny", True)]
    assert {(trace.trace, trace.load) for trace in figures.traces} == {
        ("presets", "load 0.5"),
        ("free", "saturated"),
    }
    assert all(trace.images_per_second.median > 0 for trace in figures.traces)
    show_engine_figures(figures)
    printed = capsys.readouterr().out
    assert "request-level" in printed
    assert len(lines) == 5


@pytest.mark.parametrize("load", [0.5, SATURATED])
def test_a_replayed_trace_does_exactly_the_work_it_asks_for(
    model: ModelUnderTest, load: float
) -> None:
    arrivals = make_trace("free", seed=3, load=load, count=12)
    served = replay_trace(model, arrivals, mode="reproducible")
    assert served.row_steps == sum(arrival.row_steps for arrival in arrivals)
    assert max(arrival.steps for arrival in arrivals) <= served.forward_passes
    assert served.forward_passes <= sum(arrival.steps for arrival in arrivals)
    assert all(end > arrival.at for arrival, end in zip(arrivals, served.finished, strict=True))


@pytest.mark.slow
def test_the_full_size_run_goes_its_whole_way(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    figures = bench_full_size(TINY, lines.append)
    assert (figures.failed, figures.skipped) == ((), ())
    sections = {figure.section for figure in figures.figures}
    assert {"ceilings", "unloaded draft", "sd3.5-large 64 compiled"} <= sections
    assert all(isfinite(figure.value) and figure.value >= 0 for figure in figures.figures)
    assert len(lines) == len(figures.figures)
    show_full_size_figures(figures)
    assert "0 sections skipped, 0 failed" in " ".join(capsys.readouterr().out.split())


def test_a_section_that_no_longer_fits_is_skipped_and_said() -> None:
    def late() -> Iterator[float]:
        yield 0.0
        while True:
            yield 530.0

    clock = late()
    lines: list[str] = []
    figures = bench_full_size(TINY, lines.append, clock=lambda: next(clock))
    assert figures.figures == ()
    assert figures.skipped[0] == "skipped ceilings: takes 20 s, 10 left"
    assert lines == list(figures.skipped)


def test_a_section_that_fails_is_told_and_stops_no_other() -> None:
    broken = replace(TINY, device="nowhere")
    figures = bench_full_size(broken, lambda line: None)
    assert figures.failed[0].startswith("failed ceilings: RuntimeError")
    assert any("has no curve" in line for line in figures.failed)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; sys.modules['ray'] = None\n" + code],
        capture_output=True, text=True, check=False,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def test_the_benchmarks_need_no_ray() -> None:
    done = run("import jobs.bench.engine.bench, jobs.bench.engine.full_size; print('loaded')")
    assert done.stdout.strip() == "loaded", done.stderr


def test_without_a_gpu_the_remedy_is_named() -> None:
    done = run("from jobs.bench.commands import dev; dev(['bench-engine', '--full-size'])")
    assert done.returncode == 2
    assert "run it on a machine with CUDA" in done.stderr


@pytest.mark.slow
def test_row_counts_are_classed_by_their_bits_and_the_proof_keeps_to_one_class() -> None:
    figures = measure_row_counts(threads=1, rounds=1)
    assert sorted(count for counts in figures.classes for count in counts) == list(COUNTS)
    (budgets_class,) = (counts for counts in figures.classes if figures.exact_rows[-1] in counts)
    assert {*figures.exact_rows} <= {*budgets_class}
    assert figures.micro_batches > 0 < figures.fixed_budget
