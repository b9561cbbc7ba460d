"""Changes: what may be changed in a request, one parameter at a time, and what that costs.

Pure. Another model is no change here: whose turn it is, `app/route` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from app.fleet.hosted_requests import unsupported_reason
from app.plan.schema import Bounds
from app.plan.templates import unknown_words
from app.types import Digest, GenerationRequest, ModelVersion, Sampler, Seed, Value

MAX_COST_FACTOR = 3.0
"""No attempt takes more of the model than so many times what the plan's own request takes."""
ROUND_SIZE = 4
"""What an attempt takes beside the model, in forward passes of it: decoding, checks, one of the
few attempts there are. It keeps a cheap change that mends little from being tried all day."""
STRENGTH = 0.6
"""How much of its steps a model repeats on the picture that was not good enough."""
_MAX_STEPS, _MAX_GUIDANCE, _LONGEST_PROMPT = 200, 30.0, 2000
"""What a request can say at all."""
_CLAUSES = (
    "centered, whole object in frame, clear background",
    "single game item on transparent background",
)
"""What a prompt may be told besides; the first of which the model knows every word."""


class Change(StrEnum):
    """The parameter that differs from the picture that was not good enough, and how."""

    SEED = "seed"
    """The next one that was not used yet."""
    STEPS = "steps"
    """Half as many more."""
    GUIDANCE_UP = "guidance up"
    """By 1."""
    GUIDANCE_DOWN = "guidance down"
    """By 1, to 1 at the lowest, where a model goes without."""
    SAMPLER = "sampler"
    """The one of second order, which errs less in few steps and takes no longer."""
    CLAUSE = "clause"
    """Words about the frame, where the model knows them."""
    PICTURE = "picture"
    """From the picture itself, painted anew in part, where the model can."""
    PLATE = "plate"
    """Behind text that has none, where its contrast needs one."""


class Scope(Value):
    """Inside what a request may be changed: what its model can do and what its plan allows."""

    model: ModelVersion
    bounds: Bounds = Bounds()

    def allows(self, changed: GenerationRequest, base: GenerationRequest) -> bool:
        """Whether a changed request stays inside; `base` is the plan's own."""
        limits = self.bounds.num_inference_steps, self.bounds.guidance_scale
        numbers = changed.num_inference_steps, changed.guidance_scale
        if any(
            limit is not None and number not in limit
            for limit, number in zip(limits, numbers, strict=True)
        ):
            return False
        if self.model.hosted and unsupported_reason(self.model, changed) is not None:
            return False
        return forward_passes(changed) <= MAX_COST_FACTOR * forward_passes(base)


def forward_passes(request: GenerationRequest) -> float:
    """Forward passes of the model that a request takes: two a step with guidance."""
    rows = 2 if request.guidance_scale > 1 else 1
    share = 1.0 if request.init_image is None else request.strength
    return request.num_inference_steps * rows * share


def attempt_cost(request: GenerationRequest) -> float:
    """What an attempt takes in all, in forward passes of its model."""
    return ROUND_SIZE + forward_passes(request)


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """What a change may draw on besides the request."""

    model: ModelVersion
    seed: Seed
    """The next one that was not used yet."""
    picture: Digest | None = None
    """What came of the request, its latents where they were kept."""


def apply_change(
    request: GenerationRequest, change: Change, start: ChangeContext
) -> GenerationRequest:
    """The request with one parameter changed; itself where there is nothing to change.

    Whether that is allowed, the scope says.
    """
    return _APPLY[change](request, start)


def differs_by(change: Change, request: GenerationRequest, base: GenerationRequest) -> bool:
    """Whether a request differs from the first one by such a change, among others perhaps."""
    if change in (Change.GUIDANCE_UP, Change.GUIDANCE_DOWN):
        more = request.guidance_scale - base.guidance_scale
        return more > 0 if change is Change.GUIDANCE_UP else more < 0
    return bool(getattr(request, _FIELDS[change]) != getattr(base, _FIELDS[change]))


def _reseeded(request: GenerationRequest, start: ChangeContext) -> GenerationRequest:
    return request.replace(seed=start.seed)


def _longer(request: GenerationRequest, _: ChangeContext) -> GenerationRequest:
    steps = min(ceil(request.num_inference_steps * 1.5), _MAX_STEPS)
    return request.replace(num_inference_steps=steps)


def _guided_more(request: GenerationRequest, _: ChangeContext) -> GenerationRequest:
    return request.replace(guidance_scale=min(request.guidance_scale + 1, _MAX_GUIDANCE))


def _guided_less(request: GenerationRequest, _: ChangeContext) -> GenerationRequest:
    less = max(request.guidance_scale - 1, 1.0)
    return request.replace(guidance_scale=min(less, request.guidance_scale))


def _resampled(request: GenerationRequest, _: ChangeContext) -> GenerationRequest:
    return request.replace(sampler=Sampler.DPMPP_2M)


def _with_clause(request: GenerationRequest, start: ChangeContext) -> GenerationRequest:
    known = (clause for clause in _CLAUSES if not unknown_words(clause, start.model.vocabulary))
    clause = next(known, None)
    if clause is None or any(clause in request.prompt for clause in _CLAUSES):
        return request
    prompt = f"{request.prompt}, {clause}"
    return request if len(prompt) > _LONGEST_PROMPT else request.replace(prompt=prompt)


def _from_picture(request: GenerationRequest, start: ChangeContext) -> GenerationRequest:
    able = "img2img" in start.model.capabilities and start.picture is not None
    if not able or request.init_image is not None:
        return request
    return request.replace(init_image=start.picture, strength=STRENGTH)


def _with_plate(request: GenerationRequest, _: ChangeContext) -> GenerationRequest:
    layers = (
        layer if layer.plate else layer.replace(plate="auto") for layer in request.text_layers
    )
    return request.replace(text_layers=tuple(layers))


_APPLY: Mapping[Change, Callable[[GenerationRequest, ChangeContext], GenerationRequest]] = {
    Change.SEED: _reseeded,
    Change.STEPS: _longer,
    Change.GUIDANCE_UP: _guided_more,
    Change.GUIDANCE_DOWN: _guided_less,
    Change.SAMPLER: _resampled,
    Change.CLAUSE: _with_clause,
    Change.PICTURE: _from_picture,
    Change.PLATE: _with_plate,
}
_FIELDS: Mapping[Change, str] = {
    Change.SEED: "seed",
    Change.STEPS: "num_inference_steps",
    Change.SAMPLER: "sampler",
    Change.CLAUSE: "prompt",
    Change.PICTURE: "init_image",
    Change.PLATE: "text_layers",
}
