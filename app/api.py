"""What the HTTP doors take: OpenAI's images API and our own fields, and what they mean."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from app.errors import OutOfBounds
from app.route_preview import Constraint, Role, Served, Tag, Wish
from app.types import (
    GenerationRequest,
    GuidanceScale,
    ModelVersion,
    Pixels,
    Sampler,
    Seed,
    Size,
    Steps,
    Tags,
    Tier,
    Value,
)

MAX_IMAGES = 10
MAX_PARTIAL_IMAGES = 3
"""Both as OpenAI has them."""

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
    """Of the first image; those after it follow by one. Drawn when it is not given."""
    steps: Annotated[Steps, Field(strict=True)] | None = None
    guidance: Annotated[GuidanceScale, Field(strict=True)] | None = None
    sampler: Sampler = Sampler.EULER
    tags: Annotated[tuple[Tag, ...], Field(max_length=len(Tag))] = ()
    confidence: Annotated[float, Field(ge=0, le=1, strict=True)] | None = None
    constraint: Constraint | None = None
    explain: Flag = False
    """Say every rule that was looked at on the way to the model."""

    @property
    def wish(self) -> Wish:
        """What routing needs to know."""
        return Wish(
            model=self.model,
            constraint=self.constraint,
            tags=self.tags,
            confidence=self.confidence,
        )


class GenerateRequest(Value):
    """The body of POST /generate: one preview, answered with how long it took."""

    prompt: Prompt
    width: Annotated[Pixels, Field(strict=True)]
    height: Annotated[Pixels, Field(strict=True)]
    seed: Annotated[Seed, Field(strict=True)] | None = None

    def as_images(self) -> ImagesRequest:
        """The same wish at the other door."""
        return ImagesRequest(
            prompt=self.prompt,
            size=f"{self.width}x{self.height}",
            seed=self.seed,
            tags=(Tag.FAST_PREVIEW,),
        )


def requests_of(
    asked: ImagesRequest, served: Served, *, seed: int
) -> tuple[GenerationRequest, ...]:
    """One request per image, the seeds following each other.

    Raises OutOfBounds when the model was not made for the size, the background or the steps.
    """
    size = _size(asked.size, served.model)
    _check_background(asked, served.model)
    first = GenerationRequest(
        prompt=asked.prompt,
        negative_prompt=asked.negative_prompt,
        width=size.width,
        height=size.height,
        num_inference_steps=_steps(asked, served),
        guidance_scale=_or(asked.guidance, served.model.guidance_scale),
        sampler=asked.sampler,
        seed=seed,
        tier=Tier.DRAFT if served.role is Role.DRAFT else Tier.FINAL,
        tags=Tags(team=asked.user),
    )
    return tuple(first.replace(seed=(seed + index) % 2**32) for index in range(asked.n))


def preview_every(asked: ImagesRequest, steps: int) -> int:
    """After how many steps a preview is due, so that no more come than were asked for."""
    wanted = asked.partial_images if asked.stream else 0
    return -(-steps // (wanted + 1)) if wanted else 0


def background_of(model: ModelVersion) -> Literal["transparent", "opaque"]:
    """What a model paints on."""
    return "transparent" if "transparent" in model.capabilities else "opaque"


def _size(written: str, model: ModelVersion) -> Size:
    if written == "auto":
        if not model.sizes:
            raise OutOfBounds(f"size auto means nothing to {model.reference}; write 512x512, say")
        return model.sizes[0]
    width, height = (int(side) for side in written.split("x"))
    if max(width, height) > 4096:
        raise OutOfBounds(f"size {written} is beyond 4096 pixels a side; ask for less")
    size = Size(width=width, height=height)
    if model.sizes and size not in model.sizes:
        known = " or ".join(map(str, model.sizes))
        raise OutOfBounds(f"size {written} is none that {model.reference} paints; ask for {known}")
    return size


def _check_background(asked: ImagesRequest, model: ModelVersion) -> None:
    only = background_of(model)
    if asked.background not in ("auto", only):
        raise OutOfBounds(
            f"background {asked.background} is none that {model.reference} paints on; "
            f"ask for {only} or auto"
        )


def _steps(asked: ImagesRequest, served: Served) -> int:
    steps = _or(asked.steps, served.steps)
    if steps > served.max_steps:
        raise OutOfBounds(
            f"steps {steps} are more than {served.reference} is deployed for; "
            f"ask for at most {served.max_steps}"
        )
    return int(steps)


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
