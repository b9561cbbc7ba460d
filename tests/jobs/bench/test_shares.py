"""Sharing as the benchmark counts it: virtual figures are exact, missed goals are said."""

from typing import Any

import pytest

from app.engine.engine import Mode
from app.models.sd3 import Sd3Pipeline
from jobs.bench.engine.traces import MAX_ROWS, MODEL_B, CostTable, make_trace
from jobs.bench.harness import show_goals
from jobs.bench.shares.bench import (
    MAX_P95,
    LoadFigure,
    PreviewFigure,
    RealFigure,
    SharesFigures,
    TeamFigure,
    goals,
)
from jobs.bench.shares.real_engine import SharedEngine
from jobs.bench.shares.render import show_shares_figures
from jobs.bench.shares.simulation import simulate_mixed
from tests.engine.engines import LENGTH, engine_of

TEAM = TeamFigure(where="engine", team="ui", weight=1, given=0.17, due=1 / 6)
PREVIEW = PreviewFigure(mode="exact", load=0.1, p50=1.2, p95=1.4, worst_p95=1.5, bulk_loss=0.1)
LOADS = LoadFigure(
    workers=2, as_they_come=73, ordered=8, ordered_kept=8, teams_ordered=9, teams_ordered_kept=8
)
REAL = RealFigure(
    model="tiny/1", mode="exact", previews=8, alone_p50=0.1, alone_p95=0.2, under_bulk_p50=0.2,
    under_bulk_p95=0.25, bulk_alone_row_steps=100, bulk_row_steps=90,
)  # fmt: skip


@pytest.mark.parametrize("mode", ["reproducible", "exact", "fast"])
def test_previews_keep_their_promise_while_bulk_fills_the_rest(mode: Mode) -> None:
    arrivals = make_trace("drafts", seed=3, load=0.1, count=60)
    alone, both = (
        simulate_mixed(arrivals, MODEL_B, mode=mode, bulk=bulk) for bulk in (False, True)
    )
    assert alone.preview_p50 <= both.preview_p50
    assert both.preview_p95 <= MAX_P95 * alone.preview_p95
    capacity = MODEL_B.row_steps_per_second
    asked = sum(arrival.row_steps for arrival in arrivals) / arrivals[-1].at / capacity
    lost = 1 - both.bulk_row_steps_per_second / capacity
    # What previews take, single rows that guidance cannot use, and steps that were not shared.
    assert 0 < lost <= asked + 0.1
    assert alone.bulk_row_steps_per_second == 0
    assert simulate_mixed(arrivals, MODEL_B, mode=mode, bulk=True) == both


def test_a_real_engine_answers_every_preview_and_gives_bulk_the_rest(stock: Any) -> None:
    shared = SharedEngine(engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), MAX_ROWS), 16)
    costs = CostTable(((1, 0.01), (MAX_ROWS, 0.01)))
    arrivals = make_trace("drafts", seed=1, load=0.1, count=4, costs=costs)
    for bulk in (False, True):
        pace = shared.serve(arrivals, bulk=bulk)
        assert sorted(pace.waits) == [0, 1, 2, 3]
        assert min(pace.waits.values()) > 0
        assert (pace.bulk_row_steps > 0) is bulk
    assert shared.serve((), bulk=True, seconds=0.05).bulk_row_steps_per_second > 0
    shared.close()


def test_every_goal_that_is_missed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    reached = list(goals([TEAM], [PREVIEW], [LOADS], REAL))
    assert all(goal.met for goal in reached)
    spoilt = goals(
        [TEAM.replace(given=0.3)],
        [PREVIEW.replace(p95=1.6, bulk_loss=0.2), PREVIEW.replace(load=0.2, p95=9.0)],
        [LOADS.replace(as_they_come=20)],
        REAL.replace(under_bulk_p95=0.5, bulk_row_steps=50),
    )
    missed = [goal for goal in spoilt if not goal.met]
    problems = tuple(goal.text for goal in missed)
    assert len(problems) == len(reached) == 6
    assert "ui was given 30.0% of the engine, 16.7% are due" in problems
    figures = SharesFigures(
        teams=(TEAM,), previews=(PREVIEW,), loads=(LOADS,), real=REAL, missed=problems
    )
    show_shares_figures(figures)
    printed = capsys.readouterr().out
    assert "p95 200 -> 250 ms (1.25); bulk 100 -> 90 row-steps a second (10.0% less)" in printed
    show_goals([*reached, *missed])
    assert capsys.readouterr().out.count("missed:") == 6
    show_goals(reached)
    assert "every goal is met" in capsys.readouterr().out
