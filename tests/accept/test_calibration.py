"""Calibrations: the promised rate holds on other pictures, and too few labels promise nothing."""

import random
from functools import cache

import numpy as np
import pytest

from app.accept.calibration import Calibration, calibrate
from app.accept.labels import random_prefix, sampling_key
from app.accept.risk_bounds import binomial_tail, min_labels
from app.accept.risk_model import fit_risk_model
from app.types import Measure
from tests.accept.simulated_world import SimulatedWorld, labelled

RESAMPLES = 20
CONFIDENCE = 0.9


@cache
def resample(seed: int, labels: int) -> tuple[Calibration, np.ndarray, np.ndarray]:
    """A calibration with the risks of other pictures, and which of them are bad."""
    world = SimulatedWorld(seed)
    calibration = calibrate(labelled(world.pictures(labels)), at="now")
    others = world.pictures(4000, part="held out")
    risks = [calibration.ordering.risk(picture.scores) for picture in others]
    return calibration, np.array(risks, np.float64), np.array([image.bad for image in others])


@pytest.mark.parametrize("labels", [300, 1000])
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_held_out_false_accepts_exceed_the_rate_no_more_often_than_the_confidence_allows(
    rate: float, labels: int
) -> None:
    exceeded = 0
    for seed in range(RESAMPLES):
        calibration, risks, bad = resample(seed, labels)
        limit = calibration.limits(rate, CONFIDENCE, 0.05).accept
        accepted = risks <= (-1 if limit is None else limit)
        exceeded += bool(accepted.any() and bad[accepted].mean() > rate)
    assert binomial_tail(RESAMPLES - exceeded, RESAMPLES, CONFIDENCE) > 0.01


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_held_out_false_rejects_exceed_the_rate_no_more_often_either(rate: float) -> None:
    exceeded = 0
    for seed in range(RESAMPLES):
        calibration, risks, bad = resample(seed, 1000)
        limit = calibration.limits(0.05, CONFIDENCE, rate).reject
        refused = risks >= (2 if limit is None else limit)
        exceeded += bool(refused.any() and (~bad[refused]).mean() > rate)
    assert binomial_tail(RESAMPLES - exceeded, RESAMPLES, CONFIDENCE) > 0.01


def test_with_enough_labels_most_is_accepted_alone_and_with_more_no_less_is_on_average() -> None:
    shares = [
        np.mean([resample(seed, n)[0].limits(0.1, 0.9, 0.05).accepted for seed in range(RESAMPLES)])
        for n in (300, 1000)
    ]
    assert 0.5 < shares[0] <= shares[1]


def test_too_few_labels_accept_nothing_and_say_how_many_are_missing() -> None:
    calibration = calibrate(labelled(SimulatedWorld(3).pictures(60)), at="now")
    limits = calibration.limits(0.01, CONFIDENCE, 0.01)
    assert (limits.accept, limits.reject, limits.review_share) == (None, None, 1.0)
    assert limits.missing == min_labels(0.01, 1 - CONFIDENCE) - calibration.counted > 0


def test_faultless_labels_suffice_at_exactly_the_number_that_was_said_to_be_missing() -> None:
    good = [picture for picture in SimulatedWorld(4).pictures(700) if not picture.bad]
    calibration = calibrate(labelled(good), at="now")
    assert calibration.counted >= min_labels(0.01, 1 - CONFIDENCE)
    limits = calibration.limits(0.01, CONFIDENCE, 0.05)
    assert limits.missing == 0
    assert limits.accepted == 1.0


def test_the_order_of_the_labels_plays_no_part() -> None:
    given = labelled(SimulatedWorld(5).pictures(400))
    shuffled = random.Random(5).sample(given, len(given))
    assert calibrate(shuffled, at="now") == calibrate(given, at="now")


def test_a_calibration_comes_through_json_whole() -> None:
    calibration = calibrate(labelled(SimulatedWorld(6).pictures(400)), at="now", errors=0.05)
    assert Calibration.model_validate_json(calibration.model_dump_json()) == calibration


def test_what_was_picked_teaches_but_sets_no_limit() -> None:
    world = SimulatedWorld(7)
    picked = [picture for picture in world.pictures(2000) if not picture.bad]
    calibration = calibrate(labelled(picked, fair=False), at="now")
    assert calibration.counted == 0
    assert calibration.limits(0.5, 0.5, 0.5).accept is None


def test_a_score_that_was_never_missing_leaves_the_risk_unknown() -> None:
    rows = [picture.scores for picture in SimulatedWorld(8).pictures(200)]
    bad = [picture.bad for picture in SimulatedWorld(8).pictures(200)]
    ordering = fit_risk_model(rows, bad)
    assert ordering.risk({}) is None
    whole = ordering.risk(rows[0])
    assert whole is not None
    lacking = [row if at % 3 else {k: v for k, v in row.items() if k is not Measure.HALO}
        for at, row in enumerate(rows)]  # fmt: skip
    assert fit_risk_model(lacking, bad).risk(lacking[0]) is not None


def test_what_is_labelled_without_a_gap_from_the_front_of_the_lots_is_fair() -> None:
    keys = [picture.key for picture in SimulatedWorld(9).pictures(200)]
    ordered = sorted(keys, key=sampling_key)
    assert random_prefix(keys, set(ordered[:50]) | set(ordered[51:90])) == set(ordered[:50])
    assert random_prefix(keys, set(keys)) == set(keys)
    assert random_prefix(keys, set(ordered[1:])) == frozenset()
