"""Scores images against their labels: lenient and strict, with damaged controls.

Strict means: the classifier names the right kind and colour, and both its probability for that kind
and the critic's agreement with the caption are above the 5th percentile of fresh drawings. The
lenient score needs only the right kind and colour; it passes fragments, because the classifier has
no class for damaged images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.check.agreement import Critic
from app.types import Value
from jobs.train.starter import damage
from jobs.train.starter.captions import another, plain
from jobs.train.starter.classifier import Classification, Classifier, classify
from jobs.train.starter.data import Drawings
from jobs.train.starter.drawings import COLOURS, KINDS, Label, Pixels

PERCENTILE = 5


@dataclass(frozen=True, slots=True)
class Judges:
    """The classifier and the critic, with the limits that 95 % of fresh drawings reach."""

    classifier: Classifier
    critic: Critic
    kind_probability: float
    agreement: float


class Score(Value):
    """Shares of the images that pass, in all and by kind and colour."""

    count: int
    kind: float
    colour: float
    style: float
    lenient: float
    strict: float
    strict_by_kind: dict[str, float]
    strict_by_colour: dict[str, float]

    @property
    def weakest(self) -> tuple[str, float]:
        """Returns the kind that passes least often, and its share."""
        name = min(self.strict_by_kind, key=lambda kind: self.strict_by_kind[kind])
        return name, self.strict_by_kind[name]


def calibrated(classifier: Classifier, critic: Critic, drawings: Drawings) -> Judges:
    """Returns the judges with limits from drawings that neither was trained on."""
    labels = [drawings.label(i) for i in range(len(drawings))]
    probability = _kind_probability(classify(classifier, drawings.pixels), labels)
    agreement = critic.agreement(drawings.pixels, [plain(label) for label in labels])
    limits = [float(np.percentile(values, PERCENTILE)) for values in (probability, agreement)]
    return Judges(classifier, critic, *limits)


def strict_passes(
    judges: Judges, pixels: Pixels, prompts: Sequence[str], labels: Sequence[Label]
) -> NDArray[np.bool_]:
    """Returns which images pass the strict score, [n]."""
    answers = classify(judges.classifier, pixels)
    certain = _kind_probability(answers, labels) > judges.kind_probability
    agreed = judges.critic.agreement(pixels, prompts) > judges.agreement
    return _kinds_right(answers, labels) & _colours_right(answers, labels) & certain & agreed


def score(
    judges: Judges, pixels: Pixels, labels: Sequence[Label], prompts: Sequence[str] | None = None
) -> Score:
    """Returns the score of images that should show the labels; plain captions are the default."""
    prompts = prompts or [plain(label) for label in labels]
    answers = classify(judges.classifier, pixels)
    kind, colour = _kinds_right(answers, labels), _colours_right(answers, labels)
    strict = strict_passes(judges, pixels, prompts, labels)
    return Score(
        count=len(labels),
        kind=float(kind.mean()),
        colour=float(colour.mean()),
        style=float(np.mean(answers.style_names() == np.array([label.style for label in labels]))),
        lenient=float((kind & colour).mean()),
        strict=float(strict.mean()),
        strict_by_kind=_grouped(strict, [label.kind for label in labels]),
        strict_by_colour=_grouped(strict, [label.colour for label in labels]),
    )


def controls(judges: Judges, drawings: Drawings, count: int) -> dict[str, Score]:
    """Returns the scores of fresh drawings: whole ones should pass, damaged ones should not."""
    labels = [drawings.label(i) for i in range(count)]
    pixels = drawings.pixels[:count]
    rng = np.random.default_rng(0)
    erased = np.stack([damage.erase_blocks(image, rng, share=0.6) for image in pixels])
    halved = np.stack([damage.cut(image, rng) for image in pixels])
    empty = np.stack([damage.empty(image) for image in pixels])
    others = [replace(label, colour=another(COLOURS, label.colour, rng)) for label in labels]
    return {
        "fresh drawings": score(judges, pixels, labels),
        "60 % of 8 px blocks erased": score(judges, erased, labels),
        "half of the object cut off": score(judges, halved, labels),
        "caption of another colour": score(judges, pixels, others),
        "empty picture": score(judges, empty, labels),
    }


def _kind_probability(answers: Classification, labels: Sequence[Label]) -> NDArray[np.float64]:
    """Returns the probability of each image's own kind."""
    kinds = [KINDS.index(label.kind) for label in labels]
    return answers.probabilities[np.arange(len(kinds)), kinds]


def _kinds_right(answers: Classification, labels: Sequence[Label]) -> NDArray[np.bool_]:
    return np.equal(answers.kinds, [KINDS.index(label.kind) for label in labels])


def _colours_right(answers: Classification, labels: Sequence[Label]) -> NDArray[np.bool_]:
    return np.equal(answers.colours, [list(COLOURS).index(label.colour) for label in labels])


def _grouped(passes: NDArray[np.bool_], names: Sequence[str]) -> dict[str, float]:
    groups = np.array(names)
    return {name: float(passes[groups == name].mean()) for name in dict.fromkeys(names)}
