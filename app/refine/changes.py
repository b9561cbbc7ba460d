"""Changes: what may be changed in a request, one parameter at a time, and what that costs.

Pure. Changing the model is not a change here: `app/route` chooses models.
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
"""The highest cost of an attempt, as a multiple of the forward passes of the plan's own request."""
ROUND_SIZE = 4
"""The fixed cost of an attempt, in forward passes of the model.

It covers decoding, checks, and one of the few attempts used up, and keeps a cheap change with
little effect from being tried repeatedly.
"""
STRENGTH = 0.6
"""The img2img strength: the share of the steps repeated on the image that was not good enough."""
_MAX_STEPS, _MAX_GUIDANCE, _LONGEST_PROMPT = 200, 30.0, 2000
"""The limits of the request schema."""
_CLAUSES = (
    "centered, whole object in frame, clear background",
    "single game item on transparent background",
)
"""Clauses that may be appended to a prompt; the first whose words the model knows is used."""


class Change(StrEnum):
    """The parameter that differs from the image that was not good enough, and how."""

    SEED = "seed"
    """The next unused seed."""
    STEPS = "steps"
    """1.5 times as many steps."""
    GUIDANCE_UP = "guidance up"
    """Plus 1."""
    GUIDANCE_DOWN = "guidance down"
    """Minus 1, but not below 1, where guidance is off."""
    SAMPLER = "sampler"
    """The second-order sampler: smaller error at few steps, for the same time."""
    CLAUSE = "clause"
    """A clause about the framing, if the model knows its words."""
    PICTURE = "picture"
    """Starts from the image itself (img2img), if the model can."""
    PLATE = "plate"
    """A plate behind text that has none, chosen by contrast."""


class Scope(Value):
    """The limits within which a request may change: the model's abilities and the plan's bounds."""

    model: ModelVersion
    bounds: Bounds = Bounds()

    def allows(self, changed: GenerationRequest, base: GenerationRequest) -> bool:
        """Returns whether a changed request is in scope; `base` is the plan's own."""
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
    """Returns the forward passes that a request takes: two per step with guidance."""
    rows = 2 if request.guidance_scale > 1 else 1
    share = 1.0 if request.init_image is None else request.strength
    return request.num_inference_steps * rows * share


def attempt_cost(request: GenerationRequest) -> float:
    """Returns the full cost of an attempt, in forward passes of its model."""
    return ROUND_SIZE + forward_passes(request)


@dataclass(frozen=True, slots=True)
class ChangeContext:
    """What a change may use besides the request."""

    model: ModelVersion
    seed: Seed
    """The next unused seed."""
    picture: Digest | None = None
    """The digest of the request's image, or of its latents if they were kept."""


def apply_change(
    request: GenerationRequest, change: Change, start: ChangeContext
) -> GenerationRequest:
    """Returns the request with one parameter changed, or the request itself if nothing can change.

    Does not check whether the change is allowed; `Scope.allows` does.
    """
    return _APPLY[change](request, start)


def differs_by(change: Change, request: GenerationRequest, base: GenerationRequest) -> bool:
    """Returns whether a request differs from `base` by this change, possibly among others."""
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
