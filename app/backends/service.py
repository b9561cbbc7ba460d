"""A running Atelier service behind the Backend protocol: its engines render a run's images.

Requests are sent in class `bulk`: their rows come after all interactive ones, and a request without
a free row is repeated after the pause that the service asks for. The images are byte for byte those
that a worker would make by itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic import Json as JsonOf

from app.backends.decode import read_image
from app.backends.errors import rejected_error
from app.backends.openai_images import OpenAIImages, need_httpx
from app.backends.retry import RetryPolicy
from app.digest import Json
from app.engine.results import RenderedImage
from app.errors import BackendError, InvalidRequest, RateLimited
from app.fleet.versions import residency_refusal
from app.types import (
    EngineSettings,
    GenerationRequest,
    HostedEndpoint,
    ModelVersion,
    Provenance,
    Route,
)

MAX_CONCURRENT = 8
"""Calls in flight per worker: with guidance they fill a step of sixteen rows."""
MAX_SHED_TRIES = 600
"""How often an image is requested again when the service has no room.

With the second that services ask for that is ten minutes, before a worker counts as stuck.
"""
CONNECT_SECONDS = 10.0
BULK_HEADER = {"X-Atelier-Class": "bulk"}
DETERMINISTIC_MODES = frozenset({"reproducible", "exact"})
"""Modes with the same bits on one machine, for the row counts proven there."""


@dataclass(frozen=True, slots=True)
class BulkRetryPolicy(RetryPolicy):
    """Counts every error but being shed as a try: shedding is normal for bulk requests."""

    def wait_seconds(self, errors: list[BackendError]) -> float | None:
        """Returns the seconds to wait after these errors, or None for no further try."""
        shed = sum(isinstance(error, RateLimited) for error in errors)
        if isinstance(errors[-1], RateLimited):
            retry_seconds = errors[-1].retry_after or 1.0
            return (
                retry_seconds
                if shed < MAX_SHED_TRIES and retry_seconds <= self.longest_wait_seconds
                else None
            )
        return RetryPolicy.wait_seconds(
            self, [error for error in errors if not isinstance(error, RateLimited)]
        )


class _ListedModel(BaseModel):
    role: str
    version: str


class _Models(BaseModel):
    """The fields of GET /v1/models that are read."""

    data: list[_ListedModel]


class _ImageOrigin(BaseModel):
    seconds: float
    provenance: JsonOf[Provenance]


class _Answer(BaseModel):
    """The fields of a bulk answer that are read besides the image."""

    data: list[_ImageOrigin]


class ServiceBackend(OpenAIImages):
    """The engine of a route's model version in a running service.

    `mode` is the engine mode of the run's own workers; a service whose mode gives other bits is
    refused. No idempotency key is sent: a repeated call gives the same bytes. Closing `generate`
    early frees the rows.
    """

    key_setting = "ATELIER_KEY=KEY"

    def __init__(
        self,
        route: Route,
        url: str,
        key: SecretStr | None,
        *,
        mode: str,
        timeout_seconds: float,
        patience: RetryPolicy | None = None,
    ) -> None:
        super().__init__(
            route,
            _hosted(url, route.model),
            key,
            timeout_seconds=timeout_seconds,
            at_once=MAX_CONCURRENT,
            patience=patience or BulkRetryPolicy(),
        )
        self._mode = mode

    def _body(self, request: GenerationRequest) -> dict[str, Json]:
        fields: dict[str, Json] = {
            "model": self._route.model.reference,
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "size": f"{request.width}x{request.height}",
            "seed": request.seed,
            "steps": request.num_inference_steps,
            "guidance": request.guidance_scale,
            "sampler": request.sampler.value,
            "user": request.tags.team,
        }
        if request.tags.residency:
            fields["residency"] = request.tags.residency
        if request.text_layers:  # the service that sets the text looks up the fonts
            layers = (layer.model_dump(mode="json") for layer in request.text_layers)
            fields["text_layers"] = [
                {name: value for name, value in layer.items() if name != "font_digest"}
                for layer in layers
            ]
        return fields

    def _headers(self, request: GenerationRequest) -> dict[str, str]:
        return BULK_HEADER

    def _require_sendable(self, request: GenerationRequest) -> None:
        why = residency_refusal(self._route.model, request.tags)
        if why is None and (request.init_image, request.mask_image) != (None, None):
            why = "it starts from another image, which only a worker's own model can read"
        if why is not None:
            what = f"nothing was sent: {why}; unset ATELIER_SERVICE to make it"
            raise rejected_error(self._hosted.host, request, what)

    def _read_answer(
        self, data: bytes, request: GenerationRequest, *, seconds: float
    ) -> RenderedImage:
        host = self._hosted.host
        pixels = read_image(data, request, host=host)
        try:
            (origin,) = _Answer.model_validate_json(data).data
        except (ValidationError, ValueError) as exc:
            what = "its answer has no provenance; the service may be an older version"
            raise rejected_error(host, request, what) from exc
        self._require_same(origin.provenance, request)
        return RenderedImage(
            request,
            pixels,
            seconds=origin.seconds,
            prompt_embedding_digest=origin.provenance.prompt_embedding_digest,
            noise_schedule=origin.provenance.noise_schedule,
            engine=origin.provenance.engine,
            environment=origin.provenance.environment.replace(service=host),
        )

    def _require_same(self, made: Provenance, request: GenerationRequest) -> None:
        """Raises BackendRejected unless it is what this run's own worker would have made."""
        model = self._route.model
        mismatches = {
            f"request {made.request_id[:12]}, not {request.id[:12]} (fonts may differ there)":
                made.request_id != request.id,
            f"weights {made.weights_digest[:12]}, not {model.weights_digest[:12]}":
                made.weights_digest != model.weights_digest,
            f"{_mode(made.engine)}, not {self._mode}":
                not _same_bits(made.engine, self._mode),
        }  # fmt: skip
        wrong = [what for what, differs in mismatches.items() if differs]
        if wrong:
            what = f"it made the image by {' and '.join(wrong)}; unset ATELIER_SERVICE to make it"
            raise rejected_error(self._hosted.host, request, what)


def require_service_models(url: str, key: SecretStr | None, models: Iterable[ModelVersion]) -> None:
    """Raises InvalidRequest when the service does not answer, or does not serve each version."""
    wanted = sorted({model.reference for model in models})
    shown = {listed.version: listed.role for listed in _models(url, key).data}
    missing = [version for version in wanted if version not in shown]
    if missing:
        serves = ", ".join(f"{version} as {role}" for version, role in sorted(shown.items()))
        raise InvalidRequest(
            f"ATELIER_SERVICE {url} does not serve {', '.join(missing)}; it serves "
            f"{serves or 'nothing'}; name one of these in the plan, or unset ATELIER_SERVICE"
        )


def _models(url: str, key: SecretStr | None) -> _Models:
    need_httpx()
    import httpx

    headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
    try:
        with httpx.Client(trust_env=False, timeout=CONNECT_SECONDS, headers=headers) as client:
            answer = client.get(f"{_base(url)}/models")
            if answer.status_code in (401, 403):
                raise InvalidRequest(f"ATELIER_SERVICE {url} requires a key; set ATELIER_KEY")
            return _Models.model_validate_json(answer.raise_for_status().content)
    except (httpx.HTTPError, ValidationError) as exc:
        raise InvalidRequest(
            f"ATELIER_SERVICE {url} does not answer as a service of Atelier; start it "
            "(atelier serve), or unset the variable to load models here"
        ) from exc


def _base(url: str) -> str:
    """Returns the base URL of the service's API; raises InvalidRequest for an invalid address."""
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidRequest(f"ATELIER_SERVICE {url!r} is not a URL; write http://127.0.0.1:8000")
    return f"{url.rstrip('/')}/v1"


def _hosted(url: str, model: ModelVersion) -> HostedEndpoint:
    try:
        return HostedEndpoint(url=_base(url), model=model.reference)
    except ValidationError as exc:
        raise InvalidRequest(
            f"ATELIER_SERVICE {url!r} is invalid: {exc.errors()[0]['msg']}"
        ) from exc


def _mode(engine: EngineSettings | None) -> str:
    if engine is None:
        return "mode unknown"
    unproven = {*engine.row_buckets} - {*engine.exact_rows}
    if engine.mode != "exact" or not unproven:
        return f"mode {engine.mode}"
    rows = "/".join(map(str, engine.row_buckets))
    return f"mode exact at {rows} rows, which are not proven to give the same bits"


def _same_bits(engine: EngineSettings | None, wanted: str) -> bool:
    """Returns whether a worker on the service's machine in mode `wanted` gives these bits."""
    if engine is None or wanted == "fast":
        return engine is not None
    if not {engine.mode, wanted} <= DETERMINISTIC_MODES:
        return engine.mode == wanted
    return engine.mode == "reproducible" or {*engine.row_buckets} <= {*engine.exact_rows}
