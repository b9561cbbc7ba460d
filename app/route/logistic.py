"""An additive model of counts: how often items pass, given their labels.

The logit of an item's success probability is a sum over its labels, shrunk by how much each family
of labels ("object=...") turned out to matter. Items with the same labels still differ, so passes
are beta-binomial. The weights are fitted at the posterior mode with the curvature there as their
uncertainty (Laplace); the families' spreads by expectation-maximisation (MacKay 1992), the
concentration by maximum likelihood under a weak prior. Knows no models and no images.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = Counter[tuple[tuple[str, ...], int, int]]
"""Number of items by their labels, how often each was tried, and how often it passed."""

LABELS = 48
"""Labels at most that get a weight of their own, the most frequent ones; the rest is noise."""
MIN_FAMILY_LABELS = 3
"""A label of fewer items counts as unknown."""
SPREAD = 0.7
"""Standard deviation of a family's weights before any data."""
UNKNOWN_SPREAD = 3.0
"""Concentration where nothing was tried twice; the larger, the less items of a group differ."""
_SPREAD_WEIGHT = 4.0
_ROUNDS, _NEWTON_STEPS, _HALVINGS = 12, 4, 8
_CONCENTRATIONS = np.exp(np.linspace(log(0.3), log(300), 32))
_CONCENTRATION_SPREAD = 1.0


@dataclass(frozen=True, slots=True)
class Prior:
    """The prior of a fit: the intercept and its variance, and weights of known labels."""

    intercept: float
    variance: float
    weights: Mapping[str, float]
    """By label; a label that is missing has 0."""
    spread: float = SPREAD
    """Standard deviation of a family's weights around these values."""
    concentration: float = UNKNOWN_SPREAD


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """The weights (intercept, then labels) with their covariance, spreads and concentration."""

    labels: tuple[str, ...]
    weights: Floats
    covariance: Floats
    spreads: dict[str, float]
    """Standard deviation of the weights of each family: the uncertainty of an unknown label."""
    concentration: float


def fit_logistic(counts: Counts, prior: Prior) -> LogisticFit:
    """Fits the model to counts of at least one item; their order does not matter."""
    table = _Table.of(counts)
    families = [family(label) for label in table.labels]
    spreads = dict.fromkeys(families, prior.spread)
    known = [prior.weights.get(label, 0.0) for label in table.labels]
    centre = np.array([prior.intercept, *known])
    weights, concentration = centre, prior.concentration
    for _ in range(_ROUNDS):
        variances = np.array([prior.variance, *(spreads[family] ** 2 for family in families)])
        weights, covariance = _mode(table, weights, concentration, centre, variances)
        moved = (weights - centre)[1:] ** 2 + np.diag(covariance)[1:]
        spreads = _spreads(families, moved, prior.spread)
        concentration = _concentration(table, weights, prior.concentration)
    return LogisticFit(table.labels, weights, covariance, spreads, concentration)


def family(label: str) -> str:
    """Returns the family of a label: "object" of "object=potion"; "" for a label without "="."""
    return label.partition("=")[0] if "=" in label else ""


def sigmoid(logits: Floats) -> Floats:
    """Returns the logistic function, clipped away from 0 and 1."""
    shares: Floats = 1 / (1 + np.exp(-np.clip(logits, -20, 20)))
    return shares


@dataclass(frozen=True, slots=True)
class _Table:
    """The counts in the form that the likelihood needs, one row for each set of labels.

    In `hits` column i counts the row's items that passed more than i times, in `misses` those that
    failed more than i times, in `trials` those of all rows tried more than i times.
    """

    labels: tuple[str, ...]
    design: Floats
    hits: Floats
    misses: Floats
    trials: Floats

    @classmethod
    def of(cls, counts: Counts) -> "_Table":
        labels = _distinguishing_labels(counts)
        columns = {label: 1 + at for at, label in enumerate(labels)}
        places = [
            (0, *(columns[label] for label in sort if label in columns)) for sort, _, _ in counts
        ]
        rows = {place: at for at, place in enumerate(sorted(set(places)))}
        most = max(tried for _, tried, _ in counts)
        design, hits = np.zeros((len(rows), 1 + len(labels))), np.zeros((len(rows), most))
        misses, trials = np.zeros_like(hits), np.zeros(most)
        for place, ((_, tried, passed), things) in zip(places, counts.items(), strict=True):
            row = rows[place]
            design[row, list(place)] = 1
            hits[row, :passed] += things
            misses[row, : tried - passed] += things
            trials[:tried] += things
        return cls(labels, design, hits, misses, trials)


def _distinguishing_labels(counts: Counts) -> tuple[str, ...]:
    things: Counter[str] = Counter()
    for (labels, _, _), count in counts.items():
        for label in labels:
            things[label] += count
    common = [label for label, count in things.items() if count >= MIN_FAMILY_LABELS]
    return tuple(sorted(sorted(common, key=lambda label: (-things[label], label))[:LABELS]))


def _mode(
    table: _Table, weights: Floats, concentration: float, centre: Floats, variances: Floats
) -> tuple[Floats, Floats]:
    """Returns the weights' posterior mode, by damped Newton steps, and their covariance there."""

    def posterior(at: Floats) -> float:
        likely = _likelihood(table, sigmoid(table.design @ at), concentration)
        return likely - float(((at - centre) ** 2 / variances).sum()) / 2

    reached, steps = posterior(weights), _NEWTON_STEPS
    while True:
        slopes, bends = _slopes(table, sigmoid(table.design @ weights), concentration)
        square = (table.design.T * bends) @ table.design + np.diag(1 / variances)
        if not steps:
            return weights, np.asarray(np.linalg.inv(square), np.float64)
        step = np.linalg.solve(square, table.design.T @ slopes - (weights - centre) / variances)
        candidates = [weights + step / 2**halving for halving in range(_HALVINGS)]
        better = next(
            (candidate for candidate in candidates if posterior(candidate) > reached), None
        )
        weights, steps = (weights, 0) if better is None else (better, steps - 1)
        reached = posterior(weights)


def _likelihood(table: _Table, chance: Floats, concentration: float) -> float:
    """Returns the beta-binomial log-likelihood of the items' passes and failures in their order."""
    made = np.arange(len(table.trials))
    likely = (table.hits * np.log((chance * concentration)[:, None] + made)).sum()
    likely += (table.misses * np.log(((1 - chance) * concentration)[:, None] + made)).sum()
    return float(likely - table.trials @ np.log(concentration + made))


def _slopes(table: _Table, chance: Floats, concentration: float) -> tuple[Floats, Floats]:
    """Returns the log-likelihood's first and negative second derivative by each row's logit.

    Where it is not concave the second derivative is taken as 0, so that every step goes uphill.
    """
    made, tilt = np.arange(len(table.trials)), chance * (1 - chance)
    hits = 1 / ((chance * concentration)[:, None] + made)
    misses = 1 / (((1 - chance) * concentration)[:, None] + made)
    first = concentration * (table.hits * hits - table.misses * misses).sum(axis=1)
    second = concentration**2 * (table.hits * hits**2 + table.misses * misses**2).sum(axis=1)
    return first * tilt, np.maximum(second * tilt**2 - first * tilt * (1 - 2 * chance), 0)


def _spreads(families: Sequence[str], moved: Floats, usual: float) -> dict[str, float]:
    """Returns each family's spread from its weights' mean squares, with some prior ones added."""
    by_family: dict[str, float] = {}
    for family in sorted(set(families)):
        own = [
            square
            for label_family, square in zip(families, moved, strict=True)
            if label_family == family
        ]
        squares = _SPREAD_WEIGHT * usual**2 + float(sum(own))
        by_family[family] = sqrt(squares / (_SPREAD_WEIGHT + len(own)))
    return by_family


def _concentration(table: _Table, weights: Floats, usual: float) -> float:
    """Returns the likeliest concentration of a grid, under a prior around the usual one."""
    chance = sigmoid(table.design @ weights)
    likely = [
        _likelihood(table, chance, concentration)
        - (log(concentration / usual) / _CONCENTRATION_SPREAD) ** 2 / 2
        for concentration in _CONCENTRATIONS
    ]
    return float(_CONCENTRATIONS[int(np.argmax(likely))])
