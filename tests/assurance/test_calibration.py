"""Calibrations: the promised rate holds on other pictures, and too few labels promise nothing."""

import random
from functools import cache

import numpy as np
import pytest

from app.accept.calibration import Calibration, calibrate
from app.accept.labels import fair, lot
from app.accept.risk_bounds import fewest, tail
from app.accept.risk_model import learn
from app.types import Measure
from tests.assurance.worlds import World, labelled

RESAMPLES = 20
CONFIDENCE = 0.9


@cache
def resample(seed: int, labels: int) -> tuple[Calibration, np.ndarray, np.ndarray]:
    """A calibration with the risks of other pictures, and which of them are bad."""
    world = World(seed)
    found = calibrate(labelled(world.pictures(labels)), at="now")
    others = world.pictures(4000, part="held out")
    risks = [found.ordering.risk(one.scores) for one in others]
    return found, np.array(risks, np.float64), np.array([one.bad for one in others])


@pytest.mark.parametrize("labels", [300, 1000])
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_held_out_false_accepts_exceed_the_rate_no_more_often_than_the_confidence_allows(
    rate: float, labels: int
) -> None:
    exceeded = 0
    for seed in range(RESAMPLES):
        found, risks, bad = resample(seed, labels)
        limit = found.limits(rate, CONFIDENCE, 0.05).accept
        accepted = risks <= (-1 if limit is None else limit)
        exceeded += bool(accepted.any() and bad[accepted].mean() > rate)
    assert tail(RESAMPLES - exceeded, RESAMPLES, CONFIDENCE) > 0.01


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_held_out_false_rejects_exceed_the_rate_no_more_often_either(rate: float) -> None:
    exceeded = 0
    for seed in range(RESAMPLES):
        found, risks, bad = resample(seed, 1000)
        limit = found.limits(0.05, CONFIDENCE, rate).reject
        refused = risks >= (2 if limit is None else limit)
        exceeded += bool(refused.any() and (~bad[refused]).mean() > rate)
    assert tail(RESAMPLES - exceeded, RESAMPLES, CONFIDENCE) > 0.01


def test_with_enough_labels_most_is_accepted_alone_and_with_more_no_less_is_on_average() -> None:
    shares = [
        np.mean([resample(seed, n)[0].limits(0.1, 0.9, 0.05).accepted for seed in range(RESAMPLES)])
        for n in (300, 1000)
    ]
    assert 0.5 < shares[0] <= shares[1]


def test_too_few_labels_accept_nothing_and_say_how_many_are_missing() -> None:
    found = calibrate(labelled(World(3).pictures(60)), at="now")
    limits = found.limits(0.01, CONFIDENCE, 0.01)
    assert (limits.accept, limits.reject, limits.people) == (None, None, 1.0)
    assert limits.missing == fewest(0.01, 1 - CONFIDENCE) - found.counted > 0


def test_faultless_labels_suffice_at_exactly_the_number_that_was_said_to_be_missing() -> None:
    good = [one for one in World(4).pictures(700) if not one.bad]
    found = calibrate(labelled(good), at="now")
    assert found.counted >= fewest(0.01, 1 - CONFIDENCE)
    limits = found.limits(0.01, CONFIDENCE, 0.05)
    assert limits.missing == 0
    assert limits.accepted == 1.0


def test_the_order_of_the_labels_plays_no_part() -> None:
    given = labelled(World(5).pictures(400))
    shuffled = random.Random(5).sample(given, len(given))
    assert calibrate(shuffled, at="now") == calibrate(given, at="now")


def test_a_calibration_comes_through_json_whole() -> None:
    found = calibrate(labelled(World(6).pictures(400)), at="now", errors=0.05)
    assert Calibration.model_validate_json(found.model_dump_json()) == found


def test_what_was_picked_teaches_but_sets_no_limit() -> None:
    world = World(7)
    picked = [one for one in world.pictures(2000) if not one.bad]
    found = calibrate(labelled(picked, fair=False), at="now")
    assert found.counted == 0
    assert found.limits(0.5, 0.5, 0.5).accept is None


def test_a_score_that_was_never_missing_leaves_the_risk_unknown() -> None:
    rows = [one.scores for one in World(8).pictures(200)]
    bad = [one.bad for one in World(8).pictures(200)]
    ordering = learn(rows, bad)
    assert ordering.risk({}) is None
    whole = ordering.risk(rows[0])
    assert whole is not None
    lacking = [row if at % 3 else {k: v for k, v in row.items() if k is not Measure.HALO}
        for at, row in enumerate(rows)]  # fmt: skip
    assert learn(lacking, bad).risk(lacking[0]) is not None


def test_what_is_labelled_without_a_gap_from_the_front_of_the_lots_is_fair() -> None:
    keys = [one.key for one in World(9).pictures(200)]
    ordered = sorted(keys, key=lot)
    assert fair(keys, set(ordered[:50]) | set(ordered[51:90])) == set(ordered[:50])
    assert fair(keys, set(keys)) == set(keys)
    assert fair(keys, set(ordered[1:])) == frozenset()
