"""Alerts: planted trouble of each kind is called by its name, soon, and health is left alone."""

from collections.abc import Iterator, Sequence
from random import Random

import pytest

from app.monitor.alerts import (
    STALLED_SECONDS,
    AlertKind,
    budget_alert,
    model_alerts,
    stalled_alert,
    tail_probability,
)

HISTORY = 300
SEEDS = range(12)


def story(seed: int, *, before: float, after: float) -> Iterator[list[bool]]:
    """A history with this share of marks, then one more image at a time with another share."""
    random = Random(seed)
    marks = [random.random() < before for _ in range(HISTORY)]
    while True:
        marks.append(random.random() < after)
        yield marks


def troubles(
    failures: Sequence[bool] = (), seconds: Sequence[float] = (), acceptances: Sequence[bool] = ()
) -> list[AlertKind]:
    alerts = model_alerts("m/1", failures=failures, seconds=seconds, acceptances=acceptances)
    return [alert.trouble for alert in alerts]


@pytest.mark.parametrize(("after", "delay"), [(1.0, 8), (0.5, 32)])
def test_a_backend_that_fails_is_an_outage_within_the_stated_delay(
    after: float, delay: int
) -> None:
    for seed in SEEDS:
        good = [True] * HISTORY
        for image, failures in enumerate(story(seed, before=0.02, after=after), start=1):
            kinds = troubles(failures=failures, acceptances=good)
            if kinds:
                break
            assert image < delay
        assert kinds == [AlertKind.OUTAGE]


@pytest.mark.parametrize(("after", "delay"), [(0.0, 8), (0.5, 64)])
def test_a_fall_of_acceptance_is_a_regression_within_the_stated_delay(
    after: float, delay: int
) -> None:
    for seed in SEEDS:
        for image, accepted in enumerate(story(seed, before=0.9, after=after), start=1):
            kinds = troubles(failures=[False] * HISTORY, acceptances=accepted)
            if kinds:
                break
            assert image < delay
        assert kinds == [AlertKind.REGRESSION]


def test_a_backend_that_crawls_is_an_outage_within_eight_images() -> None:
    seconds = [1.0] * HISTORY + [5.0] * 8
    assert troubles(seconds=seconds, acceptances=[True] * HISTORY) == [AlertKind.OUTAGE]
    assert troubles(seconds=[1.0] * HISTORY + [5.0]) == []


def test_both_at_once_are_told_both() -> None:
    bad = [False] * HISTORY + [True] * 20
    good = [not flag for flag in bad]
    assert troubles(failures=bad, acceptances=good) == [AlertKind.OUTAGE, AlertKind.REGRESSION]


def test_an_outage_that_is_over_is_forgotten() -> None:
    assert troubles(failures=[False] * HISTORY + [True] * 30 + [False] * 64) == []


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_what_stays_as_it_was_raises_no_alarm(share: float) -> None:
    for seed in SEEDS:
        for image, marks in enumerate(story(seed, before=share, after=share)):
            assert troubles(acceptances=marks) == []
            if image == 100:
                break


def test_without_a_history_only_a_backend_that_fails_is_told() -> None:
    assert troubles(failures=[True] * 16, acceptances=[False] * 16) == [AlertKind.OUTAGE]
    assert troubles(failures=[True] * 2 + [False] * 10) == []


def test_surprise_is_a_chance_and_falls_with_every_further_bad_one() -> None:
    chances = [tail_probability(bad, 16, before=(10, 90)) for bad in range(17)]
    assert chances[0] == pytest.approx(1)
    assert chances == sorted(chances, reverse=True)
    assert 0 < chances[-1] < 1e-9


def test_a_budget_is_told_when_nearly_and_when_wholly_spent() -> None:
    assert budget_alert("team a", spent_usd=8.9, cap_usd=10) is None
    nearly = budget_alert("team a", spent_usd=9.5, cap_usd=10)
    assert nearly is not None
    assert nearly.message == "the budget of team a is nearly spent: $9.5000 of $10.0000"
    spent = budget_alert("team a", spent_usd=10, cap_usd=10)
    assert spent is not None
    assert (spent.trouble, "is spent" in spent.message) == (AlertKind.BUDGET, True)


def test_a_run_that_stands_still_is_told() -> None:
    assert stalled_alert("run-1", still_seconds=STALLED_SECONDS - 1) is None
    stalled = stalled_alert("run-1", still_seconds=STALLED_SECONDS)
    assert stalled is not None
    assert stalled.trouble is AlertKind.STALLED
