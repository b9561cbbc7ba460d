"""The success model: how likely a model's image passes the checks, learned from earlier verdicts.

For each model version the logit of an asset's success probability is a sum over its kind and its
labels (`app/route/logistic.py`). Assets of one group still differ in difficulty, so passes are
beta-binomial: an asset that failed twice likely fails again.

Success after another model's failures is fitted separately, with a prior that accounts for shared
difficulty. A version starts weakly from the next older one of the same name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, log, sqrt
from re import findall
from statistics import NormalDist
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import Field, model_validator

from app.route.logistic import (
    SPREAD,
    UNKNOWN_SPREAD,
    Counts,
    Floats,
    Prior,
    family,
    fit_logistic,
    sigmoid,
)
from app.types import Attempts, Kind
from app.types.base import Value

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]

PRIOR_SPREAD = 4.0
"""Standard deviation of the logit of an unknown model: from 1 in 1000 to 999."""
VERSION_SPREAD = 2.0
"""Standard deviation of a new version's logit around the older one's: a few images outweigh it."""
AFTER_FAILURE_SPREAD = 1.0
"""Standard deviation of the logit after failures around the predicted one."""
SHARED_DIFFICULTY = 0.5
"""The share of difficulty that two models are assumed to have in common before any data."""
MIN_SPREAD = 0.01
"""The smallest uncertainty of a logit, however much data there is; the rest is rounded off."""
DOUBT_FACTOR = 1.3
"""Factor on the uncertainty in lower bounds: everything fitted besides the weights is taken as
known, and the true logit is no sum over labels."""
AFTER_WEIGHT_SPREAD = 0.3
"""Standard deviation of labels' weights after failures around the plain ones."""
_DIGITS = 6


class Observation(Value):
    """The result of the attempts of one asset with one model."""

    model: str
    """The resolved reference, starter-icons/1."""
    kind: Kind
    labels: tuple[str, ...] = ()
    after: str = ""
    """What had failed on the same asset before; empty when the model was used first."""
    tried: Attempts
    """Images judged; stopping at the first pass does not bias what is learned."""
    passed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _no_more_passed_than_tried(self) -> "Observation":
        if self.passed > self.tried:
            raise ValueError(f"{self.passed} of {self.tried} images passed; count them again")
        return self


class Posterior(Value):
    """The posterior of the success probability of a new asset of one group."""

    logit: float
    """Logit of the group's mean probability per image; `doubt` is its standard deviation."""
    doubt: Annotated[float, Field(ge=0)]
    concentration: Annotated[float, Field(gt=0)]
    """Assets of the group differ by Beta(mean * this, (1 - mean) * this)."""
    assets: Annotated[float, Field(ge=0)] = 0.0
    """The number of assets, tried once each, that would tell as much; 0: nothing is known."""

    def pass_probability(self, images: int) -> float:
        """Returns the probability that at least one of `images` images of a new asset passes."""
        nodes, weights = _quadrature()
        return float(1 - weights @ _all_fail(self.logit + self.doubt * nodes, self, images)[:, -1])

    def lower_bound(self, images: int, sureness: float = 0.9) -> float:
        """Returns a lower bound of the group's share of assets that pass, with this probability."""
        logit = self.logit - DOUBT_FACTOR * self.doubt * NormalDist().inv_cdf(sureness)
        return float(1 - _all_fail(np.array([logit]), self, images)[0, -1])

    def expected_images(self, at_most: int) -> float:
        """Returns the expected number of images until the first passes or `at_most` are made."""
        nodes, weights = _quadrature()
        failing = _all_fail(self.logit + self.doubt * nodes, self, at_most)
        return float((weights @ failing[:, :at_most]).sum())


class SuccessFit(Value):
    """What was learned of one model version, used first or `after` something failed."""

    model: str
    after: str = ""
    labels: tuple[str, ...]
    """The labels with a weight; the kind is one of them, "kind=icon"."""
    weights: tuple[float, ...]
    """Weights of the logit: the intercept's, then the labels'."""
    covariance: tuple[float, ...]
    """Covariance of the weights: the lower triangle, row by row."""
    spreads: dict[str, float]
    """Standard deviation of the weights of each family: the uncertainty of an unknown label."""
    concentration: Annotated[float, Field(gt=0)]
    assets: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _numbers_for_every_label(self) -> "SuccessFit":
        size = 1 + len(self.labels)
        if (len(self.weights), len(self.covariance)) != (size, size * (size + 1) // 2):
            raise ValueError(
                f"the chances of {self.model} have {len(self.labels)} labels, {len(self.weights)} "
                f"weights and {len(self.covariance)} covariances; learn them again"
            )
        return self

    def posterior(self, sort: Iterable[str]) -> Posterior:
        """Returns the posterior for these labels; an unknown label only adds uncertainty."""
        row, strange = self._row(sort)
        logit = float(row @ self._arrays.mean)
        variance = max(float(row @ self._arrays.covariance @ row), MIN_SPREAD**2)
        return Posterior(
            logit=logit,
            doubt=sqrt(variance + strange),
            concentration=self.concentration,
            assets=_equivalent_assets(logit, variance + strange),
        )

    def prior(self, change: float, *, shift: float = 0.0, spread: float = SPREAD) -> Prior:
        """Returns the prior of a related fit.

        Its logit is moved by `shift`, with a standard deviation of `change`.
        """
        return Prior(
            intercept=self.weights[0] + shift,
            variance=change**2 + self.covariance[0],
            weights=dict(zip(self.labels, self.weights[1:], strict=True)),
            spread=spread,
            concentration=self.concentration,
        )

    def _row(self, sort: Iterable[str]) -> tuple[Floats, float]:
        row, strange = np.zeros(len(self.weights)), 0.0
        row[0] = 1
        for label in sort:
            if label in self._arrays.columns:
                row[self._arrays.columns[label]] = 1
            else:
                strange += self.spreads.get(family(label), SPREAD) ** 2
        return row, strange

    @cached_property
    def _arrays(self) -> "_Arrays":
        size = len(self.weights)
        square = np.zeros((size, size))
        square[np.tril_indices(size)] = self.covariance
        columns = {label: 1 + at for at, label in enumerate(self.labels)}
        return _Arrays(columns, np.array(self.weights), square + np.tril(square, -1).T)


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    """A fit's numbers as arrays; not compared, since the fit's fields are."""

    columns: dict[str, int]
    mean: Floats
    covariance: Floats


class SuccessModel(Value):
    """The fits of all models: at most a page of numbers for each of them."""

    fits: tuple[SuccessFit, ...] = ()

    def posterior(
        self, model: str, kind: Kind, labels: Sequence[str], *, after: str = ""
    ) -> Posterior:
        """Returns the posterior for a new asset with this model; the widest if it is unknown."""
        sort = _group(kind, labels)
        own, plain = self._fits.get((model, after)), self._fits.get((model, ""))
        if own is not None:
            return own.posterior(sort)
        if plain is not None:
            return _after_failure(plain.posterior(sort))
        others = [fit for fit in self.fits if fit.model == model]
        if after or not others:
            return Posterior(logit=0.0, doubt=PRIOR_SPREAD, concentration=UNKNOWN_SPREAD)
        return max(others, key=lambda fit: fit.assets).posterior(sort)

    @cached_property
    def _fits(self) -> dict[tuple[str, str], SuccessFit]:
        return {(fit.model, fit.after): fit for fit in self.fits}


def fit_success_model(seen: Iterable[Observation]) -> SuccessModel:
    """Fits the model to observations; their order does not matter.

    Equal observations are counted together first, so memory grows with the distinct ones alone.
    """
    counted: dict[str, dict[str, Counts]] = defaultdict(lambda: defaultdict(Counter))
    for observation in seen:
        outcome = (
            _group(observation.kind, observation.labels),
            observation.tried,
            observation.passed,
        )
        counted[observation.model][observation.after][outcome] += 1
    fits: list[SuccessFit] = []
    older: SuccessFit | None = None
    for model in sorted(counted, key=_age):
        if older is not None and _name(older.model) != _name(model):
            older = None
        plain = _plain(model, counted[model].pop("", Counter()), older)
        afters = sorted(counted[model].items())
        fits += [*filter(None, [plain]), *(_after(model, *group, plain) for group in afters)]
        older = plain or older
    return SuccessModel(fits=tuple(fits))


class CalibrationBin(Value):
    """Predicted probabilities that lie close to each other, and the observed share."""

    predicted: Share
    came: Share
    count: Annotated[int, Field(ge=1)]


class Reliability(Value):
    """Predicted against observed success, from the smallest probabilities to the largest."""

    bins: tuple[CalibrationBin, ...]
    ece: Share
    """Expected calibration error: the mean |predicted - observed| of the bins, by their counts."""


def reliability(
    predicted: Sequence[float], passed: Sequence[bool], *, bins: int = 10
) -> Reliability:
    """Compares predicted probabilities with outcomes.

    The expected calibration error of Naeini et al. (2015) and Guo et al. (2017), over bins of
    nearly equal counts as Nixon et al. (2019) advise, since probabilities crowd near 1. Equal
    predictions share a bin, so the order of the pairs does not matter. With few pairs it is large
    by chance alone: about 0.4 / sqrt(pairs per bin) near a half. Raises ValueError without pairs.
    """
    chances, truths = np.asarray(predicted, float), np.asarray(passed, bool)
    if not len(chances) or chances.shape != truths.shape:
        raise ValueError(
            f"{len(chances)} predictions and {len(truths)} outcomes are not pairs; give some"
        )
    edges = np.quantile(chances, np.linspace(0, 1, bins + 1)[1:-1], method="lower")
    place = np.searchsorted(np.unique(edges), chances, side="left")
    binned = [
        CalibrationBin(
            predicted=min(float(chances[place == at].mean()), 1.0),
            came=float(truths[place == at].mean()),
            count=int((place == at).sum()),
        )
        for at in np.unique(place)
    ]
    gaps = [bucket.count * abs(bucket.predicted - bucket.came) for bucket in binned]
    return Reliability(bins=tuple(binned), ece=min(sum(gaps) / len(chances), 1.0))


def _plain(model: str, counts: Counts, older: SuccessFit | None) -> SuccessFit | None:
    start = Prior(0.0, PRIOR_SPREAD**2, {}) if older is None else older.prior(VERSION_SPREAD)
    return _fitted(model, "", counts, start) if counts else None


def _after(model: str, after: str, counts: Counts, plain: SuccessFit | None) -> SuccessFit:
    if plain is None:
        return _fitted(model, after, counts, Prior(0.0, PRIOR_SPREAD**2, {}))
    assets = sum(counts.values())
    logit = sum(
        plain.posterior(sort).logit * count for (sort, _, _), count in sorted(counts.items())
    )
    usual = Posterior(logit=logit / assets, doubt=0.0, concentration=plain.concentration)
    shift = _after_failure(usual).logit - usual.logit
    return _fitted(
        model,
        after,
        counts,
        plain.prior(AFTER_FAILURE_SPREAD, shift=shift, spread=AFTER_WEIGHT_SPREAD),
    )


def _fitted(model: str, after: str, counts: Counts, prior: Prior) -> SuccessFit:
    fitted = fit_logistic(counts, prior)
    lower = fitted.covariance[np.tril_indices(len(fitted.weights))]
    return SuccessFit(
        model=model,
        after=after,
        labels=fitted.labels,
        weights=tuple(map(_rounded, fitted.weights)),
        covariance=tuple(map(_rounded, lower)),
        spreads={name: _rounded(spread) for name, spread in sorted(fitted.spreads.items())},
        concentration=_rounded(fitted.concentration),
        assets=sum(counts.values()),
    )


def _after_failure(plain: Posterior) -> Posterior:
    """Returns the posterior after another model's failure, from shared difficulty alone.

    It is as if the model had failed once itself, for the share of difficulty in common. Added
    uncertainty alone would raise small probabilities. With half its variance subtracted from the
    logit the odds keep their mean, and since `pass_probability` is concave in the odds no
    probability rises (Jensen's inequality).
    """
    failing = plain.concentration / (1 + exp(plain.logit))
    return Posterior(
        logit=plain.logit - SHARED_DIFFICULTY * log(1 + 1 / failing) - AFTER_FAILURE_SPREAD**2 / 2,
        doubt=sqrt(plain.doubt**2 + AFTER_FAILURE_SPREAD**2),
        concentration=plain.concentration,
    )


def _all_fail(logits: Floats, posterior: Posterior, images: int) -> Floats:
    """Returns P(the first n images all fail) for each logit of the group's mean and n from 0 on."""
    made = np.arange(images)
    failing = (1 - sigmoid(logits)) * posterior.concentration
    each = (failing[:, None] + made) / (posterior.concentration + made)
    return np.cumprod(np.hstack([np.ones((len(logits), 1)), each]), axis=1)


def _equivalent_assets(logit: float, variance: float) -> float:
    """Returns the number of assets, tried once each, that would leave this uncertainty."""
    chance = float(sigmoid(np.array(logit)))
    return max(1 / variance - PRIOR_SPREAD**-2, 0.0) / (chance * (1 - chance))


@lru_cache(maxsize=1)
def _quadrature() -> tuple[Floats, Floats]:
    """Returns nodes and weights for the mean over a standard normal distribution."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    return nodes, weights / weights.sum()


def _group(kind: Kind, labels: Iterable[str]) -> tuple[str, ...]:
    """Returns the labels that identify a group of assets."""
    return tuple(sorted({f"kind={kind}", *labels}))


def _name(model: str) -> str:
    return model.partition("/")[0]


def _age(model: str) -> tuple[str, tuple[tuple[int, str], ...], str]:
    """Returns the sort key of versions of a name by number: 2 before 10."""
    parts = findall(r"\d+|\D+", model.partition("/")[2])
    counted = tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)
    return _name(model), counted, model


def _rounded(number: float) -> float:
    """Rounds to digits that do not depend on the machine's arithmetic."""
    return float(f"{number:.{_DIGITS}g}")
