"""Calibration: turns labelled images into a document that gives risk limits for any error rate.

Some labels train the risk model. The others, a uniform random sample of the images that the rules
accept, are counted by their risk. The split follows a hash of each key, so the order of the labels
does not matter.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from app.accept.labels import sampling_key
from app.accept.risk_bounds import LimitStep, loosest_limit, min_labels, true_rate
from app.accept.risk_model import Floats, RiskModel, fit_risk_model
from app.accept.shift_detector import ABSENT
from app.types import Measure, Value

GRID = 50
"""Number of candidate limits, spread evenly over the images."""
MAX_REFERENCE = 300
"""Labelled images at most of one model and style that new images are compared with."""
_MIN_LEARNING_SHARE, _MAX_LEARNING_SHARE = 0.1, 0.5
_MIN_LABELS = 20


class LabelledImage(Value):
    """An image's scores with a person's label."""

    key: str
    scores: dict[Measure, float]
    good: bool
    model: str = ""
    style: str = ""
    passed: bool = True
    """Whether the rules accept it; only then can it be accepted at all."""
    fair: bool = True
    """Whether it belongs to a uniform random sample, and was not chosen by a person."""


class ReferenceScores(Value):
    """The risks and scores of the labelled images of one model and style."""

    model: str
    style: str
    images: int
    columns: dict[Measure, tuple[float, ...]]

    def columns_below(self, risk: float | None) -> dict[Measure, list[float]]:
        """Returns each measure's scores for the images with a risk below `risk`; None: for all."""
        risks = self.columns[Measure.RISK]
        kept = [place for place, own in enumerate(risks) if risk is None or own < risk]
        return {measure: [own[at] for at in kept] for measure, own in self.columns.items()}


class RiskLimits(Value):
    """The risk limits for a tolerated rate; images between the two limits go to people."""

    accept: float | None
    """The highest risk that is accepted; None: nothing is accepted."""
    reject: float | None
    """The lowest risk that is refused; None: nothing is refused."""
    accepted: float
    """The share of the labelled images that would be accepted, 0 to 1."""
    rejected: float
    escapes: float | None
    """An estimate: the share of bad images among the labelled images that would be accepted. Only
    the requested rate is guaranteed."""
    missing: int
    """Labels still missing at least, without which the rate cannot be shown to hold; 0: enough."""

    @property
    def review_share(self) -> float:
        """Returns the share that is left for people, 0 to 1."""
        return 1 - self.accepted - self.rejected


class Calibration(Value):
    """What was learned from labels, for any tolerated rate."""

    ordering: RiskModel
    accepts: tuple[LimitStep, ...]
    """Images of at most this risk, and the bad ones among them; from the strictest limit on."""
    rejects: tuple[LimitStep, ...]
    """Images of at least this risk, and the good ones among them; from the strictest limit on."""
    labels: int
    counted: Annotated[int, Field(ge=0)]
    """Size of the random sample counted by their risk; all other labels trained it."""
    errors: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """How often reviewers are assumed to err, in either direction."""
    references: tuple[ReferenceScores, ...]
    calibrated_at: str

    def limits(self, false_accepts: float, confidence: float, false_rejects: float) -> RiskLimits:
        """Returns the loosest limits that keep each rate with this confidence."""
        doubt, errors = 1 - confidence, self.errors
        accept = loosest_limit(
            self.accepts, self.counted, rate=false_accepts, doubt=doubt, errors=errors
        )
        reject = loosest_limit(
            self.rejects, self.counted, rate=false_rejects, doubt=doubt, errors=errors
        )
        if accept and reject and reject.at <= accept.at:
            reject = None
        return RiskLimits(
            accept=accept and accept.at,
            reject=reject and reject.at,
            accepted=accept.images / self.counted if accept else 0.0,
            rejected=reject.images / self.counted if reject else 0.0,
            escapes=true_rate(accept.wrong / accept.images, errors) if accept else None,
            missing=max(min_labels(false_accepts, doubt, errors) - self.counted, 0),
        )

    def reference(self, model: str, style: str) -> ReferenceScores | None:
        """Returns the labelled images of this model and style; None when there are none."""
        own = (
            reference
            for reference in self.references
            if (reference.model, reference.style) == (model, style)
        )
        return next(own, None)


def calibrate(labelled: Iterable[LabelledImage], *, at: str, errors: float = 0.0) -> Calibration:
    """Returns the calibration learned from these labels; `at` is recorded as its time."""
    ordered = sorted(labelled, key=lambda label: label.key)
    counted = _calibration_split(ordered)
    taught = [label for label in ordered if label.key not in counted]
    ordering = fit_risk_model(
        [label.scores for label in taught], [not label.good for label in taught], errors=errors
    )
    along = [label for label in ordered if label.key in counted]
    with_risk = [(label, ordering.risk(label.scores)) for label in along]
    known = [(label, risk) for label, risk in with_risk if risk is not None]
    foreseen = _expected_risks(ordering, taught)
    grid = sorted({*map(float, np.quantile(foreseen, np.arange(1, GRID) / GRID))})
    return Calibration(
        ordering=ordering,
        accepts=tuple(_step(known, foreseen, limit, up=True) for limit in [*grid, 1.0]),
        rejects=tuple(_step(known, foreseen, limit, up=False) for limit in reversed(grid)),
        labels=len(ordered),
        counted=len(known),
        errors=errors,
        references=_references(known),
        calibrated_at=at,
    )


def _calibration_split(ordered: Sequence[LabelledImage]) -> frozenset[str]:
    """Returns the keys to count: at least half of the random sample; the other labels train."""
    sample = [label.key for label in ordered if label.fair and label.passed]
    others = len(ordered) - len(sample)
    share = (len(sample) - others) / (2 * len(sample)) if sample else 0.0
    share = min(max(share, _MIN_LEARNING_SHARE), _MAX_LEARNING_SHARE)
    return frozenset(key for key in sample if sampling_key(key, "teaches") >= share)


def _expected_risks(ordering: RiskModel, taught: Sequence[LabelledImage]) -> Floats:
    """Returns the risks to expect of new images, from the labels that are not counted."""
    sample = [label for label in taught if label.fair and label.passed]
    beside = sample if len(sample) >= _MIN_LABELS else [label for label in taught if label.passed]
    risks = [risk for label in beside if (risk := ordering.risk(label.scores)) is not None]
    return np.array(risks or [0.5])


def _step(
    known: Sequence[tuple[LabelledImage, float]], foreseen: Floats, at: float, *, up: bool
) -> LimitStep:
    within = [label for label, risk in known if (risk <= at if up else risk >= at)]
    beside = foreseen[foreseen <= at] if up else 1 - foreseen[foreseen >= at]
    return LimitStep(
        at=at,
        share=len(beside) / len(foreseen),
        expected=float(beside.mean()) if len(beside) else 1.0,
        images=len(within),
        wrong=sum(label.good is not up for label in within),
    )


def _references(known: Sequence[tuple[LabelledImage, float]]) -> tuple[ReferenceScores, ...]:
    sorts: dict[tuple[str, str], list[tuple[LabelledImage, float]]] = defaultdict(list)
    for label, risk in known:
        sorts[label.model, label.style].append((label, risk))
    return tuple(
        ReferenceScores(model=model, style=style, images=len(own), columns=_columns(own))
        for (model, style), own in sorted(sorts.items())
    )


def _columns(own: Sequence[tuple[LabelledImage, float]]) -> dict[Measure, tuple[float, ...]]:
    """Returns each measure's scores, with the images in the same order in every column.

    At most MAX_REFERENCE images are kept, chosen by a hash of their keys.
    """
    drawn = sorted(own, key=lambda pair: sampling_key(pair[0].key, "compared"))[:MAX_REFERENCE]
    rows = [label.scores | {Measure.RISK: risk} for label, risk in drawn]
    measures = sorted({measure for row in rows for measure in row})
    return {measure: tuple(row.get(measure, ABSENT) for row in rows) for measure in measures}
