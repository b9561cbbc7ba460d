"""Rounds of review on images with known defects: how much is left for people, and what escapes.

A pool of images is judged once; each resample splits it anew into the rounds and a held-out rest.
In every round people look at what the gate leaves them and at spot checks, and err at a known rate;
their labels calibrate the gate of the next round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import numpy as np

from app.accept.calibration import LabelledImage, calibrate
from app.accept.gate import AcceptanceGate, ModelStyle
from app.accept.labels import SPOT_CHECKS, random_prefix, sampling_key
from app.accept.risk_bounds import binomial_tail
from app.accept.risk_model import own_scores
from app.check.agreement import Critic
from app.cli.output import Say
from app.digest import digest
from app.plan.schema import AcceptPlan
from app.types import Measure, QualityReport, Value, Verdict
from jobs.train.defects.judging import SampleJudge
from jobs.train.defects.labels import label, mixed_samples

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """How many images are reviewed, how reliably, and the promised rates."""

    pictures: int = 6000
    """In the pool."""
    each: int = 1000
    """In a round; the rest of the pool is held out."""
    resamples: int = 20
    share_bad: float = 0.2
    """Before the rules are applied."""
    errors: float = 0.05
    """How often the reviewer errs, either way."""
    world: int = 40
    false_accepts: float = 0.05
    confidence: float = 0.9


class RoundFigures(Value):
    """One round, over all resamples."""

    number: int
    people: float
    """The mean share of the images the rules accept that people looked at, with spot checks."""
    least: float
    most: float
    """The smallest and the largest share of any resample."""
    accepted: float
    """The mean share accepted without a person."""
    refused: float
    escapes: float | None
    """The share of bad images among all accepted without a person; None where none was."""
    beyond: int
    """Resamples whose held-out rate of false accepts, by this round's gate, exceeds the promise."""
    held_out: float | None
    """The mean of that rate, over the resamples that accepted anything."""
    highest: float


class ReviewFigures(Value):
    """The figures of all rounds."""

    pictures: int
    passed: int
    """Those that the rules accept; only they are shown to people."""
    bad: int
    """Of those, the ones with a defect."""
    resamples: int
    errors: float
    false_accepts: float
    confidence: float
    rounds: tuple[RoundFigures, ...]

    @property
    def share_falls(self) -> bool:
        """Returns whether the share for people falls with every round."""
        people = [round_figures.people for round_figures in self.rounds]
        return all(after < before for before, after in pairwise(people))

    @property
    def within_rate(self) -> bool:
        """Returns whether chance can explain the resamples beyond the rate in every round."""
        doubt = 1 - self.confidence
        return all(
            1 - binomial_tail(round_figures.beyond - 1, self.resamples, doubt) > 0.05
            if round_figures.beyond
            else True
            for round_figures in self.rounds
        )


@dataclass(frozen=True, slots=True)
class PooledImage:
    """An image that the rules accept, with the truth."""

    key: str
    scores: dict[Measure, float]
    bad: bool


@dataclass(frozen=True, slots=True)
class _Round:
    """The result of one round of one resample."""

    people: float
    accepted: int
    refused: float
    share: float
    escaped: int
    held_out: float | None


_SORT = ModelStyle("drawn", "")


def bench_review(setting: ReviewSettings, critic: Critic, say: Say) -> ReviewFigures:
    """Judges the pool, then splits it; judging takes most of the time: 15 ms an image."""
    say(f"judging {setting.pictures} pictures ...")
    pool = list(_pool(setting, critic))
    say(f"{len(pool)} of them pass the rules, {sum(image.bad for image in pool)} of those are bad")
    return run_rounds(pool, setting)


def run_rounds(pool: Sequence[PooledImage], setting: ReviewSettings) -> ReviewFigures:
    """Returns the figures of the rounds over a pool, resampled as often as the setting says."""
    rounds = [_rounds(pool, setting, number) for number in range(setting.resamples)]
    return ReviewFigures(
        pictures=setting.pictures,
        passed=len(pool),
        bad=sum(image.bad for image in pool),
        resamples=setting.resamples,
        errors=setting.errors,
        false_accepts=setting.false_accepts,
        confidence=setting.confidence,
        rounds=tuple(
            _figures(number, [resample[number] for resample in rounds], setting)
            for number in range(ROUNDS)
        ),
    )


def _pool(setting: ReviewSettings, critic: Critic) -> Iterator[PooledImage]:
    judge = SampleJudge(critic)
    for made in mixed_samples(setting.world, setting.pictures, share_bad=setting.share_bad):
        line = label(made, judge)
        if line.passed:
            yield PooledImage(line.key, own_scores(line.scores), line.label == "bad")


def _rounds(pool: Sequence[PooledImage], setting: ReviewSettings, number: int) -> list[_Round]:
    """Runs one resample: the rounds one after the other, with the held-out rate after each."""
    rng = np.random.default_rng([setting.world, number])
    order = [pool[at] for at in rng.permutation(len(pool))]
    each = min(setting.each, len(order) // (ROUNDS + 1))
    held = order[ROUNDS * each :]
    terms = AcceptPlan(false_accepts=setting.false_accepts, confidence=setting.confidence)
    gate, known, rounds = AcceptanceGate(terms), list[LabelledImage](), []
    for at in range(ROUNDS):
        shown = order[at * each :][:each]
        # Sampling is by key: with the resample in it, each resample draws its own spot checks.
        keys = [digest([number, image.key]) for image in shown]
        words = [_gate_verdict(gate, image, key) for image, key in zip(shown, keys, strict=True)]
        looked = {
            key: image
            for image, key, verdict in zip(shown, keys, words, strict=True)
            if verdict is Verdict.REVIEW or sampling_key(key) < SPOT_CHECKS
        }
        accepted = [
            image.bad
            for image, verdict in zip(shown, words, strict=True)
            if verdict is Verdict.ACCEPT
        ]
        known += _labels(looked, random_prefix(keys, looked.keys()), setting.errors, rng)
        alone = _accepted_automatically(held, gate)
        rounds.append(
            _Round(
                people=len(looked) / each,
                accepted=len(accepted),
                refused=words.count(Verdict.RETRY) / each,
                share=len(accepted) / each,
                escaped=sum(accepted),
                held_out=fmean(alone) if alone else None,
            )
        )
        calibration = calibrate(known, at=f"round {at}", errors=setting.errors)
        gate = AcceptanceGate(terms, calibration, digest(["round", number, at]))
    return rounds


def _gate_verdict(gate: AcceptanceGate, image: PooledImage, key: str) -> Verdict:
    report = gate.apply_reject_limit(QualityReport(scores=image.scores, verdict=Verdict.ACCEPT))
    assert report is not None
    if report.verdict is not Verdict.ACCEPT:
        return report.verdict
    return gate.apply_accept_limit(report, _SORT, key).verdict


def _accepted_automatically(held: Sequence[PooledImage], gate: AcceptanceGate) -> list[bool]:
    """Returns whether each held-out image that is accepted without a person is bad."""
    return [image.bad for image in held if _gate_verdict(gate, image, image.key) is Verdict.ACCEPT]


def _labels(
    looked: dict[str, PooledImage], sample: frozenset[str], errors: float, rng: np.random.Generator
) -> list[LabelledImage]:
    """Returns the reviewer's labels, wrong at the given rate."""
    wrong = rng.random(len(looked)) < errors
    return [
        LabelledImage(
            key=key,
            scores=image.scores,
            good=image.bad == bool(errs),
            model=_SORT.model,
            style=_SORT.style,
            fair=key in sample,
        )
        for (key, image), errs in zip(looked.items(), wrong, strict=True)
    ]


def _figures(number: int, rounds: Sequence[_Round], setting: ReviewSettings) -> RoundFigures:
    people = [resample.people for resample in rounds]
    accepted = sum(resample.accepted for resample in rounds)
    held = [resample.held_out for resample in rounds if resample.held_out is not None]
    return RoundFigures(
        number=number + 1,
        people=fmean(people),
        least=min(people),
        most=max(people),
        accepted=fmean(resample.share for resample in rounds),
        refused=fmean(resample.refused for resample in rounds),
        escapes=sum(resample.escaped for resample in rounds) / accepted if accepted else None,
        beyond=sum(rate > setting.false_accepts for rate in held),
        held_out=fmean(held) if held else None,
        highest=max(held, default=0.0),
    )
