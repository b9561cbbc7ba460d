"""The request bodies of the HTTP API: OpenAI's images API with our own fields."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from app.errors import OutOfBounds
from app.route.by_role import Constraint, DeployedModel, Role, RolePreferences, Tag
from app.types import (
    Digest,
    GenerationRequest,
    GuidanceScale,
    ModelVersion,
    Name,
    Pixels,
    Rect,
    Sampler,
    Seed,
    Size,
    Steps,
    Tags,
    TextLayer,
    Tier,
    Value,
)

MAX_IMAGES = 10
MAX_PARTIAL_IMAGES = 3
"""Both limits are those of OpenAI's API."""
MAX_TEXT_LAYERS = 8
MAX_SIDE = 2048
"""In pixels: a laptop can hold several such images at once."""

Prompt: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000)]
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
WrittenSize: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(auto|[1-9][0-9]{0,3}x[1-9][0-9]{0,3})$")
]


class ImagesRequest(Value):
    """The body of POST /v1/images/generations: OpenAI's parameters, then ours."""

    prompt: Prompt
    model: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """A role, or a model as GET /v1/models names it."""
    n: Annotated[int, Field(ge=1, le=MAX_IMAGES, strict=True)] = 1
    size: WrittenSize = "auto"
    response_format: Literal["b64_json"] = "b64_json"
    output_format: Literal["png"] = "png"
    background: Literal["auto", "transparent", "opaque"] = "auto"
    stream: Flag = False
    partial_images: Annotated[int, Field(ge=0, le=MAX_PARTIAL_IMAGES, strict=True)] = 0
    user: Annotated[str, Field(max_length=120)] = ""
    negative_prompt: Annotated[str, Field(max_length=2000)] = ""
    seed: Annotated[Seed, Field(strict=True)] | None = None
    """Seed of the first image; the others follow by one. Drawn at random when not given."""
    steps: Annotated[Steps, Field(strict=True)] | None = None
    guidance: Annotated[GuidanceScale, Field(strict=True)] | None = None
    sampler: Sampler = Sampler.EULER
    tags: Annotated[tuple[Tag, ...], Field(max_length=len(Tag))] = ()
    confidence: Annotated[float, Field(ge=0, le=1, strict=True)] | None = None
    constraint: Constraint | None = None
    explain: Flag = False
    """Report every rule that was evaluated in choosing the model."""
    draft: Digest | None = None
    """The `request_id` of an image rendered here recently, to continue from. Fields that are not
    given keep its values, the seed too."""
    strength: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    """With `draft`: the share of it that is rendered anew. Without it, the same image is made."""
    text_layers: Annotated[tuple[TextLayer, ...], Field(max_length=MAX_TEXT_LAYERS)] = ()
    deadline_ms: Annotated[int, Field(ge=1, le=600_000, strict=True)] | None = None
    residency: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """Where the image may be made; no model elsewhere is used."""

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        if type(self) is ImagesRequest and self.strength is not None and self.draft is None:
            raise ValueError("strength needs a draft to start from; name one, or send a picture")
        if any(layer.font_digest for layer in self.text_layers):
            raise ValueError("font_digest is not a caller's to give; name the font")
        return self

    @property
    def role_preferences(self) -> RolePreferences:
        """Returns what routing needs to know."""
        return RolePreferences(
            model=self.model,
            constraint=self.constraint,
            tags=self.tags,
            confidence=self.confidence,
            sets_text=bool(self.text_layers),
            residency=self.residency,
        )


class EditRequest(ImagesRequest):
    """The fields of POST /v1/images/edits: those of a generation, and a strength."""

    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    """The share of the image that is rendered anew; with a mask the default is 1."""

    @model_validator(mode="after")
    def _require_strength(self) -> Self:
        if self.draft is not None:
            raise ValueError("an edit starts from its picture; leave the draft out")
        return self


class KeepRequest(Value):
    """The body of POST /v1/images/keep: an image rendered here recently, and its name."""

    request_id: Digest
    name: Name
    usage: Annotated[str, Field(max_length=120)] = ""


class InitImageSource(Value):
    """What a request continues from: an earlier request, or an uploaded image.

    `start` is the digest of the file of the image or of its latents.
    """

    request: GenerationRequest | None
    start: Digest
    mask: Digest | None = None


class GenerateRequest(Value):
    """The body of POST /generate: one preview, answered with its latency."""

    prompt: Prompt
    width: Annotated[Pixels, Field(strict=True)]
    height: Annotated[Pixels, Field(strict=True)]
    seed: Annotated[Seed, Field(strict=True)] | None = None

    def as_images(self) -> ImagesRequest:
        """Returns the same request as a body of /v1/images/generations."""
        return ImagesRequest(
            prompt=self.prompt,
            size=f"{self.width}x{self.height}",
            seed=self.seed,
            tags=(Tag.FAST_PREVIEW,),
        )


def to_generation_requests(
    body: ImagesRequest,
    served: DeployedModel,
    *,
    seed: int,
    layers: tuple[TextLayer, ...] = (),
    team: str = "",
    origin: InitImageSource | None = None,
) -> tuple[GenerationRequest, ...]:
    """Returns one request per image, with consecutive seeds; `seed` is used when the body has none.

    `layers` are the text layers with their fonts resolved.

    Raises OutOfBounds when the model does not support the size, the background, the steps or the
    text.
    """
    size = size_of(body.size, served)
    _check_background(body, served.model)
    prompt, layers = _prompt_and_layers(body.prompt, layers, served, size)
    fields = {
        "num_inference_steps": served.steps,
        "guidance_scale": served.model.guidance_scale,
        "seed": seed,
        **_continue_from(origin, anew=body.strength is not None),
        **_explicit_fields(body),
        "prompt": prompt,
        "width": size.width,
        "height": size.height,
        "text_layers": layers,
        "tier": Tier.DRAFT if served.role is Role.DRAFT else Tier.FINAL,
        "tags": Tags(team=team or body.user, residency=body.residency or ""),
    }
    first = GenerationRequest(**fields)
    _check_steps(first.num_inference_steps, served)
    return tuple(first.replace(seed=(first.seed + index) % 2**32) for index in range(body.n))


_INHERITED_FIELDS = (
    *("negative_prompt", "num_inference_steps", "guidance_scale", "sampler", "seed"),
    *("strength", "init_image", "mask_image"),
)
_NAMES = {
    "negative_prompt": "negative_prompt",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "sampler": "sampler",
    "seed": "seed",
    "strength": "strength",
}
"""Our fields and their names in a request."""


def _continue_from(origin: InitImageSource | None, *, anew: bool) -> dict[str, Any]:
    """Returns the fields inherited from the origin; with a strength, its image is the start."""
    if origin is None:
        return {}
    before = origin.request
    fields = {name: getattr(before, name) for name in _INHERITED_FIELDS} if before else {}
    if not anew:
        return fields
    steps = {"num_inference_steps", "guidance_scale"}  # the model's own, not the draft's
    kept = {name: value for name, value in fields.items() if name not in steps}
    return kept | {"init_image": origin.start, "mask_image": origin.mask}


def _explicit_fields(body: ImagesRequest) -> dict[str, Any]:
    """Returns only the fields the caller set explicitly; `strength` is included if it is set."""
    explicit = [ours for ours in _NAMES if ours in body.model_fields_set or ours == "strength"]
    values = {_NAMES[ours]: getattr(body, ours) for ours in explicit}
    return {name: value for name, value in values.items() if value is not None}


def preview_every(body: ImagesRequest, steps: int) -> int:
    """Returns the interval of previews in steps, so that no more come than requested; 0: none."""
    wanted = body.partial_images if body.stream else 0
    return -(-steps // (wanted + 1)) if wanted else 0


def background_of(model: ModelVersion) -> Literal["transparent", "opaque"]:
    """Returns the background of a model's images."""
    return "transparent" if "transparent" in model.capabilities else "opaque"


def size_of(written: str, served: DeployedModel) -> Size:
    """Returns the size to render; raises OutOfBounds when the model does not support it."""
    model = served.model
    if written == "auto":
        auto = served.size or next(iter(model.sizes), None)
        if auto is None:
            raise OutOfBounds(f"size auto means nothing to {model.reference}; write 512x512, say")
        return auto
    width, height = (int(side) for side in written.split("x"))
    if max(width, height) > MAX_SIDE:
        raise OutOfBounds(f"size {written} is beyond {MAX_SIDE} pixels a side; ask for less")
    size = Size(width=width, height=height)
    if model.sizes and size not in model.sizes:
        known = " or ".join(map(str, model.sizes))
        raise OutOfBounds(f"size {written} is none that {model.reference} paints; ask for {known}")
    return size


def _check_background(body: ImagesRequest, model: ModelVersion) -> None:
    only = background_of(model)
    if body.background not in ("auto", only):
        raise OutOfBounds(
            f"background {body.background} is none that {model.reference} paints on; "
            f"ask for {only} or auto"
        )


def _prompt_and_layers(
    prompt: str, layers: tuple[TextLayer, ...], served: DeployedModel, size: Size
) -> tuple[str, tuple[TextLayer, ...]]:
    """Returns the prompt and the layers for this model.

    A typography model that sets no text draws it: the text is added to the prompt and may be
    anywhere. Raises OutOfBounds when another model sets no text.
    """
    if not layers or "text" in served.model.capabilities:
        return prompt, layers
    if served.role is not Role.TYPOGRAPHY:
        raise OutOfBounds(
            f"{served.model.reference} sets no text; leave the model open, or ask for typography"
        )
    whole = Rect(x=0, y=0, width=size.width, height=size.height)
    words = " and ".join(f'"{layer.text}"' for layer in layers)
    return f"{prompt}, with the text {words}", tuple(layer.replace(box=whole) for layer in layers)


def _check_steps(steps: int, served: DeployedModel) -> None:
    if steps > served.max_steps:
        raise OutOfBounds(
            f"steps {steps} are more than {served.reference} is deployed for; "
            f"ask for at most {served.max_steps}"
        )
