"""An additive model of counts: how often things pass, by the labels they bear.

The logit of a thing's chance is a sum over its labels, shrunk by how much each family of labels
("object=...") turned out to matter. Things of the same labels still differ, so passes are
beta-binomial. The weights are fitted at the posterior's mode and their doubt is its curvature there
(Laplace); the families' spreads by expectation-maximisation (MacKay 1992), the concentration by
maximum likelihood under a weak prior. Knows no models and no images.
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
"""Things by their labels, how often each was tried and how often it passed."""

LABELS = 48
"""Labels that are told apart at most, those of the most things; the rest is noise."""
MIN_FAMILY_LABELS = 3
"""A label of fewer things is as good as unknown."""
SPREAD = 0.7
"""Standard deviation of a family's weights before anything is known."""
UNKNOWN_SPREAD = 3.0
"""Concentration where nothing was tried twice; the larger, the less things of a sort differ."""
_SPREAD_WEIGHT = 4.0
_ROUNDS, _NEWTON_STEPS, _HALVINGS = 12, 4, 8
_CONCENTRATIONS = np.exp(np.linspace(log(0.3), log(300), 32))
_CONCENTRATION_SPREAD = 1.0


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before counting: the intercept and its variance, and known labels."""

    intercept: float
    variance: float
    weights: Mapping[str, float]
    """By label; what is not named is 0."""
    spread: float = SPREAD
    """How far a family's weights are usually from that."""
    concentration: float = UNKNOWN_SPREAD


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """The weights (first the intercept, then the labels') with their covariance, and the rest."""

    labels: tuple[str, ...]
    weights: Floats
    covariance: Floats
    spreads: dict[str, float]
    """Standard deviation of the weights of each family: what an unknown label may weigh."""
    concentration: float


def fit_logistic(counts: Counts, prior: Prior) -> LogisticFit:
    """The model behind counts of at least one thing; their order does not matter."""
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
    """What a label is one of: "object" of "object=potion"; of a word alone that is nothing."""
    return label.partition("=")[0] if "=" in label else ""


def sigmoid(logits: Floats) -> Floats:
    """Shares, kept a little away from 0 and 1."""
    shares: Floats = 1 / (1 + np.exp(-np.clip(logits, -20, 20)))
    return shares


@dataclass(frozen=True, slots=True)
class _Table:
    """All that the likelihood needs to know of the counts, row by row of equal labels.

    In `hits` column i counts the row's things that passed more than i times, in `misses` those
    that failed more than i times, in `trials` those of all rows tried more than i times.
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
    """The weights' posterior mode by damped Newton steps, and their covariance there."""

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
    """The beta-binomial log-likelihood of the things' passes and failures in their order."""
    made = np.arange(len(table.trials))
    likely = (table.hits * np.log((chance * concentration)[:, None] + made)).sum()
    likely += (table.misses * np.log(((1 - chance) * concentration)[:, None] + made)).sum()
    return float(likely - table.trials @ np.log(concentration + made))


def _slopes(table: _Table, chance: Floats, concentration: float) -> tuple[Floats, Floats]:
    """The log-likelihood's first and negative second derivative by each row's logit.

    Where it is not concave the second is taken to be 0, so that a step never goes astray.
    """
    made, tilt = np.arange(len(table.trials)), chance * (1 - chance)
    hits = 1 / ((chance * concentration)[:, None] + made)
    misses = 1 / (((1 - chance) * concentration)[:, None] + made)
    first = concentration * (table.hits * hits - table.misses * misses).sum(axis=1)
    second = concentration**2 * (table.hits * hits**2 + table.misses * misses**2).sum(axis=1)
    return first * tilt, np.maximum(second * tilt**2 - first * tilt * (1 - 2 * chance), 0)


def _spreads(families: Sequence[str], moved: Floats, usual: float) -> dict[str, float]:
    """Each family's spread from its weights' mean squares, as if it had some usual ones more."""
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
    """The likeliest of some concentrations, drawn towards the usual one."""
    chance = sigmoid(table.design @ weights)
    likely = [
        _likelihood(table, chance, concentration)
        - (log(concentration / usual) / _CONCENTRATION_SPREAD) ** 2 / 2
        for concentration in _CONCENTRATIONS
    ]
    return float(_CONCENTRATIONS[int(np.argmax(likely))])
