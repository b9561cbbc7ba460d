"""Bounds: how far a limit may be moved so that a rate holds with a stated confidence.

Learn then Test (Angelopoulos et al. 2021): each limit is a hypothesis "beyond the tolerated rate",
tested exactly by the binomial tail. They are tested from narrow to wide by the fallback procedure
(Wiens 2003): half of the doubt is spent where a proof should be easiest, by what the other labels
taught, half where half of the pictures lie, and what a proof has not used up passes on to the next
wider limit. So the chance that any limit proven is beyond the rate stays below the doubt, however
many are tried. Conformal risk control would bound the rate on average over calibrations; a team has
one calibration and asks about that.
"""

from collections.abc import Sequence
from math import ceil, log1p

import numpy as np

from app.types import Value


class LimitStep(Value):
    """A limit with the labelled pictures within it.

    `share` is the part of all that was expected within, and `expected` the true rate of wrong ones
    there, by other pictures than those counted.
    """

    at: float
    share: float
    expected: float
    images: int
    wrong: int


def binomial_tail(wrong: int, images: int, rate: float) -> float:
    """The chance of at most so many wrong ones at this rate, 0 to 1."""
    if wrong >= images or rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    counts = np.arange(1, wrong + 1)
    ratios = np.log((images - counts + 1) / counts) + np.log(rate) - log1p(-rate)
    logs = images * log1p(-rate) + np.concatenate([[0.0], np.cumsum(ratios)])
    return float(min(np.exp(logs).sum(), 1.0))


def rate_upper_bound(wrong: int, images: int, doubt: float) -> float:
    """The rate that is exceeded with no more than this doubt (Clopper and Pearson 1934)."""
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
    """The rate that reviewers report who err, either way, at the rate `errors`."""
    return rate * (1 - errors) + (1 - rate) * errors


def true_rate(rate: float, errors: float) -> float:
    """The rate behind a reported one."""
    return min(max((rate - errors) / (1 - 2 * errors), 0.0), 1.0)


def min_labels(rate: float, doubt: float, errors: float = 0.0) -> int:
    """Labelled pictures below which the rate cannot be shown to hold, were all of them good.

    `doubt` is what a single test may spend.
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
    """The last of the steps, from narrow to wide, that surely keeps the rate; None: none does.

    `images` are all those labelled, within a limit or not. Where the tests begin follows from what
    was expected and from this number alone, never from the labels that are tested.
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
    """The first step within which half of all is expected."""
    return next((place for place, step in enumerate(steps) if step.share >= 0.5), 0)
