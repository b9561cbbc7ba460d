"""The judge answers always, names every broken rule, and the gravest decides."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.check.judge import judge, rank, reasons, severity
from app.types import Measure, QualityReport, Rule, Verdict

limits = st.none() | st.floats(-2, 2)
rules = st.builds(
    Rule,
    check=st.sampled_from(Measure),
    at_least=limits,
    at_most=limits,
    otherwise=st.sampled_from(Verdict),
)
scores = st.dictionaries(st.sampled_from(Measure), st.floats() | st.floats(-2, 2))


@given(scores, st.lists(rules, max_size=8))
def test_the_judge_answers_whatever_the_scores(
    given_scores: dict[Measure, float], given_rules: list[Rule]
) -> None:
    report = judge(given_scores, given_rules)
    verdicts = [finding.verdict for finding in report.findings]
    assert report.verdict == max(verdicts, key=severity, default=Verdict.ACCEPT)
    assert len(reasons(report)) == len(report.findings)
    assert QualityReport.model_validate_json(report.model_dump_json()) == report


@given(scores, st.lists(rules, max_size=8))
def test_a_rule_is_found_broken_exactly_when_its_number_is_not_proven_inside(
    given_scores: dict[Measure, float], given_rules: list[Rule]
) -> None:
    def inside(rule: Rule) -> bool:
        score = given_scores.get(rule.check, math.nan)
        low = -math.inf if rule.at_least is None else rule.at_least
        high = math.inf if rule.at_most is None else rule.at_most
        return math.isfinite(score) and low <= score <= high

    broken = [
        (finding.check, finding.rule) for finding in judge(given_scores, given_rules).findings
    ]
    assert broken == [(rule.check, str(rule)) for rule in given_rules if not inside(rule)]


@given(scores, rules, st.lists(rules, max_size=4), st.floats(0, 2))
def test_a_relaxed_rule_never_makes_the_verdict_graver(
    given_scores: dict[Measure, float], rule: Rule, others: list[Rule], slack: float
) -> None:
    relaxed = rule.replace(
        at_least=None if rule.at_least is None else rule.at_least - slack,
        at_most=None if rule.at_most is None else rule.at_most + slack,
    )
    strict = judge(given_scores, [rule, *others]).verdict
    assert severity(judge(given_scores, [relaxed, *others]).verdict) <= severity(strict)
    assert severity(judge(given_scores, others).verdict) <= severity(strict)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, None])
def test_what_was_not_measured_is_not_accepted(score: float | None) -> None:
    given_scores = {} if score is None else {Measure.AGREEMENT: score}
    rule = Rule(check=Measure.AGREEMENT, at_least=-1e9, otherwise=Verdict.REJECT)
    report = judge(given_scores, [rule])
    assert report.verdict is Verdict.REJECT
    assert [finding.score for finding in report.findings] == [None]
    assert report.scores == {}
    assert reasons(report) == ("agreement could not be measured (rule: agreement >= -1e+09)",)


def test_without_rules_everything_is_accepted() -> None:
    assert judge({Measure.COVERAGE: 0.0}, []).verdict is Verdict.ACCEPT


def test_reasons_say_what_is_wrong_with_the_number_and_the_rule() -> None:
    rule = Rule(check=Measure.BORDER, at_most=0.5)
    report = judge({Measure.BORDER: 1.0}, [rule])
    assert reasons(report) == ("cut off at the border: 1 (rule: border <= 0.5)",)


@pytest.mark.parametrize("measure", Measure)
def test_every_measure_has_words_for_its_failure(measure: Measure) -> None:
    (reason,) = reasons(judge({measure: 1.0}, [Rule(check=measure, at_least=2)]))
    assert reason.endswith(f": 1 (rule: {measure} >= 2)")


def candidate(agreement: float | None, sharpness: float, verdict: Verdict) -> QualityReport:
    known = {Measure.SHARPNESS: sharpness}
    if agreement is not None:
        known[Measure.AGREEMENT] = agreement
    return QualityReport(scores=known, verdict=verdict)


def test_candidates_rank_by_verdict_then_agreement_then_sharpness() -> None:
    from_worst_to_best = [
        candidate(0.9, 0.9, Verdict.REJECT),
        candidate(0.9, 0.9, Verdict.RETRY),
        candidate(0.9, 0.9, Verdict.REVIEW),
        candidate(None, 0.9, Verdict.ACCEPT),
        candidate(0.5, 0.9, Verdict.ACCEPT),
        candidate(0.8, 0.3, Verdict.ACCEPT),
        candidate(0.8, 0.4, Verdict.ACCEPT),
    ]
    for shuffled in list(permutations(from_worst_to_best))[::97]:
        assert sorted(shuffled, key=rank) == from_worst_to_best


def test_of_equal_candidates_the_first_is_best() -> None:
    same = [candidate(0.8, 0.4, Verdict.ACCEPT) for _ in range(3)]
    assert max(range(3), key=lambda index: rank(same[index])) == 0
