"""Attempts are bounded, follow each other, and never repeat."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.refine import next_attempts
from app.types import AssetSpec, GenerationRequest, Kind, Size


def spec_of(**changes: Any) -> AssetSpec:
    request = GenerationRequest(
        prompt="a red gem", width=64, height=64, num_inference_steps=4, guidance_scale=4,
        seed=changes.pop("seed", 7),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": "gem-red",
        "kind": Kind.ICON,
        "usage": "inventory",
        "axes": {},
        "request": request,
        "sizes": (Size(width=64, height=64),),
    }
    return AssetSpec(**(fields | changes))


@given(st.integers(1, 64), st.integers(1, 256), st.integers(0, 2**32 - 1))
def test_rounds_make_every_attempt_once_and_then_stop(
    candidates: int, attempts: int, seed: int
) -> None:
    spec = spec_of(candidates=candidates, attempts=attempts, seed=seed)
    seeds: list[int] = []
    while following := next_attempts(spec, len(seeds)):
        assert len(following) <= candidates
        seeds += [request.seed for request in following]
    assert seeds == [(seed + index) % 2**32 for index in range(attempts)]


def test_the_first_attempt_is_the_request_of_the_plan_itself() -> None:
    spec = spec_of(attempts=4)
    assert next_attempts(spec, 0) == (spec.request,)


@pytest.mark.parametrize("made", [4, 5, 1000])
def test_nothing_follows_when_the_attempts_are_used_up(made: int) -> None:
    assert next_attempts(spec_of(attempts=4, candidates=2), made) == ()


def test_only_the_seed_changes_between_attempts() -> None:
    spec = spec_of(attempts=3, candidates=3)
    for request in next_attempts(spec, 0):
        assert request.replace(seed=spec.request.seed) == spec.request
