"""The risk model: how likely a person refuses an image, from its scores alone.

A ridge logistic regression, additive over the measures, each with a piecewise linear curve of three
knots. The guarantees depend only on the order of the risks; they are tested on other labels than
the model was trained on. Knows no rules and no image models.
"""

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from app.types import Measure, Value

Floats: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = Mapping[Measure, float]

_NOT_OWN_SCORES = frozenset({Measure.RISK, Measure.DUPLICATE_DISTANCE})
"""Not properties of the image itself: the distance to other images changes during a run."""
_KNOTS = (-1.5, 0.0, 1.5)
_MAX_STANDARDISED = 4.0
"""Standardised scores are clipped to this, so that no single measure dominates."""
_VARIANCE, _INTERCEPT_VARIANCE = 1.0, 100.0
_MAX_LOGIT = 30.0
_STEPS, _HALVINGS = 30, 12


def own_scores(scores: Scores) -> dict[Measure, float]:
    """Returns the scores that depend on the image alone, not on other images."""
    return {measure: score for measure, score in scores.items() if measure not in _NOT_OWN_SCORES}


class RiskFeature(Value):
    """A measure's part: its middle, its spread, and the weights of the line and its three bends."""

    measure: Measure
    middle: float
    spread: Annotated[float, Field(gt=0)]
    weights: tuple[float, float, float, float]
    absent: float | None
    """The weight when the measure is missing; None where that never happened in training."""


class RiskModel(Value):
    """The fitted model of how likely a person refuses an image."""

    intercept: float
    traits: tuple[RiskFeature, ...]

    def risk(self, scores: Scores) -> float | None:
        """Returns the probability of refusal, 0 to 1; None when a required score is missing."""
        logit = self.intercept
        for trait in self.traits:
            if trait.absent is None and trait.measure not in scores:
                return None
            weights = (*trait.weights, trait.absent or 0.0)
            parts = _basis(trait, scores.get(trait.measure))
            logit += sum(weight * part for weight, part in zip(weights, parts, strict=True))
        return 1 / (1 + exp(-min(max(logit, -_MAX_LOGIT), _MAX_LOGIT)))


def fit_risk_model(
    rows: Sequence[Scores], refused: Sequence[bool], *, errors: float = 0.0
) -> RiskModel:
    """Fits the model to labels with an error rate of `errors`; predicts the true label."""
    measures = sorted({measure for row in rows for measure in row})
    features = [_feature(measure, [row.get(measure) for row in rows]) for measure in measures]
    traits = tuple(trait for trait in features if trait is not None)
    if not rows or all(refused) or not any(refused):
        odds = (sum(refused) + 0.5) / (len(refused) - sum(refused) + 0.5)
        return RiskModel(intercept=log(odds), traits=())
    weights = _fit_weights(_design(traits, rows), np.array(refused, np.float64), errors)
    parts = weights[1:].reshape(len(traits), len(_KNOTS) + 2)
    return RiskModel(
        intercept=float(weights[0]),
        traits=tuple(
            trait.replace(
                weights=tuple(map(float, part[:-1])),
                absent=None if trait.absent is None else float(part[-1]),
            )
            for trait, part in zip(traits, parts, strict=True)
        ),
    )


def _feature(measure: Measure, scores: Sequence[float | None]) -> RiskFeature | None:
    """Returns a measure's feature before training; None when the measure does not vary."""
    known = np.array([score for score in scores if score is not None])
    low, middle, high = (float(quantile) for quantile in np.quantile(known, [0.1, 0.5, 0.9]))
    spread = (high - low) / 2.56 or float(known.std())
    if not spread and len(known) == len(scores):
        return None
    absent = None if len(known) == len(scores) else 0.0
    return RiskFeature(
        measure=measure, middle=middle, spread=spread or 1.0, weights=(0.0,) * 4, absent=absent
    )


def _basis(trait: RiskFeature, score: float | None) -> tuple[float, ...]:
    """Returns the inputs of the feature's weights: the line, its bends, and absence."""
    if score is None:
        return 0.0, 0.0, 0.0, 0.0, 1.0
    far = min(max((score - trait.middle) / trait.spread, -_MAX_STANDARDISED), _MAX_STANDARDISED)
    low, middle, high = _KNOTS
    return far, max(far - low, 0.0), max(far - middle, 0.0), max(far - high, 0.0), 0.0


def _design(traits: Sequence[RiskFeature], rows: Sequence[Scores]) -> Floats:
    return np.array(
        [
            [1.0, *(part for trait in traits for part in _basis(trait, row.get(trait.measure)))]
            for row in rows
        ]
    )


def _share(logits: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-np.clip(logits, -_MAX_LOGIT, _MAX_LOGIT)))
    return shares


def _fit_weights(design: Floats, refused: Floats, errors: float) -> Floats:
    """Returns the weights at the posterior mode, found by damped steps of Fisher scoring."""
    precision = np.full(design.shape[1], 1 / _VARIANCE)
    precision[0] = 1 / _INTERCEPT_VARIANCE

    def refusal_chance(at: Floats) -> Floats:
        chance: Floats = errors + (1 - 2 * errors) * _share(design @ at)
        return chance

    def loss(at: Floats) -> float:
        chance = refusal_chance(at)
        likely = refused * np.log(chance) + (1 - refused) * np.log1p(-chance)
        return float(at @ (precision * at) / 2 - likely.sum())

    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance, share = refusal_chance(weights), _share(design @ weights)
        bent = (1 - 2 * errors) * share * (1 - share)
        known = bent / (chance * (1 - chance))
        slope = design.T @ (known * (chance - refused)) + precision * weights
        bend = (design.T * (known * bent)) @ design + np.diag(precision)
        step = np.linalg.solve(bend, slope)
        reached = loss(weights)
        tried = (weights - step / 2**halving for halving in range(_HALVINGS))
        better = next((candidate for candidate in tried if loss(candidate) < reached - 1e-9), None)
        if better is None:
            break
        weights = better
    return weights
