"""The request bodies of the HTTP API: those of OpenAI's images API, with further fields."""

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
"""Both are the limits of OpenAI's API."""
MAX_TEXT_LAYERS = 8
MAX_SIDE = 2048
"""In pixels: a laptop has memory for several such images."""

Prompt: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000)]
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
WrittenSize: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^(auto|[1-9][0-9]{0,3}x[1-9][0-9]{0,3})$")
]


class ImagesRequest(Value):
    """The body of POST /v1/images/generations: OpenAI's fields up to `user`, then our own."""

    prompt: Prompt
    model: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """A role, or an `id` or `version` of GET /v1/models."""
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
    """Seed of the first image; each further image adds 1. Random by default."""
    steps: Annotated[Steps, Field(strict=True)] | None = None
    guidance: Annotated[GuidanceScale, Field(strict=True)] | None = None
    sampler: Sampler = Sampler.EULER
    tags: Annotated[tuple[Tag, ...], Field(max_length=len(Tag))] = ()
    confidence: Annotated[float, Field(ge=0, le=1, strict=True)] | None = None
    constraint: Constraint | None = None
    explain: Flag = False
    """List every rule that was evaluated to choose the model."""
    draft: Digest | None = None
    """The `request_id` of a recently rendered image to continue from. Fields that are not given
    keep its values, including the seed."""
    strength: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    """With `draft`: the share of it that is rendered again. Without: the same image is rendered."""
    text_layers: Annotated[tuple[TextLayer, ...], Field(max_length=MAX_TEXT_LAYERS)] = ()
    deadline_ms: Annotated[int, Field(ge=1, le=600_000, strict=True)] | None = None
    residency: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    """Where the image must be rendered; models with another residency are left out."""

    @model_validator(mode="after")
    def _check_consistent(self) -> Self:
        if type(self) is ImagesRequest and self.strength is not None and self.draft is None:
            raise ValueError("strength needs an image to start from; set draft, or upload an image")
        if any(layer.font_digest for layer in self.text_layers):
            raise ValueError("font_digest cannot be set in a call; set font")
        return self

    @property
    def role_preferences(self) -> RolePreferences:
        """Returns the fields that choose the model."""
        return RolePreferences(
            model=self.model,
            constraint=self.constraint,
            tags=self.tags,
            confidence=self.confidence,
            sets_text=bool(self.text_layers),
            residency=self.residency,
        )


class EditRequest(ImagesRequest):
    """The fields of POST /v1/images/edits: those of a generation, with a default strength."""

    strength: Annotated[float, Field(gt=0, le=1)] = 0.6
    """The share of the image that is rendered again; with a mask the default is 1."""

    @model_validator(mode="after")
    def _require_strength(self) -> Self:
        if self.draft is not None:
            raise ValueError("an edit starts from its uploaded image; leave draft out")
        return self


class KeepRequest(Value):
    """The body of POST /v1/images/keep: a recently rendered image, and the name of the asset."""

    request_id: Digest
    name: Name
    usage: Annotated[str, Field(max_length=120)] = ""


class InitImageSource(Value):
    """The image that a request continues from; `request` is None for an uploaded image.

    `start` is the digest of the image's file, or of its latents.
    """

    request: GenerationRequest | None
    start: Digest
    mask: Digest | None = None


class GenerateRequest(Value):
    """The body of POST /generate: one preview."""

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
    """Returns one request per image, with consecutive seeds; `seed` is used if the body has none.

    `layers` are the text layers with resolved fonts. Raises OutOfBounds when the model does not
    support the size, the background, the steps or the text.
    """
    size = size_of(body.size, served)
    _check_background(body, served.model)
    prompt, layers = _prompt_and_layers(body.prompt, layers, served, size)
    fields = {
        "num_inference_steps": served.steps,
        "guidance_scale": served.model.guidance_scale,
        "seed": seed,
        **_inherited_fields(origin, new_image=body.strength is not None),
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
"""Fields of a body, and their names in a request."""


def _inherited_fields(origin: InitImageSource | None, *, new_image: bool) -> dict[str, Any]:
    """Returns the fields of the origin; a new image starts from its file, with its own steps."""
    if origin is None:
        return {}
    request = origin.request
    fields = {name: getattr(request, name) for name in _INHERITED_FIELDS} if request else {}
    if not new_image:
        return fields
    for name in ("num_inference_steps", "guidance_scale"):  # the new model has its own defaults
        fields.pop(name, None)
    return fields | {"init_image": origin.start, "mask_image": origin.mask}


def _explicit_fields(body: ImagesRequest) -> dict[str, Any]:
    """Returns the fields that the caller set, and `strength` also if it is a default."""
    explicit = [name for name in _NAMES if name in body.model_fields_set or name == "strength"]
    values = {_NAMES[name]: getattr(body, name) for name in explicit}
    return {name: value for name, value in values.items() if value is not None}


def preview_every(body: ImagesRequest, steps: int) -> int:
    """Returns the steps between previews, so that at most `partial_images` are sent; 0: none."""
    previews = body.partial_images if body.stream else 0
    return -(-steps // (previews + 1)) if previews else 0


def background_of(model: ModelVersion) -> Literal["transparent", "opaque"]:
    """Returns the background of a model's images."""
    return "transparent" if "transparent" in model.capabilities else "opaque"


def size_of(written: str, served: DeployedModel) -> Size:
    """Returns the size to render; raises OutOfBounds when the model does not support it."""
    model = served.model
    if written == "auto":
        auto = served.size or next(iter(model.sizes), None)
        if auto is None:
            raise OutOfBounds(
                f"{model.reference} has no default size for auto; write a size such as 512x512"
            )
        return auto
    width, height = (int(side) for side in written.split("x"))
    if max(width, height) > MAX_SIDE:
        raise OutOfBounds(
            f"size {written} is larger than {MAX_SIDE} pixels a side; request a smaller one"
        )
    size = Size(width=width, height=height)
    if model.sizes and size not in model.sizes:
        known = " or ".join(map(str, model.sizes))
        raise OutOfBounds(f"{model.reference} does not support size {written}; use {known}")
    return size


def _check_background(body: ImagesRequest, model: ModelVersion) -> None:
    only = background_of(model)
    if body.background not in ("auto", only):
        raise OutOfBounds(
            f"{model.reference} does not support background {body.background}; use {only} or auto"
        )


def _prompt_and_layers(
    prompt: str, layers: tuple[TextLayer, ...], served: DeployedModel, size: Size
) -> tuple[str, tuple[TextLayer, ...]]:
    """Returns the prompt and the layers for this model.

    A model of the role typography without text setting renders the text from the prompt, at any
    place. Raises OutOfBounds when a model of another role cannot set text.
    """
    if not layers or "text" in served.model.capabilities:
        return prompt, layers
    if served.role is not Role.TYPOGRAPHY:
        raise OutOfBounds(
            f"{served.model.reference} cannot set text; leave model out, or use typography"
        )
    whole = Rect(x=0, y=0, width=size.width, height=size.height)
    texts = " and ".join(f'"{layer.text}"' for layer in layers)
    return f"{prompt}, with the text {texts}", tuple(layer.replace(box=whole) for layer in layers)


def _check_steps(steps: int, served: DeployedModel) -> None:
    if steps > served.max_steps:
        raise OutOfBounds(
            f"steps {steps} are more than the {served.max_steps} that {served.reference} allows; "
            "request fewer"
        )
