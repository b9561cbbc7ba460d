"""Drift: whether the images of a run differ from earlier ones, image by image.

An exponentially weighted moving average of each measure (EWMA; Roberts 1959, Lucas and Saccucci
1990) within bands. Scores are not normally distributed, so each is first replaced by its rank in
the reference window, as a normal score (median 0, spread 1). The width of the bands is simulated
from the reference itself: runs of this length are drawn from it, each with a freshly drawn window,
and in all but FALSE_ALARMS of them no measure leaves its band.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from app.accept.risk_model import Floats
from app.types import Value

WEIGHT = 0.05
"""Weight of the newest image: the average covers about the last twenty, so small drifts add up."""
FALSE_ALARMS = 0.05
"""The share of runs without any change in which some measure leaves its band."""
MIN_IMAGES = 100
"""Images needed in a reference; with fewer, bands would be a guess."""
_SIMULATIONS, _SIMULATIONS_AT_ONCE = 200, 20
_PATH_POINTS = 40

Row = Mapping[str, float]


class MeasureDrift(Value):
    """One measure over a run: its average, in reference spreads, and when it left the band."""

    measure: str
    middle: float
    """Its median in the reference, in its own unit."""
    spread: float
    """Spread of the reference: 1.4826 times the median absolute deviation from the median."""
    now: float
    """Its median over the last images of the run, as many as the average covers."""
    path: tuple[float, ...]
    """The moving average along the run, at most forty points; the band is in the report."""
    left_at: int | None
    """Number of images after which it first left the band; None: it never did."""


class DriftReport(Value):
    """The comparison of a run with a reference window."""

    images: int
    reference: int
    band: float
    """The limit of the averages on either side, in spreads."""
    false_alarms: float
    wanders: tuple[MeasureDrift, ...]
    """Every measure; those that left the band come first, the earliest at the front."""

    @property
    def drifted(self) -> tuple[MeasureDrift, ...]:
        """Returns the measures that left their band."""
        return tuple(
            measure_drift for measure_drift in self.wanders if measure_drift.left_at is not None
        )


def drift(reference: Sequence[Row], run: Sequence[Row], *, seed: int = 0) -> DriftReport:
    """Compares a run's images, in their order, with a reference, in the measures that both have.

    A missing number counts as the smallest. The same seed gives the same report. Raises ValueError
    for a reference of fewer than `MIN_IMAGES` images, or an empty run.
    """
    if len(reference) < MIN_IMAGES or not run:
        raise ValueError(
            f"{len(reference)} images to compare {len(run)} with are too few; "
            f"give {MIN_IMAGES} and 1"
        )
    names = sorted({name for row in reference for name in row} & {n for row in run for n in row})
    before, now = _table(reference, names), _table(run, names)
    moving = [at for at in range(len(names)) if np.ptp(before[:, at]) or np.ptp(now[:, at])]
    names, before, now = [names[at] for at in moving], before[:, moving], now[:, moving]
    rng = np.random.default_rng([seed, len(reference), len(run)])
    band = _band(before, len(run), rng)
    path = _moving_averages(_normal_scores(before, now, rng))
    wanders = [_measure_drift(names[at], before[:, at], now[:, at], path[:, at], band)
               for at in range(len(names))]  # fmt: skip
    return DriftReport(
        images=len(run),
        reference=len(reference),
        band=band,
        false_alarms=FALSE_ALARMS,
        wanders=tuple(sorted(wanders, key=_first_exit)),
    )


def _first_exit(measure_drift: MeasureDrift) -> tuple[float, float]:
    left = float("inf") if measure_drift.left_at is None else float(measure_drift.left_at)
    return left, -max(map(abs, measure_drift.path))


def _table(rows: Sequence[Row], names: Sequence[str]) -> Floats:
    lowest = {name: min(row[name] for row in rows if name in row) for name in names}
    return np.array([[row.get(name, lowest[name]) for name in names] for row in rows], np.float64)


def _normal_scores(before: Floats, now: Floats, rng: np.random.Generator) -> Floats:
    """Returns each number's rank in `before` as a normal score; ties are ordered at random."""
    count = len(before)
    scores = np.empty(now.shape)
    for at in range(now.shape[1]):
        ordered = np.sort(before[:, at])
        low = np.searchsorted(ordered, now[:, at], "left")
        high = np.searchsorted(ordered, now[:, at], "right")
        scores[:, at] = (low + rng.random(len(now)) * (high - low + 1)) / (count + 1)
    # Beyond the range of the window all numbers count the same.
    return _probit(np.clip(scores, 0.5 / (count + 1), 1 - 0.5 / (count + 1)))


def _probit(shares: Floats) -> Floats:
    """Returns the inverse normal distribution function from a table, accurate to about 1e-4."""
    grid = np.linspace(-5, 5, 20_001)
    density = np.exp(-(grid**2) / 2)
    below = np.cumsum(density) / density.sum()
    return np.interp(shares, below, grid)


def _moving_averages(scores: Floats) -> Floats:
    """Returns the moving averages [images, measures], starting from 0."""
    path, at = np.empty(scores.shape), np.zeros(scores.shape[1])
    for place, row in enumerate(scores):
        at = (1 - WEIGHT) * at + WEIGHT * row
        path[place] = at
    return path


def _band(before: Floats, images: int, rng: np.random.Generator) -> float:
    """Returns the limit that runs drawn from the reference leave in FALSE_ALARMS of all cases."""
    if not before.shape[1]:
        return 0.0
    furthest: list[float] = []
    for _ in range(_SIMULATIONS // _SIMULATIONS_AT_ONCE):
        drawn = [_simulated_runs(before, images, rng) for _ in range(_SIMULATIONS_AT_ONCE)]
        path = np.abs(_moving_averages(np.concatenate(drawn, axis=1))).max(axis=0)
        furthest += map(float, path.reshape(_SIMULATIONS_AT_ONCE, -1).max(axis=1))
    return float(np.quantile(furthest, 1 - FALSE_ALARMS, method="higher"))


def _simulated_runs(before: Floats, images: int, rng: np.random.Generator) -> Floats:
    """Returns the normal scores of a run without any change, ranked in a freshly drawn window."""
    window = before[rng.integers(0, len(before), len(before))]
    return _normal_scores(window, before[rng.integers(0, len(before), images)], rng)


def _measure_drift(
    name: str, before: Floats, now: Floats, path: Floats, band: float
) -> MeasureDrift:
    middle = float(np.median(before))
    beyond = np.flatnonzero(np.abs(path) > band)
    places = np.unique(
        np.linspace(0, len(path) - 1, min(_PATH_POINTS, len(path))).round().astype(int)
    )
    return MeasureDrift(
        measure=name,
        middle=middle,
        spread=float(1.4826 * np.median(np.abs(before - middle))),
        now=float(np.median(now[-round(1 / WEIGHT) :])),
        path=tuple(map(float, path[places])),
        left_at=int(beyond[0]) + 1 if len(beyond) else None,
    )
