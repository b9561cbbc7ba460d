"""What a hosted version accepts of a request, the JSON body of its call, and its end date.

What it accepts follows from its capabilities, which are part of its digest: a request and the
version that answered it determine everything that was sent.
"""

from datetime import date

from app.digest import Json
from app.types import GenerationRequest, ModelVersion, Sampler
from app.types.hosted_model import HostedEndpoint

SEEDED, STEPS, NEGATIVE_PROMPT = "seeded", "steps", "negative-prompt"
TRANSPARENT, TEXT = "transparent", "text"
SUPPORTED_FIELDS = {
    SEEDED: "it takes a seed, and the same call gives the same image",
    STEPS: "it takes steps, guidance and sampler",
    NEGATIVE_PROMPT: "it takes a negative prompt",
    TRANSPARENT: "it renders a transparent background",
    TEXT: "it sets text_layers, as Atelier's own service does",
}
"""What a hosted version may accept besides a prompt and a size."""
SOON_DAYS = 60
"""Users are warned from this many days before a version's end on."""


def unsupported_reason(model: ModelVersion, request: GenerationRequest) -> str | None:
    """Returns which fields of the request the version cannot take, or None when all can be sent.

    An unsupported seed is dropped silently: every request has one, whether the caller chose it or
    not.
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
    """Returns the JSON body of the call for one image.

    Fields that the version does not take are left out; `unsupported_reason` names them.
    """
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
    if request.text_layers:  # the service that sets the text fills in the font's digest
        layers = (layer.model_dump(mode="json") for layer in request.text_layers)
        fields["text_layers"] = [
            {name: value for name, value in layer.items() if name != "font_digest"}
            for layer in layers
        ]
    return fields


def end_refusal(model: ModelVersion, today: date) -> str | None:
    """Returns why the version is no longer available on this day (UTC), or None while it is."""
    if model.hosted is None or model.hosted.until is None or today <= model.hosted.until:
        return None
    return f"{model.reference} ended on {model.hosted.until}, as its provider announced"


def end_warning(model: ModelVersion, today: date) -> str | None:
    """Returns a warning for a version that ends soon or has ended, or None."""
    if model.hosted is None or model.hosted.until is None:
        return None
    days = (model.hosted.until - today).days
    if days > SOON_DAYS:
        return None
    return (
        end_refusal(model, today)
        or f"{model.reference} ends on {model.hosted.until}, in {days} days"
    )
