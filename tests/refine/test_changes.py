"""Changes: each does what it says, and nothing where there is nothing to do."""

from typing import Any

import pytest

from app.plan.schema import Bounds
from app.refine.changes import (
    Change,
    ChangeContext,
    Scope,
    apply_change,
    attempt_cost,
    differs_by,
    forward_passes,
)
from app.types import GenerationRequest, HostedEndpoint, ModelVersion, Sampler, TextLayer
from tests.refine.simulated_world import MODEL, spec_of

BASE = spec_of().request
PICTURE = "a" * 64
ABLE = MODEL.replace(capabilities=("text-to-image", "img2img", "text"))
CLOSED = MODEL.replace(vocabulary=("a", "gem"))


def after(
    change: Change, request: GenerationRequest = BASE, model: ModelVersion = ABLE
) -> GenerationRequest:
    return apply_change(request, change, ChangeContext(model, seed=77, picture=PICTURE))


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (Change.SEED, {"seed": 77}),
        (Change.STEPS, {"num_inference_steps": 6}),
        (Change.GUIDANCE_UP, {"guidance_scale": 4}),
        (Change.GUIDANCE_DOWN, {"guidance_scale": 2}),
        (Change.SAMPLER, {"sampler": Sampler.DPMPP_2M}),
        (Change.PICTURE, {"init_image": PICTURE, "strength": 0.6}),
    ],
)
def test_a_change_changes_its_parameter(change: Change, fields: dict[str, Any]) -> None:
    assert after(change) == BASE.replace(**fields)
    assert differs_by(change, after(change), BASE)
    assert not differs_by(change, BASE, BASE)


def test_a_clause_is_told_once_and_only_in_words_that_the_model_knows() -> None:
    request = after(Change.CLAUSE)
    assert request.prompt.startswith(f"{BASE.prompt}, centered")
    assert after(Change.CLAUSE, request) == request
    assert after(Change.CLAUSE, model=CLOSED) == BASE
    words = ("single", "game", "item", "on", "transparent", "background")
    known = after(Change.CLAUSE, model=CLOSED.replace(vocabulary=words))
    assert known.prompt == f"{BASE.prompt}, single game item on transparent background"
    long = BASE.replace(prompt="x" * 1990)
    assert after(Change.CLAUSE, long) == long


def test_where_there_is_nothing_to_change_the_request_stays() -> None:
    lowest = BASE.replace(guidance_scale=0.5)
    assert after(Change.GUIDANCE_DOWN, lowest) == lowest
    assert after(Change.PLATE) == BASE
    assert after(Change.PICTURE, model=MODEL) == BASE, "it starts from no picture"
    painted = BASE.replace(init_image="b" * 64, strength=0.5)
    assert after(Change.PICTURE, painted) == painted
    most = BASE.replace(num_inference_steps=200, guidance_scale=30)
    assert (after(Change.STEPS, most), after(Change.GUIDANCE_UP, most)) == (most, most)


def test_a_plate_is_put_behind_text_that_has_none() -> None:
    layers = (TextLayer(text="SALE"), TextLayer(text="NOW", plate="#ff0000"))
    plated = after(Change.PLATE, BASE.replace(text_layers=layers))
    assert [layer.plate for layer in plated.text_layers] == ["auto", "#ff0000"]


def test_guidance_costs_a_second_pass_and_a_picture_saves_steps() -> None:
    assert forward_passes(BASE) == 8
    assert forward_passes(BASE.replace(guidance_scale=1)) == 4
    assert forward_passes(after(Change.PICTURE)) == pytest.approx(4.8)
    assert attempt_cost(BASE) - forward_passes(BASE) == attempt_cost(
        after(Change.STEPS)
    ) - forward_passes(after(Change.STEPS))


def test_a_hosted_model_is_asked_for_nothing_that_cannot_be_sent() -> None:
    hosted = MODEL.replace(
        num_inference_steps=BASE.num_inference_steps, guidance_scale=BASE.guidance_scale,
        hosted=HostedEndpoint(url="https://images.example/v1", model="painter"),
    )  # fmt: skip
    scope = Scope(model=hosted, bounds=Bounds())
    assert scope.allows(after(Change.CLAUSE), BASE)
    assert not scope.allows(after(Change.STEPS), BASE)
    assert Scope(model=MODEL).allows(after(Change.STEPS), BASE)
