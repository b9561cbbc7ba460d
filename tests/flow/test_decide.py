"""Decisions: the best accepted candidate wins, attempts are bounded, reasons are given."""

from hypothesis import given
from hypothesis import strategies as st

from app.check.duplicates import Neighbours
from app.flow.decide import decide
from app.types import Measure, Rule, Status, Verdict
from app.types.candidate import Candidate, Outcome
from tests.values import candidate_with, failed_candidate, request_with, spec_with

AGREES = Rule(check=Measure.AGREEMENT, at_least=0.5)
NEW = Rule(check=Measure.DUPLICATE_DISTANCE, at_least=3)


def test_the_best_accepted_candidate_wins() -> None:
    candidates = [candidate_with(agreement=score) for score in (0.6, 0.9, 0.7)]
    decision = decide(spec_with(AGREES), candidates, Neighbours())
    assert decision.status is Status.ACCEPTED
    assert decision.winner == candidates[1]
    assert decision.reasons == ()


def test_equals_are_told_apart_by_the_earlier_seed() -> None:
    candidates = [candidate_with(phash, agreement=0.8) for phash in (7, 8)]
    decision = decide(spec_with(AGREES), candidates, Neighbours())
    assert decision.winner == candidates[0]


def test_another_attempt_is_due_while_the_plan_allows() -> None:
    refused = candidate_with(agreement=0.2)
    spec = spec_with(AGREES, attempts=3)
    assert decide(spec, [refused] * 2, Neighbours()).status is None
    ended = decide(spec, [refused] * 3, Neighbours())
    assert ended.status is Status.REJECTED
    assert any("agreement" in reason for reason in ended.reasons)


def test_what_money_cut_short_is_not_decided_for_good() -> None:
    """With more money the same command goes on, so the asset must not count as rejected."""
    no_money = Outcome(request=request_with(), error="budget: gone", refused=True)
    short = [candidate_with(agreement=0.2), Candidate(outcome=no_money)]
    decision = decide(spec_with(AGREES), short, Neighbours())
    assert (decision.status, decision.winner) == (Status.FAILED, None)
    assert "budget: gone" in decision.reasons
    good = [candidate_with(agreement=0.9), Candidate(outcome=no_money)]
    assert decide(spec_with(AGREES), good, Neighbours()).status is Status.ACCEPTED


def test_a_rule_that_rejects_asks_for_no_other_seed() -> None:
    rule = Rule(check=Measure.COVERAGE, at_least=0.1, otherwise=Verdict.REJECT)
    decision = decide(spec_with(rule), [candidate_with(coverage=0.0)], Neighbours())
    assert decision.status is Status.REJECTED


def test_a_doubtful_image_goes_to_people_when_nothing_better_came() -> None:
    rule = Rule(check=Measure.SHARPNESS, at_least=0.5, otherwise=Verdict.REVIEW)
    spec = spec_with(rule, AGREES, attempts=2)
    doubtful, wrong = candidate_with(sharpness=0.3, agreement=0.9), candidate_with(agreement=0.1)
    assert decide(spec, [wrong], Neighbours()).status is None
    decision = decide(spec, [doubtful, wrong], Neighbours())
    assert decision.status is Status.REVIEW
    assert decision.winner == doubtful


def test_no_image_at_all_is_a_failure_with_its_reason() -> None:
    decision = decide(spec_with(AGREES, attempts=1), [failed_candidate("poison")], Neighbours())
    assert decision.status is Status.FAILED
    assert decision.reasons == ("poison",)


def test_a_near_duplicate_of_an_accepted_asset_is_not_accepted_again() -> None:
    neighbours, twin = Neighbours(), candidate_with(0b1011, agreement=0.9)
    first = decide(spec_with(AGREES, NEW, name="first"), [twin], neighbours)
    second = decide(spec_with(AGREES, NEW, name="second", attempts=1), [twin], neighbours)
    assert first.status is Status.ACCEPTED
    assert second.status is Status.REJECTED
    assert second.reasons == ("nearly repeats first: 0 (rule: duplicate_distance >= 3)",)
    other = candidate_with(0xFF00, agreement=0.6)
    third = decide(spec_with(AGREES, NEW, name="third"), [twin, other], neighbours)
    assert third.winner == other


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    attempts=st.integers(1, 6),
    threshold=st.floats(0, 1),
)
def test_every_asset_has_a_fate_once_its_attempts_are_used(
    scores: list[float], attempts: int, threshold: float
) -> None:
    rule = Rule(check=Measure.AGREEMENT, at_least=threshold)
    spec = spec_with(rule, candidates=1, attempts=attempts)
    candidates = [candidate_with(agreement=score) for score in scores]
    decision = decide(spec, candidates, Neighbours())
    accepted = any(score >= threshold for score in scores)
    assert (decision.status is Status.ACCEPTED) == accepted
    assert (decision.status is None) == (not accepted and len(scores) < attempts)
