"""Rounds of review: what they count, and a world of defects as labels at the door."""

from pathlib import Path

import pytest

from app.accept.calibrate import file_labels
from app.accept.risk_model import own_scores
from app.errors import InvalidRequest
from jobs.bench.checks.bench import starter_critic
from jobs.bench.review.bench import PooledImage, ReviewFigures, ReviewSettings, run_rounds
from jobs.bench.review.render import review_goals, show_review_figures
from jobs.train.defects.judging import SampleJudge
from jobs.train.defects.labels import mixed_samples, write_labels
from jobs.train.defects.world import CONTROL, WorldExtent
from tests.accept.simulated_world import SimulatedWorld
from tests.cli.test_main import home, run_json

__all__ = ["home"]
SETTING = ReviewSettings(pictures=4000, each=800, resamples=4, errors=0.05, false_accepts=0.08)


@pytest.fixture(scope="module")
def figures() -> ReviewFigures:
    pictures = SimulatedWorld(3).pictures(SETTING.pictures)
    return run_rounds(
        [PooledImage(picture.key, own_scores(picture.scores), picture.bad) for picture in pictures],
        SETTING,
    )


def test_less_is_left_for_people_with_every_round_at_the_stated_rate(
    figures: ReviewFigures,
) -> None:
    assert [round_figures.number for round_figures in figures.rounds] == [1, 2, 3]
    assert figures.rounds[0].people == 1
    assert figures.share_falls
    assert figures.within_rate
    last = figures.rounds[-1]
    assert last.accepted > 0.2
    assert last.held_out is not None
    assert last.escapes is not None
    assert last.held_out <= SETTING.false_accepts
    assert last.escapes <= SETTING.false_accepts


def test_more_resamples_beyond_the_rate_than_the_confidence_allows_are_told(
    figures: ReviewFigures, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = figures.rounds[-1].replace(beyond=4)
    worse = figures.replace(rounds=(*figures.rounds[:-1], spoilt))
    assert not worse.within_rate
    assert [goal.met for goal in review_goals(figures)] == [True, True]
    missed = [goal.text for goal in review_goals(worse) if not goal.met]
    assert missed == ["the rate of false accepts is kept"]
    show_review_figures(worse)
    assert f"4 of {SETTING.resamples}" in capsys.readouterr().out


def test_a_mixed_world_is_mostly_good_and_the_same_again() -> None:
    once, again = (list(mixed_samples(41, 60, share_bad=0.3)) for _ in range(2))
    assert [made.spoilt.data for made in once] == [made.spoilt.data for made in again]
    spoilt = [made.sample.defect for made in once if made.sample.defect != CONTROL]
    assert 8 <= len(spoilt) <= 28
    assert len(set(spoilt)) > 5


def test_a_world_of_defects_becomes_a_calibration_at_the_door(home: Path) -> None:
    file, extent = home / "labels.jsonl", WorldExtent(count=1, controls=40, texts=0, painted=False)
    written = write_labels(file, extent, SampleJudge(starter_critic()))
    labelled = file_labels(file)
    assert len(labelled) == written.good + written.bad > 100
    assert sum(label.passed for label in labelled) == written.passed
    assert {label.model for label in labelled} >= {"drawn"}
    answer = run_json("checks", "calibrate", "--from", str(file), "--false-accepts", "0.3")
    assert answer["labels"] == len(labelled)
    with pytest.raises(InvalidRequest, match="already exists"):
        write_labels(file, extent, SampleJudge(starter_critic()))
