"""Rounds of review on the world of defects: what is left for people, and what escapes them.

A pool of pictures is judged once; each resample deals it anew to the rounds and to a held-out
rest. In every round people look at what the guard leaves them and at spot checks, and err at a
known rate; what they said calibrates the guard of the next.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import TypeAlias

import numpy as np

from app.accept.calibration import Labelled, calibrate
from app.accept.gate import Guard, Sort
from app.accept.labels import SPOT_CHECKS, fair, lot
from app.accept.risk_bounds import tail
from app.accept.risk_model import own_scores
from app.check.agreement import Critic
from app.digest import digest
from app.plan.schema import AcceptPlan
from app.types import Measure, QualityReport, Value, Verdict
from jobs.train.defects.judging import Judge
from jobs.train.defects.labels import label, mixed

Say: TypeAlias = Callable[[str], None]
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """How much is looked at, by whom, and what was promised."""

    pictures: int = 6000
    """In the pool."""
    each: int = 1000
    """In a round; the rest of the pool is held out."""
    resamples: int = 20
    share_bad: float = 0.2
    """Before the rules have spoken."""
    errors: float = 0.05
    """How often the reviewer errs, either way."""
    world: int = 40
    false_accepts: float = 0.05
    confidence: float = 0.9


FULL = Setting()
QUICK = Setting(pictures=900, each=200, resamples=2, false_accepts=0.1)


class RoundFigures(Value):
    """One round, over all resamples."""

    number: int
    people: float
    """The mean share of the pictures the rules accept that people looked at, spot checks too."""
    least: float
    most: float
    """The smallest and the largest share of any resample."""
    accepted: float
    """The mean share accepted without a person."""
    refused: float
    escapes: float | None
    """The bad ones among all accepted without a person; None where nothing was."""
    beyond: int
    """Resamples whose held-out rate of false accepts, by this round's guard, was above the stated.
    """
    held_out: float | None
    """The mean of that rate, of the resamples that accepted anything."""
    highest: float


class ReviewFigures(Value):
    """All of it."""

    pictures: int
    passed: int
    """Those that the rules accept; only they come to people."""
    bad: int
    """Of those, the ones that were spoilt."""
    resamples: int
    errors: float
    false_accepts: float
    confidence: float
    rounds: tuple[RoundFigures, ...]

    @property
    def falls(self) -> bool:
        """Whether the share for people falls with every round."""
        people = [one.people for one in self.rounds]
        return all(after < before for before, after in pairwise(people))

    @property
    def kept(self) -> bool:
        """Whether so many resamples beyond the rate, in any round, may well be chance."""
        doubt = 1 - self.confidence
        return all(
            1 - tail(one.beyond - 1, self.resamples, doubt) > 0.05 if one.beyond else True
            for one in self.rounds
        )


@dataclass(frozen=True, slots=True)
class Pooled:
    """One that the rules accept, with the truth."""

    key: str
    scores: dict[Measure, float]
    bad: bool


@dataclass(frozen=True, slots=True)
class _Dealt:
    """What one round of one resample came to."""

    people: float
    accepted: int
    refused: float
    share: float
    escaped: int
    held_out: float | None


_SORT = Sort("drawn", "")


def bench_review(setting: Setting, critic: Critic, say: Say) -> ReviewFigures:
    """Judge the pool, then deal it; most of the time goes into the first: 15 ms a picture."""
    say(f"judging {setting.pictures} pictures ...")
    pool = list(_pool(setting, critic))
    say(f"{len(pool)} of them pass the rules, {sum(one.bad for one in pool)} of those are bad")
    return reviewed(pool, setting)


def reviewed(pool: Sequence[Pooled], setting: Setting) -> ReviewFigures:
    """The rounds over a pool, dealt as often as the setting says."""
    dealt = [_rounds(pool, setting, number) for number in range(setting.resamples)]
    return ReviewFigures(
        pictures=setting.pictures,
        passed=len(pool),
        bad=sum(one.bad for one in pool),
        resamples=setting.resamples,
        errors=setting.errors,
        false_accepts=setting.false_accepts,
        confidence=setting.confidence,
        rounds=tuple(
            _figures(number, [one[number] for one in dealt], setting) for number in range(ROUNDS)
        ),
    )


def _pool(setting: Setting, critic: Critic) -> Iterator[Pooled]:
    judge = Judge(critic)
    for made in mixed(setting.world, setting.pictures, share_bad=setting.share_bad):
        line = label(made, judge)
        if line.passed:
            yield Pooled(line.key, own_scores(line.scores), line.label == "bad")


def _rounds(pool: Sequence[Pooled], setting: Setting, number: int) -> list[_Dealt]:
    """One resample: the rounds one after the other, and what is held out after each."""
    rng = np.random.default_rng([setting.world, number])
    order = [pool[at] for at in rng.permutation(len(pool))]
    each = min(setting.each, len(order) // (ROUNDS + 1))
    held = order[ROUNDS * each :]
    terms = AcceptPlan(false_accepts=setting.false_accepts, confidence=setting.confidence)
    guard, known, found = Guard(terms), list[Labelled](), []
    for at in range(ROUNDS):
        shown = order[at * each :][:each]
        # Lots are drawn by key: with the resample in it, each deals its spot checks anew.
        keys = [digest([number, one.key]) for one in shown]
        words = [_word(guard, one, key) for one, key in zip(shown, keys, strict=True)]
        looked = {
            key: one
            for one, key, said in zip(shown, keys, words, strict=True)
            if said is Verdict.REVIEW or lot(key) < SPOT_CHECKS
        }
        accepted = [
            one.bad for one, said in zip(shown, words, strict=True) if said is Verdict.ACCEPT
        ]
        known += _labels(looked, fair(keys, looked.keys()), setting.errors, rng)
        alone = _alone(held, guard)
        found.append(
            _Dealt(
                people=len(looked) / each,
                accepted=len(accepted),
                refused=words.count(Verdict.RETRY) / each,
                share=len(accepted) / each,
                escaped=sum(accepted),
                held_out=fmean(alone) if alone else None,
            )
        )
        calibration = calibrate(known, at=f"round {at}", errors=setting.errors)
        guard = Guard(terms, calibration, digest(["round", number, at]))
    return found


def _word(guard: Guard, picture: Pooled, key: str) -> Verdict:
    report = guard.refuse(QualityReport(scores=picture.scores, verdict=Verdict.ACCEPT))
    assert report is not None
    if report.verdict is not Verdict.ACCEPT:
        return report.verdict
    return guard.admit(report, _SORT, key).verdict


def _alone(held: Sequence[Pooled], guard: Guard) -> list[bool]:
    """Of held-out pictures that go without a person, whether each is bad."""
    return [one.bad for one in held if _word(guard, one, one.key) is Verdict.ACCEPT]


def _labels(
    looked: dict[str, Pooled], sample: frozenset[str], errors: float, rng: np.random.Generator
) -> list[Labelled]:
    """What the reviewer says, who errs."""
    wrong = rng.random(len(looked)) < errors
    return [
        Labelled(
            key=key,
            scores=one.scores,
            good=one.bad == bool(errs),
            model=_SORT.model,
            style=_SORT.style,
            fair=key in sample,
        )
        for (key, one), errs in zip(looked.items(), wrong, strict=True)
    ]


def _figures(number: int, dealt: Sequence[_Dealt], setting: Setting) -> RoundFigures:
    people = [one.people for one in dealt]
    accepted = sum(one.accepted for one in dealt)
    held = [one.held_out for one in dealt if one.held_out is not None]
    return RoundFigures(
        number=number + 1,
        people=fmean(people),
        least=min(people),
        most=max(people),
        accepted=fmean(one.share for one in dealt),
        refused=fmean(one.refused for one in dealt),
        escapes=sum(one.escaped for one in dealt) / accepted if accepted else None,
        beyond=sum(rate > setting.false_accepts for rate in held),
        held_out=fmean(held) if held else None,
        highest=max(held, default=0.0),
    )
