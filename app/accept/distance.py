"""Distance: how different the outputs of two releases are, as one number with its uncertainty.

The Fréchet distance of two normal distributions (Dowson and Landau 1982; Heusel et al. 2017 for
image features) over standardised measures. With few images it is biased upwards, because every
covariance estimated from a sample has noise of its own. So it is reported beside the distance of
random halves of the pooled images, which is what the number of images alone produces.
"""

from collections.abc import Sequence

import numpy as np

from app.accept.drift import Row
from app.accept.risk_model import Floats
from app.types import Value

MIN_IMAGES = 20
"""Images needed on either side."""
_RESAMPLES = 300


class FrechetDistance(Value):
    """The distance between two sets of images."""

    first: int
    second: int
    measures: tuple[str, ...]
    distance: float
    """Squared, in pooled standard deviations: 0 is identical."""
    low: float
    high: float
    """`low` and `high` hold 95% of the bootstrap samples, which have the same bias upwards."""
    by_chance: float
    """The mean distance of random halves: what so few images give without any difference."""
    chance: float
    """The share of random halves that are as far apart, 0 to 1; small: a real difference."""


def measure_distance(
    first: Sequence[Row], second: Sequence[Row], *, seed: int = 0
) -> FrechetDistance:
    """Returns the distance over the measures that every image has; the same seed, the same result.

    Raises ValueError for fewer than `MIN_IMAGES` images on a side.
    """
    if min(len(first), len(second)) < MIN_IMAGES:
        raise ValueError(
            f"{len(first)} and {len(second)} images are too few to compare; "
            f"give at least {MIN_IMAGES} each"
        )
    names = sorted(set.intersection(*(set(row) for row in (*first, *second))))
    both = np.array([[row[name] for name in names] for row in (*first, *second)], np.float64)
    spread = both.std(axis=0)
    names = [name for name, deviation in zip(names, spread, strict=True) if deviation > 0]
    both = (both[:, spread > 0] - both[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    ours, theirs = both[: len(first)], both[len(first) :]
    observed, rng = squared_frechet(ours, theirs), np.random.default_rng(seed)
    again = [
        squared_frechet(_resample(ours, rng), _resample(theirs, rng)) for _ in range(_RESAMPLES)
    ]
    mixed = [rng.permutation(both) for _ in range(_RESAMPLES)]
    halves = [squared_frechet(sample[: len(first)], sample[len(first) :]) for sample in mixed]
    low, high = np.quantile(again, [0.025, 0.975])
    return FrechetDistance(
        first=len(first),
        second=len(second),
        measures=tuple(names),
        distance=observed,
        low=float(low),
        high=float(high),
        by_chance=float(np.mean(halves)),
        chance=(1 + sum(half >= observed for half in halves)) / (1 + _RESAMPLES),
    )


def squared_frechet(first: Floats, second: Floats) -> float:
    """Returns the squared Fréchet distance of the normal distributions of two samples [n, k]."""
    if not first.shape[1]:
        return 0.0
    apart = first.mean(axis=0) - second.mean(axis=0)
    covariance, other = (np.atleast_2d(np.cov(side, rowvar=False)) for side in (first, second))
    root = _matrix_square_root(covariance)
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    return float(max(apart @ apart + np.trace(covariance) + np.trace(other) - 2 * shared, 0.0))


def _matrix_square_root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def _resample(rows: Floats, rng: np.random.Generator) -> Floats:
    drawn: Floats = rows[rng.integers(0, len(rows), len(rows))]
    return drawn
