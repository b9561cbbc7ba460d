"""Bounds: exact tails, and a limit that is beyond its rate is hardly ever used."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accept.risk_bounds import (
    LimitStep,
    binomial_tail,
    loosest_limit,
    min_labels,
    rate_upper_bound,
    reported_rate,
    true_rate,
)


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 99))
def test_the_tail_is_the_binomial_sum(wrong: int, images: int, percent: int) -> None:
    rate = Fraction(percent, 100)
    terms = (
        comb(images, at) * rate**at * (1 - rate) ** (images - at)
        for at in range(min(wrong, images) + 1)
    )
    assert binomial_tail(wrong, images, percent / 100) == pytest.approx(
        float(sum(terms)), abs=1e-12
    )


@given(st.integers(0, 50), st.integers(1, 500), st.sampled_from([0.01, 0.1, 0.3]))
def test_the_highest_rate_is_where_the_tail_meets_the_doubt(
    wrong: int, images: int, doubt: float
) -> None:
    rate = rate_upper_bound(wrong, images, doubt)
    if wrong >= images:
        assert rate == 1
    else:
        assert binomial_tail(wrong, images, rate) == pytest.approx(doubt, abs=1e-9)


@pytest.mark.parametrize("errors", [0.0, 0.1, 0.3])
def test_errors_of_reviewers_are_taken_out_again(errors: float) -> None:
    assert true_rate(reported_rate(0.07, errors), errors) == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("rate", "doubt", "expected"), [(0.01, 0.1, 230), (0.05, 0.1, 45), (0.01, 0.05, 299)]
)
def test_the_fewest_labels_are_those_of_the_rule_of_three(
    rate: float, doubt: float, expected: int
) -> None:
    assert min_labels(rate, doubt) == expected
    assert binomial_tail(0, expected, rate) <= doubt < binomial_tail(0, expected - 1, rate)


@pytest.mark.parametrize(("rate", "images"), [(0.05, 400), (0.1, 150), (0.02, 1000)])
@pytest.mark.parametrize("errors", [0.0, 0.1])
def test_a_limit_beyond_the_rate_is_used_no_more_often_than_the_doubt(
    rate: float, images: int, errors: float
) -> None:
    """The hardest case: every limit is only just beyond, and all of them are tried."""
    draw = np.random.default_rng(int(1000 * rate) + images)
    trials, doubt = 1500, 0.1
    used = 0
    for _ in range(trials):
        wrong = draw.random(images) < reported_rate(rate, errors)
        steps = [
            LimitStep(
                at=at / 20,
                share=at / 20,
                expected=0.0,
                images=count,
                wrong=int(wrong[:count].sum()),
            )
            for at in range(1, 21)
            for count in [images * at // 20]
        ]
        used += loosest_limit(steps, images, rate=rate, doubt=doubt, errors=errors) is not None
    assert binomial_tail(trials - used, trials, 1 - doubt) > 0.001


def test_no_steps_allow_nothing() -> None:
    assert loosest_limit([], 0, rate=0.1, doubt=0.1) is None
