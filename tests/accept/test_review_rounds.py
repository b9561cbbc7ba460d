"""Rounds of review: with every round less is left for people, and no more bad ones escape."""

from dataclasses import dataclass

import numpy as np
import pytest

from app.accept.calibration import LabelledImage, calibrate
from app.accept.gate import AcceptanceGate, ModelStyle
from app.accept.labels import SPOT_CHECKS, random_prefix, sampling_key
from app.accept.risk_bounds import binomial_tail
from app.plan.schema import AcceptPlan
from app.types import QualityReport, Verdict
from tests.accept.simulated_world import MODEL, STYLE, SimulatedPicture, SimulatedWorld, labelled

TERMS = AcceptPlan(false_accepts=0.08, confidence=0.9)
ERRORS = 0.1
ROUNDS, WORLDS = 3, 6


@dataclass(frozen=True, slots=True)
class Round:
    """What a round left for people, spot checks with them, and the true share of escapes."""

    people: float
    escapes: float


def word(gate: AcceptanceGate, picture: SimulatedPicture) -> Verdict:
    report = gate.apply_reject_limit(QualityReport(scores=picture.scores, verdict=Verdict.ACCEPT))
    assert report is not None
    if report.verdict is not Verdict.ACCEPT:
        return report.verdict
    return gate.apply_accept_limit(report, ModelStyle(MODEL, STYLE), picture.key).verdict


def rounds(seed: int) -> list[Round]:
    world, gate = SimulatedWorld(seed), AcceptanceGate(TERMS)
    known: list[LabelledImage] = []
    results = []
    for number in range(ROUNDS):
        pictures = world.pictures(1500, part=f"round {number}")
        words = [word(gate, picture) for picture in pictures]
        accepted = [
            picture.bad
            for picture, verdict in zip(pictures, words, strict=True)
            if verdict is Verdict.ACCEPT
        ]
        looked = [
            picture
            for picture, verdict in zip(pictures, words, strict=True)
            if verdict is Verdict.REVIEW or sampling_key(picture.key) < SPOT_CHECKS
        ]
        results.append(
            Round(len(looked) / len(pictures), float(np.mean(accepted)) if accepted else 0.0)
        )
        sample = random_prefix(
            [picture.key for picture in pictures], {picture.key for picture in looked}
        )
        said_of = labelled(looked, errors=ERRORS, seed=10 * seed + number)
        known += [label.replace(fair=label.key in sample) for label in said_of]
        gate = AcceptanceGate(TERMS, calibrate(known, at=str(number), errors=ERRORS), "c" * 64)
    return results


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
    escapes = [round_result.escapes for world in worlds for round_result in world[1:]]
    exceeded = sum(escape > TERMS.false_accepts for escape in escapes)
    assert binomial_tail(len(escapes) - exceeded, len(escapes), TERMS.confidence) > 0.01
