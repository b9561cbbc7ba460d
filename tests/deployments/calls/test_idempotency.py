"""Idempotency keys: one answer for one call, no answer for a reused key, and bounded memory."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.responses import CallResult, ServedImage
from app.models.bundled import ECHO
from app.route.by_role import DeployedModel, Role, RoleChoice
from deployments.calls.idempotency import CallKey, CallRefused, IdempotencyCache
from tests.store.values import provenance_of
from tests.values import request_with

SERVED = DeployedModel(role=Role.DRAFT, reference="echo", model=ECHO, steps=1, max_steps=1)
CHOICE = RoleChoice(served=SERVED, reason="a test", considered=())


def made(size: int = 1) -> CallResult:
    request = request_with()
    image = ServedImage(
        request=request, png=b"x" * size, provenance=provenance_of(request), seconds=0
    )
    return CallResult(choice=CHOICE, images=(image,), created=0)


def call(key: str = "k", body: str = "body", owner: str = "") -> CallKey:
    return CallKey(owner=owner, key=key, fingerprint=body)


def answer(cache: IdempotencyCache, key: CallKey | None, size: int = 1) -> bool:
    """Make the call, or take what was made; True when it was there already."""
    with cache.claim(key) as claim:
        if claim.result is not None:
            return True
        claim.result = made(size)
        return False


def cache_of(answers: int = 4, max_bytes: int = 100) -> IdempotencyCache:
    return IdempotencyCache(max_answers=answers, max_bytes=max_bytes)


def refusal(cache: IdempotencyCache, key: CallKey) -> int:
    with ExitStack() as held:
        with pytest.raises(CallRefused) as refused:
            held.enter_context(cache.claim(key))
        return refused.value.problem.status


def test_the_same_call_is_made_once() -> None:
    cache = cache_of()
    assert [answer(cache, call()) for _ in range(3)] == [False, True, True]


def test_another_body_under_the_key_is_refused() -> None:
    cache = cache_of()
    answer(cache, call())
    assert refusal(cache, call(body="other")) == 422
    assert answer(cache, call())


def test_while_the_first_call_is_under_way_the_key_is_in_use() -> None:
    cache = cache_of()
    with cache.claim(call()) as claim:
        assert refusal(cache, call()) == 409
        assert refusal(cache, call(body="other")) == 422
        claim.result = made()
    assert answer(cache, call())


def test_a_call_that_came_to_nothing_may_be_made_again() -> None:
    cache = cache_of()
    with pytest.raises(ZeroDivisionError), cache.claim(call()):
        raise ZeroDivisionError
    assert not answer(cache, call(body="other"))


def test_calls_without_a_key_are_each_made() -> None:
    cache = cache_of()
    assert [answer(cache, None) for _ in range(2)] == [False, False]


def test_two_owners_do_not_meet_under_one_key() -> None:
    cache = cache_of()
    assert not answer(cache, call(owner="a"))
    assert not answer(cache, call(owner="b", body="other"))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), max_size=40))
def test_it_never_holds_more_than_its_bounds_and_keeps_the_latest(
    calls: list[tuple[int, int]],
) -> None:
    cache = cache_of(answers=3, max_bytes=100)
    for key, size in calls:
        answer(cache, call(str(key)), size)
        assert cache.held <= 3
        assert cache.held_bytes <= 100
        assert answer(cache, call(str(key)))
