"""What the doors take and give: bodies become requests, answers read as OpenAI's clients expect."""

from base64 import b64decode
from typing import Any

import pytest
from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent, ImagesResponse, Model
from pydantic import ValidationError

from app.api.requests import (
    GenerateRequest,
    ImagesRequest,
    InitImageSource,
    preview_every,
    size_of,
    to_generation_requests,
)
from app.api.responses import (
    CallResult,
    Problem,
    ServedImage,
    completed_event,
    generate_response,
    images_response,
    models_response,
    partial_event,
)
from app.errors import OutOfBounds
from app.models.bundled import bundled_models
from app.route.by_role import DeployedModel, Role, RoleChoice, Tag
from app.types import Rect, Sampler, Size, TextLayer, Tier
from tests.store.values import provenance_of

STARTER = DeployedModel(
    role=Role.DRAFT, reference="starter", model=bundled_models()["starter"], steps=12, max_steps=50
)
CHOICE = RoleChoice(
    served=STARTER, reason="the caller names starter", considered=("a: no", "b: yes")
)


def asked(**fields: Any) -> ImagesRequest:
    return ImagesRequest.model_validate({"prompt": "a red potion"} | fields)


def made(n: int = 2) -> CallResult:
    requests = to_generation_requests(asked(n=n), STARTER, seed=7)
    image = tuple(
        ServedImage(request=request, png=b"png", provenance=provenance_of(request), seconds=0.5)
        for request in requests
    )
    return CallResult(choice=CHOICE, images=image, created=99)


def test_defaults_are_those_of_the_deployment_and_the_model() -> None:
    (request,) = to_generation_requests(asked(), STARTER, seed=3)
    assert (request.width, request.height) == (64, 64)
    assert (request.num_inference_steps, request.guidance_scale) == (12, 2.0)
    assert (request.seed, request.tier) == (3, Tier.DRAFT)


def test_every_field_reaches_the_request() -> None:
    fields = {
        "negative_prompt": "blurry",
        "size": "64x64",
        "steps": 5,
        "guidance": 0,
        "sampler": "dpmpp_2m",
        "user": "team-a",
    }
    (request,) = to_generation_requests(asked(**fields), STARTER, seed=0)
    assert request.negative_prompt == "blurry"
    assert (request.num_inference_steps, request.guidance_scale) == (5, 0)
    assert request.sampler is Sampler.DPMPP_2M
    assert request.tags.team == "team-a"


def test_the_seeds_of_one_call_follow_each_other_and_stay_seeds() -> None:
    requests = to_generation_requests(asked(n=3), STARTER, seed=2**32 - 2)
    assert [request.seed for request in requests] == [2**32 - 2, 2**32 - 1, 0]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"size": "65x64"}, "size 65x64"),
        ({"size": "9999x9999"}, "size 9999x9999"),
        ({"background": "opaque"}, "background opaque"),
        ({"steps": 51}, "steps 51"),
    ],
)
def test_what_the_model_was_not_made_for_is_refused_by_name(
    fields: dict[str, Any], names: str
) -> None:
    with pytest.raises(OutOfBounds, match=names):
        to_generation_requests(asked(**fields), STARTER, seed=0)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": ""},
        {"prompt": "x" * 2001},
        {"prompt": "\ud800"},
        {"n": 0},
        {"n": 11},
        {"n": "2"},
        {"n": True},
        {"size": "64"},
        {"size": "0x64"},
        {"size": "64x64x64"},
        {"response_format": "url"},
        {"output_format": "webp"},
        {"stream": "yes"},
        {"partial_images": 4},
        {"seed": -1},
        {"seed": 2**32},
        {"guidance": float("nan")},
        {"guidance": 31},
        {"steps": 0},
        {"tags": ["hero"]},
        {"confidence": 1.1},
        {"constraint": "cheap"},
        {"owner": "me"},
    ],
)
def test_a_faulty_body_is_no_request(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        asked(**fields)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12, 50])
@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_no_more_previews_come_than_were_asked_for(steps: int, wanted: int) -> None:
    every = preview_every(asked(stream=True, partial_images=wanted), steps)
    previews = [step for step in range(1, steps) if every and step % every == 0]
    assert len(previews) <= wanted
    assert bool(previews) == (wanted > 0 and steps > 1)
    assert preview_every(asked(partial_images=wanted), steps) == 0


def test_the_preview_door_asks_for_a_fast_preview_of_exactly_this_size() -> None:
    request = GenerateRequest(prompt="a gem", width=64, height=32, seed=4).as_images()
    assert (request.size, request.seed, request.tags) == ("64x32", 4, (Tag.FAST_PREVIEW,))


def test_an_answer_reads_as_openais() -> None:
    body = images_response(made(), explain=True).as_json()
    read = ImagesResponse.model_validate(body)
    assert read.created == 99
    assert read.background == "transparent"
    assert read.size == "64x64"
    assert [b64decode(image.b64_json or "") for image in read.data or []] == [b"png", b"png"]
    assert body["route"]["considered"] == ["a: no", "b: yes"]
    assert [image["seed"] for image in body["data"]] == [7, 8]


def test_events_read_as_openais() -> None:
    image = made(1).images[0]
    done = completed_event(image, CHOICE, image=0, created=5, explain=False)
    assert ImageGenCompletedEvent.model_validate(done).size == "64x64"
    assert done["route"]["reason"] == "the caller names starter"
    rough = partial_event(image.request, CHOICE, b"png", image=1, index=2, created=5)
    assert ImageGenPartialImageEvent.model_validate(rough).partial_image_index == 2


def test_models_read_as_openais() -> None:
    (model,) = models_response((STARTER,)).as_json()["data"]
    assert Model.model_validate(model).id == "starter"
    assert (model["role"], model["sizes"]) == ("draft", ["64x64"])


def test_the_preview_door_says_how_long_it_took() -> None:
    answer = generate_response(made(1), latency_seconds=0.75)
    assert (answer.engine_seconds, answer.latency_seconds, answer.seed) == (0.5, 0.75, 7)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (422, "invalid_request_error"),
        (429, "overloaded_error"),
        (503, "overloaded_error"),
        (500, "server_error"),
    ],
)
def test_a_problem_says_its_kind_and_never_more_than_its_message(status: int, kind: str) -> None:
    problem = Problem(status=status, code="a_code", message="why", retry_after_seconds=3)
    error = {"message": "why", "type": kind, "param": None, "code": "a_code"}
    assert problem.as_response().as_json() == {"error": error}


def test_what_goes_on_from_a_picture_keeps_what_is_not_said_again() -> None:
    (before,) = to_generation_requests(
        asked(seed=4, steps=5, guidance=3.0, sampler="dpmpp_2m"), STARTER, seed=0
    )
    origin = InitImageSource(request=before, start="1" * 64)
    (same,) = to_generation_requests(asked(), STARTER, seed=9, origin=origin)
    assert same == before
    (other,) = to_generation_requests(asked(guidance=1.0, seed=8), STARTER, seed=9, origin=origin)
    assert (other.guidance_scale, other.seed) == (1.0, 8)
    assert (other.num_inference_steps, other.sampler) == (5, Sampler.DPMPP_2M)


def test_with_a_strength_the_model_takes_its_own_steps_from_the_picture() -> None:
    (before,) = to_generation_requests(asked(seed=4, steps=5, guidance=3.0), STARTER, seed=0)
    origin = InitImageSource(request=before, start="1" * 64)
    fields = asked(draft=before.id, strength=0.4, n=2)
    first, second = to_generation_requests(fields, STARTER, seed=9, origin=origin)
    assert (first.init_image, first.strength) == ("1" * 64, 0.4)
    assert (first.num_inference_steps, first.guidance_scale) == (12, 2.0)
    assert (first.seed, second.seed) == (4, 5)


def test_a_size_left_open_is_the_deployment_s() -> None:
    polish = STARTER.model_copy(update={"size": Size(width=256, height=256)})
    assert size_of("auto", polish) == Size(width=256, height=256)
    assert size_of("auto", STARTER) == Size(width=64, height=64)
    anything = STARTER.replace(model=STARTER.model.replace(sizes=()))
    with pytest.raises(OutOfBounds, match="no default size for auto"):
        size_of("auto", anything)
    with pytest.raises(OutOfBounds, match="larger than 2048"):
        size_of("4000x16", anything)


def test_a_model_that_draws_its_text_is_told_of_it() -> None:
    """The role's own model sets text; another one may take its place by configuration."""
    layers = (TextLayer(text="SALE", colour="#ff0000"),)
    draws = STARTER.model_copy(update={"role": Role.TYPOGRAPHY})
    (request,) = to_generation_requests(asked(), draws, seed=0, layers=layers)
    assert request.prompt == 'a red potion, with the text "SALE"'
    assert request.text_layers[0].box == Rect(x=0, y=0, width=64, height=64)
    with pytest.raises(OutOfBounds, match="cannot set text"):
        to_generation_requests(asked(), STARTER, seed=0, layers=layers)
