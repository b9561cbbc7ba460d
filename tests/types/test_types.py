"""Values name themselves by what decides the pixels, and by nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.types import AssetSpec, GenerationRequest, Kind, Measure, Rule, Size, Tags, Tier

CHANGES: dict[str, Any] = {
    "prompt": "another",
    "negative_prompt": "blur",
    "width": 32,
    "height": 32,
    "num_inference_steps": 9,
    "guidance_scale": 1.5,
    "seed": 9,
    "strength": 0.5,
    "sampler": "dpmpp_2m",
    "init_image": "0" * 64,
    "mask_image": "0" * 64,
    "text_layers": ({"text": "Sale"},),
}


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_every_field_that_decides_pixels_decides_the_id(request_of: Any, field: str) -> None:
    request = request_of()
    assert request.id != request.replace(**{field: CHANGES[field]}).id


def test_who_asks_and_how_urgently_does_not_decide_the_id(request_of: Any) -> None:
    request = request_of()
    tags = Tags(team="art", residency="local", priority=9)
    assert request.replace(tags=tags, tier=Tier.DRAFT).id == request.id
    undecided = set(GenerationRequest.model_fields) - set(CHANGES)
    assert undecided == {"tags", "tier"}


def test_a_changed_copy_is_validated_and_bears_its_own_digest(request_of: Any) -> None:
    request = request_of()
    assert request.id  # cached now; the copy must not inherit it
    assert request.replace(seed=1).id == request_of(seed=1).id
    with pytest.raises(ValidationError):
        request.replace(seed=-1)


def spec_of(request: GenerationRequest) -> AssetSpec:
    return AssetSpec(
        name="potion.red", kind=Kind.ICON, usage="inventory", axes={"colour": "red"},
        request=request, sizes=(Size(width=64, height=64),),
    )  # fmt: skip


@given(index=st.integers(0, 255), seed=st.integers(0, 2**32 - 1))
def test_candidates_differ_in_the_seed_alone(index: int, seed: int) -> None:
    request = GenerationRequest(
        prompt="p", width=16, height=16, num_inference_steps=1, guidance_scale=1, seed=seed
    )
    candidate = spec_of(request).candidate(index)
    assert candidate.replace(seed=seed) == request
    assert (candidate.seed - seed) % 2**32 == index


def test_a_team_does_not_change_a_spec_but_a_rule_does(request_of: Any) -> None:
    spec = spec_of(request_of())
    assert spec.replace(request=request_of(tags=Tags(team="ui"))).digest == spec.digest
    rule = Rule(check=Measure.AGREEMENT, at_least=0.5)
    assert spec.replace(rules=(rule,)).digest != spec.digest


@given(low=st.floats(0, 1), high=st.floats(0, 1), score=st.floats(0, 1))
def test_a_rule_holds_exactly_inside_its_limits(low: float, high: float, score: float) -> None:
    rule = Rule(check=Measure.COVERAGE, at_least=low, at_most=high)
    assert rule.holds(score) == (low <= score <= high)


def test_a_rule_reads_as_a_person_would_say_it() -> None:
    assert str(Rule(check=Measure.COVERAGE, at_least=0.1, at_most=0.9)) == (
        "coverage >= 0.1 and coverage <= 0.9"
    )
