"""Quotas: never more than the bucket and what flows in, nothing charged for what is refused."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.keys import KeyOwner
from app.api.responses import Problem
from deployments.calls.idempotency import CallRefused
from deployments.calls.rate_limit import RateLimiter

LOST = CallRefused(Problem(status=503, code="no_capacity", message="the replicas went away"))


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def owner_with(per_minute: int | None = None, at_once: int | None = None) -> KeyOwner:
    return KeyOwner(
        name="team-a", team="team-a", images_per_minute=per_minute, images_at_once=at_once
    )


def limiter_at(clock: Clock) -> RateLimiter:
    return RateLimiter(clock=clock)


def claim_images(limiter: RateLimiter, owner: KeyOwner, images: int) -> Problem | None:
    """One call that is over at once: None, or why it was refused."""
    try:
        with limiter.claim(owner, images):
            return None
    except CallRefused as refused:
        return refused.problem


CALLS = st.lists(
    st.tuples(st.floats(0, 90, allow_subnormal=False), st.integers(1, 12)), min_size=1, max_size=60
)


@given(limit=st.integers(1, 10), calls=CALLS)
def test_no_minute_sees_more_than_the_bucket_and_what_flows_in(
    limit: int, calls: list[tuple[float, int]]
) -> None:
    clock = Clock()
    limiter, owner = limiter_at(clock), owner_with(limit)
    given: list[tuple[float, int]] = []
    for seconds, images in calls:
        clock.now += seconds
        if claim_images(limiter, owner, images) is None:
            given.append((clock.now, images))
    for start, _ in given:
        minute = [images for at, images in given if start <= at < start + 60]
        assert sum(minute) <= 2 * limit
    span = clock.now - 1000.0
    assert sum(images for _, images in given) <= limit + limit * span / 60 + 1e-6


@given(limit=st.integers(1, 10), calls=CALLS)
def test_who_waits_as_long_as_told_gets_what_was_refused(
    limit: int, calls: list[tuple[float, int]]
) -> None:
    clock = Clock()
    limiter, owner = limiter_at(clock), owner_with(limit)
    for seconds, images in calls:
        clock.now += seconds
        refused = claim_images(limiter, owner, images)
        if refused is None or refused.code == "over_limit":
            continue
        assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
        assert refused.retry_after_seconds is not None
        clock.now += refused.retry_after_seconds
        assert claim_images(limiter, owner, images) is None


@given(limit=st.integers(1, 8), calls=st.lists(st.integers(1, 8), max_size=30))
def test_no_more_are_under_way_than_the_key_says(limit: int, calls: list[int]) -> None:
    limiter, owner, under_way = limiter_at(Clock()), owner_with(at_once=limit), 0
    with ExitStack() as claims:
        for images in calls:
            try:
                claims.enter_context(limiter.claim(owner, images))
            except CallRefused as refused:
                most = refused.problem.code == "over_limit"
                assert images > limit if most else under_way + images > limit
            else:
                under_way += images
            assert under_way <= limit
    assert claim_images(limiter, owner, limit) is None


def test_a_burst_as_large_as_the_limit_is_given_and_then_one_by_one() -> None:
    clock = Clock()
    limiter, owner = limiter_at(clock), owner_with(6)
    assert claim_images(limiter, owner, 6) is None
    refused = claim_images(limiter, owner, 1)
    assert refused is not None
    assert refused.retry_after_seconds == 10
    assert "team-a allows 6 images a minute" in refused.message
    clock.now += 9.9
    assert claim_images(limiter, owner, 1) is not None
    clock.now += 0.1
    assert claim_images(limiter, owner, 1) is None
    assert claim_images(limiter, owner, 1) is not None


@pytest.mark.parametrize(
    ("owner", "words"),
    [(owner_with(4), "n 5 is more than the 4 images a minute"),
     (owner_with(9, 4), "n 5 is more than the 4 images at once")],
)  # fmt: skip
def test_a_call_that_can_never_be_answered_names_both_numbers(owner: KeyOwner, words: str) -> None:
    refused = claim_images(limiter_at(Clock()), owner, 5)
    assert refused is not None
    assert (refused.status, refused.code, refused.param) == (422, "over_limit", "n")
    assert words in refused.message
    assert refused.retry_after_seconds is None


def test_what_is_refused_costs_nothing() -> None:
    limiter, owner = limiter_at(Clock()), owner_with(4, 2)
    with limiter.claim(owner, 2):
        for _ in range(5):
            refused = claim_images(limiter, owner, 1)
            assert refused is not None
            assert (refused.code, refused.retry_after_seconds) == ("too_many_at_once", 1)
        assert claim_images(limiter, owner, 3) is not None
    assert claim_images(limiter, owner, 2) is None
    assert claim_images(limiter, owner, 1) is not None


def test_what_the_service_does_not_answer_is_given_back() -> None:
    limiter, owner = limiter_at(Clock()), owner_with(2, 2)
    for _ in range(5):
        with pytest.raises(CallRefused), limiter.claim(owner, 2):
            raise LOST
    assert claim_images(limiter, owner, 2) is None


@pytest.mark.parametrize("error", [RuntimeError, GeneratorExit, KeyboardInterrupt])
def test_a_claim_ends_with_every_exception_and_its_work_is_charged(
    error: type[BaseException],
) -> None:
    limiter, owner = limiter_at(Clock()), owner_with(3, 1)
    for _ in range(3):
        with pytest.raises(error), limiter.claim(owner, 1):
            raise error
    refused = claim_images(limiter, owner, 1)
    assert refused is not None
    assert refused.code == "rate_limit_exceeded"


def test_one_caller_does_not_use_up_what_another_has() -> None:
    limiter, owner = limiter_at(Clock()), owner_with(1)
    assert claim_images(limiter, owner, 1) is None
    assert claim_images(limiter, owner.replace(name="team-b"), 1) is None
    assert claim_images(limiter, owner, 1) is not None


def test_only_callers_who_lack_something_are_remembered() -> None:
    clock = Clock()
    limiter = limiter_at(clock)
    for number in range(100):
        claim_images(limiter, owner_with(60, 60).replace(name=f"team-{number}"), 1)
        claim_images(limiter, owner_with(at_once=1).replace(name=f"other-{number}"), 1)
    claim_images(limiter, KeyOwner(), 10**6)
    assert limiter.held >= 100
    clock.now += 60
    assert claim_images(limiter, owner_with(1), 1) is None
    assert limiter.held == 1
