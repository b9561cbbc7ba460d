"""Turns: models are asked in their order, go on from the best picture, and are told apart."""

from itertools import count

import pytest

from app.route.cascade import Stage
from app.route.stages import current_stage, next_requests, stage_results
from app.types import (
    GeneratedImage,
    Measure,
    QualityReport,
    StageResult,
    Status,
    Verdict,
)
from app.types.candidate import Candidate, Decision, Outcome
from tests.store.values import image_of
from tests.values import spec_with

SPEC = spec_with(candidates=2, attempts=6)
NUMBERS = count()
STAGES = (
    Stage(name="light", model="light/1", images=2),
    Stage(name="heavy", model="heavy/1", images=4, after="light/1~0.6", strength=0.6),
)


def picture(model: str) -> GeneratedImage:
    number = next(NUMBERS)
    image = image_of(number, b"%d" % number)
    return image.replace(provenance=image.provenance.replace(model=model), seconds=0.5)


def candidate(model: str, verdict: Verdict = Verdict.RETRY, agreement: float = 0.5) -> Candidate:
    image = picture(model)
    report = QualityReport(scores={Measure.AGREEMENT: agreement}, verdict=verdict)
    return Candidate(outcome=Outcome(request=image.provenance.request, image=image), report=report)


def lost() -> Candidate:
    return Candidate(outcome=Outcome(request=SPEC.request, error="the worker died"))


def decision(status: Status) -> Decision:
    return Decision(status=status, winner=None, report=None, reasons=())


@pytest.mark.parametrize(
    ("made", "name", "until"),
    [(0, "light", 2), (1, "light", 2), (2, "heavy", 6), (5, "heavy", 6), (6, "heavy", 6)],
)
def test_whose_turn_it_is_follows_from_what_was_made(made: int, name: str, until: int) -> None:
    stage, end = current_stage(STAGES, made)
    assert (stage.name, end) == (name, until)


def test_the_heavier_model_goes_on_from_the_best_refused_picture() -> None:
    good, bad = candidate("light/1", agreement=0.7), candidate("light/1", agreement=0.2)
    first = next_requests(SPEC, STAGES, [])
    assert first == (SPEC.candidate(0), SPEC.candidate(1))
    requests = next_requests(SPEC, STAGES, [bad, good])
    assert good.outcome.image is not None
    assert [(request.init_image, request.strength) for request in requests] == [
        (good.outcome.image.digest, 0.6)
    ] * 2
    assert [request.seed for request in requests] == [
        SPEC.candidate(2).seed,
        SPEC.candidate(3).seed,
    ]
    last = next_requests(SPEC, STAGES, [bad, good, candidate("heavy/1", agreement=0.9), bad])
    assert {request.init_image for request in last} == {good.outcome.image.digest}, (
        "not from its own"
    )


def test_it_goes_on_from_the_latents_where_they_were_kept() -> None:
    good, better = candidate("light/1"), candidate("light/1", agreement=0.8)
    assert better.outcome.image is not None
    kept = better.outcome.image.replace(latents="b" * 64)
    better = better.replace(outcome=better.outcome.replace(image=kept))
    assert {request.init_image for request in next_requests(SPEC, STAGES, [good, better])} == {
        "b" * 64
    }


def test_without_a_picture_to_go_on_from_it_begins_anew() -> None:
    assert next_requests(SPEC, STAGES, [lost(), lost()]) == (SPEC.candidate(2), SPEC.candidate(3))


def test_each_model_is_told_what_came_of_its_own_pictures() -> None:
    accepted = [
        candidate("light/1"), lost(),
        candidate("heavy/1"), candidate("heavy/1", Verdict.ACCEPT),
    ]  # fmt: skip
    assert stage_results(SPEC, STAGES, accepted, decision(Status.ACCEPTED)) == (
        StageResult(model="light/1", tried=1, passed=0, seconds=0.5),
        StageResult(model="heavy/1", after="light/1~0.6", tried=2, passed=1, seconds=1.0),
    )


def test_a_picture_that_came_too_near_to_another_did_not_pass() -> None:
    near = [candidate("echo/1", Verdict.ACCEPT), candidate("echo/1", Verdict.ACCEPT)]
    (turn,) = stage_results(SPEC, (), near, decision(Status.REJECTED))
    assert (turn.tried, turn.passed) == (2, 0)
    assert stage_results(SPEC, (), [lost()], decision(Status.FAILED)) == ()


def test_a_model_of_its_own_has_one_turn() -> None:
    made = [candidate("echo/1"), candidate("echo/1", Verdict.ACCEPT)]
    assert stage_results(SPEC, (), made, decision(Status.ACCEPTED)) == (
        StageResult(model="echo/1", tried=2, passed=1, seconds=1.0),
    )
