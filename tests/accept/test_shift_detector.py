"""Shift: what looks otherwise than what was labelled is accepted no more, and says so."""

from functools import cache

import numpy as np
import pytest

from app.accept.calibration import Calibration, calibrate
from app.accept.gate import AcceptanceGate, ModelStyle
from app.accept.risk_bounds import binomial_tail
from app.accept.shift_detector import ALARM, WINDOW, ShiftDetector
from app.plan.schema import AcceptPlan
from app.types import Measure, QualityReport, Verdict
from tests.accept.simulated_world import MODEL, STYLE, SimulatedPicture, SimulatedWorld, labelled

TERMS = AcceptPlan(false_accepts=0.1, confidence=0.9)
SORT = ModelStyle(MODEL, STYLE)
SOON = 100
"""Pictures by which a shift of one standard deviation must have been noticed."""


@cache
def calibrated(seed: int) -> Calibration:
    return calibrate(labelled(SimulatedWorld(seed).pictures(1000)), at="now")


def guard(seed: int) -> AcceptanceGate:
    return AcceptanceGate(TERMS, calibrated(seed), "c" * 64)


def admitted(
    gate: AcceptanceGate, picture: SimulatedPicture, sort: ModelStyle = SORT
) -> QualityReport:
    return gate.apply_accept_limit(
        QualityReport(scores=picture.scores, verdict=Verdict.ACCEPT), sort, picture.key
    )


def test_without_a_shift_alarms_are_no_more_often_than_stated() -> None:
    trials, alarms = 120, 0
    for trial in range(trials):
        draw = np.random.default_rng(trial)
        watch = ShiftDetector({Measure.HALO: draw.random(100), Measure.NOISE: draw.random(100)})
        for _ in range(WINDOW // 2):
            halo, noise, chance = draw.random(3)
            watch.observe({Measure.HALO: halo, Measure.NOISE: noise}, chance)
        alarms += watch.alarmed
    assert binomial_tail(trials - alarms, trials, 1 - 1 / ALARM) > 0.01


def test_equal_scores_are_no_shift() -> None:
    watch = ShiftDetector({Measure.HALO: [0.0] * 50})
    for at in range(300):
        watch.observe({Measure.HALO: 0.0}, (at * 0.618) % 1)
    assert not watch.alarmed


def test_pictures_as_they_were_labelled_go_on_being_accepted() -> None:
    for seed in range(3):
        watching = guard(seed)
        words = [
            admitted(watching, picture).verdict
            for picture in SimulatedWorld(seed).pictures(500, part="as before")
        ]
        assert words.count(Verdict.ACCEPT) > 250
        assert not watching.detectors[SORT].alarmed


@pytest.mark.parametrize("moved", [-0.1, 0.1])
def test_a_shift_ends_acceptance_soon_and_the_reason_says_so(moved: float) -> None:
    for seed in range(3):
        watching = guard(seed)
        shifted = SimulatedWorld(seed, moved=moved).pictures(SOON + 50, part="shifted")
        reports = [admitted(watching, picture) for picture in shifted]
        assert watching.detectors[SORT].alarmed
        assert {report.verdict for report in reports[SOON:]} == {Verdict.REVIEW}
        assert "have not shifted since calibration cccccccccccc" in reports[-1].findings[-1].rule


def test_a_shift_late_in_a_run_is_noticed_as_well() -> None:
    watching = guard(1)
    for picture in SimulatedWorld(1).pictures(WINDOW, part="as before"):
        admitted(watching, picture)
    assert not watching.detectors[SORT].alarmed
    for picture in SimulatedWorld(1, moved=0.1).pictures(SOON, part="shifted"):
        admitted(watching, picture)
    assert watching.detectors[SORT].alarmed


@pytest.mark.parametrize("sort", [ModelStyle("painter/2", STYLE), ModelStyle(MODEL, "style=oil")])
def test_a_new_version_or_style_without_labels_goes_to_people(sort: ModelStyle) -> None:
    watching = guard(2)
    reports = [admitted(watching, picture, sort) for picture in SimulatedWorld(2).pictures(20)]
    assert {report.verdict for report in reports} == {Verdict.REVIEW}
    assert f"images of {sort} were labelled" in reports[0].findings[-1].rule
