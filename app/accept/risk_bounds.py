"""Bounds: how far a limit may be moved so that a rate holds with a stated confidence.

Learn then Test (Angelopoulos et al. 2021): each limit is a hypothesis "beyond the tolerated rate",
tested exactly by the binomial tail. The limits are tested from narrow to wide by the fallback
procedure (Wiens 2003): half of the allowed error probability (`doubt`) is spent where a proof
should be easiest according to the other labels, half where half of the images lie. What a proof
does not use up passes on to the next wider limit. So the probability that any proven limit is
beyond the rate stays below `doubt`, however many limits are tried. Conformal risk control would
bound the rate on average over calibrations; a team has one calibration and needs its bound.
"""

from collections.abc import Sequence
from math import ceil, log1p

import numpy as np

from app.types import Value


class LimitStep(Value):
    """A limit with the labelled images within it.

    `share` is the part of all images expected within the limit, and `expected` the true rate of
    wrong ones there. Both are estimated from other images than those counted.
    """

    at: float
    share: float
    expected: float
    images: int
    wrong: int


def binomial_tail(wrong: int, images: int, rate: float) -> float:
    """Returns the probability of at most `wrong` wrong images at this rate, 0 to 1."""
    if wrong >= images or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    counts = np.arange(1, wrong + 1)
    ratios = np.log((images - counts + 1) / counts) + np.log(rate) - log1p(-rate)
    logs = images * log1p(-rate) + np.concatenate([[0.0], np.cumsum(ratios)])
    return float(min(np.exp(logs).sum(), 1.0))


def rate_upper_bound(wrong: int, images: int, doubt: float) -> float:
    """Returns the rate exceeded with probability `doubt` at most (Clopper and Pearson 1934)."""
    if wrong >= images:
        return 1.0
    low, high = wrong / images, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if binomial_tail(wrong, images, middle) > doubt else (low, middle)
        )
    return high


def reported_rate(rate: float, errors: float) -> float:
    """Returns the rate that reviewers report who err, in either direction, at rate `errors`."""
    return rate * (1 - errors) + (1 - rate) * errors


def true_rate(rate: float, errors: float) -> float:
    """Returns the true rate behind a reported one, 0 to 1."""
    return min(max((rate - errors) / (1 - 2 * errors), 0.0), 1.0)


def min_labels(rate: float, doubt: float, errors: float = 0.0) -> int:
    """Returns the number of labels needed to show that the rate holds, if all of them are good.

    `doubt` is the error probability of a single test.
    """
    reported, low, high = reported_rate(rate, errors), 0, 1
    while binomial_tail(ceil(errors * high), high, reported) > doubt:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = binomial_tail(ceil(errors * middle), middle, reported) <= doubt
        low, high = (low, middle) if enough else (middle, high)
    return high


def loosest_limit(
    steps: Sequence[LimitStep], images: int, *, rate: float, doubt: float, errors: float = 0.0
) -> LimitStep | None:
    """Returns the last step, from narrow to wide, that provably keeps the rate; None: no step does.

    `images` counts all labelled images, within a limit or not. Where the tests begin depends only
    on the expected rates and on this number, never on the labels that are tested.
    """
    reported = reported_rate(rate, errors)

    def foreseen(place: int) -> float:
        within = int(steps[place].share * images)
        return binomial_tail(
            ceil(reported_rate(steps[place].expected, errors) * within), within, reported
        )

    starts = [min(range(len(steps)), key=foreseen, default=0), _median_step(steps)]
    best, carried = None, 0.0
    for place, step in enumerate(steps):
        level = carried + doubt / len(starts) * starts.count(place)
        proven = level > 0 and binomial_tail(step.wrong, step.images, reported) <= level
        best, carried = (step, level) if proven else (best, 0.0)
    return best


def _median_step(steps: Sequence[LimitStep]) -> int:
    """Returns the first step within which half of all images are expected."""
    return next((place for place, step in enumerate(steps) if step.share >= 0.5), 0)
