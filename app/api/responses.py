"""The response bodies of the HTTP API, in the form of OpenAI's images API."""

from base64 import b64encode
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from app.api.keep import KeptAsset
from app.api.requests import background_of
from app.check.text_readback import TextRead
from app.route.by_role import DeployedModel, RoleChoice
from app.types import GenerationRequest, Provenance, Value


class ServedImage(Value):
    """One finished image: its request, file, provenance, seconds and cost."""

    request: GenerationRequest
    png: bytes
    provenance: Provenance
    seconds: float
    """Engine time, without waiting."""
    cost_usd: float = 0.0
    latents: bytes | None = None
    """The file of the latents that the image was decoded from."""
    text: tuple[TextRead, ...] = ()
    """For each text layer, the text that OCR read."""

    @property
    def bytes(self) -> int:
        """Returns the size of its files in bytes."""
        return len(self.png) + len(self.latents or b"")


class CallResult(Value):
    """The result of one call, with images in the order of their seeds."""

    choice: RoleChoice
    images: tuple[ServedImage, ...]
    created: int
    """In seconds since 1970."""

    @property
    def bytes(self) -> int:
        """Returns the size of its files in bytes."""
        return sum(image.bytes for image in self.images)


class RouteTaken(Value):
    """The model that rendered the call, and the reason of the choice."""

    role: str
    model: str
    reason: str
    considered: tuple[str, ...] | None = None

    @classmethod
    def from_choice(cls, choice: RoleChoice, *, explain: bool) -> Self:
        """Returns the choice as callers see it; with the evaluated rules if `explain` is set."""
        return cls(
            role=choice.served.role,
            model=choice.served.model.reference,
            reason=choice.reason,
            considered=choice.considered if explain else None,
        )


class ImageResponse(Value):
    """One image of a response; all fields but `b64_json` are additions to OpenAI's API."""

    b64_json: str
    seed: int
    steps: int
    request_id: str
    seconds: float
    cost_usd: float
    model: str
    """The version that rendered this image, such as draft/7."""
    text: tuple[TextRead, ...] | None = None
    provenance: str | None = None
    """The image's Provenance as JSON; only for class bulk, whose runs store it."""


class KeptFile(Value):
    """One finished file of a kept image."""

    size: str
    digest: str


class KeptResponse(Value):
    """The response of POST /v1/images/keep: the asset in the catalog."""

    name: str
    version: str
    status: str
    digest: str
    """Digest of the rendered image."""
    files: tuple[KeptFile, ...]
    already: bool
    """True if it was an asset before."""

    @classmethod
    def from_kept(cls, kept: KeptAsset) -> Self:
        """Returns the main fields of the record."""
        record = kept.record
        return cls(
            name=record.name,
            version=record.version,
            status=record.status,
            digest=record.image.digest if record.image else "",
            files=tuple(
                KeptFile(size=str(file.size), digest=file.digest)
                for file in (record.asset.files if record.asset else ())
            ),
            already=kept.already,
        )


class ImagesResponse(Value):
    """The response of POST /v1/images/generations; `route` is an addition to OpenAI's API."""

    created: int
    background: Literal["transparent", "opaque"]
    output_format: Literal["png"] = "png"
    size: str
    data: tuple[ImageResponse, ...]
    route: RouteTaken


class GenerateResponse(Value):
    """The response of POST /generate."""

    b64_json: str
    width: int
    height: int
    seed: int
    request_id: str
    engine_seconds: float
    latency_seconds: float
    route: RouteTaken


class ModelResponse(Value):
    """One model of GET /v1/models; the fields from `role` on are additions to OpenAI's API."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "atelier"
    role: str
    version: str
    sizes: tuple[str, ...]
    """The supported sizes; empty if any size is."""
    size: str | None = None
    """The size of images of calls without a size."""
    residency: str
    capabilities: tuple[str, ...]
    steps: int
    max_steps: int


class ModelsResponse(Value):
    """The response of GET /v1/models."""

    object: Literal["list"] = "list"
    data: tuple[ModelResponse, ...]


class Problem(Value):
    """The error of a call; the message is never that of a library."""

    status: Annotated[int, Field(ge=400, le=599)]
    code: str
    message: str
    param: str | None = None
    retry_after_seconds: int | None = None

    @property
    def kind(self) -> str:
        """Returns the type of the error in OpenAI's API."""
        if self.status in (429, 503):
            return "overloaded_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def as_response(self) -> "ErrorResponse":
        """Returns the body of the response."""
        error = ErrorFields(message=self.message, type=self.kind, param=self.param, code=self.code)
        return ErrorResponse(error=error)


class ErrorFields(Value):
    """An error in the form of OpenAI's API."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorResponse(Value):
    """The body of every error response."""

    error: ErrorFields


def images_response(result: CallResult, *, explain: bool, origin: bool = False) -> ImagesResponse:
    """Returns the response of a call without `stream`; with `origin` including provenance."""
    return ImagesResponse(
        created=result.created,
        background=background_of(result.choice.served.model),
        size=_size_text(result.images[0].request),
        data=tuple(_image(image, origin=origin) for image in result.images),
        route=RouteTaken.from_choice(result.choice, explain=explain),
    )


def generate_response(result: CallResult, *, latency_seconds: float) -> GenerateResponse:
    """Returns the response of POST /generate."""
    (image,) = result.images
    return GenerateResponse(
        b64_json=_base64(image.png),
        width=image.request.width,
        height=image.request.height,
        seed=image.request.seed,
        request_id=image.request.id,
        engine_seconds=image.seconds,
        latency_seconds=latency_seconds,
        route=RouteTaken.from_choice(result.choice, explain=False),
    )


def partial_event(
    request: GenerationRequest,
    choice: RoleChoice,
    png: bytes,
    *,
    image: int,
    index: int,
    created: int,
) -> dict[str, Any]:
    """Returns an `image_generation.partial_image`; `image_index` counts the call's images."""
    return _event("image_generation.partial_image", request, choice, png, created) | {
        "partial_image_index": index,
        "image_index": image,
    }


def completed_event(
    done: ServedImage, choice: RoleChoice, *, image: int, created: int, explain: bool
) -> dict[str, Any]:
    """Returns an `image_generation.completed` with the fields of an `ImageResponse`."""
    event = _event("image_generation.completed", done.request, choice, done.png, created)
    route = RouteTaken.from_choice(choice, explain=explain)
    details = {"image_tokens": 0, "text_tokens": 0}  # required by OpenAI's clients, not counted
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return event | {
        "usage": usage | {"input_tokens_details": details},
        "image_index": image,
        "route": route.model_dump(mode="json", exclude_none=True),
        **_image(done).model_dump(mode="json", exclude_none=True),
    }


def models_response(fleet: tuple[DeployedModel, ...]) -> ModelsResponse:
    """Returns the deployed models."""
    return ModelsResponse(
        data=tuple(
            ModelResponse(
                id=served.reference,
                role=served.role,
                version=served.model.reference,
                sizes=tuple(map(str, served.model.sizes)),
                size=served.size and str(served.size),
                residency=served.residency,
                capabilities=served.model.capabilities,
                steps=served.steps,
                max_steps=served.max_steps,
            )
            for served in fleet
        )
    )


def _event(
    kind: str, request: GenerationRequest, choice: RoleChoice, png: bytes, created: int
) -> dict[str, Any]:
    return {
        "type": kind,
        "b64_json": _base64(png),
        "created_at": created,
        "background": background_of(choice.served.model),
        "output_format": "png",
        "quality": "auto",
        "size": _size_text(request),
    }


def _image(image: ServedImage, *, origin: bool = False) -> ImageResponse:
    return ImageResponse(
        b64_json=_base64(image.png),
        seed=image.request.seed,
        steps=image.request.num_inference_steps,
        request_id=image.request.id,
        seconds=image.seconds,
        cost_usd=image.cost_usd,
        model=image.provenance.model,
        text=image.text or None,
        provenance=image.provenance.model_dump_json() if origin else None,
    )


def _size_text(request: GenerationRequest) -> str:
    return f"{request.width}x{request.height}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
