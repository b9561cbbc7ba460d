"""Rounds of review: with every round less is left for people, and no more bad ones escape."""

from dataclasses import dataclass

import numpy as np
import pytest

from app.accept.calibration import Labelled, calibrate
from app.accept.gate import Guard, Sort
from app.accept.labels import SPOT_CHECKS, fair, lot
from app.accept.risk_bounds import tail
from app.plan.schema import AcceptPlan
from app.types import QualityReport, Verdict
from tests.assurance.worlds import MODEL, STYLE, Picture, World, labelled

TERMS = AcceptPlan(false_accepts=0.08, confidence=0.9)
ERRORS = 0.1
ROUNDS, WORLDS = 3, 6


@dataclass(frozen=True, slots=True)
class Round:
    """What a round left for people, spot checks with them, and the true share of escapes."""

    people: float
    escapes: float


def word(guard: Guard, picture: Picture) -> Verdict:
    report = guard.refuse(QualityReport(scores=picture.scores, verdict=Verdict.ACCEPT))
    assert report is not None
    if report.verdict is not Verdict.ACCEPT:
        return report.verdict
    return guard.admit(report, Sort(MODEL, STYLE), picture.key).verdict


def rounds(seed: int) -> list[Round]:
    world, guard = World(seed), Guard(TERMS)
    known: list[Labelled] = []
    found = []
    for number in range(ROUNDS):
        pictures = world.pictures(1500, part=f"round {number}")
        words = [word(guard, one) for one in pictures]
        accepted = [
            one.bad for one, said in zip(pictures, words, strict=True) if said is Verdict.ACCEPT
        ]
        looked = [
            one
            for one, said in zip(pictures, words, strict=True)
            if said is Verdict.REVIEW or lot(one.key) < SPOT_CHECKS
        ]
        found.append(
            Round(len(looked) / len(pictures), float(np.mean(accepted)) if accepted else 0.0)
        )
        sample = fair([one.key for one in pictures], {one.key for one in looked})
        said_of = labelled(looked, errors=ERRORS, seed=10 * seed + number)
        known += [one.replace(fair=one.key in sample) for one in said_of]
        guard = Guard(TERMS, calibrate(known, at=str(number), errors=ERRORS), "c" * 64)
    return found


@pytest.fixture(scope="module")
def worlds() -> list[list[Round]]:
    return [rounds(seed) for seed in range(WORLDS)]


def test_the_share_for_people_falls_with_every_round(worlds: list[list[Round]]) -> None:
    people = [float(np.mean([world[at].people for world in worlds])) for at in range(ROUNDS)]
    assert people[0] == 1.0
    assert people[1] < 0.8
    assert people[2] < people[1]


def test_the_true_escapes_stay_within_the_rate_though_reviewers_err(
    worlds: list[list[Round]],
) -> None:
    escapes = [one.escapes for world in worlds for one in world[1:]]
    exceeded = sum(one > TERMS.false_accepts for one in escapes)
    assert tail(len(escapes) - exceeded, len(escapes), TERMS.confidence) > 0.01
