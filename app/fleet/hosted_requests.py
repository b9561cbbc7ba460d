"""What a hosted version takes of a request, what it has no field for, and until when.

What it takes is said by its capabilities, which are part of its digest: from a request and the
version that answered it, everything that was sent can be told.
"""

from datetime import date

from app.digest import Json
from app.types import GenerationRequest, ModelVersion, Sampler
from app.types.hosted_model import HostedEndpoint

SEEDED, STEPS, NEGATIVE_PROMPT = "seeded", "steps", "negative-prompt"
TRANSPARENT, TEXT = "transparent", "text"
SUPPORTED_FIELDS = {
    SEEDED: "it takes a seed, and the same call gives the same picture",
    STEPS: "it takes steps, guidance and sampler",
    NEGATIVE_PROMPT: "it takes a negative prompt",
    TRANSPARENT: "it paints on a transparent background",
    TEXT: "it sets text_layers, as Atelier's own service does",
}
"""What a hosted version may be able to do beside painting a prompt."""
SOON_DAYS = 60
"""From so many days before its end on, people are told of it."""


def unsupported_reason(model: ModelVersion, request: GenerationRequest) -> str | None:
    """What of the request the version has no field for; None when all of it can be sent.

    A seed alone is dropped without a word: every request has one, whether somebody chose it or not.
    """
    able = model.capabilities
    own = (model.num_inference_steps, model.guidance_scale, Sampler.EULER)
    asked = (request.num_inference_steps, request.guidance_scale, request.sampler)
    left = {
        "num_inference_steps, guidance_scale and sampler": asked != own and STEPS not in able,
        "negative_prompt": bool(request.negative_prompt) and NEGATIVE_PROMPT not in able,
        "text_layers": bool(request.text_layers) and TEXT not in able,
        "init_image": request.init_image is not None,
    }
    missing = [name for name, present in left.items() if present]
    return f"{model.reference} takes no {', no '.join(missing)}" if missing else None


def request_body(
    hosted: HostedEndpoint, model: ModelVersion, request: GenerationRequest
) -> dict[str, Json]:
    """The call, as JSON: one image, in the version's words; `refusal` says what it leaves out."""
    fields: dict[str, Json] = {
        **dict(hosted.options),
        "model": hosted.model,
        "prompt": request.prompt,
        "n": 1,
        "size": f"{request.width}x{request.height}",
    }
    if TRANSPARENT in model.capabilities:
        fields["background"] = "transparent"
    if SEEDED in model.capabilities:
        fields["seed"] = request.seed
    if STEPS in model.capabilities:
        fields["steps"] = request.num_inference_steps
        fields["guidance"] = request.guidance_scale
        fields["sampler"] = request.sampler.value
    if request.negative_prompt:
        fields["negative_prompt"] = request.negative_prompt
    if request.text_layers:  # a font's digest is found out where the text is set
        layers = (layer.model_dump(mode="json") for layer in request.text_layers)
        fields["text_layers"] = [
            {name: value for name, value in layer.items() if name != "font_digest"}
            for layer in layers
        ]
    return fields


def end_refusal(model: ModelVersion, today: date) -> str | None:
    """Why the version answers no more, today being a day in UTC; None while it does."""
    if model.hosted is None or model.hosted.until is None or today <= model.hosted.until:
        return None
    return f"{model.reference} ended on {model.hosted.until}, as its provider announced"


def end_warning(model: ModelVersion, today: date) -> str | None:
    """What is to be said of a version that ends soon, or has ended; None of all others."""
    if model.hosted is None or model.hosted.until is None:
        return None
    days = (model.hosted.until - today).days
    if days > SOON_DAYS:
        return None
    return (
        end_refusal(model, today)
        or f"{model.reference} ends on {model.hosted.until}, in {days} days"
    )
