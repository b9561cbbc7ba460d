"""The scheduler on committed traces in virtual time: no clock, so the numbers are exact."""

from collections.abc import Callable
from functools import cache
from statistics import fmean

import pytest

from jobs.bench.engine.simulated_policies import (
    TraceResult,
    batch_seconds,
    serve_request_level,
    serve_sequentially,
    serve_static_batches,
    serve_stepwise,
)
from jobs.bench.engine.traces import (
    MAX_ROWS,
    MODEL_B,
    SATURATED,
    TRACE_KINDS,
    TraceKind,
    make_trace,
)

SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)
MODES = ("reproducible", "fast")
RUN = batch_seconds(MODEL_B)
POLICIES: dict[str, Callable[[TraceKind, int, float], TraceResult]] = {
    "sequential": lambda kind, seed, load: serve_sequentially(
        make_trace(kind, seed=seed, load=load), RUN
    ),
    "request_level": lambda kind, seed, load: serve_request_level(
        make_trace(kind, seed=seed, load=load), RUN
    ),
    "keyed_static": lambda kind, seed, load: serve_static_batches(
        make_trace(kind, seed=seed, load=load), RUN
    ),
    "reproducible": lambda kind, seed, load: serve_stepwise(
        make_trace(kind, seed=seed, load=load), MODEL_B, mode="reproducible"
    ),
    "fast": lambda kind, seed, load: serve_stepwise(
        make_trace(kind, seed=seed, load=load), MODEL_B, mode="fast"
    ),
}


@cache
def served(policy: str, kind: TraceKind, seed: int, load: float) -> TraceResult:
    return POLICIES[policy](kind, seed, load)


def ratio(mode: str, figure: str, kind: TraceKind, load: float, *, against: str) -> float:
    """A figure of the engine as a share of another policy's, the mean over all seeds."""
    return fmean(
        getattr(served(mode, kind, seed, load), figure)
        / getattr(served(against, kind, seed, load), figure)
        for seed in SEEDS
    )


@pytest.mark.parametrize("mode", MODES)
def test_drafts_do_not_wait_behind_polish(mode: str) -> None:
    assert ratio(mode, "mean", "presets", 0.5, against="keyed_static") <= 0.65
    assert ratio(mode, "draft_p95", "presets", 0.5, against="keyed_static") <= 0.3


@pytest.mark.parametrize("mode", MODES)
def test_free_parameters_do_not_empty_the_batch(mode: str) -> None:
    assert ratio(mode, "images_per_second", "free", SATURATED, against="keyed_static") >= 1.05
    assert ratio(mode, "images_per_second", "free", SATURATED, against="request_level") >= 1.8


def test_nothing_is_lost_where_whole_batches_are_ideal() -> None:
    for mode in MODES:
        assert ratio(
            mode, "images_per_second", "drafts", SATURATED, against="keyed_static"
        ) == pytest.approx(1)
    assert ratio("fast", "mean", "drafts", 0.5, against="keyed_static") <= 1.0


def test_padding_is_what_reproducible_images_cost() -> None:
    """At low load a step costs what a full one costs; mode fast does not pay that."""
    assert 1.1 <= ratio("reproducible", "mean", "drafts", 0.3, against="keyed_static") <= 1.4


@pytest.mark.parametrize(
    ("kind", "load", "row_steps", "forward_passes"),
    [
        ("drafts", 0.5, 3200, (3200, 952, 952, 631, 730)),
        ("drafts", SATURATED, 3200, (3200, 400, 400, 400, 400)),
        ("presets", 0.5, 8720, (5436, 3112, 2816, 1697, 1983)),
        ("presets", SATURATED, 8720, (5436, 2292, 1100, 1100, 1100)),
        ("free", 0.5, 11369, (7543, 7269, 6596, 2140, 2386)),
        ("free", SATURATED, 11369, (7543, 7340, 2108, 1440, 1440)),
    ],
)
def test_the_work_done_is_exact(
    kind: TraceKind, load: float, row_steps: int, forward_passes: tuple[int, ...]
) -> None:
    made = [served(policy, kind, 1, load) for policy in POLICIES]
    assert {result.row_steps for result in made} == {row_steps}
    assert tuple(result.forward_passes for result in made) == forward_passes


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("load", [0.5, SATURATED])
def test_nobody_is_forgotten_or_served_before_the_work_can_be_done(
    policy: str, load: float
) -> None:
    made = served(policy, "free", 1, load)
    assert len(made.finished) == len(made.arrivals) == 400
    for arrival, end in zip(made.arrivals, made.finished, strict=True):
        assert end - arrival.at >= arrival.steps * MODEL_B.seconds(arrival.rows) - 1e-9


@pytest.mark.parametrize("kind", TRACE_KINDS)
def test_a_trace_brings_the_load_it_claims(kind: TraceKind) -> None:
    def load(seed: int) -> float:
        arrivals = make_trace(kind, seed=seed, load=0.5)
        work = sum(arrival.row_steps for arrival in arrivals)
        return work / (arrivals[-1].at * MODEL_B.row_steps_per_second)

    assert fmean(load(seed) for seed in SEEDS) == pytest.approx(0.5, rel=0.1)


def test_load_stretches_time_and_changes_nothing_else() -> None:
    slow, fast = (make_trace("free", seed=1, load=load) for load in (0.3, 0.6))
    assert [arrival.at for arrival in slow] == pytest.approx([2 * arrival.at for arrival in fast])
    assert [(arrival.steps, arrival.guided) for arrival in slow] == [
        (arrival.steps, arrival.guided) for arrival in fast
    ]


def test_a_cost_is_read_straight_between_the_measured_rows() -> None:
    assert [MODEL_B.seconds(rows) for rows, _ in MODEL_B.points] == pytest.approx(
        [seconds for _, seconds in MODEL_B.points]
    )
    assert MODEL_B.seconds(3) == pytest.approx((0.0161 + 0.0215) / 2)
    assert MODEL_B.seconds(24) == pytest.approx(2 * 0.0544 - 0.0321)
    assert MODEL_B.row_steps_per_second == pytest.approx(MAX_ROWS / 0.0321)
