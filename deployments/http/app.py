"""The endpoints over a PreviewService: paths, bodies, responses, the page; does not know Ray."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.api.keys import KeyOwner
from app.api.requests import GenerateRequest, ImagesRequest, KeepRequest
from app.api.responses import (
    CallResult,
    ErrorResponse,
    GenerateResponse,
    ImagesResponse,
    KeptResponse,
    ModelsResponse,
    generate_response,
    images_response,
    models_response,
)
from app.digest import digest, digest_bytes
from app.errors import AtelierError, EngineError
from app.review import POLICY, page_html, static_file
from app.types import Value
from deployments.calls.admission import Call
from deployments.calls.call_renderer import CallEvent
from deployments.calls.idempotency import CallKey
from deployments.calls.init_images import UploadedFiles
from deployments.http.auth import ANONYMOUS, OWNER, Keys, is_open
from deployments.http.multipart import edit_body, read_edit
from deployments.http.sse import stream_response
from deployments.messages import ReplicaState
from deployments.monitoring.call_log import CallRecord
from deployments.monitoring.scrape import CONTENT_TYPE
from deployments.preview_service import PreviewService
from deployments.problems import problem_of, problem_of_fields, problem_of_http, respond

ERRORS = (400, 401, 403, 408, 413, 429, 431, 500, 503, 504)
BODY_ERRORS = (404, 409, 422)
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}
"""One server-sent event of a stream; `event` is the type of its data."""

TEXT = {"type": "string"}
PAGE_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but revalidated: all files are of one version
}
"""They restrict what the page may do in the browser."""

Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]
ClassHeader = Annotated[Literal["interactive", "bulk"], Header(alias="X-Atelier-Class")]
"""It decides when an image is rendered, never its bytes."""


class DocumentedApp(FastAPI):
    """An application whose OpenAPI document asks for a key while `keys` are required."""

    def __init__(self, *, keys: Keys, **options: Any) -> None:
        super().__init__(**options)
        self._keys = keys

    def openapi(self) -> dict[str, Any]:
        """Returns the document; FastAPI calls this for every request of its endpoint."""
        document = super().openapi()
        return _with_security(document) if self._keys.required else document


def create_app(service: PreviewService, keys: Keys) -> FastAPI:
    """Returns the HTTP application; its caller wraps it in AuthMiddleware.

    `keys` only decide whether the OpenAPI document asks for a key.
    """
    app = DocumentedApp(
        keys=keys,
        title="Atelier",
        version="1",
        docs_url=None,
        redoc_url=None,
        responses=_errors(ERRORS),
    )
    _add_call_endpoints(app, service)
    _add_read_endpoints(app, service)
    _add_page(app)
    app.add_exception_handler(RequestValidationError, _field_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(AtelierError, _internal_error)
    app.add_exception_handler(Exception, _internal_error)
    return app


def _add_call_endpoints(app: FastAPI, service: PreviewService) -> None:
    body_errors = _errors(BODY_ERRORS)
    streams = body_errors | {200: {"content": {"text/event-stream": {"schema": EVENT}}}}

    @app.post("/v1/images/generations", response_model=ImagesResponse, responses=streams)
    async def images(
        body: ImagesRequest,
        request: Request,
        key: Key = None,
        service_class: ClassHeader = "interactive",
    ) -> Response:
        """Returns images in the form of OpenAI's images API; with `stream`, as events."""
        call = _call(request, key, body, bulk=service_class == "bulk")
        return await _respond(service, body, call)

    @app.post(
        "/v1/images/edits",
        response_model=ImagesResponse,
        responses=streams,
        openapi_extra=edit_body(),
    )
    async def edits(request: Request, key: Key = None) -> Response:
        """Returns images that start from an uploaded image, under a mask or as a whole."""
        body, files = await read_edit(request)
        return await _respond(service, body, _call(request, key, body, files))

    @app.post("/v1/images/keep", response_model=KeptResponse, responses=body_errors)
    async def keep(body: KeepRequest, request: Request) -> Response:
        """Publishes a recently rendered image as an asset of the catalog."""
        kept = await service.images.keep(body, _owner(request).name)
        return _json(KeptResponse.from_kept(kept))

    @app.post("/generate", response_model=GenerateResponse, responses=body_errors)
    async def generate(body: GenerateRequest, request: Request, key: Key = None) -> Response:
        """Returns one preview and its latency."""
        started = monotonic()
        call = _call(request, key, body)
        result = await _result(service.calls.render(body.as_images(), call))
        return _json(generate_response(result, latency_seconds=monotonic() - started))


def _add_read_endpoints(app: FastAPI, service: PreviewService) -> None:
    @app.get("/v1/models", response_model=ModelsResponse)
    async def models() -> Response:
        """Returns the deployed models, by the names that calls may use."""
        return _json(models_response(service.fleet.served))

    @app.get("/metrics", responses={200: {"content": {"text/plain": {"schema": TEXT}}}})
    async def metrics() -> Response:
        """Returns the metrics of this router and of the catalog in Prometheus' format."""
        return Response(await service.metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Returns 200 while this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> dict[str, Any]:
        """Returns 200 when every role answers, with the state of one replica of each."""
        states = await service.calls.states()
        return {"status": "ready", "roles": {role: _state(state) for role, state in states.items()}}


def _add_page(app: FastAPI) -> None:
    """Adds GET / and GET /static/{name}; they are not in the document and need no key."""

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return _cacheable(request, page_html(), "text/html")

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        file = static_file(name)
        if file is None:
            raise HTTPException(404, "Not Found")
        return _cacheable(request, *file)


def _cacheable(request: Request, content: bytes, media_type: str) -> Response:
    tag = f'"{digest_bytes(content)}"'
    headers = PAGE_HEADERS | {"ETag": tag}
    if tag in request.headers.get("if-none-match", "").split(", "):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


def _state(state: ReplicaState) -> dict[str, Any]:
    """Returns the state without the paths of the model's files: this endpoint needs no key."""
    return {**state.as_json(), "model": state.model.reference}


async def _respond(service: PreviewService, body: ImagesRequest, call: Call) -> Response:
    events = service.calls.render(body, call)
    if body.stream:
        return await stream_response(events, explain=body.explain)
    result = await _result(events)
    return _json(images_response(result, explain=body.explain, origin=call.bulk))


async def _result(events: AsyncGenerator[CallEvent]) -> CallResult:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, CallResult):
                return event
    raise EngineError("the call ended without a result")


def _call(
    request: Request,
    key: str | None,
    body: Value,
    files: UploadedFiles | None = None,
    *,
    bulk: bool = False,
) -> Call:
    owner = _owner(request)
    record = CallRecord.begin(request.headers.get("x-request-id", ""), request.url.path, bulk=bulk)
    if key is None:
        return Call(owner=owner, files=files, record=record, bulk=bulk)
    uploads = [digest_bytes(file) for file in (files.image, files.mask) if file] if files else []
    fingerprint = digest([request.url.path, body.as_json(), uploads])
    call_key = CallKey(owner=owner.name, key=key, fingerprint=fingerprint)
    return Call(owner, files, call_key, record, bulk)


def _owner(request: Request) -> KeyOwner:
    owner: KeyOwner = request.scope.get(OWNER, ANONYMOUS)
    return owner


def _json(value: Value) -> JSONResponse:
    return JSONResponse(value.model_dump(mode="json", exclude_none=True))


def _errors(statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorResponse} for status in statuses}


async def _field_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return respond(problem_of_fields(error.errors()))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = respond(problem_of_http(error))
    response.headers.update(error.headers or {})  # Allow, with 405
    return response


async def _internal_error(request: Request, error: Exception) -> Response:
    return respond(problem_of(error))


def _with_security(document: dict[str, Any]) -> dict[str, Any]:
    scheme = {"type": "http", "scheme": "bearer", "description": "atelier keys add NAME makes one"}
    components = document.get("components", {}) | {"securitySchemes": {"key": scheme}}
    paths = {
        path: {
            method: operation | {"security": [] if is_open(path) else [{"key": []}]}
            for method, operation in operations.items()
        }
        for path, operations in document["paths"].items()
    }
    return document | {"components": components, "paths": paths}
