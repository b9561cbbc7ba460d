"""The endpoints: paths, bodies and responses over a CallService; knows HTTP and not Ray."""

from time import monotonic, time
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse

from app.api.keys import KeyOwner
from app.api.requests import GenerateRequest, ImagesRequest, KeepRequest
from app.api.responses import (
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
from app.errors import AtelierError
from app.types import Value
from deployments.calls.call_service import Call, CallService
from deployments.calls.idempotency import CallKey
from deployments.calls.init_images import SentFiles
from deployments.http.auth import ANONYMOUS, OWNER, Keys
from deployments.http.multipart import edit_body, read_edit
from deployments.http.openapi import DocumentedApp
from deployments.http.page import add_page
from deployments.http.sse import event_stream
from deployments.messages import ReplicaState
from deployments.monitoring.call_log import CallRecord
from deployments.monitoring.scrape import CONTENT_TYPE
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
"""One server-sent event of a stream; its name says what its data holds."""

TEXT = {"type": "string"}
Key = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]


Waits = Annotated[Literal["interactive", "bulk"], Header(alias="X-Atelier-Class")]
"""Whether somebody waits; it decides when an image is rendered, never what it looks like."""


def create_app(service: CallService, keys: Keys) -> FastAPI:
    """Returns the HTTP application over a CallService; AuthMiddleware is wrapped around it later.

    `keys` only decide what the OpenAPI document says about keys.
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
    add_page(app)
    app.add_exception_handler(RequestValidationError, _field_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(AtelierError, _internal_error)
    app.add_exception_handler(Exception, _internal_error)
    return app


def _add_call_endpoints(app: FastAPI, service: CallService) -> None:
    wrong = _errors(BODY_ERRORS)
    painted = wrong | {200: {"content": {"text/event-stream": {"schema": EVENT}}}}

    @app.post("/v1/images/generations", response_model=ImagesResponse, responses=painted)
    async def images(
        body: ImagesRequest, request: Request, key: Key = None, waits: Waits = "interactive"
    ) -> Response:
        """Returns images in the shape of OpenAI's API; with `stream`, its events as they come."""
        return await _complete(service, body, _call(request, key, body, waits=waits))

    @app.post(
        "/v1/images/edits",
        response_model=ImagesResponse,
        responses=painted,
        openapi_extra=edit_body(),
    )
    async def edits(request: Request, key: Key = None) -> Response:
        """Returns images made from an image that is sent along, under a mask or as a whole."""
        body, sent = await read_edit(request)
        return await _complete(service, body, _call(request, key, body, sent))

    @app.post("/v1/images/keep", response_model=KeptResponse, responses=wrong)
    async def keep(wanted: KeepRequest, request: Request) -> Response:
        """Publishes an image that was rendered a short while ago as an asset of the catalog."""
        return _json(KeptResponse.from_kept(await service.keep(wanted, _owner(request))))

    @app.post("/generate", response_model=GenerateResponse, responses=wrong)
    async def generate(body: GenerateRequest, request: Request, key: Key = None) -> Response:
        """Returns one preview and how long it took."""
        started = monotonic()
        made = await service.complete(body.as_images(), _call(request, key, body))
        return _json(generate_response(made, latency_seconds=monotonic() - started))


def _add_read_endpoints(app: FastAPI, service: CallService) -> None:
    @app.get("/v1/models", response_model=ModelsResponse)
    async def models() -> Response:
        """Returns what is deployed, under the names that calls may use."""
        return _json(models_response(service.fleet))

    @app.get("/metrics", responses={200: {"content": {"text/plain": {"schema": TEXT}}}})
    async def metrics() -> Response:
        """Returns this router's metrics and those of the catalog, for Prometheus."""
        return Response(await service.metrics(), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Returns 200 while this process answers."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> dict[str, Any]:
        """Returns 200 when every role answers, with what a replica of each has in flight."""
        states = await service.states()
        return {"status": "ready", "roles": {role: _state(state) for role, state in states.items()}}


def _state(state: ReplicaState) -> dict[str, Any]:
    """Returns the state without the paths of a version's files: this endpoint needs no key."""
    return {**state.as_json(), "model": state.model.reference}


async def _complete(service: CallService, body: ImagesRequest, call: Call) -> Response:
    if body.stream:
        return await _stream(service, body, call)
    made = await service.complete(body, call)
    return _json(images_response(made, explain=body.explain, origin=call.bulk))


async def _stream(service: CallService, body: ImagesRequest, call: Call) -> Response:
    """Waits for the first event here, so that a refused call still gets its status."""
    words = service.stream(body, call)
    try:
        first = await anext(words)
    except BaseException:
        await words.aclose()
        raise
    events = event_stream(first, words, explain=body.explain, created=int(time()))
    return StreamingResponse(events, media_type="text/event-stream")


def _call(
    request: Request,
    key: str | None,
    asked: Value,
    sent: SentFiles | None = None,
    *,
    waits: str = "interactive",
) -> Call:
    owner, bulk = _owner(request), waits == "bulk"
    record = CallRecord.begin(request.headers.get("x-request-id", ""), request.url.path, bulk=bulk)
    if key is None:
        return Call(owner=owner, files=sent, record=record, bulk=bulk)
    files = [digest_bytes(file) for file in (sent.picture, sent.mask) if file] if sent else []
    fingerprint = digest([request.url.path, asked.as_json(), files])
    named = CallKey(owner=owner.name, key=key, fingerprint=fingerprint)
    return Call(owner, sent, named, record, bulk)


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
    answer = respond(problem_of_http(error))
    answer.headers.update(error.headers or {})  # Allow, with 405
    return answer


async def _internal_error(request: Request, error: Exception) -> Response:
    return respond(problem_of(error))
