"""Shift: what looks otherwise than what was labelled is accepted no more, and says so."""

from functools import cache

import numpy as np
import pytest

from app.accept.calibration import Calibration, calibrate
from app.accept.gate import Guard, Sort
from app.accept.risk_bounds import tail
from app.accept.shift_detector import ALARM, WINDOW, Watch
from app.plan.schema import AcceptPlan
from app.types import Measure, QualityReport, Verdict
from tests.assurance.worlds import MODEL, STYLE, Picture, World, labelled

TERMS = AcceptPlan(false_accepts=0.1, confidence=0.9)
SORT = Sort(MODEL, STYLE)
SOON = 100
"""Pictures by which a shift of one standard deviation must have been noticed."""


@cache
def calibrated(seed: int) -> Calibration:
    return calibrate(labelled(World(seed).pictures(1000)), at="now")


def guard(seed: int) -> Guard:
    return Guard(TERMS, calibrated(seed), "c" * 64)


def admitted(guard: Guard, picture: Picture, sort: Sort = SORT) -> QualityReport:
    return guard.admit(
        QualityReport(scores=picture.scores, verdict=Verdict.ACCEPT), sort, picture.key
    )


def test_without_a_shift_alarms_are_no_more_often_than_stated() -> None:
    trials, alarms = 120, 0
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        watch = Watch({Measure.HALO: draw.random(100), Measure.NOISE: draw.random(100)})
        for _ in range(WINDOW // 2):
            halo, noise, chance = draw.random(3)
            watch.see({Measure.HALO: halo, Measure.NOISE: noise}, chance)
        alarms += watch.alarmed
    assert tail(trials - alarms, trials, 1 - 1 / ALARM) > 0.01


def test_equal_scores_are_no_shift() -> None:
    watch = Watch({Measure.HALO: [0.0] * 50})
    for at in range(300):
        watch.see({Measure.HALO: 0.0}, (at * 0.618) % 1)
    assert not watch.alarmed


def test_pictures_as_they_were_labelled_go_on_being_accepted() -> None:
    for seed in range(3):
        watching = guard(seed)
        words = [
            admitted(watching, one).verdict for one in World(seed).pictures(500, part="as before")
        ]
        assert words.count(Verdict.ACCEPT) > 250
        assert not watching.watches[SORT].alarmed


@pytest.mark.parametrize("moved", [-0.1, 0.1])
def test_a_shift_ends_acceptance_soon_and_the_reason_says_so(moved: float) -> None:
    for seed in range(3):
        watching = guard(seed)
        shifted = World(seed, moved=moved).pictures(SOON + 50, part="shifted")
        reports = [admitted(watching, one) for one in shifted]
        assert watching.watches[SORT].alarmed
        assert {report.verdict for report in reports[SOON:]} == {Verdict.REVIEW}
        assert "have not shifted since calibration cccccccccccc" in reports[-1].findings[-1].rule


def test_a_shift_late_in_a_run_is_noticed_as_well() -> None:
    watching = guard(1)
    for one in World(1).pictures(WINDOW, part="as before"):
        admitted(watching, one)
    assert not watching.watches[SORT].alarmed
    for one in World(1, moved=0.1).pictures(SOON, part="shifted"):
        admitted(watching, one)
    assert watching.watches[SORT].alarmed


@pytest.mark.parametrize("sort", [Sort("painter/2", STYLE), Sort(MODEL, "style=oil")])
def test_a_new_version_or_style_without_labels_goes_to_people(sort: Sort) -> None:
    watching = guard(2)
    reports = [admitted(watching, one, sort) for one in World(2).pictures(20)]
    assert {report.verdict for report in reports} == {Verdict.REVIEW}
    assert f"pictures of {sort} were labelled" in reports[0].findings[-1].rule
